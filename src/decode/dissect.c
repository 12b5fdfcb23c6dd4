/* Who may say what, and datagrams: DNS and QUIC. */
#include "decode/dissect.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode/dissect_internal.h"
#include "util/clock.h"

enum {
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	DRAWN_PORTS = 32768, /* Linux takes a client's port from here on, others from higher up */
};

int dissect_new(const struct dissect_options *options, struct dissect **ret_dissect)
{
	struct dissect *dissect = calloc(1, sizeof(*dissect));

	assert(options->name);
	if (!dissect)
		return -ENOMEM;
	dissect->options = *options;
	query_table_init(&dissect->queries, options->hash_key);
	if (stream_table_new(options->max_streams, options->hash_key, &dissect->streams) < 0 ||
		dissect_quic_new(&dissect->quic) < 0) {
		dissect_free(dissect);
		return -ENOMEM;
	}
	*ret_dissect = dissect;
	return 0;
}

void dissect_free(struct dissect *dissect)
{
	if (!dissect)
		return;
	stream_table_free(dissect->streams);
	dissect_quic_free(dissect->quic);
	free(dissect);
}

void dissect_counters(const struct dissect *dissect, struct dissect_counters *ret_counters)
{
	*ret_counters = dissect->counters;
	ret_counters->evicted = stream_table_evicted(dissect->streams);
}

/* Of a connection in mid-stream the ports have to tell; what they leave open counts as a server. */
static bool looks_like_client(const struct decode_packet *packet)
{
	return packet->destination_port < packet->source_port &&
	       packet->destination_port < DRAWN_PORTS;
}

bool dissect_from_client(const struct dissect_packet *in)
{
	switch (in->observation->direction) {
	case FLOW_DIRECTION_OUT:
	case FLOW_DIRECTION_FORWARDED:
		return in->observation->from_local;
	case FLOW_DIRECTION_IN:
		return !in->observation->from_local;
	case FLOW_DIRECTION_UNKNOWN:
	case FLOW_DIRECTION_COUNT:
		break;
	}
	return looks_like_client(in->packet);
}

static struct name_evidence evidence_of(const struct dissect_packet *in, enum name_source source)
{
	return (struct name_evidence){
		.time_us = in->observation->time_ns / NS_PER_US,
		.key = in->observation->key,
		.source = source,
	};
}

static void tell(const struct dissect_packet *in, const struct name_evidence *evidence)
{
	in->dissect->counters.names++;
	in->dissect->options.name(in->dissect->options.ctx, evidence);
}

void dissect_tell_host(const struct dissect_packet *in, enum name_source source, const char *name,
	const struct addr *address, const struct dissect_tls_hello *hello)
{
	struct name_evidence evidence = evidence_of(in, source);

	if (!name[0])
		return;
	strcpy(evidence.name, name);
	strcpy(evidence.query, name);
	if (address)
		evidence.address = *address;
	if (hello) {
		evidence.ech = hello->ech;
		strcpy(evidence.alpn, hello->alpn);
	}
	tell(in, &evidence);
}

struct asked {
	const struct dissect_packet *in;
	enum name_source source;
};

static void tell_answer(void *ctx, const struct dissect_dns_answer *answer)
{
	const struct asked *asked = ctx;
	struct name_evidence evidence = evidence_of(asked->in, asked->source);

	evidence.address = answer->address;
	evidence.ttl_s = answer->ttl_s;
	strcpy(evidence.name, answer->name);
	strcpy(evidence.query, answer->owner);
	tell(asked->in, &evidence);
}

enum dissect_result dissect_answers(const struct dissect_packet *in, const uint8_t *message,
	size_t captured, size_t wire, enum name_source source)
{
	struct asked asked = {in, source};
	struct dissect_dns_sink sink = {&asked, tell_answer};

	return dissect_dns(message, captured, wire, source, &sink);
}

static enum name_source source_of_port(uint16_t port)
{
	switch (port) {
	case DISSECT_PORT_DNS:
		return NAME_SOURCE_DNS;
	case DISSECT_PORT_MDNS:
		return NAME_SOURCE_MDNS;
	case DISSECT_PORT_LLMNR:
		return NAME_SOURCE_LLMNR;
	default:
		return NAME_SOURCE_NONE;
	}
}

/* The addresses of mDNS and LLMNR, where everybody who listens may answer. */
static bool is_group(const struct addr *address, enum name_source source)
{
	static const struct {
		enum name_source source;
		const char *v4, *v6;
	} groups[] = {
		{NAME_SOURCE_MDNS, "\xe0\0\0\xfb", "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\xfb"},
		{NAME_SOURCE_LLMNR, "\xe0\0\0\xfc", "\xff\2\0\0\0\0\0\0\0\0\0\0\0\1\0\3"},
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct addr group = addr_is_v4(address) ? addr_from_v4(groups[i].v4)
							: addr_from_v6(groups[i].v6);

		if (groups[i].source == source && addr_equal(&group, address))
			return true;
	}
	return false;
}

/* Answers of mDNS come to the group, if not asked for by unicast; those to the common port would
 * be easy to guess. */
static bool is_answered_to_group(const struct decode_packet *packet)
{
	return packet->source_port == DISSECT_PORT_MDNS &&
	       packet->destination_port == DISSECT_PORT_MDNS &&
	       !dissect_dns_wants_unicast(packet->payload.at, packet->payload.captured);
}

void dissect_note_question(
	const struct dissect_packet *in, const uint8_t *message, size_t captured, bool to_group)
{
	if (captured >= DISSECT_DNS_HEADER && !dissect_dns_is_answer(message))
		query_table_put(&in->dissect->queries, in->packet, dissect_dns_id(message),
			to_group, in->observation->time_ns);
}

static void note_question(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;
	enum name_source source = source_of_port(packet->destination_port);

	if (source != NAME_SOURCE_NONE && !is_answered_to_group(packet))
		dissect_note_question(in, packet->payload.at, packet->payload.captured,
			is_group(&packet->destination, source));
}

static bool is_asked(
	const struct dissect_packet *in, const uint8_t *message, enum name_source source)
{
	const struct decode_packet *packet = in->packet;

	if (source == NAME_SOURCE_MDNS && packet->destination_port == DISSECT_PORT_MDNS &&
		is_group(&packet->destination, source))
		return true;
	return query_table_asked(
		&in->dissect->queries, packet, dissect_dns_id(message), in->observation->time_ns);
}

bool dissect_is_welcome(const struct dissect_packet *in, const uint8_t *message, size_t captured,
	enum name_source source)
{
	if (captured < DISSECT_DNS_HEADER || !dissect_dns_is_answer(message) ||
		is_asked(in, message, source))
		return true;
	in->dissect->counters.unasked++;
	return false;
}

static enum dissect_result take_answer(const struct dissect_packet *in, enum name_source source)
{
	const struct decode_packet *packet = in->packet;
	const struct cursor *payload = &packet->payload;

	if (!dissect_is_welcome(in, payload->at, payload->captured, source))
		return DISSECT_OTHER;
	return dissect_answers(in, payload->at, payload->captured,
		packet->octets + dissect_is_cut(packet), source);
}

static enum dissect_result take_hello(
	const struct dissect_packet *in, const struct reassembly *crypto)
{
	struct dissect_tls_hello hello;
	enum dissect_result result = dissect_tls_hello(crypto->octets, crypto->ready, &hello);

	if (result == DISSECT_OK)
		dissect_tell_host(
			in, NAME_SOURCE_QUIC, hello.name, &in->packet->destination, &hello);
	else if (result == DISSECT_OTHER) /* the first octets of CRYPTO are a ClientHello */
		result = DISSECT_MALFORMED;
	return result;
}

/* Goes on with a client whose first packets did not hold all of its hello. */
static enum dissect_result go_on(const struct dissect_packet *in, struct stream *stream)
{
	enum dissect_result result = dissect_quic_read(in->dissect->quic, in->packet->payload.at,
		in->packet->payload.captured, &stream->quic, &stream->octets);

	if (result == DISSECT_OK)
		result = take_hello(in, &stream->octets);
	if (result != DISSECT_OTHER && result != DISSECT_TRUNCATED)
		stream_table_set(in->dissect->streams, stream, STREAM_DONE);
	return result;
}

/* A client's first packet: nothing is kept of it before its keys have opened it. */
static enum dissect_result begin(const struct dissect_packet *in)
{
	struct dissect *dissect = in->dissect;
	const struct decode_packet *packet = in->packet;
	struct dissect_quic_secret secret;
	struct stream *stream;
	enum dissect_result result;

	if (packet->payload.captured < DISSECT_QUIC_DATAGRAM_MIN)
		return DISSECT_MALFORMED;
	result = dissect_quic_secret(
		dissect->quic, packet->payload.at, packet->payload.captured, &secret);
	reassembly_clear(&dissect->crypto);
	if (result == DISSECT_OK)
		result = dissect_quic_read(dissect->quic, packet->payload.at,
			packet->payload.captured, &secret, &dissect->crypto);
	if (result == DISSECT_OTHER)
		return DISSECT_MALFORMED;
	if (result != DISSECT_OK)
		return result;
	result = take_hello(in, &dissect->crypto);
	stream = stream_table_begin(dissect->streams, packet);
	stream->quic = secret;
	stream_table_set(dissect->streams, stream,
		result == DISSECT_TRUNCATED ? STREAM_PARTIAL : STREAM_DONE);
	if (result == DISSECT_TRUNCATED)
		stream->octets = dissect->crypto;
	return result;
}

/* After the server's answer a client sends to another connection id, under the old keys; after a
 * Retry, or as another connection of the same ports, under new ones. Only trying tells. */
static enum dissect_result take_initial(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;
	struct stream *stream = stream_table_find(in->dissect->streams, packet);
	enum dissect_result result = DISSECT_OTHER;

	if (!stream)
		return begin(in);
	if (stream->state == STREAM_PARTIAL)
		result = go_on(in, stream);
	if (result != DISSECT_OTHER ||
		dissect_quic_is_of(&stream->quic, packet->payload.at, packet->payload.captured))
		return result;
	result = begin(in);
	return result == DISSECT_MALFORMED ? DISSECT_OTHER : result;
}

static enum dissect_result take_datagram(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;
	enum name_source source = source_of_port(packet->source_port);
	enum dissect_result result;

	note_question(in);
	if (source != NAME_SOURCE_NONE)
		return take_answer(in, source);
	if (!dissect_from_client(in) ||
		!dissect_quic_begins(packet->payload.at, packet->payload.captured))
		return DISSECT_OTHER;
	if (dissect_is_cut(packet))
		return DISSECT_TRUNCATED;
	result = take_initial(in);
	return result == DISSECT_TRUNCATED ? DISSECT_OTHER : result; /* waits for more */
}

void dissect_take(struct dissect *dissect, const struct decode_packet *packet,
	const struct observation *observation)
{
	struct dissect_packet in = {dissect, packet, observation};
	enum dissect_result result = DISSECT_OTHER;

	if (packet->fragment == DECODE_FRAGMENT_LATER || packet->carries != FLOW_TUNNEL_NONE)
		return;
	if (packet->protocol == PROTOCOL_TCP)
		dissect_segment(&in);
	else if (packet->protocol == PROTOCOL_UDP && packet->payload.captured > 0)
		result = take_datagram(&in);
	if (result != DISSECT_OTHER)
		dissect->counters.results[result]++;
}

/* What goes by TCP: a client's first octets, and the messages of name servers and their clients.
 *
 * A connection whose SYN was seen has a slot from then on, so that segments may come in any order;
 * where segments are counted from the first octet, that one gets a slot. Once the slot is lost it
 * is read no more, for what it carries later may be for others (a proxy's tunnel). One whose
 * beginning nobody saw gets a slot when a segment begins like TLS or HTTP, or comes from a name
 * server; questions to one are believed only in a slot from the beginning, and answers only to
 * those. */
#include <string.h>

#include "decode/dissect_http.h"
#include "decode/dissect_internal.h"

enum {
	BEGINNING = 6, /* octets that tell TLS and HTTP from others, where no SYN was seen */
	MESSAGE_LENGTH = 2,
};

struct request {
	enum name_source source;
	struct dissect_tls_hello hello;
	struct dissect_http_request http;
};

static enum dissect_result read_request(
	struct dissect *dissect, const uint8_t *octets, size_t length, struct request *ret_request)
{
	enum dissect_result result =
		dissect_tls_stream(octets, length, dissect->scratch, &ret_request->hello);

	ret_request->source = NAME_SOURCE_SNI;
	if (result == DISSECT_OTHER) {
		ret_request->source = NAME_SOURCE_HTTP;
		result = dissect_http(octets, length, &ret_request->http);
	}
	return result;
}

static void tell_request(const struct dissect_packet *in, const struct request *request)
{
	const struct addr *server = &in->packet->destination;

	if (request->source == NAME_SOURCE_SNI)
		dissect_tell_host(
			in, NAME_SOURCE_SNI, request->hello.name, server, &request->hello);
	else
		dissect_tell_host(in, NAME_SOURCE_HTTP, request->http.name,
			request->http.proxied ? NULL : server, NULL);
}

static uint32_t sequence_of(const struct decode_packet *packet)
{
	return packet->tcp_seq + (packet->tcp_flags & OBSERVATION_TCP_SYN ? 1 : 0);
}

static struct stream *begin_stream(const struct dissect_packet *in, uint32_t base)
{
	struct stream *stream = stream_table_begin(in->dissect->streams, in->packet);

	stream->base = base;
	return stream;
}

/* Puts the segment where it belongs, as far as there is room; false if there is none. */
static bool keep(struct stream *stream, const struct decode_packet *packet)
{
	int64_t offset = (int32_t)(sequence_of(packet) - stream->base), room;
	int64_t length = packet->payload.captured;
	const uint8_t *octets = packet->payload.at;

	if (offset < 0) { /* sent again, or keep-alive */
		if (-offset >= length)
			return true;
		octets -= offset;
		length += offset;
		offset = 0;
	}
	room = REASSEMBLY_MAX - offset;
	return room > 0 && reassembly_add(&stream->octets, (uint64_t)offset, octets,
				   (size_t)(length < room ? length : room));
}

static void finish(const struct dissect_packet *in, struct stream *stream,
	enum dissect_result result, const struct request *request)
{
	if (result != DISSECT_OTHER)
		in->dissect->counters.results[result]++;
	if (request && (result == DISSECT_OK || result == DISSECT_TRUNCATED))
		tell_request(in, request);
	if (!stream && result != DISSECT_OTHER)
		stream = begin_stream(in, sequence_of(in->packet));
	if (stream)
		stream_table_set(in->dissect->streams, stream, STREAM_DONE);
}

/* Keeps a message's first octets until the others come. */
static void wait_for_more(const struct dissect_packet *in, struct stream *stream, bool kept)
{
	if (!stream && in->packet->payload.captured < BEGINNING)
		return;
	if (!stream)
		stream = begin_stream(in, sequence_of(in->packet));
	if (!kept)
		keep(stream, in->packet);
	stream_table_set(in->dissect->streams, stream,
		stream->octets.end > 0 ? STREAM_PARTIAL : STREAM_FRESH);
}

static void take_request(const struct dissect_packet *in, struct stream *stream)
{
	const struct decode_packet *packet = in->packet;
	const uint8_t *octets = packet->payload.at;
	size_t length = packet->payload.captured;
	struct request request;
	enum dissect_result result = DISSECT_TRUNCATED;
	bool kept = stream && (sequence_of(packet) != stream->base || stream->octets.end > 0);

	if (kept) {
		if (!keep(stream, packet)) {
			finish(in, stream, DISSECT_TRUNCATED, NULL);
			return;
		}
		octets = stream->octets.octets;
		length = stream->octets.ready;
	}
	if (length > 0)
		result = read_request(in->dissect, octets, length, &request);
	if (result != DISSECT_TRUNCATED || dissect_is_cut(packet) || length >= REASSEMBLY_MAX)
		finish(in, stream, result, length > 0 ? &request : NULL);
	else
		wait_for_more(in, stream, kept);
}

/* A stream that is over needs no slot; octets that are missing may still come behind a FIN. */
static void end_stream(const struct dissect_packet *in)
{
	struct stream *stream;
	uint8_t flags = in->packet->tcp_flags;

	if (!(flags & (OBSERVATION_TCP_FIN | OBSERVATION_TCP_RST)))
		return;
	stream = stream_table_find(in->dissect->streams, in->packet);
	if (stream && (stream->state != STREAM_PARTIAL || flags & OBSERVATION_TCP_RST))
		stream_table_end(in->dissect->streams, stream);
}

static bool is_picked_up(const struct dissect_packet *in)
{
	return in->observation->direction == FLOW_DIRECTION_UNKNOWN;
}

static bool is_from_name_server(const struct decode_packet *packet)
{
	return packet->source_port == DISSECT_PORT_DNS;
}

/* False if this is no DNS that we read. An answer that nobody asked for is passed over: its
 * question may be missing in the capture. */
static bool read_message(const struct dissect_packet *in, const uint8_t *message, size_t length)
{
	enum dissect_result result;

	if (!is_from_name_server(in->packet)) {
		dissect_note_question(in, message, length, false);
		return length >= DISSECT_DNS_HEADER && !dissect_dns_is_answer(message);
	}
	if (!dissect_is_welcome(in, message, length, NAME_SOURCE_DNS))
		return true;
	result = dissect_answers(in, message, length, length, NAME_SOURCE_DNS);
	if (result != DISSECT_OTHER)
		in->dissect->counters.results[result]++;
	return result != DISSECT_OTHER && result != DISSECT_MALFORMED;
}

/* Reads the whole messages that are ready; false if this is no DNS that we read. */
static bool read_messages(const struct dissect_packet *in, struct stream *stream)
{
	const struct reassembly *octets = &stream->octets;
	size_t at = 0;

	while (octets->ready - at >= MESSAGE_LENGTH) {
		size_t length = cursor_be16(octets->octets + at);

		if (length > REASSEMBLY_MAX - MESSAGE_LENGTH) {
			in->dissect->counters.results[DISSECT_UNSUPPORTED]++;
			return false;
		}
		if (octets->ready - at - MESSAGE_LENGTH < length)
			break;
		at += MESSAGE_LENGTH;
		if (!read_message(in, octets->octets + at, length))
			return false;
		at += length;
	}
	reassembly_drop(&stream->octets, at);
	stream->base += (uint32_t)at;
	return true;
}

/* Where octets are missing for good the next segment is taken for the start of a message. A
 * segment with more octets than there is room for is taken in turns. */
static void take_messages(const struct dissect_packet *in, struct stream *stream)
{
	const struct decode_packet *packet = in->packet;
	enum stream_state state = STREAM_DONE;
	uint32_t base;
	bool sound;

	do {
		if (!keep(stream, packet)) {
			in->dissect->counters.results[DISSECT_TRUNCATED]++;
			stream = begin_stream(in, sequence_of(packet));
			keep(stream, packet);
		}
		base = stream->base;
		sound = read_messages(in, stream);
	} while (sound && stream->base != base);
	if (sound)
		state = stream->octets.end > 0 ? STREAM_PARTIAL : STREAM_FRESH;
	stream_table_set(in->dissect->streams, stream, state);
	if (dissect_is_cut(packet)) {
		in->dissect->counters.results[DISSECT_TRUNCATED]++;
		begin_stream(in, sequence_of(packet) + packet->octets);
	}
}

/* stream: the sender's slot, or NULL. */
static void take_octets(const struct dissect_packet *in, struct stream *stream)
{
	const struct decode_packet *packet = in->packet;
	bool is_dns = is_from_name_server(packet) || packet->destination_port == DISSECT_PORT_DNS;

	if (!stream && is_from_name_server(packet))
		stream = begin_stream(in, sequence_of(packet));
	if (stream ? stream->state == STREAM_DONE : is_dns || !is_picked_up(in))
		return;
	if (is_dns)
		take_messages(in, stream);
	else
		take_request(in, stream);
}

/* Whether a sender's first octets may be of the stream, and not of the next one of these ends. */
static bool may_be_of(const struct stream *stream, const struct decode_packet *packet)
{
	size_t known = stream->octets.ready, length = packet->payload.captured;

	return stream->state != STREAM_DONE && stream->base == 0 &&
	       memcmp(stream->octets.octets, packet->payload.at, known < length ? known : length) ==
		       0;
}

/* Without SYNs the first octets begin a stream, and none but they: what was pushed out by others
 * would else begin again in its middle, and push out others. */
static struct stream *offset_stream(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;
	struct stream *stream = stream_table_find(in->dissect->streams, packet);

	if (packet->tcp_seq == 0 && !(stream && may_be_of(stream, packet)))
		stream = begin_stream(in, 0);
	return stream;
}

static struct stream *find_stream(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;

	if (packet->tcp_flags & OBSERVATION_TCP_SYN)
		return begin_stream(in, sequence_of(packet));
	if (packet->payload.captured == 0)
		return NULL;
	return packet->tcp_seq_is_offset ? offset_stream(in)
					 : stream_table_find(in->dissect->streams, packet);
}

void dissect_segment(const struct dissect_packet *in)
{
	const struct decode_packet *packet = in->packet;
	struct stream *stream;

	if (!is_from_name_server(packet) && !dissect_from_client(in))
		return;
	stream = find_stream(in);
	if (packet->payload.captured > 0)
		take_octets(in, stream);
	end_stream(in);
}

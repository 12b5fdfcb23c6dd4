/* A packet is counted as one of decode's results. A later fragment whose first one was not seen
 * counts as unsupported. */
#include "source/packet_observer.h"

#include <string.h>

enum { PROTOCOL_TCP = 6 };

int packet_observer_init(struct packet_observer *observer,
	const struct orientation_options *options, const struct source_sink *sink,
	enum flow_source source)
{
	memset(observer, 0, sizeof(*observer));
	fragment_table_init(&observer->fragments, options->hash_key);
	observer->sink = sink;
	observer->source = source;
	return orientation_new(options, &observer->orientation);
}

void packet_observer_done(struct packet_observer *observer)
{
	orientation_free(observer->orientation);
	observer->orientation = NULL;
}

static void count(struct flow_counters *counters, const struct decode_packet *packet, bool out)
{
	uint32_t octets = packet->octets;

	/* of a segment in fragments the sequence numbers tell the rest */
	if (packet->protocol == PROTOCOL_TCP && packet->fragment == DECODE_FRAGMENT_LATER)
		octets = 0;
	if (out) {
		counters->octets_out = octets;
		counters->packets_out = 1;
	} else {
		counters->octets_in = octets;
		counters->packets_in = 1;
	}
}

static void observe(
	struct packet_observer *observer, const struct decode_packet *packet, int64_t time_ns)
{
	struct orientation_verdict verdict = orientation_of(observer->orientation, packet);
	bool out = verdict.from_local;
	struct observation observation = {
		.key = {.local = out ? packet->source : packet->destination,
			.remote = out ? packet->destination : packet->source,
			.local_port = out ? packet->source_port : packet->destination_port,
			.remote_port = out ? packet->destination_port : packet->source_port,
			.protocol = packet->protocol},
		.time_ns = time_ns,
		.kind = OBSERVATION_PACKET,
		.direction = verdict.direction,
		.source = observer->source,
		.tcp_flags = packet->tcp_flags,
		.tcp_seq = packet->tcp_seq,
		.from_local = out,
	};

	count(&observation.counters, packet, out);
	observer->sink->observe(observer->sink->ctx, &observation);
}

void packet_observer_take(
	struct packet_observer *observer, const struct packet_observer_frame *frame)
{
	struct decode_packet packet;
	enum decode_result result = decode_frame(
		frame->link_type, frame->octets, frame->captured, frame->wire, &packet);

	if (result == DECODE_OK && packet.fragment != DECODE_FRAGMENT_NONE &&
		!fragment_table_pass(&observer->fragments, &packet, frame->time_ns))
		result = DECODE_UNSUPPORTED;
	observer->results[result]++;
	if (result == DECODE_OK)
		observe(observer, &packet, frame->time_ns);
}

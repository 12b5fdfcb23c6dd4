/* A frame is counted as one of decode's results: OK if all that is in it was read. A later fragment
 * whose first one was not seen counts as unsupported.
 *
 * A frame of a tunnel is a packet of two flows or more: of the one within, which gets the octets,
 * and of each carrier, which gets octets only where nothing within was read (keep-alives, ARP, what
 * is cut off or encrypted). So the ends of a tunnel are in the history, and no octet counts twice.
 */
#include "source/packet_observer.h"

#include <errno.h>
#include <string.h>

#include "decode/pktap.h"

enum { PROTOCOL_TCP = 6, MAX_STREAMS = 512, LEVELS = 1 + DECODE_TUNNELS_MAX };

static int open_dissect(struct packet_observer *observer, struct hash_key hash_key)
{
	struct dissect_options options = {
		.max_streams = MAX_STREAMS,
		.hash_key = hash_key,
		.name = observer->sink->name,
		.ctx = observer->sink->ctx,
	};

	return dissect_new(&options, &observer->dissect);
}

bool packet_observer_reads(int link_type)
{
	return pktap_link_type(link_type) || decode_link_type_supported(link_type);
}

int packet_observer_init(struct packet_observer *observer,
	const struct orientation_options *options, const struct source_sink *sink,
	enum flow_source source)
{
	memset(observer, 0, sizeof(*observer));
	fragment_table_init(&observer->fragments, options->hash_key);
	captured_owners_init(&observer->owners, sink, options->hash_key);
	observer->sink = sink;
	observer->source = source;
	if (orientation_new(options, &observer->orientation) < 0)
		return -ENOMEM;
	return sink->name ? open_dissect(observer, options->hash_key) : 0;
}

void packet_observer_done(struct packet_observer *observer)
{
	orientation_free(observer->orientation);
	dissect_free(observer->dissect);
	observer->orientation = NULL;
	captured_owners_done(&observer->owners);
	observer->dissect = NULL;
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

/* The same packet as the other end sees it. */
static void turn(struct observation *seen)
{
	struct flow_key key = seen->key;
	struct flow_counters counters = seen->counters;

	seen->key.local = key.remote;
	seen->key.remote = key.local;
	seen->key.local_port = key.remote_port;
	seen->key.remote_port = key.local_port;
	seen->counters.octets_out = counters.octets_in;
	seen->counters.octets_in = counters.octets_out;
	seen->counters.packets_out = counters.packets_in;
	seen->counters.packets_in = counters.packets_out;
	seen->from_local = !seen->from_local;
	if (seen->direction == FLOW_DIRECTION_OUT)
		seen->direction = FLOW_DIRECTION_IN;
	else if (seen->direction == FLOW_DIRECTION_IN)
		seen->direction = FLOW_DIRECTION_OUT;
}

/* Whether the flow's local end is the captured machine's. */
static bool is_own_end(
	const struct decode_packet *packet, const struct observation *seen, bool by_address)
{
	switch (packet->sender) {
	case DECODE_SENDER_LOCAL:
		return seen->from_local;
	case DECODE_SENDER_REMOTE:
		return !seen->from_local;
	case DECODE_SENDER_UNKNOWN:
		break;
	}
	return by_address;
}

static void set_owner(struct observation *observation, const struct packet_observer_frame *frame)
{
	if (!process_ref_known(&frame->user) && !process_ref_known(&frame->opener))
		return;
	observation->user = process_ref_known(&frame->user) ? frame->user : frame->opener;
	observation->opener = frame->opener;
	observation->method = FLOW_METHOD_PKTAP;
}

static void hand_over(const struct packet_observer *observer, const struct decode_packet *packet,
	struct observation seen, bool by_address, const struct packet_observer_frame *frame)
{
	if (packet->tunnel == FLOW_TUNNEL_NONE && is_own_end(packet, &seen, by_address))
		set_owner(&seen, frame);
	observer->sink->observe(observer->sink->ctx, &seen);
}

static struct observation observation_of(const struct packet_observer *observer,
	const struct decode_packet *packet, struct orientation_verdict verdict, int64_t time_ns)
{
	bool out = verdict.from_local;

	return (struct observation){
		.key = {.local = out ? packet->source : packet->destination,
			.remote = out ? packet->destination : packet->source,
			.local_port = out ? packet->source_port : packet->destination_port,
			.remote_port = out ? packet->destination_port : packet->source_port,
			.protocol = packet->protocol,
			.tunnel = (uint8_t)packet->tunnel,
			.tunnel_id = packet->tunnel_id},
		.time_ns = time_ns,
		.kind = OBSERVATION_PACKET,
		.direction = verdict.direction,
		.source = observer->source,
		.tcp_flags = packet->tcp_flags,
		.tcp_seq = packet->tcp_seq,
		.from_local = out,
	};
}

/* Whether the packet comes from outside with an address of this machine: what it says is not ours,
 * and it would give our flows a name. */
static bool is_forged(const struct decode_packet *packet, struct orientation_verdict verdict)
{
	return packet->sender == DECODE_SENDER_REMOTE && verdict.by_address && verdict.from_local;
}

static void observe(struct packet_observer *observer, const struct decode_packet *packet,
	const struct packet_observer_frame *frame)
{
	struct orientation_verdict verdict =
		orientation_of(observer->orientation, packet, frame->time_ns);
	struct observation observation = observation_of(observer, packet, verdict, frame->time_ns);

	observer->copies += verdict.copy;
	if (verdict.copy)
		return;
	count(&observation.counters, packet, verdict.from_local);
	hand_over(observer, packet, observation, verdict.by_address, frame);
	if (verdict.both) {
		struct observation other = observation;

		turn(&other);
		hand_over(observer, packet, other, verdict.by_address, frame);
	}
	if (observer->dissect && !is_forged(packet, verdict))
		dissect_take(observer->dissect, packet, &observation);
}

/* A report of a packet that nobody saw, or that was sent back in too few octets, tells nothing. */
static void observe_report(
	struct packet_observer *observer, const struct decode_packet *report, int64_t time_ns)
{
	struct decode_packet packet;
	struct orientation_verdict verdict;
	struct observation observation;

	if (decode_reported(report, &packet) != DECODE_OK ||
		!orientation_known(observer->orientation, &packet, &verdict))
		return;
	observation = observation_of(observer, &packet, verdict, time_ns);
	observation.kind = OBSERVATION_REPORT;
	observation.outcome = report->reports;
	observer->sink->observe(observer->sink->ctx, &observation);
	if (verdict.both) {
		turn(&observation);
		observer->sink->observe(observer->sink->ctx, &observation);
	}
}

/* Takes a PKTAP header off the frame. */
static enum decode_result take_header(
	struct packet_observer *observer, struct packet_observer_frame *frame)
{
	struct cursor cursor = {frame->octets, frame->captured,
		frame->wire > frame->captured ? frame->wire : frame->captured};
	struct pktap pktap;
	enum decode_result result = pktap_read(&cursor, &pktap);

	if (result != DECODE_OK)
		return result;
	frame->link_type = pktap.link_type;
	frame->octets = cursor.at;
	frame->captured = cursor.captured;
	frame->wire = cursor.wire;
	if (frame->sender == DECODE_SENDER_UNKNOWN)
		frame->sender = pktap.sender;
	if (!process_ref_known(&frame->user))
		frame->user = captured_owners_ref(&observer->owners, &pktap.process);
	if (!process_ref_known(&frame->opener))
		frame->opener = captured_owners_ref(&observer->owners, &pktap.effective);
	return DECODE_OK;
}

/* The packet in the frame itself. */
static enum decode_result decode(struct packet_observer *observer,
	struct packet_observer_frame *frame, struct decode_packet *packet)
{
	enum decode_result result = DECODE_OK;

	if (pktap_link_type(frame->link_type))
		result = take_header(observer, frame);
	if (result == DECODE_OK)
		result = decode_frame(
			frame->link_type, frame->octets, frame->captured, frame->wire, packet);
	if (result == DECODE_OK && packet->sender == DECODE_SENDER_UNKNOWN)
		packet->sender = frame->sender;
	if (result == DECODE_OK && !packet->interface)
		packet->interface = frame->interface;
	return result;
}

/* Opens the frame, and what it carries, and so on. Tells how it ended; *ret_count packets are good.
 */
static enum decode_result open_frame(struct packet_observer *observer,
	struct packet_observer_frame *frame, struct decode_packet packets[static LEVELS],
	int *ret_count)
{
	enum decode_result result = decode(observer, frame, &packets[0]);
	int count = 0;

	while (result == DECODE_OK && packets[count++].carries != FLOW_TUNNEL_NONE)
		result = count == LEVELS ? DECODE_UNSUPPORTED
					 : decode_inner(&packets[count - 1], &packets[count]);
	*ret_count = count;
	return result;
}

/* Whether the packet now is an observation: without its first fragment a later one has no ports. */
static bool account(struct packet_observer *observer, struct decode_packet *packet,
	const struct packet_observer_frame *frame)
{
	if (packet->fragment != DECODE_FRAGMENT_NONE &&
		!fragment_table_pass(&observer->fragments, packet, frame->time_ns))
		return false;
	observe(observer, packet, frame);
	if (packet->reports != FLOW_OUTCOME_OPEN)
		observe_report(observer, packet, frame->time_ns);
	return true;
}

void packet_observer_take(
	struct packet_observer *observer, const struct packet_observer_frame *frame)
{
	struct packet_observer_frame bare = *frame; /* without PKTAP header */
	struct decode_packet packets[LEVELS];
	bool inner = false; /* the packet within was accounted */
	int count;
	enum decode_result result = open_frame(observer, &bare, packets, &count);

	for (int level = count - 1; level >= 0; level--) {
		if (inner) {
			packets[level].octets = 0;
			packets[level].emptied = true;
		}
		inner = account(observer, &packets[level], &bare);
		if (!inner && result == DECODE_OK)
			result = DECODE_UNSUPPORTED;
	}
	observer->results[result]++;
}

/* Fuzz target: frames of strangers through decode, fragments, orientation and the flow table.
 *
 * Input: one octet for the link type, then frames of two octets length, one octet that says how
 * much longer it was on the wire, one octet of seconds since the last frame, and the frame. Checked
 * beside what the sanitizers see: a frame is a packet of as many flows as tunnels may be in one
 * another, twice that where both ends are here, of which one (or its two ends) has octets, no more
 * than were on the wire (out of a tunnel in fragments: than an IP packet holds); every flow that
 * was opened is ended once, the tables keep to their limits. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_table.h"
#include "source/packet_observer.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 4, MAX_FLOWS = 8, MAX_CONVERSATIONS = 4 };

static const int link_types[] = {1, 0, 12, 101, 108, 113, 228, 229, 276, 105, 9, 50, 51};

struct run {
	struct packet_observer observer;
	struct flow_table *table;
	struct packet_observer_frame frame;
	uint64_t observed, opened, ended;
	int counted, packets; /* of this frame: observations with octets, observations */
};

static void observe(void *ctx, const struct observation *observation)
{
	struct run *run = ctx;
	const struct flow_counters *counters = &observation->counters;

	if (observation->kind == OBSERVATION_REPORT) {
		assert(observation->outcome != FLOW_OUTCOME_OPEN);
		run->observed++;
		flow_table_observe(run->table, observation);
		return;
	}

	uint64_t octets = counters->octets_out + counters->octets_in;

	assert(octets <= run->frame.wire || (observation->key.tunnel && octets <= 65535));
	run->counted += octets > 0;
	run->packets++;
	assert(run->counted <= 2 && run->packets <= 2 * (1 + DECODE_TUNNELS_MAX));
	assert(counters->packets_out + counters->packets_in == 1);
	run->observed++;
	flow_table_observe(run->table, observation);
}

static void emit(void *ctx, const struct flow_record *record)
{
	struct run *run = ctx;

	assert(record->serial && record->end_us >= record->start_us);
	assert((record->outcome == FLOW_OUTCOME_OPEN) == (record->kind != FLOW_RECORD_END));
	run->opened += record->kind == FLOW_RECORD_OPEN;
	run->ended += record->kind == FLOW_RECORD_END && record->was_open;
}

/* Each frame in a block of its own length, so that a read beyond it is seen. */
static void take_frame(struct run *run, const uint8_t *octets, size_t length)
{
	uint8_t *copy = malloc(length + !length);

	if (!copy)
		abort();
	memcpy(copy, octets, length);
	run->counted = run->packets = 0;
	run->frame.octets = copy;
	run->frame.captured = length;
	packet_observer_take(&run->observer, &run->frame);
	free(copy);
}

static void take_frames(struct run *run, const uint8_t *data, size_t size)
{
	while (size >= HEADER) {
		size_t length = (size_t)data[0] << 8 | data[1];

		if (length > size - HEADER)
			length = size - HEADER;
		run->frame.wire = length + ((size_t)data[2] << (data[2] & 15));
		run->frame.time_ns += data[3] * (int64_t)NS_PER_S;
		if (data[3] == 255) /* a step back */
			run->frame.time_ns /= 2;
		take_frame(run, data + HEADER, length);
		if (data[3] & 1)
			flow_table_expire(run->table, run->frame.time_ns);
		data += HEADER + length;
		size -= HEADER + length;
	}
}

static void check_counters(const struct run *run)
{
	struct flow_table_counters counters;

	flow_table_counters(run->table, &counters);
	assert(counters.open == 0 && counters.created == counters.ended);
	assert(counters.observations == run->observed);
	assert(run->opened == run->ended);
	assert(run->observer.results[DECODE_OK] <= run->observed + run->observer.copies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key hash_key = {1, 2};
	struct run *run = calloc(1, sizeof(*run));
	struct source_sink sink = {.ctx = run, .observe = observe};
	struct source_pcap_range local = {.first = addr_from_v4("\xc0\x00\x02\x00"),
		.last = addr_from_v4("\xc0\x00\x02\xff")};
	struct orientation_options orientation = {.local = &local,
		.local_count = size && data[0] & 0x80 ? 1 : 0,
		.max_conversations = MAX_CONVERSATIONS,
		.both_ends = size && data[0] & 0x40,
		.hash_key = hash_key};
	struct flow_table_options options = {.max_flows = MAX_FLOWS,
		.active_timeout_ns = 10 * (int64_t)NS_PER_S,
		.idle_timeout_ns = 20 * (int64_t)NS_PER_S,
		.lost_timeout_ns = 20 * (int64_t)NS_PER_S,
		.hash_key = hash_key,
		.emit = emit,
		.ctx = run};

	if (!run ||
		packet_observer_init(&run->observer, &orientation, &sink, FLOW_SOURCE_FILE) < 0 ||
		flow_table_new(&options, &run->table) < 0)
		abort();
	if (size) {
		run->frame.link_type =
			link_types[(data[0] & 0x7f) % (sizeof(link_types) / sizeof(link_types[0]))];
		take_frames(run, data + 1, size - 1);
	}
	flow_table_end_all(run->table);
	check_counters(run);
	flow_table_free(run->table);
	packet_observer_done(&run->observer);
	free(run);
	return 0;
}

/* The flow table with a clock of its own: what is emitted, when, and with which outcome. */
#include "flow/flow_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

enum { RECORDS = 64, MAX_FLOWS = 8 };

#define SECONDS(n) ((int64_t)(n)*NS_PER_S)

static const uint8_t SYN = OBSERVATION_TCP_SYN, ACK = OBSERVATION_TCP_ACK,
		     FIN = OBSERVATION_TCP_FIN, RST = OBSERVATION_TCP_RST;

struct bench {
	struct flow_table *table;
	struct flow_record records[RECORDS];
	size_t count;
};

static void keep(void *ctx, const struct flow_record *record)
{
	struct bench *bench = ctx;

	assert_true(bench->count < RECORDS);
	bench->records[bench->count++] = *record;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct flow_table_options options = {
		.max_flows = MAX_FLOWS,
		.active_timeout_ns = SECONDS(60),
		.idle_timeout_ns = SECONDS(120),
		.lost_timeout_ns = SECONDS(30),
		.hash_key = {1, 2},
		.emit = keep,
		.ctx = bench,
	};

	*state = bench;
	return flow_table_new(&options, &bench->table);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	flow_table_free(bench->table);
	free(bench);
	return 0;
}

static struct flow_key key_of(uint8_t protocol, uint16_t local_port)
{
	struct flow_key key = {
		.local = addr_from_v4((uint8_t[]){192, 0, 2, 1}),
		.remote = addr_from_v4((uint8_t[]){198, 51, 100, 7}),
		.local_port = local_port,
		.remote_port = 443,
		.protocol = protocol,
	};

	return key;
}

static struct observation socket_observation(
	enum observation_kind kind, uint64_t cookie, int64_t time_ns, uint64_t octets_out)
{
	struct observation observation = {
		.key = key_of(6, 40000),
		.kind = kind,
		.time_ns = time_ns,
		.start_ns = SECONDS(1),
		.direction = FLOW_DIRECTION_OUT,
		.source = FLOW_SOURCE_EBPF,
		.counters = {.octets_out = octets_out, .packets_out = 1},
	};

	observation.key.socket_cookie = cookie;
	return observation;
}

static void sight(struct bench *bench, uint64_t cookie, int64_t time_ns, uint64_t octets_out)
{
	struct observation observation =
		socket_observation(OBSERVATION_SIGHTING, cookie, time_ns, octets_out);

	flow_table_observe(bench->table, &observation);
}

static void end(struct bench *bench, uint64_t cookie, int64_t time_ns, uint64_t octets_out)
{
	struct observation observation =
		socket_observation(OBSERVATION_END, cookie, time_ns, octets_out);

	observation.outcome = FLOW_OUTCOME_CLOSED;
	flow_table_observe(bench->table, &observation);
}

static void a_socket_whose_namespace_is_learned_later_is_one_flow(void **state)
{
	struct bench *bench = *state;
	struct observation observation = socket_observation(OBSERVATION_END, 7, SECONDS(3), 20);

	sight(bench, 7, SECONDS(2), 10);
	observation.key.netns = 4026531840;
	flow_table_observe(bench->table, &observation);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].kind, FLOW_RECORD_END);
	assert_true(bench->records[1].was_open);
	assert_int_equal(bench->records[1].key.netns, 4026531840);
}

/* What an earlier run left: of socket 7, seen at second 5, with 30 octets, serial 12. */
static void resume(struct bench *bench)
{
	const struct flow_record left = {
		.key = socket_observation(OBSERVATION_SIGHTING, 7, 0, 0).key,
		.counters = {.octets_out = 30, .packets_out = 1},
		.start_us = 1000000,
		.end_us = 5000000,
		.serial = 12,
		.kind = FLOW_RECORD_OPEN,
		.direction = FLOW_DIRECTION_OUT,
		.method = FLOW_METHOD_EXACT,
		.user = {.pid = 5, .start_ns = 9},
	};

	flow_table_resume(bench->table, &left, SECONDS(100));
	assert_int_equal(bench->count, 0);
}

static void a_socket_that_outlives_a_run_goes_on_with_its_record(void **state)
{
	struct bench *bench = *state;

	resume(bench);
	sight(bench, 7, SECONDS(101), 40);
	end(bench, 7, SECONDS(102), 50);
	sight(bench, 8, SECONDS(103), 1);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[0].kind, FLOW_RECORD_END);
	assert_int_equal(bench->records[0].serial, 12);
	assert_true(bench->records[0].was_open);
	assert_int_equal(bench->records[0].start_us, 1000000);
	assert_int_equal(bench->records[0].counters.octets_out, 50);
	assert_int_equal(bench->records[0].user.pid, 5);
	assert_true(bench->records[1].serial > 12);
}

static void a_socket_that_is_not_seen_again_is_lost_at_its_last_sighting(void **state)
{
	struct bench *bench = *state;

	resume(bench);
	flow_table_expire(bench->table, SECONDS(129));
	assert_int_equal(bench->count, 0);
	flow_table_expire(bench->table, SECONDS(131));
	assert_int_equal(bench->count, 1);
	assert_int_equal(bench->records[0].outcome, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[0].end_us, 5000000);
	assert_int_equal(bench->records[0].counters.octets_out, 30);
}

static void a_socket_that_is_told_of_is_there_however_long_it_was_silent(void **state)
{
	struct bench *bench = *state;

	for (int64_t now = 10; now <= 100; now += 10) {
		flow_table_expire(bench->table, SECONDS(now));
		sight(bench, 7, SECONDS(9), 5); /* the time of the last datagram */
	}
	assert_int_equal(bench->count, 1);
	assert_int_equal(bench->records[0].kind, FLOW_RECORD_OPEN);
	flow_table_expire(bench->table, SECONDS(130));
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].outcome, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[1].end_us, 9000000);
}

static void counters_that_went_back_are_another_flow(void **state)
{
	struct bench *bench = *state;

	resume(bench);
	sight(bench, 7, SECONDS(101), 4);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[0].outcome, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[0].serial, 12);
	assert_int_equal(bench->records[1].kind, FLOW_RECORD_OPEN);
	assert_int_equal(bench->records[1].counters.octets_out, 4);
}

static void flows_of_sockets_stay_open_when_the_source_is_over(void **state)
{
	struct bench *bench = *state;

	sight(bench, 7, SECONDS(10), 1);
	sight(bench, 7, SECONDS(20), 2);
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].kind, FLOW_RECORD_UPDATE);
	assert_int_equal(bench->records[1].counters.octets_out, 2);
}

struct segment {
	int64_t ms;
	bool out;
	uint8_t flags;
	uint32_t seq;
	uint32_t length;
};

static void send_to(struct bench *bench, uint16_t local_port, struct segment segment)
{
	struct observation packet = {
		.key = key_of(6, local_port),
		.kind = OBSERVATION_PACKET,
		.time_ns = SECONDS(1000) + segment.ms * NS_PER_MS,
		.source = FLOW_SOURCE_FILE,
		.tcp_flags = segment.flags,
		.tcp_seq = segment.seq,
		.from_local = segment.out,
	};

	*(segment.out ? &packet.counters.octets_out : &packet.counters.octets_in) = segment.length;
	*(segment.out ? &packet.counters.packets_out : &packet.counters.packets_in) = 1;
	flow_table_observe(bench->table, &packet);
}

static void send_all(struct bench *bench, const struct segment *segments, size_t count)
{
	for (size_t i = 0; i < count; i++)
		send_to(bench, 40000, segments[i]);
}

#define SEND(bench, ...)                                       \
	send_all(bench, (const struct segment[]){__VA_ARGS__}, \
		sizeof((const struct segment[]){__VA_ARGS__}) / sizeof(struct segment))

static void datagram(
	struct bench *bench, uint16_t local_port, int64_t ms, bool out, uint32_t length)
{
	struct observation packet = {
		.key = key_of(17, local_port),
		.kind = OBSERVATION_PACKET,
		.time_ns = SECONDS(1000) + ms * NS_PER_MS,
		.source = FLOW_SOURCE_FILE,
		.from_local = out,
	};

	*(out ? &packet.counters.octets_out : &packet.counters.octets_in) = length;
	*(out ? &packet.counters.packets_out : &packet.counters.packets_in) = 1;
	flow_table_observe(bench->table, &packet);
}

static void expire_at(struct bench *bench, int64_t ms)
{
	flow_table_expire(bench->table, SECONDS(1000) + ms * NS_PER_MS);
}

static void check_outcome(
	struct bench *bench, size_t index, enum flow_record_kind kind, enum flow_outcome outcome)
{
	assert_true(index < bench->count);
	assert_int_equal(bench->records[index].kind, kind);
	assert_int_equal(bench->records[index].outcome, outcome);
}

static void report(struct bench *bench, struct flow_key key, bool out, uint32_t seq)
{
	const struct observation report = {
		.key = key,
		.kind = OBSERVATION_REPORT,
		.time_ns = SECONDS(1000),
		.source = FLOW_SOURCE_FILE,
		.outcome = FLOW_OUTCOME_REFUSED,
		.tcp_seq = seq,
		.from_local = out,
	};

	flow_table_observe(bench->table, &report);
}

static void a_socket_is_reported_when_first_sighted(void **state)
{
	struct bench *bench = *state;

	flow_table_set_wall_offset(bench->table, SECONDS(1000000));
	sight(bench, 1, SECONDS(5), 10);
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_OPEN, FLOW_OUTCOME_OPEN);
	assert_int_equal(bench->records[0].start_us, 1000001 * (int64_t)US_PER_S);
	assert_int_equal(bench->records[0].end_us, 1000005 * (int64_t)US_PER_S);
	assert_int_equal(bench->records[0].counters.octets_out, 10);
	assert_int_not_equal(bench->records[0].serial, 0);
}

static void a_socket_is_updated_after_the_active_timeout_if_it_changed(void **state)
{
	struct bench *bench = *state;

	sight(bench, 1, SECONDS(5), 10);
	sight(bench, 1, SECONDS(30), 20);
	assert_int_equal(bench->count, 1);
	sight(bench, 1, SECONDS(65), 20);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].kind, FLOW_RECORD_UPDATE);
	assert_int_equal(bench->records[1].serial, bench->records[0].serial);
	assert_int_equal(bench->records[1].counters.octets_out, 20);
	sight(bench, 1, SECONDS(90), 20);
	sight(bench, 1, SECONDS(126), 20);
	assert_int_equal(bench->count, 2);
}

static void an_end_after_a_sighting_says_that_it_was_open(void **state)
{
	struct bench *bench = *state;

	sight(bench, 1, SECONDS(5), 10);
	end(bench, 1, SECONDS(6), 30);
	assert_int_equal(bench->count, 2);
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_CLOSED);
	assert_true(bench->records[1].was_open);
	assert_int_equal(bench->records[1].serial, bench->records[0].serial);
	assert_int_equal(bench->records[1].counters.octets_out, 30);
}

static void an_end_alone_needs_no_entry(void **state)
{
	struct bench *bench = *state;
	struct flow_table_counters counters;

	end(bench, 1, SECONDS(6), 30);
	end(bench, 1, SECONDS(7), 31);
	assert_int_equal(bench->count, 2);
	assert_false(bench->records[0].was_open);
	assert_int_equal(bench->records[0].start_us, US_PER_S);
	assert_int_not_equal(bench->records[0].serial, bench->records[1].serial);
	flow_table_counters(bench->table, &counters);
	assert_int_equal(counters.open, 0);
	assert_int_equal(counters.ended, 2);
}

static void a_socket_without_sightings_is_lost(void **state)
{
	struct bench *bench = *state;
	struct flow_table_counters counters;

	sight(bench, 1, SECONDS(5), 10);
	flow_table_expire(bench->table, SECONDS(34));
	assert_int_equal(bench->count, 1);
	flow_table_expire(bench->table, SECONDS(35));
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[1].end_us, 5 * US_PER_S);
	flow_table_counters(bench->table, &counters);
	assert_int_equal(counters.expired_lost, 1);
	assert_int_equal(counters.open, 0);
}

static void owners_are_merged_by_how_well_they_are_known(void **state)
{
	struct bench *bench = *state;
	struct observation observation = socket_observation(OBSERVATION_SIGHTING, 1, SECONDS(5), 0);

	observation.direction = FLOW_DIRECTION_UNKNOWN;
	observation.method = FLOW_METHOD_SNAPSHOT;
	observation.opener = observation.user = (struct process_ref){.pid = 10};
	flow_table_observe(bench->table, &observation);

	observation.method = FLOW_METHOD_EXACT;
	observation.direction = FLOW_DIRECTION_IN;
	observation.user = (struct process_ref){.pid = 11};
	observation.opener = (struct process_ref){0};
	flow_table_observe(bench->table, &observation);

	observation.kind = OBSERVATION_END;
	observation.method = FLOW_METHOD_INHERITED;
	observation.direction = FLOW_DIRECTION_UNKNOWN;
	observation.user = (struct process_ref){.pid = 12};
	flow_table_observe(bench->table, &observation);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].user.pid, 11);
	assert_int_equal(bench->records[1].opener.pid, 10);
	assert_int_equal(bench->records[1].method, FLOW_METHOD_EXACT);
	assert_int_equal(bench->records[1].direction, FLOW_DIRECTION_IN);
}

static void an_exact_maker_is_in_doubt_when_nobody_was_seen_to_use_it(void **state)
{
	struct bench *bench = *state;
	struct observation observation = socket_observation(OBSERVATION_SIGHTING, 1, SECONDS(5), 0);

	observation.method = FLOW_METHOD_EXACT;
	observation.opener = observation.user = (struct process_ref){.pid = 10};
	flow_table_observe(bench->table, &observation);

	observation.kind = OBSERVATION_END;
	observation.method = FLOW_METHOD_INHERITED;
	flow_table_observe(bench->table, &observation);
	assert_int_equal(bench->records[1].user.pid, 10);
	assert_int_equal(bench->records[1].method, FLOW_METHOD_INHERITED);
}

static void an_unknown_owner_is_replaced_by_any_known_one(void **state)
{
	struct bench *bench = *state;
	struct observation observation = socket_observation(OBSERVATION_SIGHTING, 1, SECONDS(5), 0);

	flow_table_observe(bench->table, &observation);
	observation.kind = OBSERVATION_END;
	observation.method = FLOW_METHOD_PROCFS;
	observation.user = (struct process_ref){.pid = 12};
	flow_table_observe(bench->table, &observation);
	assert_int_equal(bench->records[1].user.pid, 12);
	assert_int_equal(bench->records[1].method, FLOW_METHOD_PROCFS);
}

static void a_whole_connection_is_one_record(void **state)
{
	struct bench *bench = *state;
	struct flow_record *record = &bench->records[0];

	SEND(bench, {0, true, SYN, 100, 0}, {20, false, SYN | ACK, 500, 0}, {30, true, ACK, 101, 0},
		{31, true, ACK, 101, 40}, {50, false, ACK, 501, 1000}, {51, false, ACK, 1501, 1000},
		{60, true, FIN | ACK, 141, 0}, {80, false, FIN | ACK, 2501, 0},
		{81, true, ACK, 142, 0});
	assert_int_equal(bench->count, 0); /* lingers */
	expire_at(bench, 5080);
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_CLOSED);
	assert_false(record->was_open);
	assert_int_equal(record->direction, FLOW_DIRECTION_OUT);
	assert_int_equal(record->counters.octets_out, 40);
	assert_int_equal(record->counters.octets_in, 2000);
	assert_int_equal(record->counters.packets_out, 5);
	assert_int_equal(record->counters.packets_in, 4);
	assert_int_equal(record->counters.retransmits, 0);
	assert_int_equal(record->counters.rtt_us, 30000);
	assert_int_equal(record->start_us, 1000 * (int64_t)US_PER_S);
	assert_int_equal(record->end_us, 1000 * (int64_t)US_PER_S + 81000);
}

static void late_segments_make_no_phantom_flow(void **state)
{
	struct bench *bench = *state;

	SEND(bench, {0, true, SYN, 100, 0}, {1, false, SYN | ACK, 500, 0}, {2, true, ACK, 101, 0},
		{3, false, FIN | ACK, 501, 0}, {4, true, FIN | ACK, 101, 0},
		{300, false, FIN | ACK, 501, 0}, {301, true, RST, 102, 0});
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_CLOSED);
	assert_int_equal(bench->records[0].counters.retransmits, 1);
	assert_int_equal(bench->records[0].counters.packets_in, 3);
}

static void a_new_syn_on_the_tuple_is_a_new_flow(void **state)
{
	struct bench *bench = *state;

	SEND(bench, {0, true, SYN, 100, 0}, {1, false, RST | ACK, 0, 0}, {2, true, SYN, 100, 0},
		{3, false, RST | ACK, 0, 0}, {4, true, SYN, 777, 0}, {5, false, RST | ACK, 0, 0});
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 2);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_REFUSED);
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_REFUSED);
	assert_int_equal(bench->records[0].counters.packets_out, 2);
	assert_int_equal(bench->records[0].counters.retransmits, 1);
	assert_int_equal(bench->records[1].counters.packets_out, 1);
}

static void a_new_syn_within_a_live_connection_ends_it_as_lost(void **state)
{
	struct bench *bench = *state;

	SEND(bench, {0, true, SYN, 100, 0}, {1, false, SYN | ACK, 500, 0}, {2, true, ACK, 101, 0},
		{3, true, SYN, 9000, 0});
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
}

static void a_long_connection_of_packets_is_opened_then_updated(void **state)
{
	struct bench *bench = *state;

	SEND(bench, {0, true, SYN, 100, 0}, {1, false, SYN | ACK, 500, 0}, {2, true, ACK, 101, 0},
		{30000, true, ACK, 101, 10});
	expire_at(bench, 61000); /* its packets span 30 s only */
	assert_int_equal(bench->count, 0);
	SEND(bench, {61001, false, ACK, 501, 0});
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_OPEN, FLOW_OUTCOME_OPEN);
	expire_at(bench, 122000); /* nothing changed */
	assert_int_equal(bench->count, 1);
	SEND(bench, {125000, true, ACK, 111, 10}, {126000, true, ACK, 121, 10});
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->records[1].kind, FLOW_RECORD_UPDATE);
	assert_int_equal(bench->records[1].counters.octets_out, 20);
	expire_at(bench, 190000);
	assert_int_equal(bench->count, 3);
	assert_int_equal(bench->records[2].counters.octets_out, 30);
	flow_table_end_all(bench->table);
	check_outcome(bench, 3, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
	assert_true(bench->records[3].was_open);
	assert_int_equal(bench->records[3].serial, bench->records[0].serial);
}

/* A SYN of a live capture. */
static struct observation captured_syn(int64_t time_ns)
{
	return (struct observation){.key = key_of(6, 40000),
		.kind = OBSERVATION_PACKET,
		.time_ns = time_ns,
		.direction = FLOW_DIRECTION_OUT,
		.source = FLOW_SOURCE_PCAP,
		.tcp_flags = SYN,
		.from_local = true,
		.counters = {.packets_out = 1}};
}

static void a_silent_connection_of_a_live_capture_is_opened_by_the_clock(void **state)
{
	struct bench *bench = *state;
	struct observation syn = captured_syn(SECONDS(1));

	flow_table_observe(bench->table, &syn);
	flow_table_expire(bench->table, SECONDS(60));
	assert_int_equal(bench->count, 0);
	flow_table_expire(bench->table, SECONDS(61));
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_OPEN, FLOW_OUTCOME_OPEN);
	flow_table_expire(bench->table, SECONDS(120)); /* nothing changed */
	assert_int_equal(bench->count, 1);
}

static void an_owner_found_late_is_that_of_the_flow_that_is_there(void **state)
{
	struct bench *bench = *state;
	struct observation syn = captured_syn(SECONDS(1)), owner = syn;

	owner.kind = OBSERVATION_OWNER;
	owner.user = (struct process_ref){.pid = 5, .start_ns = 9};
	owner.method = FLOW_METHOD_PROCFS;
	flow_table_observe(bench->table, &owner); /* of none */
	assert_int_equal(bench->count, 0);
	flow_table_observe(bench->table, &syn);
	flow_table_observe(bench->table, &owner);
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 1);
	assert_int_equal(bench->records[0].user.pid, 5);
	assert_int_equal(bench->records[0].method, FLOW_METHOD_PROCFS);
	assert_int_equal(bench->records[0].counters.packets_out, 1);
}

static void packets_of_an_earlier_run_are_lost_at_once(void **state)
{
	struct bench *bench = *state;
	const struct flow_record left = {
		.key = key_of(6, 40000),
		.start_us = 1000000,
		.end_us = 5000000,
		.serial = 12,
		.kind = FLOW_RECORD_OPEN,
		.source = FLOW_SOURCE_PCAP,
	};

	flow_table_resume(bench->table, &left, SECONDS(100));
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[0].serial, 12);
	assert_int_equal(bench->records[0].end_us, 5000000);
	assert_true(bench->records[0].was_open);
}

static void datagrams_end_by_idle_timeout_and_start_again(void **state)
{
	struct bench *bench = *state;
	struct flow_table_counters counters;

	datagram(bench, 5353, 0, true, 100);
	datagram(bench, 5353, 10, false, 300);
	datagram(bench, 5353, 200000, false, 7); /* expire was not called in between */
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_IDLE);
	assert_int_equal(bench->records[0].direction, FLOW_DIRECTION_OUT);
	assert_int_equal(bench->records[0].counters.octets_out, 100);
	assert_int_equal(bench->records[0].counters.octets_in, 300);
	expire_at(bench, 319999);
	assert_int_equal(bench->count, 1);
	expire_at(bench, 320000);
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_IDLE);
	assert_int_equal(bench->records[1].direction, FLOW_DIRECTION_IN);
	flow_table_counters(bench->table, &counters);
	assert_int_equal(counters.expired_idle, 2);
}

static void the_end_of_the_source_ends_each_flow_of_packets_as_what_it_is(void **state)
{
	struct bench *bench = *state;

	send_to(bench, 1, (struct segment){0, true, SYN, 100, 0});
	send_to(bench, 2, (struct segment){1, true, ACK, 100, 5});
	datagram(bench, 3, 2, true, 1);
	send_to(bench, 4, (struct segment){3, true, ACK, 100, 5});
	send_to(bench, 4, (struct segment){4, false, RST, 100, 0});
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 4);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_LOST);  /* SYN only: who knows */
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_LOST);  /* mid-stream */
	check_outcome(bench, 2, FLOW_RECORD_END, FLOW_OUTCOME_IDLE);  /* datagram */
	check_outcome(bench, 3, FLOW_RECORD_END, FLOW_OUTCOME_RESET); /* lingering */
}

static void a_full_table_ends_what_was_seen_longest_ago(void **state)
{
	struct bench *bench = *state;
	struct flow_table_counters counters;

	for (uint16_t port = 0; port < MAX_FLOWS; port++)
		datagram(bench, port, port, true, 1);
	datagram(bench, 0, 100, true, 1);
	assert_int_equal(bench->count, 0);
	datagram(bench, 100, 101, true, 1);
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_IDLE);
	assert_int_equal(bench->records[0].key.local_port, 1);
	flow_table_counters(bench->table, &counters);
	assert_int_equal(counters.evicted, 1);
	assert_int_equal(counters.open, MAX_FLOWS);
}

static void a_full_table_gives_up_lingering_flows_first_and_loses_nothing(void **state)
{
	struct bench *bench = *state;
	struct flow_table_counters counters;

	for (uint16_t port = 1; port < MAX_FLOWS; port++)
		datagram(bench, port, port, true, 1);
	SEND(bench, {50, true, SYN, 1, 0}, {51, false, RST, 0, 0});
	datagram(bench, 100, 101, true, 1);
	assert_int_equal(bench->count, 1);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_REFUSED);
	flow_table_counters(bench->table, &counters);
	assert_int_equal(counters.evicted, 0);
}

static void a_socket_evicted_is_lost(void **state)
{
	struct bench *bench = *state;

	for (uint64_t cookie = 1; cookie <= MAX_FLOWS + 1; cookie++)
		sight(bench, cookie, SECONDS(cookie), 1);
	assert_int_equal(bench->count, MAX_FLOWS + 2);
	check_outcome(bench, MAX_FLOWS, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
	assert_int_equal(bench->records[MAX_FLOWS].key.socket_cookie, 1);
}

static void a_clock_that_steps_back_does_not_keep_flows_for_ever(void **state)
{
	struct bench *bench = *state;

	datagram(bench, 1, 3600 * 1000, true, 1); /* an hour ahead */
	datagram(bench, 2, 0, true, 1);
	expire_at(bench, 1000);
	expire_at(bench, 122000);
	assert_int_equal(bench->count, 2);
}

static void timeouts_of_zero_end(void **state)
{
	struct bench *bench = *state;
	struct flow_table *table;
	struct flow_table_options options = {.max_flows = 4, .emit = keep, .ctx = bench};
	struct flow_table *kept = bench->table;

	assert_int_equal(flow_table_new(&options, &table), 0);
	bench->table = table;
	sight(bench, 1, SECONDS(5), 10);
	sight(bench, 1, SECONDS(6), 11);
	expire_at(bench, 0);
	bench->table = kept;
	flow_table_free(table);
	assert_int_equal(bench->count, 3);
}

static void times_and_numbers_at_their_limits_overflow_nothing(void **state)
{
	struct bench *bench = *state;

	send_to(bench, 1, (struct segment){0, true, SYN, UINT32_MAX, 0});
	sight(bench, 1, INT64_MAX, UINT64_MAX);
	flow_table_expire(bench->table, INT64_MAX);
	flow_table_expire(bench->table, 0);
	flow_table_expire(bench->table, INT64_MAX);
	flow_table_end_all(bench->table);
	assert_true(bench->count > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_report_is_the_outcome_of_what_was_never_answered(void **state)
{
	struct bench *bench = *state;

	report(bench, key_of(17, 1), true, 0); /* of nothing that was seen: no flow */
	datagram(bench, 1, 0, true, 5);
	report(bench, key_of(17, 1), true, 0);
	datagram(bench, 2, 1, true, 5);
	report(bench, key_of(17, 2), true, 0);
	datagram(bench, 2, 2, false, 5);
	send_to(bench, 3, (struct segment){3, true, SYN, 100, 0});
	report(bench, key_of(6, 3), true, 100);
	send_to(bench, 4, (struct segment){4, true, SYN, 100, 0});
	report(bench, key_of(6, 4), true, 101);
	report(bench, key_of(6, 4), false, 100);
	flow_table_end_all(bench->table);
	assert_int_equal(bench->count, 4);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_REFUSED);
	check_outcome(bench, 1, FLOW_RECORD_END, FLOW_OUTCOME_IDLE);
	check_outcome(bench, 2, FLOW_RECORD_END, FLOW_OUTCOME_REFUSED);
	check_outcome(bench, 3, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
}

static void a_connection_that_came_about_all_the_same_is_not_refused(void **state)
{
	struct bench *bench = *state;

	send_to(bench, 3, (struct segment){0, true, SYN, 100, 0});
	report(bench, key_of(6, 3), true, 100);
	send_to(bench, 3, (struct segment){1, false, SYN | ACK, 500, 0});
	flow_table_end_all(bench->table);
	check_outcome(bench, 0, FLOW_RECORD_END, FLOW_OUTCOME_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_socket_is_reported_when_first_sighted),
		TEST(a_socket_is_updated_after_the_active_timeout_if_it_changed),
		TEST(an_end_after_a_sighting_says_that_it_was_open),
		TEST(an_end_alone_needs_no_entry),
		TEST(a_socket_without_sightings_is_lost),
		TEST(owners_are_merged_by_how_well_they_are_known),
		TEST(an_exact_maker_is_in_doubt_when_nobody_was_seen_to_use_it),
		TEST(an_unknown_owner_is_replaced_by_any_known_one),
		TEST(a_whole_connection_is_one_record),
		TEST(late_segments_make_no_phantom_flow),
		TEST(a_new_syn_on_the_tuple_is_a_new_flow),
		TEST(a_new_syn_within_a_live_connection_ends_it_as_lost),
		TEST(a_long_connection_of_packets_is_opened_then_updated),
		TEST(a_silent_connection_of_a_live_capture_is_opened_by_the_clock),
		TEST(an_owner_found_late_is_that_of_the_flow_that_is_there),
		TEST(packets_of_an_earlier_run_are_lost_at_once),
		TEST(datagrams_end_by_idle_timeout_and_start_again),
		TEST(the_end_of_the_source_ends_each_flow_of_packets_as_what_it_is),
		TEST(a_report_is_the_outcome_of_what_was_never_answered),
		TEST(a_connection_that_came_about_all_the_same_is_not_refused),
		TEST(a_full_table_ends_what_was_seen_longest_ago),
		TEST(a_full_table_gives_up_lingering_flows_first_and_loses_nothing),
		TEST(a_socket_evicted_is_lost),
		TEST(a_clock_that_steps_back_does_not_keep_flows_for_ever),
		TEST(timeouts_of_zero_end),
		TEST(times_and_numbers_at_their_limits_overflow_nothing),
		TEST(a_socket_that_outlives_a_run_goes_on_with_its_record),
		TEST(a_socket_that_is_not_seen_again_is_lost_at_its_last_sighting),
		TEST(a_socket_that_is_told_of_is_there_however_long_it_was_silent),
		TEST(counters_that_went_back_are_another_flow),
		TEST(flows_of_sockets_stay_open_when_the_source_is_over),
		TEST(a_socket_whose_namespace_is_learned_later_is_one_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The whole chain with a source of the test's own: from observations to rows. */
#include "daemon/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../support/history_temp.h"
#include "util/clock.h"
#include "util/log.h"

#define WALL_OFFSET_NS ((int64_t)1700000000 * NS_PER_S)
#define START_NS       ((int64_t)100 * NS_PER_S)
#define PATIENCE_NS    ((int64_t)20 * NS_PER_S)

enum {
	SHELL_PID = 10,
	CLIENT_PID = 20,
	QUEUE_OCTETS = 64 << 20,
};

struct fixture {
	struct history_temp history;
	struct writer *writer;
	struct pipeline *pipeline;
	const struct source_sink *sink;
	uint64_t sockets;
};

static void start_with(struct fixture *fixture, uint64_t queue_octets,
	const struct ignore_rule *rules, size_t count)
{
	struct pipeline_options options = {
		.max_flows = 1024,
		.max_processes = 64,
		.max_listeners = 16,
		.max_names = 64,
		.max_nat = 4,
		.active_timeout_ns = (int64_t)60 * NS_PER_S,
		.idle_timeout_ns = (int64_t)120 * NS_PER_S,
		.lost_timeout_ns = (int64_t)90 * NS_PER_S,
		.source = FLOW_SOURCE_EBPF,
		.ignore = rules,
		.ignore_count = count,
	};
	struct writer_options writer_options = {.queue_octets = queue_octets};

	memset(fixture, 0, sizeof(*fixture));
	log_init("test_pipeline", LOG_LEVEL_ERROR);
	assert_int_equal(history_temp_open(&fixture->history), 0);
	writer_options.store = fixture->history.store;
	assert_int_equal(writer_new(&writer_options, &fixture->writer), 0);
	assert_int_equal(pipeline_new(&options, &fixture->pipeline), 0);
	pipeline_set_clock(fixture->pipeline, START_NS, WALL_OFFSET_NS);
	assert_int_equal(pipeline_connect(fixture->pipeline, fixture->writer), 0);
	fixture->sink = pipeline_sink(fixture->pipeline);
}

static void start(struct fixture *fixture, uint64_t queue_octets)
{
	start_with(fixture, queue_octets, NULL, 0);
}

static void stop(struct fixture *fixture)
{
	uint64_t lost;

	assert_int_equal(pipeline_end(fixture->pipeline), 0);
	assert_int_equal(writer_stop(fixture->writer, PATIENCE_NS, &lost), 0);
	assert_int_equal(lost, 0);
	pipeline_free(fixture->pipeline);
	writer_free(fixture->writer);
	store_close(fixture->history.store);
}

static struct process_ref ref_of(uint32_t pid)
{
	return (struct process_ref){.pid = pid, .start_ns = pid * 1000, .exec_id = 1};
}

static void tell_process(struct fixture *fixture, uint32_t pid, uint32_t parent, const char *exe)
{
	struct process_info info = {
		.ref = ref_of(pid),
		.uid = 1000,
		.loginuid = PROCESS_UID_NONE,
		.comm = "comm",
		.exe = exe,
		.cmdline = "command line",
		.cgroup = "",
	};

	if (parent)
		info.parent = ref_of(parent);
	fixture->sink->process(fixture->sink->ctx, &info);
}

static struct observation make_observation(struct fixture *fixture, enum observation_kind kind)
{
	struct observation observation = {
		.key.local = addr_from_v4("\x0a\x00\x00\x01"),
		.key.remote = addr_from_v4("\xc0\x00\x02\x07"),
		.key.local_port = 40000,
		.key.remote_port = 443,
		.key.protocol = 6,
		.key.socket_cookie = ++fixture->sockets,
		.counters = {.octets_out = 5, .octets_in = 7, .packets_out = 3, .packets_in = 2},
		.user = ref_of(CLIENT_PID),
		.opener = ref_of(CLIENT_PID),
		.start_ns = START_NS,
		.time_ns = START_NS + NS_PER_S,
		.kind = kind,
		.direction = FLOW_DIRECTION_OUT,
		.outcome = kind == OBSERVATION_END ? FLOW_OUTCOME_CLOSED : FLOW_OUTCOME_OPEN,
		.method = FLOW_METHOD_EXACT,
		.source = FLOW_SOURCE_EBPF,
	};

	return observation;
}

static void tell_end(struct fixture *fixture)
{
	struct observation observation = make_observation(fixture, OBSERVATION_END);

	fixture->sink->observe(fixture->sink->ctx, &observation);
}

static long long number(struct fixture *fixture, const char *sql)
{
	return history_temp_number(&fixture->history, sql);
}

static void an_observation_becomes_a_row_with_its_processes(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	tell_process(&fixture, SHELL_PID, 0, "/bin/sh");
	tell_process(&fixture, CLIENT_PID, SHELL_PID, "/bin/client");
	tell_end(&fixture);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows"), 1);
	assert_int_equal(
		number(&fixture,
			"SELECT count(*) FROM flows WHERE exe = '/bin/client' AND "
			"parent_exe = '/bin/sh' AND pid = 20 AND ppid = 10 AND uid = 1000 AND "
			"remote_ip = '192.0.2.7' AND remote_port = 443 AND octets_out = 5 AND "
			"octets_in = 7 AND direction = 'out' AND outcome = 'closed' AND "
			"method = 'exact' AND start_us = 1700000100000000 AND "
			"end_us = 1700000101000000"),
		1);
	history_temp_remove(&fixture.history);
}

static void more_records_than_a_batch_holds_all_arrive(void **state)
{
	enum { FLOWS = 3 * WRITER_BATCH_RECORDS };
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
	for (int i = 0; i < FLOWS; i++)
		tell_end(&fixture);
	stop(&fixture);
	assert_int_equal(
		number(&fixture, "SELECT count(*) FROM flows WHERE exe = '/bin/client'"), FLOWS);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM process"), 1);
	history_temp_remove(&fixture.history);
}

static void listeners_tell_the_direction_and_are_stored(void **state)
{
	struct fixture fixture;
	struct listener_record listener = {
		.key.local_port = 40000,
		.key.protocol = 6,
		.key.socket_cookie = 77,
		.method = FLOW_METHOD_SNAPSHOT,
	};
	struct observation observation;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/server");
	listener.key.local = addr_from_v4("\x00\x00\x00\x00");
	listener.owner = ref_of(CLIENT_PID);
	fixture.sink->listener(fixture.sink->ctx, &listener, START_NS, false);
	observation = make_observation(&fixture, OBSERVATION_END);
	observation.direction = FLOW_DIRECTION_UNKNOWN;
	fixture.sink->observe(fixture.sink->ctx, &observation);
	fixture.sink->listener(fixture.sink->ctx, &listener, START_NS + NS_PER_S, true);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE direction = 'in'"), 1);
	assert_int_equal(number(&fixture, "SELECT until_us - from_us FROM listener"), 1000000);
	history_temp_remove(&fixture.history);
}

static void open_flows_are_reported_and_stay_open_when_the_source_is_over(void **state)
{
	struct fixture fixture;
	struct observation observation;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	observation = make_observation(&fixture, OBSERVATION_SIGHTING);
	fixture.sink->observe(fixture.sink->ctx, &observation);
	pipeline_set_clock(fixture.pipeline, START_NS + (int64_t)61 * NS_PER_S, WALL_OFFSET_NS);
	observation.time_ns = START_NS + (int64_t)61 * NS_PER_S;
	observation.counters.octets_out = 500;
	fixture.sink->observe(fixture.sink->ctx, &observation);
	pipeline_expire(fixture.pipeline);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT octets_out FROM flows WHERE open = 1"), 500);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows"), 1);
	history_temp_remove(&fixture.history);
}

static int no_user(const char *name, uint32_t *ret_uid)
{
	(void)name;
	(void)ret_uid;
	return -1;
}

static void what_a_rule_fits_is_left_out_and_told(void **state)
{
	struct fixture fixture;
	struct ignore_rule rules[2];
	struct pipeline_counters counters;
	struct observation other;
	char why[IGNORE_RULE_WHY_SIZE];

	(void)state;
	assert_int_equal(ignore_rule_parse("exe=/bin/client port=443", no_user, &rules[0], why), 0);
	assert_int_equal(ignore_rule_parse("port=1", no_user, &rules[1], why), 0);
	start_with(&fixture, QUEUE_OCTETS, rules, 2);
	pipeline_cover_ignored(fixture.pipeline, INT64_C(1700000100000000), 0);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
	tell_end(&fixture);
	tell_end(&fixture);
	pipeline_expire(fixture.pipeline);
	tell_end(&fixture);
	other = make_observation(&fixture, OBSERVATION_END);
	other.key.remote_port = 444;
	fixture.sink->observe(fixture.sink->ctx, &other);
	pipeline_counters(fixture.pipeline, &counters);
	stop(&fixture);
	assert_int_equal(counters.ignored, 3);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows"), 1);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE remote_port = 444"), 1);
	assert_int_equal(
		number(&fixture, "SELECT count(*) FROM coverage WHERE what = 'ignored'"), 2);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM coverage WHERE what = 'ignored' AND"
					  " detail = 'exe=/bin/client port=443' AND count = 3 AND"
					  " missed = 'some' AND open AND source = 'ebpf' AND"
					  " from_us = 1700000100000000"),
		1);
	assert_int_equal(number(&fixture, "SELECT count FROM coverage WHERE detail = 'port=1'"), 0);
	history_temp_remove(&fixture.history);
}

/* Its process becomes known after it was stored as open. */
static void a_rule_that_fits_late_takes_back_what_was_stored(void **state)
{
	struct fixture fixture;
	struct ignore_rule rule;
	struct observation observation;
	char why[IGNORE_RULE_WHY_SIZE];

	(void)state;
	assert_int_equal(ignore_rule_parse("exe=/bin/client", no_user, &rule, why), 0);
	start_with(&fixture, QUEUE_OCTETS, &rule, 1);
	pipeline_cover_ignored(fixture.pipeline, INT64_C(1700000200000000), 0);
	observation = make_observation(&fixture, OBSERVATION_SIGHTING);
	fixture.sink->observe(fixture.sink->ctx, &observation);
	pipeline_flush(fixture.pipeline);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
	observation.kind = OBSERVATION_END;
	observation.outcome = FLOW_OUTCOME_CLOSED;
	fixture.sink->observe(fixture.sink->ctx, &observation);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows"), 0);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM open_flow"), 0);
	assert_int_equal(number(&fixture, "SELECT count FROM coverage WHERE what = 'ignored'"), 1);
	/* it had begun before the rule */
	assert_int_equal(number(&fixture, "SELECT from_us FROM coverage WHERE what = 'ignored'"),
		INT64_C(1700000100000000));
	history_temp_remove(&fixture.history);
}

static void tell_name(struct fixture *fixture, const struct flow_key *key, enum name_source source,
	const char *name, int64_t time_us)
{
	struct name_evidence evidence = {
		.time_us = time_us, .address = addr_from_v4("\xc0\x00\x02\x07"), .key = *key};

	evidence.source = source;
	evidence.ttl_s = source == NAME_SOURCE_DNS ? 60 : 0;
	snprintf(evidence.name, sizeof(evidence.name), "%s", name);
	snprintf(evidence.query, sizeof(evidence.query), "%s", name);
	fixture->sink->name(fixture->sink->ctx, &evidence);
}

/* What a resolver's flow was, as the kernel tells it: after the answer. */
static void tell_question(struct fixture *fixture, struct observation *question)
{
	*question = make_observation(fixture, OBSERVATION_END);
	question->key.remote = addr_from_v4("\x7f\x00\x00\x35");
	question->key.remote_port = 53;
	question->key.protocol = 17;
}

static void flows_are_named_by_what_was_seen_before_their_batch_went(void **state)
{
	const int64_t time_us = INT64_C(1700000100000000);
	struct fixture fixture;
	struct observation said, asked, question;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
	said = make_observation(&fixture, OBSERVATION_END);
	fixture.sink->observe(fixture.sink->ctx, &said);
	said.key.socket_cookie = 0; /* as capture knows it */
	tell_name(&fixture, &said.key, NAME_SOURCE_SNI, "said.example", time_us + 100);
	tell_question(&fixture, &question);
	tell_name(&fixture, &question.key, NAME_SOURCE_DNS, "asked.example", time_us);
	asked = make_observation(&fixture, OBSERVATION_END);
	asked.key.local_port = 40001;
	asked.time_ns++;
	fixture.sink->observe(fixture.sink->ctx, &asked);
	fixture.sink->observe(fixture.sink->ctx, &question);
	pipeline_expire(fixture.pipeline);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE remote_port = 443"), 2);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE remote_name ="
					  " 'said.example' AND name_source = 'sni'"),
		1);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE remote_name ="
					  " 'asked.example' AND name_source = 'dns'"),
		1);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM names WHERE exe = '/bin/client'"
					  " AND ip = '192.0.2.7' AND times = 1"),
		2);
	history_temp_remove(&fixture.history);
}

/* The connection of make_observation, which leaves from this port of 203.0.113.5. */
static void tell_nat(struct fixture *fixture, uint16_t port, int64_t time_ns)
{
	struct flow_key key = make_observation(fixture, OBSERVATION_END).key;
	struct nat_mapping mapping = {
		.original = key,
		.reply.local = key.remote,
		.reply.local_port = key.remote_port,
		.reply.remote = addr_from_v4("\xcb\x00\x71\x05"),
		.reply.remote_port = port,
		.reply.protocol = key.protocol,
	};

	fixture->sink->nat(fixture->sink->ctx, &mapping, time_ns, false);
}

static void tell_late(void *ctx)
{
	tell_nat(ctx, 50000, START_NS);
}

static void what_others_know_of_flows_is_asked_before_their_batch_goes(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	pipeline_ask_before(fixture.pipeline, tell_late, &fixture);
	tell_end(&fixture);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE translated_local_ip ="
					  " '203.0.113.5' AND translated_local_port = 50000"),
		1);
	history_temp_remove(&fixture.history);
}

static void what_conntrack_does_not_tell_any_more_is_gone(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	tell_nat(&fixture, 50000, 0);
	fixture.sink->nat_all(fixture.sink->ctx, START_NS / 2, false);
	tell_nat(&fixture, 50001, 0);
	fixture.sink->nat_all(fixture.sink->ctx, START_NS / 2, true);
	tell_end(&fixture);
	stop(&fixture);
	assert_int_equal(
		number(&fixture, "SELECT count(*) FROM flows WHERE translated_local_port = 50001"),
		1);
	history_temp_remove(&fixture.history);
}

/* Rules look at the address before it. */
static void nat_is_told_once_beside_rules_with_an_address(void **state)
{
	static const struct {
		const char *rule;
		int told;
	} cases[] = {{"port=1 address=10.0.0.0/8", 1}, {"port=1", 0}};
	struct fixture fixture;
	struct ignore_rule rules[2];
	char why[IGNORE_RULE_WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ignore_rule_parse("port=2", no_user, &rules[0], why), 0);
		assert_int_equal(ignore_rule_parse(cases[i].rule, no_user, &rules[1], why), 0);
		start_with(&fixture, QUEUE_OCTETS, rules, 2);
		tell_nat(&fixture, 50000, START_NS);
		pipeline_cover_ignored(fixture.pipeline, INT64_C(1700000100000000), 0);
		pipeline_expire(fixture.pipeline);
		tell_nat(&fixture, 50001, START_NS);
		stop(&fixture);
		assert_int_equal(number(&fixture, "SELECT count(*) FROM coverage WHERE detail"
						  " LIKE 'NAT: %' AND what = 'ignored' AND open"
						  " AND from_us = 1700000100000000"),
			cases[i].told);
		assert_int_equal(
			number(&fixture, "SELECT count(*) FROM coverage WHERE what = 'ignored'"),
			2 + cases[i].told);
		history_temp_remove(&fixture.history);
	}
}

static void a_full_table_of_nat_is_told(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	for (uint16_t port = 0; port < 4 + 3; port++)
		tell_nat(&fixture, port, START_NS);
	pipeline_expire(fixture.pipeline);
	pipeline_expire(fixture.pipeline);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT sum(count) FROM coverage_interval WHERE what ="
					  " 'owners unsure' AND detail LIKE 'nat: %'"),
		3);
	history_temp_remove(&fixture.history);
}

/* The clock is set by step_ns when START_NS + 2 s are over. */
static void set_clock(struct fixture *fixture, int64_t step_ns, bool corrects)
{
	const int64_t now_ns = START_NS + 2 * (int64_t)NS_PER_S;
	const struct clock_step step = {
		.us = step_ns / NS_PER_US, .at_us = now_ns / NS_PER_US, .corrects = corrects};
	const struct coverage_record record = {
		.from_us = 1, .until_us = 2, .what = COVERAGE_CLOCK_STEP};

	pipeline_set_clock(fixture->pipeline, now_ns, WALL_OFFSET_NS + step_ns);
	pipeline_clock_step(fixture->pipeline, &step);
	pipeline_cover(fixture->pipeline, &record);
}

static void what_is_in_memory_when_the_clock_is_set_has_the_new_one(void **state)
{
	static const int64_t steps_s[] = {3600, -3600};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const int64_t begin_us = INT64_C(1700000100000000) + steps_s[i] * US_PER_S;
		struct observation open, ended;
		struct fixture fixture;

		start(&fixture, QUEUE_OCTETS);
		tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
		open = make_observation(&fixture, OBSERVATION_SIGHTING);
		fixture.sink->observe(fixture.sink->ctx, &open);
		pipeline_flush(fixture.pipeline); /* a row of the old clock */
		ended = make_observation(&fixture, OBSERVATION_END);
		fixture.sink->observe(fixture.sink->ctx, &ended);
		tell_name(&fixture, &ended.key, NAME_SOURCE_SNI, "said.example",
			INT64_C(1700000100000100));
		set_clock(&fixture, steps_s[i] * NS_PER_S, false);
		stop(&fixture);
		assert_int_equal(
			number(&fixture, "SELECT start_us FROM flows WHERE open"), begin_us);
		assert_int_equal(
			number(&fixture, "SELECT duration_us FROM flows WHERE open"), US_PER_S);
		assert_int_equal(
			number(&fixture, "SELECT start_us FROM flows WHERE NOT open"), begin_us);
		assert_int_equal(number(&fixture, "SELECT count(*) FROM flows WHERE NOT open"
						  " AND remote_name = 'said.example'"),
			1);
		assert_int_equal(
			number(&fixture, "SELECT first_us FROM name_evidence"), begin_us + 100);
		history_temp_remove(&fixture.history);
	}
}

static void a_flow_that_was_open_when_the_clock_was_set_is_as_long_as_it_was(void **state)
{
	struct observation open;
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	open = make_observation(&fixture, OBSERVATION_SIGHTING);
	fixture.sink->observe(fixture.sink->ctx, &open);
	pipeline_flush(fixture.pipeline);
	set_clock(&fixture, -3600 * (int64_t)NS_PER_S, false);
	open.kind = OBSERVATION_END;
	open.time_ns = START_NS + 10 * (int64_t)NS_PER_S;
	fixture.sink->observe(fixture.sink->ctx, &open);
	stop(&fixture);
	assert_int_equal(number(&fixture, "SELECT start_us FROM flows"),
		INT64_C(1700000100000000) - 3600 * INT64_C(1000000));
	assert_int_equal(number(&fixture, "SELECT duration_us FROM flows"), 10 * US_PER_S);
	history_temp_remove(&fixture.history);
}

static void what_was_stored_before_is_corrected_if_the_step_says_so(void **state)
{
	struct fixture fixture;

	(void)state;
	for (int corrects = 0; corrects < 2; corrects++) {
		start(&fixture, QUEUE_OCTETS);
		/* The history's boot began at 0 by its clock. */
		pipeline_set_clock(fixture.pipeline, START_NS, 0);
		tell_end(&fixture);
		pipeline_flush(fixture.pipeline);
		pipeline_set_clock(fixture.pipeline, START_NS, WALL_OFFSET_NS);
		pipeline_clock_step(fixture.pipeline,
			&(struct clock_step){.us = WALL_OFFSET_NS / NS_PER_US,
				.at_us = (START_NS + 2 * (int64_t)NS_PER_S) / NS_PER_US,
				.corrects = corrects});
		tell_end(&fixture);
		stop(&fixture);
		assert_int_equal(number(&fixture, "SELECT count(*) FROM flows"
						  " WHERE end_us >= 1700000101000000"),
			1 + corrects);
		history_temp_remove(&fixture.history);
	}
}

static void losses_become_intervals_since_the_last_reading(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	pipeline_losses_read(fixture.pipeline);
	pipeline_set_clock(fixture.pipeline, START_NS + (int64_t)5 * NS_PER_S, WALL_OFFSET_NS);
	fixture.sink->loss(fixture.sink->ctx, COVERAGE_RING_FULL, 3, "ring");
	pipeline_losses_read(fixture.pipeline);
	pipeline_set_clock(fixture.pipeline, START_NS + (int64_t)9 * NS_PER_S, WALL_OFFSET_NS);
	fixture.sink->loss(fixture.sink->ctx, COVERAGE_RING_FULL, 4, "ring");
	fixture.sink->loss(fixture.sink->ctx, COVERAGE_MAP_FULL, 1, "map");
	stop(&fixture);
	assert_int_equal(
		number(&fixture, "SELECT count FROM coverage_interval WHERE what = 'ring full' AND "
				 "from_us = 1700000100000000 AND until_us = 1700000109000000"),
		7);
	assert_int_equal(
		number(&fixture, "SELECT count FROM coverage_interval WHERE what = 'map full' AND "
				 "from_us = 1700000105000000 AND until_us = 1700000109000000"),
		1);
	history_temp_remove(&fixture.history);
}

static void full_tables_are_told(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, QUEUE_OCTETS);
	for (int i = 0; i < 1024 + 10; i++) {
		struct observation observation = make_observation(&fixture, OBSERVATION_SIGHTING);

		fixture.sink->observe(fixture.sink->ctx, &observation);
	}
	pipeline_expire(fixture.pipeline);
	pipeline_expire(fixture.pipeline);
	stop(&fixture);
	assert_int_equal(
		number(&fixture,
			"SELECT sum(count) FROM coverage_interval WHERE what = 'table full'"),
		10);
	history_temp_remove(&fixture.history);
}

/* What was dropped is counted in the coverage, and processes named only in dropped batches are
 * handed over again. */
static void a_full_queue_loses_records_but_not_silently(void **state)
{
	enum { FLOWS = 4 * WRITER_BATCH_RECORDS };
	struct fixture fixture;
	long long stored, lost;

	(void)state;
	start(&fixture, 1);
	log_set_level((enum log_level)0);
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	for (int i = 0; i < WRITER_BATCH_RECORDS; i++)
		tell_end(&fixture);
	pipeline_flush(fixture.pipeline);
	pipeline_set_clock(fixture.pipeline, START_NS + (int64_t)300 * NS_PER_S, WALL_OFFSET_NS);
	pipeline_losses_read(fixture.pipeline);
	tell_process(&fixture, CLIENT_PID, 0, "/bin/client");
	for (int i = WRITER_BATCH_RECORDS; i < FLOWS; i++)
		tell_end(&fixture);
	pipeline_flush(fixture.pipeline);
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	stop(&fixture);
	stored = number(&fixture, "SELECT count(*) FROM flows");
	lost = number(&fixture, "SELECT count FROM coverage_interval WHERE what = 'queue full'");
	assert_true(stored < FLOWS);
	/* since the last batch that was taken, however often was swept since */
	assert_int_equal(number(&fixture, "SELECT until_us - from_us FROM coverage_interval"
					  " WHERE what = 'queue full'"),
		300 * US_PER_S);
	/* each dropped batch held the process record too */
	assert_in_range(lost, FLOWS - stored, FLOWS - stored + 4);
	assert_true(number(&fixture, "SELECT count(*) FROM flows WHERE exe = '/bin/client'") > 0);
	assert_int_equal(
		number(&fixture,
			"SELECT count(*) FROM flows WHERE pid = 20 AND exe IS NOT NULL AND "
			"exe NOT IN ('/bin/client', '')"),
		0);
	history_temp_remove(&fixture.history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_observation_becomes_a_row_with_its_processes),
		cmocka_unit_test(more_records_than_a_batch_holds_all_arrive),
		cmocka_unit_test(listeners_tell_the_direction_and_are_stored),
		cmocka_unit_test(open_flows_are_reported_and_stay_open_when_the_source_is_over),
		cmocka_unit_test(flows_are_named_by_what_was_seen_before_their_batch_went),
		cmocka_unit_test(what_others_know_of_flows_is_asked_before_their_batch_goes),
		cmocka_unit_test(what_conntrack_does_not_tell_any_more_is_gone),
		cmocka_unit_test(nat_is_told_once_beside_rules_with_an_address),
		cmocka_unit_test(a_full_table_of_nat_is_told),
		cmocka_unit_test(what_a_rule_fits_is_left_out_and_told),
		cmocka_unit_test(a_rule_that_fits_late_takes_back_what_was_stored),
		cmocka_unit_test(what_is_in_memory_when_the_clock_is_set_has_the_new_one),
		cmocka_unit_test(a_flow_that_was_open_when_the_clock_was_set_is_as_long_as_it_was),
		cmocka_unit_test(what_was_stored_before_is_corrected_if_the_step_says_so),
		cmocka_unit_test(losses_become_intervals_since_the_last_reading),
		cmocka_unit_test(full_tables_are_told),
		cmocka_unit_test(a_full_queue_loses_records_but_not_silently),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

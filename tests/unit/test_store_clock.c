/* Steps of the wall clock: what the history says afterwards, compared with one whose clock was
 * right all the time. The boot began at FIXTURE_BOOT_US by the old clock. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_clock.h"
#include "store/store_rebuild.h"
#include "support/store_fixture.h"
#include "util/clock.h"

#define BOOT  FIXTURE_BOOT_US
#define HOUR  (3600 * (int64_t)US_PER_S)
#define AT    (HOUR / 2)                           /* since the boot, when the clock is set */
#define BUILT INT64_C(4102444800000000)            /* 2100-01-01: the old clock is wrong */
#define RIGHT (BUILT + 100 * 24 * HOUR - BOOT + 7) /* the step that makes it right */

enum { MANY = 600, SLICES = 2 * STORE_CLOCK_SLICE + 100 };

static const char *const facts[] = {
	"SELECT end_us, duration_us, remote_ip, pid, outcome, octets_in FROM flows ORDER BY 1",
	"SELECT * FROM flow_nat",
	"SELECT * FROM contact_day",
	"SELECT * FROM contact",
	"SELECT * FROM flow_hour",
	"SELECT * FROM executable_flows WHERE flows <> 0",
	"SELECT settled_us FROM rollup_state",
	"SELECT * FROM listeners ORDER BY from_us",
	"SELECT * FROM names ORDER BY first_us",
	"SELECT * FROM processes",
	"SELECT from_us, until_us, what FROM coverage_interval WHERE what <> 'down'",
	"SELECT start_us FROM boot",
};

static void add_flow(struct store_fixture *fixture, uint32_t pid, const char *remote,
	int64_t end_us, enum flow_outcome outcome)
{
	struct flow_record flow = store_fixture_flow(pid, remote, end_us);
	struct nat_ends ends = {.local_port = 1024, .remote_port = flow.key.remote_port};
	size_t index = 0;

	flow.outcome = outcome;
	flow.serial = 1000;
	flow.key.socket_cookie = 0;
	ends.local = flow.key.local;
	ends.remote = flow.key.remote;
	while (batch_flow(fixture->batch, index))
		index++;
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
	if (outcome == FLOW_OUTCOME_REFUSED)
		assert_int_equal(batch_translate_flow(fixture->batch, index, &ends), 0);
}

static void add_open_flow(struct store_fixture *fixture, uint64_t serial, int64_t start_us)
{
	struct flow_record flow = store_fixture_flow(10, "192.0.2.80", start_us + 60 * US_PER_S);

	flow.start_us = start_us;
	flow.serial = flow.key.socket_cookie = serial;
	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
}

static void add_listener(
	struct store_fixture *fixture, uint64_t socket, int64_t from_us, int64_t until_us)
{
	struct listener_record listener = {.from_us = from_us, .until_us = until_us};

	listener.key = store_fixture_flow(10, "192.0.2.80", from_us).key;
	listener.key.socket_cookie = socket;
	listener.owner = store_fixture_process(10, "").ref;
	assert_int_equal(batch_add_listener(fixture->batch, &listener), 0);
}

static void add_name(struct store_fixture *fixture, uint32_t pid, int64_t time_us)
{
	struct name_record name = {
		.name = "www.example",
		.owner = "",
		.first_us = time_us,
		.last_us = time_us + 5,
		.count = 1,
		.ttl_s = 60,
		.source = NAME_SOURCE_DNS,
	};

	addr_parse("192.0.2.80", &name.address);
	if (pid)
		name.asker = store_fixture_process(pid, "").ref;
	assert_int_equal(batch_add_name(fixture->batch, &name), 0);
}

static void add_coverage(struct store_fixture *fixture, int64_t from_us, int64_t until_us)
{
	const struct coverage_record record = {
		.from_us = from_us,
		.until_us = until_us,
		.what = until_us ? COVERAGE_RING_FULL : COVERAGE_SLOT_MISSING,
	};

	assert_int_equal(batch_add_coverage(fixture->batch, &record), 0);
}

/* What a run records whose boot began at boot_us. */
static void record_all(struct store_fixture *fixture, int64_t boot_us)
{
	static const uint32_t pids[] = {10, 11, 0};
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");
	struct process_info wget = store_fixture_process(11, "/usr/bin/wget");
	char remote[32];

	assert_int_equal(batch_add_process(fixture->batch, &curl), 0);
	assert_int_equal(batch_add_process(fixture->batch, &wget), 0);
	for (int i = 0; i < MANY; i++) { /* of some the ends are the same */
		snprintf(remote, sizeof(remote), "198.51.100.%d", i % 50);
		add_flow(fixture, pids[i % 3], remote,
			boot_us + 100 * US_PER_S + i / 2 * (int64_t)100000,
			i % 7 ? FLOW_OUTCOME_CLOSED : FLOW_OUTCOME_REFUSED);
	}
	add_open_flow(fixture, 1, boot_us + 90 * US_PER_S);
	add_listener(fixture, 2, boot_us + 80 * US_PER_S, 0);
	add_listener(fixture, 3, boot_us + 81 * US_PER_S, boot_us + 82 * US_PER_S);
	add_name(fixture, 10, boot_us + 70 * US_PER_S);
	add_name(fixture, 0, boot_us + 71 * US_PER_S);
	add_coverage(fixture, boot_us + 60 * US_PER_S, boot_us + 61 * US_PER_S);
	add_coverage(fixture, boot_us + 62 * US_PER_S, 0);
	store_fixture_write(fixture);
}

static void step(struct store_fixture *fixture, int64_t us, bool corrects)
{
	const struct clock_step step = {.us = us, .at_us = AT, .corrects = corrects};

	batch_set_step(fixture->batch, &step);
	store_fixture_write(fixture);
}

static char *texts_of(const struct store_fixture *fixture, size_t index)
{
	return strdup(store_fixture_sql(fixture, facts[index]));
}

static void expect_same(const struct store_fixture *fixture, const struct store_fixture *right)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		char *is = texts_of(fixture, i), *should = texts_of(right, i);

		assert_true(strlen(should) > 0);
		if (strcmp(is, should) != 0)
			fail_msg("%s:\n%s\nshould be\n%s", facts[i], is, should);
		free(is);
		free(should);
	}
}

static void a_corrected_history_is_as_if_the_clock_had_been_right(void **state)
{
	struct store_fixture *fixture = *state, *right;
	void *other;

	assert_int_equal(store_fixture_set_up(&other), 0);
	right = other;
	fixture->options.built_us = right->options.built_us = BUILT;
	right->options.boot_start_us = BOOT + RIGHT;
	store_fixture_open(fixture);
	store_fixture_open(right);
	record_all(fixture, BOOT);
	record_all(right, BOOT + RIGHT);
	step(fixture, RIGHT, true);
	step(right, 0, false);
	store_fixture_close(fixture);
	store_fixture_close(right);
	expect_same(fixture, right);
	store_fixture_tear_down(&other);
}

/* After a boot whose clock told the same times as this one's. */
static void begin_second_boot(struct store_fixture *fixture)
{
	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1700000000000000,"
				   " heartbeat_us = 1700001000000000, end_us = 1700001000000000");
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
}

static void what_earlier_boots_recorded_at_the_same_time_stays(void **state)
{
	struct store_fixture *fixture = *state;
	char *before, *names;

	begin_second_boot(fixture);
	before = strdup(store_fixture_sql(fixture, "SELECT end_us FROM flow"));
	names = strdup(store_fixture_sql(fixture, "SELECT * FROM names"));
	add_flow(fixture, 0, "192.0.2.99", BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), MANY + 2);
	store_fixture_sql(fixture, "DELETE FROM flow WHERE remote ="
				   " (SELECT id FROM remote WHERE ip = '192.0.2.99')");
	step(fixture, RIGHT, true);
	assert_string_equal(store_fixture_sql(fixture, "SELECT end_us FROM flow"), before);
	assert_string_equal(store_fixture_sql(fixture, "SELECT * FROM names"), names);
	free(before);
	free(names);
}

static void flows_of_this_boot_are_told_by_their_processes(void **state)
{
	struct store_fixture *fixture = *state;

	begin_second_boot(fixture);
	add_flow(fixture, 10, "192.0.2.99", BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	add_flow(fixture, 0, "192.0.2.98", BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	step(fixture, RIGHT, true);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT remote_ip, duration_us > 1000000"
					   " FROM flows WHERE end_us > 4102444800000000"),
		"192.0.2.99|1");
}

/* Of an earlier boot, on the same day, and to the same hosts. */
static void what_is_left_of_a_day_is_rolled_up_anew(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_rebuild tables[STORE_REBUILD_TABLES];
	struct store_reader *reader;

	store_fixture_open(fixture);
	record_all(fixture, BOOT - HOUR);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1, heartbeat_us = 2, end_us = 2");
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	step(fixture, 2 * HOUR, true);
	store_fixture_close(fixture);
	assert_int_equal(store_reader_open(fixture->path, &reader, &fixture->error), 0);
	assert_int_equal(store_rebuild_compare(reader, tables, &fixture->error), 0);
	store_reader_close(reader);
	for (int i = 0; i < STORE_REBUILD_TABLES; i++) {
		assert_true(tables[i].rows > 0);
		assert_int_equal(tables[i].different, 0);
	}
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"
						       " WHERE end_us < 1700000000000000"),
		MANY + 1); /* one was lost */
}

static void many_flows_are_corrected_in_slices(void **state)
{
	struct store_fixture *fixture = *state;
	const char *wrong = "SELECT count(*) FROM flow WHERE end_us < 4102444800000000";

	store_fixture_open(fixture);
	for (int i = 0; i < SLICES; i++) {
		add_flow(fixture, 0, "192.0.2.99", BOOT + i * (int64_t)1000, FLOW_OUTCOME_CLOSED);
		if (i % 1000 == 999)
			store_fixture_write(fixture);
	}
	store_fixture_write(fixture);
	step(fixture, RIGHT, true);
	assert_int_equal(store_fixture_number(fixture, wrong), SLICES - STORE_CLOCK_SLICE);
	store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, wrong), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), SLICES);
	assert_int_equal(store_fixture_number(fixture, "SELECT sum(flows) FROM contact"), SLICES);
	step(fixture, 1, false);
	store_fixture_close(fixture);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM contact_day WHERE day < 40000"),
		0);
}

static void files_that_were_read_have_clocks_of_their_own(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "192.0.2.99", BOOT + 100 * US_PER_S);

	flow.source = FLOW_SOURCE_FILE;
	store_fixture_open(fixture);
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
	store_fixture_write(fixture);
	step(fixture, RIGHT, true);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT end_us FROM flow"), BOOT + 100 * US_PER_S);
}

static void an_ordinary_step_changes_what_goes_on_only(void **state)
{
	struct store_fixture *fixture = *state;
	static const int64_t steps[] = {HOUR, -HOUR};
	int64_t moved = 0;

	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	for (size_t i = 0; i < 2; i++) {
		step(fixture, steps[i], false);
		moved += steps[i];
		assert_int_equal(
			store_fixture_number(fixture, "SELECT start_us FROM flows WHERE open"),
			BOOT + 90 * US_PER_S + moved);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT duration_us FROM flows WHERE open"),
			60 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT from_us FROM listeners WHERE open"),
			BOOT + 80 * US_PER_S + moved);
		assert_int_equal(store_fixture_number(fixture, "SELECT min(end_us) FROM flow"),
			BOOT + 100 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT from_us FROM coverage_interval"
						      " WHERE what = 'ring full'"),
			BOOT + 60 * US_PER_S);
	}
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM boot"), BOOT);
}

static void a_process_that_is_named_again_began_by_the_new_clock(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");

	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	batch_add_process(fixture->batch, &curl);
	step(fixture, HOUR, false);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT pid, start_us FROM processes ORDER BY pid"),
		"10|1700003610000000\n11|1700000011000000");
}

static void the_ledger_keeps_a_first_contact_from_before_the_clock_was_wrong(void **state)
{
	struct store_fixture *fixture = *state;
	const char *contact = "SELECT first_us, last_us, flows, first_pid FROM contacts";
	char expected[128];

	store_fixture_open(fixture);
	add_flow(fixture, 10, "192.0.2.99", BUILT - HOUR, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	store_fixture_close(fixture);
	fixture->options.built_us = BUILT;
	store_fixture_open(fixture);
	add_flow(fixture, 11, "192.0.2.99", BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	snprintf(expected, sizeof(expected), "%lld|%lld|2|10", (long long)(BUILT - HOUR - US_PER_S),
		(long long)(BUILT - HOUR));
	assert_string_equal(store_fixture_sql(fixture, contact), expected);
	step(fixture, RIGHT, true);
	snprintf(expected, sizeof(expected), "%lld|%lld|2|10", (long long)(BUILT - HOUR - US_PER_S),
		(long long)(BOOT + RIGHT + 100 * US_PER_S));
	assert_string_equal(store_fixture_sql(fixture, contact), expected);
}

static void a_step_while_nobody_recorded_is_made_up_for(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t boot_us = clock_realtime_us() - AT;

	fixture->options.built_us = BOOT + 24 * HOUR;
	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	store_fixture_close(fixture);
	fixture->options.boot_start_us = boot_us;
	for (int i = 0; i < 2; i++) { /* and once only */
		store_fixture_open(fixture);
		assert_int_equal(store_fixture_number(fixture, "SELECT min(end_us) FROM flow"),
			boot_us + 100 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT start_us FROM flows WHERE open"),
			boot_us + 90 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT start_us FROM boot"), boot_us);
		store_fixture_close(fixture);
	}
}

/* The run and when nobody watched before it. */
static void the_gap_before_a_corrected_run_is_told(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t stop_us = BOOT + RIGHT - HOUR;
	char text[160];

	store_fixture_open(fixture);
	store_fixture_close(fixture);
	snprintf(text, sizeof(text),
		"UPDATE run SET start_us = 1, heartbeat_us = %lld, end_us = %lld",
		(long long)stop_us, (long long)stop_us);
	store_fixture_sql(fixture, text);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.built_us = BUILT;
	store_fixture_open(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1700000050000000 WHERE id = 2");
	step(fixture, RIGHT, true);
	snprintf(text, sizeof(text), "%lld|%lld\n%lld|%lld", (long long)stop_us,
		(long long)(BOOT + RIGHT), (long long)(BOOT + RIGHT),
		(long long)(BOOT + RIGHT + 50 * US_PER_S));
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT from_us, until_us FROM coverage WHERE what = 'down'"
				    " ORDER BY from_us"),
		text);
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM run WHERE id = 2"),
		BOOT + RIGHT + 50 * US_PER_S);
}

static void a_batch_that_could_not_be_written_steps_once(void **state)
{
	struct store_fixture *fixture = *state;
	const struct clock_step right = {.us = RIGHT, .at_us = AT, .corrects = true};
	sqlite3 *db;

	fixture->options.built_us = BUILT;
	store_fixture_open(fixture);
	record_all(fixture, BOOT);
	store_fixture_close(fixture);
	store_fixture_open(fixture);
	assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	batch_set_step(fixture->batch, &right);
	assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	store_fixture_write(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT min(end_us) FROM flow"),
		BOOT + 100 * US_PER_S + RIGHT);
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM boot"), BOOT + RIGHT);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_corrected_history_is_as_if_the_clock_had_been_right),
		TEST(what_earlier_boots_recorded_at_the_same_time_stays),
		TEST(flows_of_this_boot_are_told_by_their_processes),
		TEST(what_is_left_of_a_day_is_rolled_up_anew),
		TEST(many_flows_are_corrected_in_slices),
		TEST(files_that_were_read_have_clocks_of_their_own),
		TEST(an_ordinary_step_changes_what_goes_on_only),
		TEST(a_process_that_is_named_again_began_by_the_new_clock),
		TEST(the_ledger_keeps_a_first_contact_from_before_the_clock_was_wrong),
		TEST(a_step_while_nobody_recorded_is_made_up_for),
		TEST(the_gap_before_a_corrected_run_is_told),
		TEST(a_batch_that_could_not_be_written_steps_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

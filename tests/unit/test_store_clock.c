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
#include "support/clock_history.h"
#include "support/store_fixture.h"
#include "util/clock.h"

static void maintain(struct store_fixture *fixture, int64_t now_us)
{
	int more;

	fixture->options.retention.at_once = true;
	store_set_retention(fixture->store, &fixture->options.retention);
	while ((more = store_maintain(fixture->store, now_us, &fixture->error)) > 0)
		;
	assert_int_equal(more, 0);
}

/* day_counts: the ledger has counted the day, by the old clock, when the step comes. */
static void compare(struct store_fixture *fixture, bool day_counts)
{
	struct store_fixture *right;
	void *other;

	assert_int_equal(store_fixture_set_up(&other), 0);
	right = other;
	fixture->options.built_us = right->options.built_us = HISTORY_BUILT;
	right->options.boot_start_us = HISTORY_BOOT + HISTORY_RIGHT;
	store_fixture_open(fixture);
	store_fixture_open(right);
	clock_history_record(fixture, HISTORY_BOOT);
	clock_history_record(right, HISTORY_BOOT + HISTORY_RIGHT);
	if (day_counts)
		maintain(fixture, HISTORY_BOOT + 2 * US_PER_DAY);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT sum(flows) > 0 FROM contact"), day_counts);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	clock_history_step(right, 0, false);
	store_fixture_close(fixture);
	store_fixture_close(right);
	clock_history_expect_same(fixture, right);
	store_fixture_tear_down(&other);
}

static void a_corrected_history_is_as_if_the_clock_had_been_right(void **state)
{
	compare(*state, false);
}

static void days_that_the_ledger_counted_are_corrected(void **state)
{
	compare(*state, true);
}

/* After a boot whose clock told the same times as this one's. */
static void begin_second_boot(struct store_fixture *fixture)
{
	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
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
	clock_history_flow(
		fixture, 0, "192.0.2.99", HISTORY_BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM flow"), HISTORY_MANY + 2);
	store_fixture_sql(fixture, "DELETE FROM flow WHERE remote ="
				   " (SELECT id FROM remote WHERE ip = '192.0.2.99')");
	clock_history_step(fixture, HISTORY_RIGHT, true);
	assert_string_equal(store_fixture_sql(fixture, "SELECT end_us FROM flow"), before);
	assert_string_equal(store_fixture_sql(fixture, "SELECT * FROM names"), names);
	free(before);
	free(names);
}

static void flows_of_this_boot_are_told_by_their_processes(void **state)
{
	struct store_fixture *fixture = *state;

	begin_second_boot(fixture);
	clock_history_flow(
		fixture, 10, "192.0.2.99", HISTORY_BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	clock_history_flow(
		fixture, 0, "192.0.2.98", HISTORY_BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	clock_history_step(fixture, HISTORY_RIGHT, true);
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
	clock_history_record(fixture, HISTORY_BOOT - HISTORY_HOUR);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1, heartbeat_us = 2, end_us = 2");
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
	clock_history_step(fixture, 2 * HISTORY_HOUR, true);
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
		HISTORY_MANY + 1); /* one was lost */
}

static void many_flows_are_corrected_in_slices(void **state)
{
	struct store_fixture *fixture = *state;
	const char *wrong = "SELECT count(*) FROM flow WHERE end_us < 4102444800000000";

	store_fixture_open(fixture);
	for (int i = 0; i < HISTORY_SLICES; i++) {
		clock_history_flow(fixture, 0, "192.0.2.99", HISTORY_BOOT + i * (int64_t)1000,
			FLOW_OUTCOME_CLOSED);
		if (i % 1000 == 999)
			store_fixture_write(fixture);
	}
	store_fixture_write(fixture);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	assert_int_equal(store_fixture_number(fixture, wrong), HISTORY_SLICES - STORE_CLOCK_SLICE);
	store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
				 &fixture->error),
		0);
	assert_int_equal(store_fixture_number(fixture, wrong), 0);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM flow"), HISTORY_SLICES);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT sum(flows) FROM ledger"), HISTORY_SLICES);
	clock_history_step(fixture, 1, false);
	store_fixture_close(fixture);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM contact_day WHERE day < 40000"),
		0);
}

static void files_that_were_read_have_clocks_of_their_own(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow =
		store_fixture_flow(0, "192.0.2.99", HISTORY_BOOT + 100 * US_PER_S);

	flow.source = FLOW_SOURCE_FILE;
	store_fixture_open(fixture);
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
	store_fixture_write(fixture);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	assert_int_equal(store_fixture_number(fixture, "SELECT end_us FROM flow"),
		HISTORY_BOOT + 100 * US_PER_S);
}

static void an_ordinary_step_changes_what_goes_on_only(void **state)
{
	struct store_fixture *fixture = *state;
	static const int64_t steps[] = {HISTORY_HOUR, -HISTORY_HOUR};
	int64_t moved = 0;

	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
	for (size_t i = 0; i < 2; i++) {
		clock_history_step(fixture, steps[i], false);
		moved += steps[i];
		assert_int_equal(
			store_fixture_number(fixture, "SELECT start_us FROM flows WHERE open"),
			HISTORY_BOOT + 90 * US_PER_S + moved);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT duration_us FROM flows WHERE open"),
			60 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT from_us FROM listeners WHERE open"),
			HISTORY_BOOT + 80 * US_PER_S + moved);
		assert_int_equal(store_fixture_number(fixture, "SELECT min(end_us) FROM flow"),
			HISTORY_BOOT + 100 * US_PER_S);
		assert_int_equal(
			store_fixture_number(fixture, "SELECT from_us FROM coverage_interval"
						      " WHERE what = 'ring full'"),
			HISTORY_BOOT + 60 * US_PER_S);
	}
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM boot"), HISTORY_BOOT);
}

static void a_process_that_is_named_again_began_by_the_new_clock(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");

	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
	batch_add_process(fixture->batch, &curl);
	clock_history_step(fixture, HISTORY_HOUR, false);
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
	clock_history_flow(
		fixture, 10, "192.0.2.99", HISTORY_BUILT - HISTORY_HOUR, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	store_fixture_close(fixture);
	fixture->options.built_us = HISTORY_BUILT;
	store_fixture_open(fixture);
	clock_history_flow(
		fixture, 11, "192.0.2.99", HISTORY_BOOT + 100 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	snprintf(expected, sizeof(expected), "%lld|%lld|2|10",
		(long long)(HISTORY_BUILT - HISTORY_HOUR - US_PER_S),
		(long long)(HISTORY_BUILT - HISTORY_HOUR));
	assert_string_equal(store_fixture_sql(fixture, contact), expected);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	snprintf(expected, sizeof(expected), "%lld|%lld|2|10",
		(long long)(HISTORY_BUILT - HISTORY_HOUR - US_PER_S),
		(long long)(HISTORY_BOOT + HISTORY_RIGHT + 100 * US_PER_S));
	assert_string_equal(store_fixture_sql(fixture, contact), expected);
}

static void expect_contact(struct store_fixture *fixture, int64_t first_us, int64_t last_us)
{
	char expected[64];

	snprintf(
		expected, sizeof(expected), "%lld|%lld|2", (long long)first_us, (long long)last_us);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT first_us, last_us, flows FROM contacts"),
		expected);
}

/* By a step that is shorter than the time since the boot: what is right then is a time that the old
 * clock told, too. */
static void a_contact_is_corrected_once(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t step_us = 30 * US_PER_S;

	fixture->options.built_us = HISTORY_BUILT;
	store_fixture_open(fixture);
	clock_history_flow(
		fixture, 11, "192.0.2.99", HISTORY_BOOT + 200 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	clock_history_flow(
		fixture, 11, "192.0.2.99", HISTORY_BOOT + 300 * US_PER_S, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	clock_history_step(fixture, step_us, true);
	expect_contact(fixture, HISTORY_BOOT + 199 * US_PER_S + step_us,
		HISTORY_BOOT + 300 * US_PER_S + step_us);
}

static void a_step_while_nobody_recorded_is_made_up_for(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t boot_us = clock_realtime_us() - HISTORY_AT;

	fixture->options.built_us = HISTORY_BOOT + 24 * HISTORY_HOUR;
	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
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
	int64_t stop_us = HISTORY_BOOT + HISTORY_RIGHT - HISTORY_HOUR;
	char text[160];

	store_fixture_open(fixture);
	store_fixture_close(fixture);
	snprintf(text, sizeof(text),
		"UPDATE run SET start_us = 1, heartbeat_us = %lld, end_us = %lld",
		(long long)stop_us, (long long)stop_us);
	store_fixture_sql(fixture, text);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.built_us = HISTORY_BUILT;
	store_fixture_open(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1700000050000000 WHERE id = 2");
	clock_history_step(fixture, HISTORY_RIGHT, true);
	snprintf(text, sizeof(text), "%lld|%lld\n%lld|%lld", (long long)stop_us,
		(long long)(HISTORY_BOOT + HISTORY_RIGHT),
		(long long)(HISTORY_BOOT + HISTORY_RIGHT),
		(long long)(HISTORY_BOOT + HISTORY_RIGHT + 50 * US_PER_S));
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT from_us, until_us FROM coverage WHERE what = 'down'"
				    " ORDER BY from_us"),
		text);
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM run WHERE id = 2"),
		HISTORY_BOOT + HISTORY_RIGHT + 50 * US_PER_S);
}

static void a_batch_that_could_not_be_written_steps_once(void **state)
{
	struct store_fixture *fixture = *state;
	const struct clock_step right = {
		.us = HISTORY_RIGHT, .at_us = HISTORY_AT, .corrects = true};
	sqlite3 *db;

	fixture->options.built_us = HISTORY_BUILT;
	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
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
		HISTORY_BOOT + 100 * US_PER_S + HISTORY_RIGHT);
	assert_int_equal(store_fixture_number(fixture, "SELECT start_us FROM boot"),
		HISTORY_BOOT + HISTORY_RIGHT);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_corrected_history_is_as_if_the_clock_had_been_right),
		TEST(days_that_the_ledger_counted_are_corrected),
		TEST(what_earlier_boots_recorded_at_the_same_time_stays),
		TEST(flows_of_this_boot_are_told_by_their_processes),
		TEST(what_is_left_of_a_day_is_rolled_up_anew),
		TEST(many_flows_are_corrected_in_slices),
		TEST(files_that_were_read_have_clocks_of_their_own),
		TEST(an_ordinary_step_changes_what_goes_on_only),
		TEST(a_process_that_is_named_again_began_by_the_new_clock),
		TEST(the_ledger_keeps_a_first_contact_from_before_the_clock_was_wrong),
		TEST(a_contact_is_corrected_once),
		TEST(a_step_while_nobody_recorded_is_made_up_for),
		TEST(the_gap_before_a_corrected_run_is_told),
		TEST(a_batch_that_could_not_be_written_steps_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

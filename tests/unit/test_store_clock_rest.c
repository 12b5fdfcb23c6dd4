/* What is left of a step of the wall clock: corrected in slices, after kills, and by later boots.
 */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_clock.h"
#include "store/store_internal.h"
#include "store/store_preview.h"
#include "support/clock_history.h"
#include "support/fault_vfs.h"
#include "support/store_fixture.h"
#include "util/clock.h"

static const char wrong_text[] = "SELECT count(*) FROM flow WHERE end_us < 4102444800000000";

static void beat_until_none(struct store_fixture *fixture, const char *count_text)
{
	for (int i = 0; i < 10 && store_fixture_number(fixture, count_text); i++)
		assert_int_equal(
			store_heartbeat(fixture->store, clock_realtime_us(), &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, count_text), 0);
}

/* kills: how many of the runs that correct the rest are killed, too. */
static void expect_right_after_kills(struct store_fixture *fixture, int kills)
{
	struct store_fixture *right;
	void *other;

	assert_int_equal(store_fixture_set_up(&other), 0);
	right = other;
	fixture->options.built_us = right->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	clock_history_record_and_die(right, HISTORY_BOOT + HISTORY_RIGHT, 0);
	fixture->options.boot_start_us = right->options.boot_start_us =
		HISTORY_BOOT + HISTORY_RIGHT;
	assert_int_equal(store_fixture_number(fixture, wrong_text),
		HISTORY_MANY + HISTORY_SLICES - STORE_CLOCK_SLICE);
	for (int i = 0; i < kills; i++) {
		pid_t child = fork();

		if (child == 0) {
			store_fixture_open(fixture);
			store_fixture_write(fixture); /* a slice */
			_exit(0);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(store_fixture_number(fixture, wrong_text),
			HISTORY_MANY + HISTORY_SLICES - (2 + i) * STORE_CLOCK_SLICE);
		store_fixture_open(right);
		store_fixture_close(right);
	}
	store_fixture_open(fixture);
	store_fixture_open(right);
	beat_until_none(fixture, wrong_text);
	store_fixture_close(fixture);
	store_fixture_close(right);
	clock_history_expect_same(fixture, right);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM meta"
						       " WHERE key LIKE 'clock correction%'"),
		0);
	store_fixture_tear_down(&other);
}

static void a_run_that_was_killed_between_slices_is_made_up_for(void **state)
{
	expect_right_after_kills(*state, 0);
}

static void so_is_one_that_was_killed_while_it_made_up(void **state)
{
	expect_right_after_kills(*state, 1);
}

/* Its clock tells the same wrong times: all is done before it records anything. */
static void the_next_boot_makes_up_for_the_one_before(void **state)
{
	struct store_fixture *fixture = *state, *right;
	void *other;

	assert_int_equal(store_fixture_set_up(&other), 0);
	right = other;
	fixture->options.built_us = right->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	clock_history_record_and_die(right, HISTORY_BOOT + HISTORY_RIGHT, 0);
	fixture->options.boot_uuid = right->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	store_fixture_open(right);
	assert_int_equal(store_fixture_number(fixture, wrong_text), 0);
	for (int i = 0; i < 2; i++) {
		struct store_fixture *of = i ? right : fixture;

		clock_history_flow(
			of, 0, "192.0.2.99", HISTORY_BOOT + 2 * US_PER_S, FLOW_OUTCOME_CLOSED);
		store_fixture_write(of);
		store_fixture_close(of);
	}
	clock_history_expect_same(fixture, right);
	store_fixture_tear_down(&other);
}

/* Another boot recorded at these times before what was left could be done. */
static void what_is_left_of_nobody_known_stays_if_another_boot_was_there(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	store_fixture_sql(fixture, "INSERT INTO boot (boot_uuid, start_us) VALUES ('boot-2', 0)");
	store_fixture_sql(fixture, "INSERT INTO run (boot, pid, start_us, heartbeat_us, host,"
				   " version) SELECT id, 1, 0, 1700000002000000, 'h', 'v' FROM boot"
				   " WHERE boot_uuid = 'boot-2'");
	fixture->options.boot_uuid = "boot-3";
	store_fixture_open(fixture);
	assert_string_equal(store_fixture_sql(fixture, "SELECT process IS NULL, count(*) > 1000"
						       " FROM flow WHERE end_us < 4102444800000000"
						       " GROUP BY 1"),
		"1|1");
}

/* What was recorded since may have the same times. */
static void a_short_step_is_not_made_up_for(void **state)
{
	struct store_fixture *fixture = *state;

	clock_history_record_and_die(fixture, HISTORY_BOOT, 2 * US_PER_S);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM meta"
						       " WHERE key LIKE 'clock correction%'"),
		0);
}

/* A heartbeat after a write that found no room, the nth of it. Whether it failed for the slice. */
static bool beat_without_room(struct store_fixture *fixture, int64_t seen_us, uint64_t nth)
{
	int64_t left = store_fixture_number(fixture, wrong_text);
	int status;

	fault_vfs_fail(FAULT_VFS_WRITE, nth, 1, SQLITE_FULL);
	status = store_heartbeat(fixture->store, seen_us, &fixture->error);
	fault_vfs_fail(0, 0, 0, SQLITE_OK);
	if (store_fixture_number(fixture, wrong_text) < left)
		return false;
	assert_int_equal(status, 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT heartbeat_us FROM run"), seen_us);
	return true;
}

/* Each slice finds as little room as the one before, for what that wrote is given back. */
static void a_slice_without_room_is_halved_and_the_heartbeat_goes_on(void **state)
{
	struct store_fixture *fixture = *state;
	int failed = 0, beats = 0;

	fault_vfs_reset();
	store_fixture_open(fixture);
	clock_history_record_many(fixture, HISTORY_BOOT);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	while (store_fixture_number(fixture, wrong_text) && beats++ < 100)
		failed += beat_without_room(fixture,
			HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT + beats * HISTORY_HOUR, 150);
	assert_true(failed > 3 && failed < beats);
	assert_int_equal(store_fixture_number(fixture, wrong_text), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"),
		HISTORY_MANY + HISTORY_SLICES);
	store_fixture_close(fixture);
	fault_vfs_reset();
}

/* It is told only when no smaller slice is left. */
static void a_slice_that_finds_no_room_at_all_is_told(void **state)
{
	struct store_fixture *fixture = *state;
	int told = 0;

	fault_vfs_reset();
	store_fixture_open(fixture);
	clock_history_record_many(fixture, HISTORY_BOOT);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	while (store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
		       &fixture->error) == 0 &&
		told < 20) {
		fault_vfs_fail(FAULT_VFS_WRITE, 1, UINT64_MAX, SQLITE_FULL);
		told++;
	}
	fault_vfs_fail(0, 0, 0, SQLITE_OK);
	assert_int_equal(fixture->error.class, STORE_FULL);
	assert_int_equal(told, 9);
	store_fixture_close(fixture);
	fault_vfs_reset();
}

/* Flows of known processes that have wrong times. */
static const char wrong_known_text[] =
	"SELECT count(*) FROM flow WHERE end_us < 4102444800000000 AND process IS NOT NULL";

static const char kept_text[] = "SELECT count(*) FROM meta WHERE key LIKE 'clock correction%'";

static const char no_room_text[] = "CREATE TRIGGER no_room BEFORE DELETE ON flow"
				   " BEGIN SELECT raise(ABORT, 'no room'); END";

/* A boot is killed before all is corrected; the next one, with a wrong clock of its own, finds no
 * room for the rest, and leaves it. */
static void leave_a_rest(struct store_fixture *fixture)
{
	fixture->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	store_fixture_sql(fixture, no_room_text);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.boot_start_us = HISTORY_BOOT - 24 * HISTORY_HOUR;
	store_fixture_open(fixture);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
}

/* The next boot cannot do what the one before left, and has a step of its own. */
static void what_boots_left_is_kept_for_each(void **state)
{
	struct store_fixture *fixture = *state;

	leave_a_rest(fixture);
	assert_true(store_fixture_number(fixture, wrong_known_text) > STORE_CLOCK_SLICE / 2);
	clock_history_record(fixture, HISTORY_BOOT - 24 * HISTORY_HOUR);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, kept_text), 1);
	fixture->options.boot_uuid = "boot-3";
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, kept_text), 0);
	assert_int_equal(store_fixture_number(fixture, wrong_known_text), 0);
}

/* Of two boots, before a third records anything. */
static void what_several_boots_left_is_all_done(void **state)
{
	struct store_fixture *fixture = *state;

	leave_a_rest(fixture);
	clock_history_record_many(fixture, HISTORY_BOOT - 24 * HISTORY_HOUR);
	clock_history_step(fixture, HISTORY_RIGHT + 48 * HISTORY_HOUR, true);
	store_fixture_sql(fixture, no_room_text);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	assert_int_equal(store_fixture_number(fixture, kept_text), 2);
	fixture->options.boot_uuid = "boot-3";
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, kept_text), 0);
	assert_int_equal(store_fixture_number(fixture, wrong_known_text), 0);
}

static void maintain(struct store_fixture *fixture)
{
	int more;

	do
		more = store_maintain(fixture->store, clock_realtime_us(), &fixture->error);
	while (more > 0);
	assert_int_equal(more, 0);
}

static void hour_for_flows(struct store_fixture *fixture, bool at_once)
{
	fixture->options.retention.flow_age_us = HISTORY_HOUR;
	fixture->options.retention.trusts_clock = true;
	fixture->options.retention.at_once = at_once;
}

static void count_row(void *ctx, const struct store_preview *preview)
{
	(void)preview;
	++*(int *)ctx;
}

/* What a dry run tells. */
static int previewed(struct store_fixture *fixture)
{
	struct store_reader *reader;
	int rows = 0;

	assert_int_equal(store_reader_open(fixture->path, &reader, &fixture->error), 0);
	assert_int_equal(store_preview(reader, &fixture->options.retention, clock_realtime_us(),
				 count_row, &rows, &fixture->error),
		0);
	store_reader_close(reader);
	return rows;
}

/* Their true age is not known; but the file has its bounds. */
static void flows_with_wrong_times_go_by_size_only(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows;

	fixture->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	hour_for_flows(fixture, true);
	fixture->options.maintenance = true;
	store_fixture_open(fixture);
	maintain(fixture);
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), flows);
	assert_int_equal(previewed(fixture), 0);
	fixture->options.retention.max_octets = 600000;
	store_fixture_open(fixture);
	maintain(fixture);
	store_fixture_close(fixture);
	assert_true(store_fixture_number(fixture, "SELECT count(*) FROM flow") < flows);
	store_fixture_sql(fixture, "DELETE FROM meta WHERE key LIKE 'clock correction%'");
	assert_true(previewed(fixture) > 0);
}

static void what_another_boot_left_does_not_go_by_age(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows;

	fixture->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	store_fixture_sql(fixture, no_room_text);
	hour_for_flows(fixture, false);
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	maintain(fixture);
	assert_int_equal(store_heartbeat(fixture->store, clock_realtime_us(), &fixture->error), 0);
	maintain(fixture);
	store_set_retention(fixture->store, &fixture->options.retention);
	maintain(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), flows);
}

static void flows_go_by_age_once_times_are_right(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows;

	fixture->options.built_us = HISTORY_BUILT;
	clock_history_record_and_die(fixture, HISTORY_BOOT, HISTORY_RIGHT);
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	hour_for_flows(fixture, false);
	fixture->options.boot_start_us = HISTORY_BOOT + HISTORY_RIGHT;
	store_fixture_open(fixture);
	clock_history_flow(
		fixture, 0, "192.0.2.99", HISTORY_BOOT - HISTORY_HOUR, FLOW_OUTCOME_CLOSED);
	store_fixture_write(fixture);
	maintain(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), flows + 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(
			store_heartbeat(fixture->store, clock_realtime_us(), &fixture->error), 0);
	store_fixture_write(fixture);
	maintain(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), flows);
}

/* Batches do without it, and heartbeats try it after a pause. */
static void a_slice_that_never_fits_is_seldom_tried(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t left;

	store_fixture_open(fixture);
	clock_history_record_many(fixture, HISTORY_BOOT);
	clock_history_step(fixture, HISTORY_RIGHT, true);
	left = store_fixture_number(fixture, wrong_text);
	store_fixture_sql(fixture, no_room_text);
	for (int i = 0; i < 8; i++)
		store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
				 &fixture->error),
		-1);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
				 &fixture->error),
		0);
	assert_int_equal(store_fixture_number(fixture, wrong_text), left);
	fixture->store->clock_next_ns = clock_boottime_ns();
	assert_int_equal(store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
				 &fixture->error),
		0);
	assert_int_equal(store_fixture_number(fixture, wrong_text), left - STORE_CLOCK_SLICE_MIN);
	store_fixture_write(fixture);
	assert_int_equal(
		store_fixture_number(fixture, wrong_text), left - 3 * STORE_CLOCK_SLICE_MIN);
}

/* Of the day that is left by an earlier boot. */
static void the_smallest_slice_makes_no_day_anew(void **state)
{
	struct store_fixture *fixture = *state;
	const struct clock_step right = {
		.us = HISTORY_RIGHT, .at_us = HISTORY_AT, .corrects = true};
	int tries = 0;

	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT - HISTORY_HOUR);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1, heartbeat_us = 2, end_us = 2");
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	clock_history_record(fixture, HISTORY_BOOT);
	store_fixture_close(fixture); /* settles */
	store_fixture_open(fixture);
	store_fixture_sql(fixture, "CREATE TRIGGER no_room BEFORE INSERT ON contact_day"
				   " WHEN new.day < 40000"
				   " BEGIN SELECT raise(ABORT, 'no room'); END");
	batch_set_step(fixture->batch, &right);
	while (store_write(fixture->store, fixture->batch, &fixture->error) < 0)
		assert_true(tries++ < 9);
	batch_clear(fixture->batch);
	for (int i = 0; i < 40; i++)
		assert_int_equal(
			store_heartbeat(fixture->store, HISTORY_BOOT + HISTORY_RIGHT + HISTORY_AT,
				&fixture->error),
			0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow WHERE end_us"
						       " BETWEEN 1700000000000000"
						       " AND 4102444800000000"),
		0);
}

/* The clock is set again while no lastconnd runs: what the first step left is done in slices. Each
 * start finds room for some more writes. */
static void a_second_step_waits_for_the_rest_of_the_first(void **state)
{
	static const char first[] = "SELECT count(*) FROM flow WHERE end_us < 1700100000000000";
	struct store_fixture *fixture = *state;
	int64_t boot_us = clock_realtime_us() - HISTORY_AT, left;
	bool in_part = false;

	fault_vfs_reset();
	clock_history_record_and_die(fixture, HISTORY_BOOT, 100 * HISTORY_HOUR);
	assert_int_equal(store_fixture_number(fixture, kept_text), 1);
	left = store_fixture_number(fixture, first);
	fixture->options.built_us = HISTORY_BOOT + 200 * HISTORY_HOUR;
	fixture->options.boot_start_us = boot_us;
	for (uint64_t room = 300;; room += 300) {
		int status;

		fault_vfs_fail(FAULT_VFS_WRITE, room, UINT64_MAX, SQLITE_FULL);
		status = store_open(&fixture->options, &fixture->store, &fixture->error);
		fault_vfs_fail(0, 0, 0, SQLITE_OK);
		if (status == 0)
			break;
		fixture->store = NULL;
		in_part = in_part || store_fixture_number(fixture, first) < left;
	}
	assert_true(in_part);
	beat_until_none(fixture, "SELECT count(*) FROM flow WHERE end_us < 1750000000000000");
	assert_int_equal(store_fixture_number(fixture, "SELECT min(end_us) FROM flow"),
		boot_us + 1 * US_PER_S);
	store_fixture_close(fixture);
	fault_vfs_reset();
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_that_was_killed_between_slices_is_made_up_for),
		TEST(so_is_one_that_was_killed_while_it_made_up),
		TEST(the_next_boot_makes_up_for_the_one_before),
		TEST(what_is_left_of_nobody_known_stays_if_another_boot_was_there),
		TEST(a_short_step_is_not_made_up_for),
		TEST(a_slice_without_room_is_halved_and_the_heartbeat_goes_on),
		TEST(a_slice_that_finds_no_room_at_all_is_told),
		TEST(what_boots_left_is_kept_for_each),
		TEST(what_several_boots_left_is_all_done),
		TEST(flows_with_wrong_times_go_by_size_only),
		TEST(what_another_boot_left_does_not_go_by_age),
		TEST(flows_go_by_age_once_times_are_right),
		TEST(a_slice_that_never_fits_is_seldom_tried),
		TEST(the_smallest_slice_makes_no_day_anew),
		TEST(a_second_step_waits_for_the_rest_of_the_first),
	};

	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

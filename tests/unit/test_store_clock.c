/* Steps of the wall clock: what the history says afterwards, compared with one whose clock was
 * right all the time. The boot began at FIXTURE_BOOT_US by the old clock. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_clock.h"
#include "store/store_internal.h"
#include "store/store_rebuild.h"
#include "support/fault_vfs.h"
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

static sqlite3_stmt *ask(const struct store_fixture *fixture, const char *sql, sqlite3 **ret_db)
{
	sqlite3_stmt *stmt = NULL;

	assert_int_equal(
		sqlite3_open_v2(fixture->path, ret_db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(*ret_db, sql, -1, &stmt, NULL), SQLITE_OK);
	return stmt;
}

static void expect_same_row(sqlite3_stmt *is, sqlite3_stmt *should, const char *sql, int row)
{
	for (int i = 0; i < sqlite3_column_count(is); i++) {
		const char *a = (const char *)sqlite3_column_text(is, i);
		const char *b = (const char *)sqlite3_column_text(should, i);

		if (strcmp(a ? a : "-", b ? b : "-") != 0)
			fail_msg("%s: row %d: %s is %s, should be %s", sql, row,
				sqlite3_column_name(is, i), a, b);
	}
}

static void expect_same(const struct store_fixture *fixture, const struct store_fixture *right)
{
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		sqlite3 *db, *right_db;
		sqlite3_stmt *is = ask(fixture, facts[i], &db);
		sqlite3_stmt *should = ask(right, facts[i], &right_db);
		int rows = 0, more;

		for (; (more = sqlite3_step(should)) == SQLITE_ROW; rows++) {
			if (sqlite3_step(is) != SQLITE_ROW)
				fail_msg("%s: only %d rows", facts[i], rows);
			expect_same_row(is, should, facts[i], rows);
		}
		assert_int_equal(more, SQLITE_DONE);
		if (sqlite3_step(is) != SQLITE_DONE)
			fail_msg("%s: more than %d rows", facts[i], rows);
		assert_true(rows > 0);
		sqlite3_finalize(is);
		sqlite3_finalize(should);
		sqlite3_close(db);
		sqlite3_close(right_db);
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

static const char wrong_text[] = "SELECT count(*) FROM flow WHERE end_us < 4102444800000000";

/* Flows of two slices and some, of two processes and of nobody known. */
static void record_many(struct store_fixture *fixture, int64_t boot_us)
{
	static const uint32_t pids[] = {10, 11, 0};
	char remote[32];

	record_all(fixture, boot_us);
	for (int i = 0; i < SLICES; i++) {
		snprintf(remote, sizeof(remote), "203.0.113.%d", i % 97);
		add_flow(fixture, pids[i % 3], remote, boot_us + 1000000 + i * (int64_t)10000,
			i % 11 ? FLOW_OUTCOME_CLOSED : FLOW_OUTCOME_REFUSED);
		if (i % 1000 == 999)
			store_fixture_write(fixture);
	}
	store_fixture_write(fixture);
}

/* A run that is killed after the first slice. */
static void record_and_die(struct store_fixture *fixture, int64_t boot_us, int64_t step_us)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		fixture->options.boot_start_us = boot_us;
		store_fixture_open(fixture);
		record_many(fixture, boot_us);
		step(fixture, step_us, step_us != 0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

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
	fixture->options.built_us = right->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	record_and_die(right, BOOT + RIGHT, 0);
	fixture->options.boot_start_us = right->options.boot_start_us = BOOT + RIGHT;
	assert_int_equal(
		store_fixture_number(fixture, wrong_text), MANY + SLICES - STORE_CLOCK_SLICE);
	for (int i = 0; i < kills; i++) {
		pid_t child = fork();

		if (child == 0) {
			store_fixture_open(fixture);
			store_fixture_write(fixture); /* a slice */
			_exit(0);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(store_fixture_number(fixture, wrong_text),
			MANY + SLICES - (2 + i) * STORE_CLOCK_SLICE);
		store_fixture_open(right);
		store_fixture_close(right);
	}
	store_fixture_open(fixture);
	store_fixture_open(right);
	beat_until_none(fixture, wrong_text);
	store_fixture_close(fixture);
	store_fixture_close(right);
	expect_same(fixture, right);
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
	fixture->options.built_us = right->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	record_and_die(right, BOOT + RIGHT, 0);
	fixture->options.boot_uuid = right->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	store_fixture_open(right);
	assert_int_equal(store_fixture_number(fixture, wrong_text), 0);
	for (int i = 0; i < 2; i++) {
		struct store_fixture *of = i ? right : fixture;

		add_flow(of, 0, "192.0.2.99", BOOT + 2 * US_PER_S, FLOW_OUTCOME_CLOSED);
		store_fixture_write(of);
		store_fixture_close(of);
	}
	expect_same(fixture, right);
	store_fixture_tear_down(&other);
}

/* Another boot recorded at these times before what was left could be done. */
static void what_is_left_of_nobody_known_stays_if_another_boot_was_there(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
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

	record_and_die(fixture, BOOT, 2 * US_PER_S);
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
	record_many(fixture, BOOT);
	step(fixture, RIGHT, true);
	while (store_fixture_number(fixture, wrong_text) && beats++ < 100)
		failed += beat_without_room(fixture, BOOT + RIGHT + AT + beats * HOUR, 150);
	assert_true(failed > 3 && failed < beats);
	assert_int_equal(store_fixture_number(fixture, wrong_text), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), MANY + SLICES);
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
	record_many(fixture, BOOT);
	step(fixture, RIGHT, true);
	while (store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error) == 0 &&
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

/* The next boot cannot do what the one before left, and has a step of its own. */
static void what_boots_left_is_kept_for_each(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	store_fixture_sql(fixture, no_room_text);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.boot_start_us = BOOT - 24 * HOUR;
	store_fixture_open(fixture);
	assert_true(store_fixture_number(fixture, wrong_known_text) > STORE_CLOCK_SLICE / 2);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	record_all(fixture, BOOT - 24 * HOUR);
	step(fixture, RIGHT, true);
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

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	store_fixture_sql(fixture, no_room_text);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.boot_start_us = BOOT - 24 * HOUR;
	store_fixture_open(fixture); /* leaves it */
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	record_many(fixture, BOOT - 24 * HOUR);
	step(fixture, RIGHT + 48 * HOUR, true);
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
	fixture->options.retention.flow_age_us = HOUR;
	fixture->options.retention.trusts_clock = true;
	fixture->options.retention.at_once = at_once;
}

/* Their true age is not known; but the file has its bounds. */
static void flows_with_wrong_times_go_by_size_only(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows;

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	hour_for_flows(fixture, true);
	fixture->options.maintenance = true;
	store_fixture_open(fixture);
	maintain(fixture);
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), flows);
	fixture->options.retention.max_octets = 500000;
	store_fixture_open(fixture);
	maintain(fixture);
	store_fixture_close(fixture);
	assert_true(store_fixture_number(fixture, "SELECT count(*) FROM flow") < flows);
}

static void what_another_boot_left_does_not_go_by_age(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows;

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
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

	fixture->options.built_us = BUILT;
	record_and_die(fixture, BOOT, RIGHT);
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	hour_for_flows(fixture, false);
	fixture->options.boot_start_us = BOOT + RIGHT;
	store_fixture_open(fixture);
	add_flow(fixture, 0, "192.0.2.99", BOOT - HOUR, FLOW_OUTCOME_CLOSED);
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
	record_many(fixture, BOOT);
	step(fixture, RIGHT, true);
	left = store_fixture_number(fixture, wrong_text);
	store_fixture_sql(fixture, no_room_text);
	for (int i = 0; i < 8; i++)
		store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error), -1);
	store_fixture_sql(fixture, "DROP TRIGGER no_room");
	store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, wrong_text), left);
	fixture->store->clock_next_ns = clock_boottime_ns();
	assert_int_equal(store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, wrong_text), left - STORE_CLOCK_SLICE_MIN);
	store_fixture_write(fixture);
	assert_int_equal(
		store_fixture_number(fixture, wrong_text), left - 3 * STORE_CLOCK_SLICE_MIN);
}

/* Of the day that is left by an earlier boot. */
static void the_smallest_slice_makes_no_day_anew(void **state)
{
	struct store_fixture *fixture = *state;
	const struct clock_step right = {.us = RIGHT, .at_us = AT, .corrects = true};
	int tries = 0;

	store_fixture_open(fixture);
	record_all(fixture, BOOT - HOUR);
	store_fixture_close(fixture);
	store_fixture_sql(fixture, "UPDATE run SET start_us = 1, heartbeat_us = 2, end_us = 2");
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	record_all(fixture, BOOT);
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
			store_heartbeat(fixture->store, BOOT + RIGHT + AT, &fixture->error), 0);
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
	int64_t boot_us = clock_realtime_us() - AT, left;
	bool in_part = false;

	fault_vfs_reset();
	record_and_die(fixture, BOOT, 100 * HOUR);
	assert_int_equal(store_fixture_number(fixture, kept_text), 1);
	left = store_fixture_number(fixture, first);
	fixture->options.built_us = BOOT + 200 * HOUR;
	fixture->options.boot_start_us = boot_us;
	for (uint64_t room = 100;; room += 100) {
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
		TEST(files_that_were_read_have_clocks_of_their_own),
		TEST(an_ordinary_step_changes_what_goes_on_only),
		TEST(a_process_that_is_named_again_began_by_the_new_clock),
		TEST(the_ledger_keeps_a_first_contact_from_before_the_clock_was_wrong),
		TEST(a_step_while_nobody_recorded_is_made_up_for),
		TEST(the_gap_before_a_corrected_run_is_told),
		TEST(a_batch_that_could_not_be_written_steps_once),
	};

	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

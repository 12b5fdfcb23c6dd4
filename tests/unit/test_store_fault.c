/* The store on a disk that fails: at many moments of a run it is killed, or the power is cut, or
 * calls of the system fail. What storage.md promises: the file is never broken; a kill loses
 * nothing that was committed; a power cut neither, with synchronous = full, else at most the
 * commits since the last sync of the WAL, and never one from the middle. A call that fails leaves
 * nothing half written.
 *
 * LASTCONN_SEED: of the moments and of what a cut leaves; it is printed. LASTCONN_STEPS: at how
 * many moments of a run (default 5; a million is every one). */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_internal.h"
#include "support/fault_vfs.h"
#include "support/store_fixture.h"

#define DAY_US INT64_C(86400000000)

enum {
	BATCHES = 16, /* one a day */
	FLOWS = 40,   /* of a batch */
	KEEP_DAYS = 6,
	STEPS = 5, /* of a run, if the environment does not say otherwise */
	TRIES = 4, /* more than faults in a row */
	SLICES = 64,
};

static uint64_t seed, steps;

static int64_t day_us(uint64_t day)
{
	return FIXTURE_START_US + (int64_t)day * DAY_US;
}

/* A run: batches, each of a day, and what is forgotten between them. */

static void fill(struct batch *batch, uint64_t day)
{
	batch_clear(batch);
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t pid = (uint32_t)day * 100 + i % 5 + 1;
		char exe[32], remote[32];

		snprintf(exe, sizeof(exe), "/bin/of-%u", pid % 30);
		snprintf(remote, sizeof(remote), "198.51.%u.%u", (unsigned)day, i % 20);

		struct process_info process = store_fixture_process(pid, exe);
		struct flow_record flow = store_fixture_flow(pid, remote, day_us(day) + i);

		flow.key.local_port = (uint16_t)(1000 + day);
		if (i < 5)
			assert_int_equal(batch_add_process(batch, &process), 0);
		assert_int_equal(batch_add_flow(batch, &flow), 0);
	}
}

static int try_open(struct store_fixture *fixture)
{
	int status = -1;

	for (int i = 0; i < TRIES && status < 0 && !fault_vfs_is_cut(); i++) {
		status = store_open(&fixture->options, &fixture->store, &fixture->error);
		if (status < 0)
			fixture->store = NULL;
		if (status < 0 && !fault_vfs_is_cut() && fixture->error.class != STORE_RETRY &&
			fixture->error.class != STORE_FULL)
			fail_msg("%s", fixture->error.text);
	}
	return status;
}

/* What fails is tried again, as the writer does, until the power is cut. */
static int try_write(struct store_fixture *fixture)
{
	int status = -1;

	for (int i = 0; i < TRIES && status < 0 && !fault_vfs_is_cut(); i++) {
		status = store_write(fixture->store, fixture->batch, &fixture->error);
		if (status < 0 && !fault_vfs_is_cut() && fixture->error.class != STORE_RETRY &&
			fixture->error.class != STORE_FULL)
			fail_msg("%s", fixture->error.text);
	}
	return status;
}

static void forget(struct store_fixture *fixture, uint64_t day)
{
	int more = 1;

	for (int i = 0; i < SLICES && more > 0; i++)
		more = store_maintain(fixture->store, day_us(day), &fixture->error);
	if (more < 0 && !fault_vfs_is_cut() && fixture->error.class != STORE_RETRY &&
		fixture->error.class != STORE_FULL)
		fail_msg("%s", fixture->error.text);
}

/* Ends where the power does; *ret_acknowledged: so many batches were committed. */
static void run(struct store_fixture *fixture, uint64_t *ret_acknowledged)
{
	*ret_acknowledged = 0;
	fixture->store = NULL;
	if (try_open(fixture) < 0)
		return;
	for (uint64_t day = 0; day < BATCHES && !fault_vfs_is_cut(); day++) {
		fill(fixture->batch, day);
		if (try_write(fixture) == 0)
			__atomic_add_fetch(ret_acknowledged, 1, __ATOMIC_SEQ_CST);
		if (day % 2)
			forget(fixture, day);
		if (day % 3 == 2)
			store_checkpoint(fixture->store); /* as if a minute had passed */
		store_heartbeat(fixture->store, day_us(day), &fixture->error);
	}
	store_fixture_close(fixture);
}

static void start_anew(struct store_fixture *fixture)
{
	static const char *const extra[] = {"", "-wal", "-shm", ".lock"};
	char path[128];

	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", fixture->path, extra[i]);
		remove(path);
	}
	fault_vfs_reset();
	fixture->options.retention =
		(struct store_retention){.flow_age_us = KEEP_DAYS * DAY_US, .at_once = true};
}

/* What must hold. */

static void expect(const struct store_fixture *fixture, const char *sql, const char *text)
{
	const char *found = store_fixture_sql(fixture, sql);

	if (strcmp(found, text) != 0)
		fail_msg("seed %llu: %s\n%s, not %s", (unsigned long long)seed, sql, found, text);
}

/* Opened and closed once more, it has count whole batches, the first ones, and what is derived from
 * them is equal to them. */
static uint64_t expect_sound(struct store_fixture *fixture)
{
	uint64_t flows, count;
	char text[32];

	expect(fixture, "PRAGMA integrity_check", "ok");
	store_fixture_open(fixture);
	store_fixture_close(fixture);
	expect(fixture, "PRAGMA integrity_check", "ok");
	expect(fixture, "PRAGMA foreign_key_check", "");
	flows = (uint64_t)store_fixture_number(
		fixture, "SELECT coalesce(sum(flows), 0) FROM contact_day");
	count = flows / FLOWS;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(count * FLOWS));
	expect(fixture, "SELECT coalesce(sum(flows), 0) FROM contact_day", text);
	expect(fixture,
		"SELECT executable, flows FROM executable_flows EXCEPT SELECT executable,"
		" count(*) FROM flow JOIN actor AS a ON a.id = actor GROUP BY 1",
		"");
	for (uint64_t day = count > KEEP_DAYS ? count - KEEP_DAYS : 0; day < count; day++) {
		char sql[96];

		snprintf(sql, sizeof(sql), "SELECT count(*) FROM flow WHERE local_port = %llu",
			(unsigned long long)(1000 + day));
		snprintf(text, sizeof(text), "%d", FLOWS);
		expect(fixture, sql, text);
	}
	return count;
}

/* Power. */

static uint64_t count_changes(struct store_fixture *fixture)
{
	uint64_t acknowledged, changes;

	start_anew(fixture);
	run(fixture, &acknowledged);
	assert_int_equal(acknowledged, BATCHES);
	changes = fault_vfs_calls();
	assert_int_equal(expect_sound(fixture), BATCHES);
	return changes;
}

static void cut_at(struct store_fixture *fixture, uint64_t change, enum fault_vfs_cut kind)
{
	uint64_t acknowledged, surely, count;

	start_anew(fixture);
	fault_vfs_watch("-wal", &acknowledged);
	fault_vfs_cut(change);
	run(fixture, &acknowledged);
	if (!fault_vfs_is_cut()) /* how many changes a thread makes of its own varies */
		assert_true(fixture->options.unattended);
	surely = fixture->options.synchronous_full || kind == FAULT_VFS_CUT_NONE
			 ? acknowledged
			 : fault_vfs_watched();
	fault_vfs_restore(kind, seed + change);
	count = expect_sound(fixture);
	/* The commit during which the power went may be there as well. */
	if (count < surely || count > acknowledged + 1)
		fail_msg("seed %llu, cut %d at %llu: %llu batches are there; %llu were committed, "
			 "%llu synced",
			(unsigned long long)seed, kind, (unsigned long long)change,
			(unsigned long long)count, (unsigned long long)acknowledged,
			(unsigned long long)surely);
}

static void cut_everywhere(struct store_fixture *fixture)
{
	uint64_t changes = count_changes(fixture), step = changes / steps + 1;

	for (uint64_t kind = 0; kind < FAULT_VFS_CUT_COUNT; kind++)
		for (uint64_t change = 1 + (seed + kind * step / 3) % step; change <= changes;
			change += step)
			cut_at(fixture, change, (enum fault_vfs_cut)kind);
}

static void a_kill_or_power_cut_with_full_loses_nothing_that_was_committed(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.synchronous_full = true;
	cut_everywhere(fixture);
}

static void a_power_cut_with_normal_loses_the_last_commits_only_and_a_kill_none(void **state)
{
	cut_everywhere(*state);
}

/* As the daemon has it: a thread moves the WAL, and syncs, while batches go on. */
static void a_power_cut_while_a_thread_moves_the_wal_loses_no_more(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.unattended = true;
	cut_everywhere(fixture);
	fixture->options.synchronous_full = true;
	cut_everywhere(fixture);
}

/* Errors. */

static void fail_at(struct store_fixture *fixture, unsigned calls, uint64_t nth, int code)
{
	uint64_t acknowledged;

	start_anew(fixture);
	fault_vfs_fail(calls, nth, 1 + nth % (TRIES - 1), code);
	run(fixture, &acknowledged);
	if (!fault_vfs_has_failed())
		print_message("call %llu did not come\n", (unsigned long long)nth);
	fault_vfs_fail(0, 0, 0, SQLITE_OK);
	assert_int_equal(acknowledged, BATCHES);
	assert_int_equal(expect_sound(fixture), BATCHES);
}

static void fail_everywhere(struct store_fixture *fixture, unsigned calls, int code)
{
	uint64_t acknowledged, count, step;

	start_anew(fixture);
	fault_vfs_fail(calls, 0, 0, SQLITE_OK);
	run(fixture, &acknowledged);
	count = fault_vfs_calls();
	step = count / steps + 1;
	for (uint64_t nth = 1 + seed % step; nth <= count; nth += step)
		fail_at(fixture, calls, nth, code);
}

static void a_write_that_fails_is_made_up_for(void **state)
{
	fail_everywhere(*state, FAULT_VFS_WRITE, SQLITE_IOERR_WRITE);
}

static void a_write_without_room_is_made_up_for(void **state)
{
	fail_everywhere(*state, FAULT_VFS_WRITE | FAULT_VFS_TRUNCATE, SQLITE_FULL);
}

static void a_read_that_fails_is_made_up_for(void **state)
{
	fail_everywhere(*state, FAULT_VFS_READ, SQLITE_IOERR_READ);
}

static void a_sync_that_fails_is_made_up_for(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.synchronous_full = true;
	fail_everywhere(fixture, FAULT_VFS_SYNC | FAULT_VFS_TRUNCATE, SQLITE_IOERR_FSYNC);
}

static void a_file_that_cannot_be_opened_or_mapped_is_made_up_for(void **state)
{
	fail_everywhere(*state, FAULT_VFS_SHARED, SQLITE_IOERR_SHMMAP);
}

/* The thread tells nobody: the WAL stays, and is moved the next time. */
static void what_fails_while_a_thread_moves_the_wal_is_made_up_for(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.unattended = true;
	fail_everywhere(fixture, FAULT_VFS_WRITE, SQLITE_IOERR_WRITE);
	fail_everywhere(fixture, FAULT_VFS_READ, SQLITE_IOERR_READ);
	fail_everywhere(fixture, FAULT_VFS_SYNC | FAULT_VFS_TRUNCATE, SQLITE_IOERR_FSYNC);
}

/* For as long as the disk is full every batch is refused; then all of them come. */
static void a_disk_that_stays_full_keeps_what_was_committed(void **state)
{
	struct store_fixture *fixture = *state;
	uint64_t day = 0;

	start_anew(fixture);
	store_fixture_open(fixture);
	for (; day < BATCHES / 2; day++) {
		fill(fixture->batch, day);
		store_fixture_write(fixture);
	}
	fault_vfs_fail(FAULT_VFS_WRITE, 1, UINT64_MAX, SQLITE_FULL);
	fill(fixture->batch, day);
	for (int i = 0; i < TRIES; i++) {
		assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
		assert_int_equal(fixture->error.class, STORE_FULL);
		store_make_room(fixture->store, day_us(day), &fixture->error);
	}
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), day * FLOWS);
	fault_vfs_fail(0, 0, 0, SQLITE_OK);
	for (; day < BATCHES; day++) {
		fill(fixture->batch, day);
		store_fixture_write(fixture);
	}
	store_fixture_close(fixture);
	assert_int_equal(expect_sound(fixture), BATCHES);
}

static int tear_down(void **state)
{
	fault_vfs_reset();
	return store_fixture_tear_down(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_fixture_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kill_or_power_cut_with_full_loses_nothing_that_was_committed),
		TEST(a_power_cut_with_normal_loses_the_last_commits_only_and_a_kill_none),
		TEST(a_power_cut_while_a_thread_moves_the_wal_loses_no_more),
		TEST(a_write_that_fails_is_made_up_for),
		TEST(a_write_without_room_is_made_up_for),
		TEST(a_read_that_fails_is_made_up_for),
		TEST(a_sync_that_fails_is_made_up_for),
		TEST(a_file_that_cannot_be_opened_or_mapped_is_made_up_for),
		TEST(what_fails_while_a_thread_moves_the_wal_is_made_up_for),
		TEST(a_disk_that_stays_full_keeps_what_was_committed),
	};

	seed = store_fixture_setting("LASTCONN_SEED", (uint64_t)time(NULL));
	steps = store_fixture_setting("LASTCONN_STEPS", STEPS);
	print_message("LASTCONN_SEED=%llu\n", (unsigned long long)seed);
	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

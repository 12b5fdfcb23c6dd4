/* The WAL is moved beside the writer: it begins anew while batches go on, and whatever ends in the
 * middle of it, the history is whole. */
#include "store/store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_internal.h"
#include "support/store_fixture.h"
#include "support/traffic_make.h"

enum { BATCH = 2000, FULL = 4096, TRIES = 500, PAUSES = 50, PAUSE_MS = 10 };

static struct traffic traffic;

static void pause_ms(long ms)
{
	struct timespec delay = {.tv_nsec = ms * 1000000};

	nanosleep(&delay, NULL);
}

static void open_unattended(struct store_fixture *fixture)
{
	fixture->options.unattended = true;
	traffic_init(&traffic, 1, FIXTURE_START_US, 1000000);
	store_fixture_open(fixture);
	assert_non_null(fixture->store->checkpointer);
}

static void write_batch(struct store_fixture *fixture, size_t flows)
{
	traffic_fill(&traffic, fixture->batch, flows);
	store_fixture_write(fixture);
}

/* Until it takes the thread a while. */
static void fill_wal(struct store_fixture *fixture)
{
	for (int i = 0; i < TRIES && fixture->store->wal_frames < FULL; i++)
		write_batch(fixture, BATCH);
	assert_true(fixture->store->wal_frames >= FULL);
}

/* Small batches go on, further apart if the disk is slow; whether the WAL began anew. */
static bool write_until_anew(struct store_fixture *fixture, int tries)
{
	int frames = fixture->store->wal_frames;

	for (int i = 0; i < tries; i++) {
		write_batch(fixture, 10);
		if (fixture->store->wal_frames < frames)
			return true;
		frames = fixture->store->wal_frames;
		pause_ms(PAUSE_MS * (1 + i / PAUSES));
	}
	return false;
}

static void expect_whole(struct store_fixture *fixture)
{
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA integrity_check"), "ok");
	assert_int_equal(store_fixture_number(fixture, "SELECT (SELECT sum(flows) FROM flow_hour) ="
						       " (SELECT count(*) FROM flow)"),
		1);
}

static void the_wal_begins_anew_while_batches_go_on(void **state)
{
	struct store_fixture *fixture = *state;

	open_unattended(fixture);
	for (int i = 0; i < 3; i++) {
		fill_wal(fixture);
		store_checkpoint(fixture->store);
		assert_true(write_until_anew(fixture, TRIES));
	}
	store_fixture_close(fixture);
	expect_whole(fixture);
}

static void what_a_reader_holds_back_is_moved_after_it(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3_stmt *stmt;
	sqlite3 *reader;

	open_unattended(fixture);
	fill_wal(fixture);
	assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(reader, "SELECT end_us FROM flow", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	store_checkpoint(fixture->store);
	assert_false(write_until_anew(fixture, 20));
	sqlite3_finalize(stmt);
	sqlite3_close(reader);
	store_checkpoint(fixture->store);
	assert_true(write_until_anew(fixture, TRIES));
	store_fixture_close(fixture);
	expect_whole(fixture);
}

static void an_end_waits_for_it(void **state)
{
	struct store_fixture *fixture = *state;

	open_unattended(fixture);
	fill_wal(fixture);
	store_checkpoint(fixture->store);
	store_fixture_close(fixture);
	expect_whole(fixture);
}

/* At different moments of it. */
static void a_kill_in_the_middle_loses_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t flows = 0, before;

	for (long ms = 0; ms < 15; ms += 5) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			open_unattended(fixture);
			fill_wal(fixture);
			store_checkpoint(fixture->store);
			pause_ms(ms);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		expect_whole(fixture);
		before = flows;
		flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
		assert_true(flows >= before + BATCH);
	}
	open_unattended(fixture);
	write_batch(fixture, 10);
	store_fixture_close(fixture);
	expect_whole(fixture);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_wal_begins_anew_while_batches_go_on),
		TEST(what_a_reader_holds_back_is_moved_after_it),
		TEST(an_end_waits_for_it),
		TEST(a_kill_in_the_middle_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

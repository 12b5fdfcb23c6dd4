/* The roll-ups: whatever is kept back, settled, rolled back or lost with a killed run, contact_day
 * with contact_tail counts each flow once, at every moment. */
#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/rollup.h"
#include "support/store_fixture.h"
#include "support/traffic_make.h"

#define DAY_US (INT64_C(86400) * 1000000)

#define COLUMNS "day, remote, actor, protocol_id, port, direction"
#define SUMS                                                                                     \
	"sum(flows), sum(failed), sum(octets_out), sum(octets_in), min(first_us), max(last_us)," \
	" max(hours & 65535), max(methods)"

/* contact_tail with everything in it gives the rows that contact_day should have. */
static const char rows_of_tables[] =
	"SELECT " COLUMNS ", " SUMS " FROM contact_day GROUP BY " COLUMNS " ORDER BY " COLUMNS
	" LIMIT 300";
static const char rows_of_flows[] =
	"SELECT " COLUMNS ", " SUMS " FROM contact_tail GROUP BY " COLUMNS " ORDER BY " COLUMNS
	" LIMIT 300";

/* The ledger must say of each contact what its days say together. */
static const char contacts_that_differ[] =
	"SELECT count(*) FROM (SELECT remote, executable, protocol_id, port, direction,"
	" min(first_us) AS first_us, max(last_us) AS last_us, sum(flows) AS flows"
	" FROM contact_day JOIN actor ON actor.id = actor"
	" GROUP BY remote, executable, protocol_id, port, direction) AS d"
	" LEFT JOIN ledger AS c USING (remote, executable, protocol_id, port, direction)"
	" WHERE c.first_us IS NOT d.first_us OR c.last_us IS NOT d.last_us OR c.flows IS NOT "
	"d.flows";

static void expect_all_counted_once(struct store_fixture *fixture)
{
	int64_t flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");

	assert_int_equal(store_fixture_number(fixture,
				 "SELECT (SELECT coalesce(sum(flows), 0) FROM contact_day) +"
				 " (SELECT count(*) FROM contact_tail)"),
		flows);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT coalesce(sum(flows), 0) FROM flow_hour"),
		flows);
}

/* After a clean end: nothing is pending, and the tables hold what the flows give. */
static void expect_settled(struct store_fixture *fixture)
{
	char *tables;

	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 0);
	expect_all_counted_once(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT sum(flows) = (SELECT count(*) FROM flow) FROM ledger"),
		"1");
	assert_int_equal(store_fixture_number(fixture, contacts_that_differ), 0);
	tables = strdup(store_fixture_sql(fixture, rows_of_tables));
	store_fixture_sql(fixture, "UPDATE rollup_state SET settled_us = -1, cut_us = -1");
	assert_string_equal(store_fixture_sql(fixture, rows_of_flows), tables);
	store_fixture_sql(fixture, "UPDATE rollup_state SET settled_us = 9223372036854775807");
	free(tables);
}

static void write_traffic(struct store_fixture *fixture, struct traffic *traffic, size_t flows)
{
	while (flows > 0) {
		flows -= traffic_fill(traffic, fixture->batch, flows);
		store_fixture_write(fixture);
	}
}

static void a_small_batch_is_counted_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic traffic;

	traffic_init(&traffic, 1, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &traffic, ROLLUP_SMALL);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 0);
	store_fixture_close(fixture);
	expect_settled(fixture);
}

static void big_batches_are_kept_back_and_counted_at_the_end(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic traffic;

	traffic_init(&traffic, 2, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &traffic, 3000);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 3000);
	write_traffic(fixture, &traffic, 20000);
	expect_all_counted_once(fixture);
	store_fixture_close(fixture);
	expect_settled(fixture);
}

static void slices_count_each_flow_once_while_more_flows_come(void **state)
{
	struct store_fixture *fixture = *state;
	bool settling = false;
	struct traffic traffic;

	traffic_init(&traffic, 3, FIXTURE_START_US, 200000);
	store_fixture_open(fixture);
	for (int i = 0; i < 40; i++) {
		traffic.now_us -= 20000000; /* some end before the flows of the batch before */
		write_traffic(fixture, &traffic, 5000 - TRAFFIC_EXECUTABLES);
		settling |=
			store_fixture_number(fixture, "SELECT cut_remote FROM rollup_state") > 0;
		if (i > 25)
			expect_all_counted_once(fixture);
	}
	assert_true(settling);
	store_fixture_close(fixture);
	expect_settled(fixture);
}

static void the_heartbeat_settles_when_it_is_time(void **state)
{
	struct timespec delay = {.tv_sec = ROLLUP_PENDING_MS / 1000, .tv_nsec = 50000000};
	struct store_fixture *fixture = *state;
	struct traffic traffic;

	traffic_init(&traffic, 4, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &traffic, 3000);
	assert_int_equal(store_heartbeat(fixture->store, 0, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 3000);
	nanosleep(&delay, NULL);
	assert_int_equal(store_heartbeat(fixture->store, 0, &fixture->error), 0);
	expect_settled(fixture);
}

static int64_t counted_remotes(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT cut_remote FROM rollup_state");
}

static bool is_counting(struct store_fixture *fixture)
{
	return counted_remotes(fixture) > 0;
}

static int64_t uncounted(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT count(*) FROM contact_tail");
}

static void *unlock_later(void *ctx)
{
	struct timespec delay = {.tv_nsec = 250000000};
	sqlite3 *db = ctx;

	nanosleep(&delay, NULL);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return NULL;
}

/* Of one that waits for somebody else, or the disk: longer than IDLE_MS, not BUSY_TIMEOUT_MS. */
static void write_slowly(struct store_fixture *fixture)
{
	pthread_t thread;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(pthread_create(&thread, NULL, unlock_later, db), 0);
	store_fixture_write(fixture);
	pthread_join(thread, NULL);
	sqlite3_close(db);
}

/* The heartbeat that follows on it would make it slower still. */
static void after_a_slow_batch_nobody_is_idle(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic traffic;
	int64_t counted;

	traffic_init(&traffic, 5, FIXTURE_START_US, 200000);
	store_fixture_open(fixture);
	for (int i = 0; i < 40 && !is_counting(fixture); i++)
		write_traffic(fixture, &traffic, 5000 - TRAFFIC_EXECUTABLES);
	assert_true(is_counting(fixture));
	traffic_fill(&traffic, fixture->batch, 10);
	write_slowly(fixture);
	counted = counted_remotes(fixture);
	assert_true(counted > 0);
	assert_int_equal(store_heartbeat(fixture->store, 0, &fixture->error), 0);
	assert_int_equal(counted_remotes(fixture), counted);
	store_fixture_close(fixture);
	expect_settled(fixture);
}

static void what_a_killed_run_kept_back_is_counted_by_the_next(void **state)
{
	struct store_fixture *fixture = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct traffic traffic;

		traffic_init(&traffic, 5, FIXTURE_START_US, 200000);
		store_fixture_open(fixture);
		do /* until it is killed in the middle of counting, and has more to count */
			write_traffic(fixture, &traffic, is_counting(fixture) ? 1000 : 4000);
		while (!is_counting(fixture) || uncounted(fixture) <= 1000);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(uncounted(fixture) > 1000);
	assert_true(is_counting(fixture));
	expect_all_counted_once(fixture);
	store_fixture_open(fixture);
	expect_settled(fixture);
}

static void a_rolled_back_batch_counts_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic traffic;
	sqlite3 *other;

	traffic_init(&traffic, 6, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &traffic, 3000);
	for (int i = 0; i < 3; i++) {
		traffic_fill(&traffic, fixture->batch, 2000);
		assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
		sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
		sqlite3_close(other);
		store_fixture_write(fixture);
		expect_all_counted_once(fixture);
	}
	store_fixture_sql(fixture, "CREATE TRIGGER stop BEFORE UPDATE ON flow_hour"
				   " BEGIN SELECT raise(ABORT, 'stopped by the test'); END");
	traffic_fill(&traffic, fixture->batch, 2000);
	assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
	store_fixture_sql(fixture, "DROP TRIGGER stop");
	expect_all_counted_once(fixture);
	store_fixture_write(fixture);
	store_fixture_close(fixture);
	expect_settled(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 11000);
}

static void a_settlement_that_fails_is_tried_again(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic traffic;

	traffic_init(&traffic, 7, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &traffic, 5000);
	store_fixture_sql(fixture, "CREATE TRIGGER stop BEFORE INSERT ON contact"
				   " BEGIN SELECT raise(ABORT, 'stopped by the test'); END");
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 5000);
	store_fixture_sql(fixture, "DROP TRIGGER stop");
	expect_all_counted_once(fixture);
	store_fixture_open(fixture);
	expect_settled(fixture);
}

static void flows_older_than_those_already_counted_are_counted_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct traffic newer, older;

	traffic_init(&newer, 8, FIXTURE_START_US + DAY_US, 100000);
	traffic_init(&older, 9, FIXTURE_START_US, 100000);
	store_fixture_open(fixture);
	write_traffic(fixture, &newer, 200);
	write_traffic(fixture, &newer, 2000);
	write_traffic(fixture, &older, 2000);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 2000);
	expect_all_counted_once(fixture);
	store_fixture_close(fixture);
	expect_settled(fixture);

	store_fixture_open(fixture);
	write_traffic(fixture, &older, 2000);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_tail"), 0);
	store_fixture_close(fixture);
	expect_settled(fixture);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_batch_is_counted_at_once),
		TEST(big_batches_are_kept_back_and_counted_at_the_end),
		TEST(slices_count_each_flow_once_while_more_flows_come),
		TEST(the_heartbeat_settles_when_it_is_time),
		TEST(after_a_slow_batch_nobody_is_idle),
		TEST(what_a_killed_run_kept_back_is_counted_by_the_next),
		TEST(a_rolled_back_batch_counts_nothing),
		TEST(a_settlement_that_fails_is_tried_again),
		TEST(flows_older_than_those_already_counted_are_counted_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

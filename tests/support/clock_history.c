/* The same is recorded with a wrong clock and with a right one, so that both can be compared row by
 * row: many flows, and one of each other thing that has times. */
#include "support/clock_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static const char *const facts[] = {
	"SELECT end_us, duration_us, remote_ip, pid, outcome, octets_in FROM flows ORDER BY 1",
	"SELECT * FROM flow_nat",
	"SELECT * FROM contact_day",
	"SELECT * FROM ledger",
	"SELECT * FROM flow_hour",
	"SELECT * FROM executable_flows WHERE flows <> 0",
	"SELECT settled_us FROM rollup_state",
	"SELECT * FROM listeners ORDER BY from_us",
	"SELECT * FROM names ORDER BY first_us",
	"SELECT * FROM processes",
	"SELECT from_us, until_us, what FROM coverage_interval WHERE what <> 'down'",
	"SELECT start_us FROM boot",
};

void clock_history_flow(struct store_fixture *fixture, uint32_t pid, const char *remote,
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

void clock_history_record(struct store_fixture *fixture, int64_t boot_us)
{
	static const uint32_t pids[] = {10, 11, 0};
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");
	struct process_info wget = store_fixture_process(11, "/usr/bin/wget");
	char remote[32];

	assert_int_equal(batch_add_process(fixture->batch, &curl), 0);
	assert_int_equal(batch_add_process(fixture->batch, &wget), 0);
	for (int i = 0; i < HISTORY_MANY; i++) { /* of some the ends are the same */
		snprintf(remote, sizeof(remote), "198.51.100.%d", i % 50);
		clock_history_flow(fixture, pids[i % 3], remote,
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

void clock_history_step(struct store_fixture *fixture, int64_t us, bool corrects)
{
	const struct clock_step step = {.us = us, .at_us = HISTORY_AT, .corrects = corrects};

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

void clock_history_expect_same(
	const struct store_fixture *fixture, const struct store_fixture *right)
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

void clock_history_record_many(struct store_fixture *fixture, int64_t boot_us)
{
	static const uint32_t pids[] = {10, 11, 0};
	char remote[32];

	clock_history_record(fixture, boot_us);
	for (int i = 0; i < HISTORY_SLICES; i++) {
		snprintf(remote, sizeof(remote), "203.0.113.%d", i % 97);
		clock_history_flow(fixture, pids[i % 3], remote,
			boot_us + 1000000 + i * (int64_t)10000,
			i % 11 ? FLOW_OUTCOME_CLOSED : FLOW_OUTCOME_REFUSED);
		if (i % 1000 == 999)
			store_fixture_write(fixture);
	}
	store_fixture_write(fixture);
}

void clock_history_record_and_die(struct store_fixture *fixture, int64_t boot_us, int64_t step_us)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		fixture->options.boot_start_us = boot_us;
		store_fixture_open(fixture);
		clock_history_record_many(fixture, boot_us);
		clock_history_step(fixture, step_us, step_us != 0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The store when memory runs out: one allocation after the other fails, SQLite's and our own, in a
 * run that opens, writes, forgets, ends and is resumed. Each is reported as something that passes,
 * and when it has, the history is the same as without.
 *
 * LASTCONN_SEED: of the moments; it is printed. LASTCONN_STEPS: how many of a run (default 25; a
 * million is every one). */
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/fault_alloc.h"
#include "support/store_fixture.h"

#define DAY_US INT64_C(86400000000)

enum {
	BATCHES = 5, /* one a day */
	FLOWS = 30,  /* of a batch */
	KEEP_DAYS = 2,
	STEPS = 25,
	TRIES = 4, /* more than failures in a row */
	SLICES = 64,
	TEXT_SIZE = 4096,
};

/* All that the run should leave, told without ids. */
static const char *const questions[] = {
	"PRAGMA integrity_check",
	"PRAGMA foreign_key_check",
	"SELECT count(*), count(exe), count(remote_name), sum(octets_out), sum(open), "
	"min(start_us),"
	" max(end_us), sum(uid), count(DISTINCT direction || outcome || method || source) FROM "
	"flows",
	"SELECT sum(flows), count(*), sum(octets_in), min(first_us), max(last_us) FROM contact_day",
	"SELECT sum(flows), count(*), sum(octets_in) FROM flow_hour",
	"SELECT count(*), sum(flows) FROM ledger",
	"SELECT count(*), count(exe), count(cmdline), count(unit), min(start_us) FROM processes",
	"SELECT count(*), sum(until_us IS NULL), count(process) FROM listener",
	"SELECT count(*), min(first_us), max(last_us) FROM name_evidence",
	"SELECT count(*) FROM coverage_interval WHERE what = 'ring full'",
	"SELECT executable, flows FROM executable_flows EXCEPT SELECT executable,"
	" count(*) FROM flow JOIN actor AS a ON a.id = actor GROUP BY 1",
};

static uint64_t seed, steps;

static int64_t day_us(int day)
{
	return FIXTURE_START_US + day * DAY_US;
}

/* What a batch is of. */

static struct flow_record flow_of(int day, uint32_t pid, uint32_t number)
{
	char remote[32];

	snprintf(remote, sizeof(remote), "198.51.%d.%u", 100 + day, number % 20);

	struct flow_record flow = store_fixture_flow(pid, remote, day_us(day) + number);

	flow.serial = (uint64_t)day * 1000 + number + 1;
	flow.key.socket_cookie = flow.serial;
	if (number % 10 == 9) { /* ends a day later */
		flow.kind = FLOW_RECORD_OPEN;
		flow.outcome = FLOW_OUTCOME_OPEN;
	}
	return flow;
}

static int add_flows(struct batch *batch, int day)
{
	const struct flow_name name = {.text = "of.example", .source = NAME_SOURCE_DNS};
	int error = 0;

	for (uint32_t i = 0; i < FLOWS && !error; i++) {
		uint32_t pid = (uint32_t)day * 100 + i % 5 + 1;
		struct flow_record flow = flow_of(day, pid, i), before = flow_of(day - 1, pid, i);
		char exe[32];

		snprintf(exe, sizeof(exe), "/bin/of-%u", pid);

		struct process_info process = store_fixture_process(pid, exe);

		if (i < 5)
			error = batch_add_process(batch, &process);
		if (!error)
			error = batch_add_flow(batch, &flow);
		if (!error && i % 3 == 0)
			error = batch_name_flow(
				batch, batch_count(batch) - batch_processes(batch) - 1, &name);
		if (!error && day > 0 && before.kind == FLOW_RECORD_OPEN) {
			before.kind = FLOW_RECORD_END;
			before.outcome = FLOW_OUTCOME_CLOSED;
			error = batch_add_flow(batch, &before);
		}
	}
	return error;
}

static int add_others(struct batch *batch, int day)
{
	const struct process_ref owner = {
		(unsigned)(day * 100 + 1) * UINT64_C(1000000000), (unsigned)day * 100 + 1, 1};
	struct listener_record listener = {.key = {.netns = 7,
						   .local = addr_from_v4("\xc0\x00\x02\x01"),
						   .local_port = 80,
						   .protocol = 6,
						   .socket_cookie = (unsigned)day + 1},
		.owner = owner,
		.from_us = day_us(day),
		.method = FLOW_METHOD_EXACT};
	struct coverage_record coverage = {.from_us = day_us(day),
		.until_us = day_us(day) + 1,
		.count = 1,
		.what = COVERAGE_RING_FULL,
		.source = FLOW_SOURCE_EBPF};
	struct name_record name = {.name = "of.example",
		.owner = "",
		.address = addr_from_v4("\xc6\x33\x64\x01"),
		.asker = owner,
		.first_us = day_us(day),
		.last_us = day_us(day),
		.count = 1,
		.source = NAME_SOURCE_DNS};
	int error = batch_add_listener(batch, &listener);

	if (!error)
		error = batch_add_coverage(batch, &coverage);
	return error ? error : batch_add_name(batch, &name);
}

static void fill(struct batch *batch, int day)
{
	batch_clear(batch);
	assert_int_equal(add_flows(batch, day), 0);
	assert_int_equal(add_others(batch, day), 0);
}

/* The run. */

static void expect_passing(const struct store_fixture *fixture)
{
	if (fixture->error.class != STORE_RETRY && fixture->error.class != STORE_FULL)
		fail_msg("class %d: %s", fixture->error.class, fixture->error.text);
}

static void begin(struct store_fixture *fixture)
{
	struct batch *before;

	for (int i = 0; store_open(&fixture->options, &fixture->store, &fixture->error) < 0; i++) {
		assert_true(i < TRIES);
		expect_passing(fixture);
		fixture->store = NULL;
	}
	for (int i = 0; store_resume(fixture->store, &before, &fixture->error) < 0; i++) {
		assert_true(i < TRIES);
		expect_passing(fixture);
	}
	batch_free(before);
}

static void write_day(struct store_fixture *fixture, int day)
{
	int more = 1;

	fault_alloc_pause(true);
	fill(fixture->batch, day);
	fault_alloc_pause(false);
	for (int i = 0; store_write(fixture->store, fixture->batch, &fixture->error) < 0; i++) {
		assert_true(i < TRIES);
		expect_passing(fixture);
	}
	if (store_heartbeat(fixture->store, day_us(day), &fixture->error) < 0)
		expect_passing(fixture);
	for (int i = 0; i < SLICES && more > 0; i++)
		more = store_maintain(fixture->store, day_us(day), &fixture->error);
	if (more < 0)
		expect_passing(fixture);
}

static void run(struct store_fixture *fixture)
{
	begin(fixture);
	for (int day = 0; day < BATCHES; day++) {
		write_day(fixture, day);
		if (day == BATCHES / 2) {
			store_fixture_close(fixture);
			begin(fixture);
		}
	}
	store_fixture_close(fixture);
}

/* The end of it, without faults: what was put off is done. */
static void finish(struct store_fixture *fixture)
{
	int more = 1;

	fault_alloc_fail(0, 0);
	begin(fixture);
	while (more > 0)
		more = store_maintain(fixture->store, day_us(BATCHES - 1), &fixture->error);
	assert_int_equal(more, 0);
	store_fixture_close(fixture);
}

static void tell(const struct store_fixture *fixture, char text[static TEXT_SIZE])
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%zu: %s\n", i,
			store_fixture_sql(fixture, questions[i]));
	assert_true(used < TEXT_SIZE);
}

static void start_anew(struct store_fixture *fixture)
{
	static const char *const extra[] = {"", "-wal", "-shm", ".lock"};
	char path[128];

	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", fixture->path, extra[i]);
		remove(path);
	}
	fixture->options.retention =
		(struct store_retention){.flow_age_us = KEEP_DAYS * DAY_US, .at_once = true};
}

static void fail_everywhere(struct store_fixture *fixture, uint64_t in_a_row)
{
	char expected[TEXT_SIZE], found[TEXT_SIZE];
	uint64_t calls, step;

	start_anew(fixture);
	fault_alloc_fail(0, 0);
	run(fixture);
	calls = fault_alloc_calls();
	finish(fixture);
	tell(fixture, expected);
	step = calls / steps + 1;
	for (uint64_t nth = 1 + seed % step; nth <= calls; nth += step) {
		start_anew(fixture);
		fault_alloc_fail(nth, in_a_row);
		run(fixture);
		finish(fixture);
		tell(fixture, found);
		if (strcmp(found, expected) != 0)
			fail_msg("seed %llu, allocation %llu of %llu:\n%s\nnot\n%s",
				(unsigned long long)seed, (unsigned long long)nth,
				(unsigned long long)calls, found, expected);
	}
}

static void one_allocation_that_fails_changes_nothing(void **state)
{
	fail_everywhere(*state, 1);
}

static void a_moment_without_memory_changes_nothing(void **state)
{
	fail_everywhere(*state, TRIES - 1);
}

static void a_batch_that_cannot_grow_says_so_and_stays_as_it_was(void **state)
{
	struct store_fixture *fixture = *state;
	uint64_t calls;
	size_t count;

	fault_alloc_fail(0, 0);
	fill(fixture->batch, 0);
	count = batch_count(fixture->batch);
	fault_alloc_fail(0, 0);
	batch_free(fixture->batch);
	assert_int_equal(batch_new(5000, &fixture->batch), 0);
	fill(fixture->batch, 0);
	calls = fault_alloc_calls();
	for (uint64_t nth = 1; nth <= calls; nth++) {
		struct batch *batch = NULL;
		int error;

		fault_alloc_fail(nth, 1);
		error = batch_new(5000, &batch);
		if (!error)
			error = add_flows(batch, 0);
		if (!error)
			error = add_others(batch, 0);
		assert_int_equal(error, -ENOMEM);
		if (batch) {
			batch_clear(batch);
			fill(batch, 0);
			assert_int_equal(batch_count(batch), count);
		}
		batch_free(batch);
	}
	fault_alloc_fail(0, 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_allocation_that_fails_changes_nothing),
		TEST(a_moment_without_memory_changes_nothing),
		TEST(a_batch_that_cannot_grow_says_so_and_stays_as_it_was),
	};

	seed = store_fixture_setting("LASTCONN_SEED", (uint64_t)time(NULL));
	steps = store_fixture_setting("LASTCONN_STEPS", STEPS);
	print_message("LASTCONN_SEED=%llu\n", (unsigned long long)seed);
	fault_alloc_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

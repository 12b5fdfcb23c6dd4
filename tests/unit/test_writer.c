/* The writer's thread with a real store: order, memory limit, a database that is locked or broken.
 * Logging is off; what is waited for has a deadline, nothing sleeps for a fixed time. */
#include "daemon/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "../support/history_temp.h"
#include "util/clock.h"
#include "util/log.h"

#define PATIENCE_NS ((int64_t)20 * NS_PER_S)
#define COUNT_FLOWS "SELECT count(*) FROM flow"

struct fixture {
	struct history_temp history;
	struct writer *writer;
	atomic_int failed;
};

static void count_failure(void *ctx)
{
	struct fixture *fixture = ctx;

	fixture->failed++;
}

static void start(struct fixture *fixture, uint64_t queue_octets)
{
	struct writer_options options = {
		.queue_octets = queue_octets,
		.failed = count_failure,
		.ctx = fixture,
	};

	memset(fixture, 0, sizeof(*fixture));
	log_init("test_writer", LOG_LEVEL_ERROR);
	log_set_level((enum log_level)0);
	assert_int_equal(history_temp_open(&fixture->history), 0);
	options.store = fixture->history.store;
	assert_int_equal(writer_new(&options, &fixture->writer), 0);
}

static uint64_t stop(struct fixture *fixture, int64_t timeout_ns)
{
	uint64_t lost = 0;

	assert_int_equal(writer_stop(fixture->writer, timeout_ns, &lost), 0);
	writer_free(fixture->writer);
	store_close(fixture->history.store);
	return lost;
}

/* A batch with count flows that ended at end_us, end_us + 1, ... */
static struct batch *make_batch(struct fixture *fixture, int64_t end_us, int count)
{
	struct flow_record record = {
		.key.protocol = 6,
		.key.remote_port = 443,
		.key.local_port = 40000,
		.serial = 1,
		.kind = FLOW_RECORD_END,
		.outcome = FLOW_OUTCOME_CLOSED,
	};
	struct batch *batch;

	assert_int_equal(writer_take(fixture->writer, &batch), 0);
	for (int i = 0; i < count; i++) {
		record.key.remote = addr_from_v4("\xc0\x00\x02\x01");
		record.key.local = addr_from_v4("\x0a\x00\x00\x01");
		record.start_us = end_us + i;
		record.end_us = end_us + i;
		assert_int_equal(batch_add_flow(batch, &record), 0);
	}
	return batch;
}

static void wait_for(struct fixture *fixture, enum writer_state state)
{
	int64_t deadline_ns = clock_boottime_ns() + PATIENCE_NS;
	struct writer_counters counters;

	do {
		writer_counters(fixture->writer, &counters);
		usleep(1000);
	} while (counters.state != state && clock_boottime_ns() < deadline_ns);
	assert_int_equal(counters.state, state);
}

static void wait_until_empty(struct fixture *fixture)
{
	int64_t deadline_ns = clock_boottime_ns() + PATIENCE_NS;
	struct writer_counters counters;

	do {
		writer_counters(fixture->writer, &counters);
		usleep(1000);
	} while (counters.queue_octets > 0 && clock_boottime_ns() < deadline_ns);
	assert_int_equal(counters.queue_octets, 0);
}

static void what_is_put_is_in_the_database_after_stop(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, 64 << 20);
	for (int i = 0; i < 10; i++)
		assert_int_equal(
			writer_put(fixture.writer, make_batch(&fixture, 1000 * (i + 1), 100)), 0);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 1000);
	assert_int_equal(fixture.failed, 0);
	history_temp_remove(&fixture.history);
}

static void a_locked_database_delays_and_loses_nothing(void **state)
{
	struct fixture fixture;
	struct writer_counters counters;

	(void)state;
	start(&fixture, 64 << 20);
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			writer_put(fixture.writer, make_batch(&fixture, 1000 * (i + 1), 10)), 0);
	wait_for(&fixture, WRITER_RETRYING);
	assert_true(writer_is_alive(fixture.writer, 10000));
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	wait_for(&fixture, WRITER_FINE);
	wait_until_empty(&fixture);
	writer_counters(fixture.writer, &counters);
	assert_int_equal(counters.store.flows, 30);
	assert_true(counters.store.retries > 0);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 30);
	history_temp_remove(&fixture.history);
}

static void past_the_memory_limit_the_caller_keeps_the_batch(void **state)
{
	struct fixture fixture;
	struct writer_counters counters;
	struct batch *second;

	(void)state;
	start(&fixture, 1);
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 10)), 0);
	second = make_batch(&fixture, 2000, 10);
	assert_int_equal(writer_put(fixture.writer, second), -ENOBUFS);
	assert_int_equal(batch_count(second), 10);
	writer_counters(fixture.writer, &counters);
	assert_int_equal(counters.refused, 1);
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	assert_int_equal(writer_put_wait(fixture.writer, second), 0);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 20);
	history_temp_remove(&fixture.history);
}

static void the_last_batch_goes_past_the_limit(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, 1);
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 10)), 0);
	assert_int_equal(writer_put_last(fixture.writer, make_batch(&fixture, 2000, 10)), 0);
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 20);
	history_temp_remove(&fixture.history);
}

static void stop_gives_up_in_time_and_counts_what_is_lost(void **state)
{
	struct fixture fixture;

	(void)state;
	start(&fixture, 64 << 20);
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 10)), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 2000, 7)), 0);
	assert_int_equal(stop(&fixture, (int64_t)100 * NS_PER_MS), 17);
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 0);
	history_temp_remove(&fixture.history);
}

static void an_error_that_will_not_pass_ends_the_writer_once(void **state)
{
	struct fixture fixture;
	struct batch *batch;

	(void)state;
	start(&fixture, 64 << 20);
	assert_int_equal(history_temp_exec(&fixture.history, "DROP TABLE flow"), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 10)), 0);
	wait_for(&fixture, WRITER_FAILED);
	batch = make_batch(&fixture, 2000, 1);
	assert_int_equal(writer_put(fixture.writer, batch), -EIO);
	assert_int_equal(writer_put_wait(fixture.writer, batch), -EIO);
	batch_free(batch);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 10);
	assert_int_equal(fixture.failed, 1);
	history_temp_remove(&fixture.history);
}

/* When the run ended, as the history has it, less at_us. */
static int64_t end_after(struct fixture *fixture, int64_t at_us)
{
	return history_temp_number(&fixture->history, "SELECT end_us FROM run") - at_us;
}

static void the_run_ends_with_what_was_marked_as_seen(void **state)
{
	int64_t seen_us = clock_realtime_us() + 3 * US_PER_S;
	struct fixture fixture;

	(void)state;
	start(&fixture, 1 << 20);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 3)), 0);
	writer_mark(fixture.writer, seen_us);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	assert_int_equal(end_after(&fixture, seen_us), 0);
	history_temp_remove(&fixture.history);
}

static void what_was_seen_and_not_written_lies_behind_the_end_of_the_run(void **state)
{
	int64_t seen_us = clock_realtime_us();
	struct fixture fixture;
	uint64_t lost;

	(void)state;
	start(&fixture, 1 << 20);
	seen_us += PATIENCE_NS / NS_PER_US;
	assert_int_equal(history_temp_exec(&fixture.history, "BEGIN IMMEDIATE"), 0);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 3)), 0);
	writer_mark(fixture.writer, seen_us);
	wait_for(&fixture, WRITER_RETRYING);
	assert_int_equal(writer_stop(fixture.writer, 0, &lost), 0);
	assert_int_equal(lost, 3);
	assert_int_equal(history_temp_exec(&fixture.history, "ROLLBACK"), 0);
	writer_free(fixture.writer);
	store_close(fixture.history.store);
	assert_true(end_after(&fixture, seen_us) < 0);
	history_temp_remove(&fixture.history);
}

static void what_is_due_is_forgotten_without_a_batch(void **state)
{
	const struct store_retention retention = {.flow_age_us = 1, .at_once = true};
	int64_t deadline_ns = clock_boottime_ns() + PATIENCE_NS;
	struct fixture fixture;

	(void)state;
	start(&fixture, 64 << 20);
	assert_int_equal(writer_put(fixture.writer, make_batch(&fixture, 1000, 300)), 0);
	wait_until_empty(&fixture);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 300);
	writer_set_limits(fixture.writer, 64 << 20, retention);
	while (history_temp_number(&fixture.history, COUNT_FLOWS) > 0 &&
		clock_boottime_ns() < deadline_ns)
		usleep(10000);
	assert_int_equal(history_temp_number(&fixture.history, COUNT_FLOWS), 0);
	assert_int_equal(stop(&fixture, PATIENCE_NS), 0);
	history_temp_remove(&fixture.history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_in_the_database_after_stop),
		cmocka_unit_test(a_locked_database_delays_and_loses_nothing),
		cmocka_unit_test(past_the_memory_limit_the_caller_keeps_the_batch),
		cmocka_unit_test(the_last_batch_goes_past_the_limit),
		cmocka_unit_test(stop_gives_up_in_time_and_counts_what_is_lost),
		cmocka_unit_test(an_error_that_will_not_pass_ends_the_writer_once),
		cmocka_unit_test(the_run_ends_with_what_was_marked_as_seen),
		cmocka_unit_test(what_is_due_is_forgotten_without_a_batch),
		cmocka_unit_test(what_was_seen_and_not_written_lies_behind_the_end_of_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

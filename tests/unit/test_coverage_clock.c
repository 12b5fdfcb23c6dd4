/* Clock steps and suspends, told from pairs of readings. */
#include "daemon/coverage_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "util/clock.h"

#define OFFSET_S 1700000000

struct fixture {
	struct coverage_clock clock;
	struct coverage_clock_reading reading;
	struct clock_step step;
	struct coverage_record records[COVERAGE_CLOCK_RECORDS];
};

static struct fixture begin(void)
{
	struct fixture fixture = {
		.reading.boottime_ns = 100 * (int64_t)NS_PER_S,
		.reading.wall_offset_ns = OFFSET_S * (int64_t)NS_PER_S,
		.reading.asleep_ns = 7 * (int64_t)NS_PER_S,
	};

	assert_int_equal(coverage_clock_read(
				 &fixture.clock, &fixture.reading, &fixture.step, fixture.records),
		0);
	return fixture;
}

/* The next reading, that many ms later on each clock. */
static size_t after(struct fixture *fixture, int64_t passed_ms, int64_t step_ms, int64_t slept_ms)
{
	fixture->reading.boottime_ns += (passed_ms + slept_ms) * NS_PER_MS;
	fixture->reading.wall_offset_ns += step_ms * NS_PER_MS;
	fixture->reading.asleep_ns += slept_ms * NS_PER_MS;
	return coverage_clock_read(
		&fixture->clock, &fixture->reading, &fixture->step, fixture->records);
}

static void clocks_that_run_together_make_no_record(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	for (int i = 0; i < 100000; i++) /* as disturbed readings tell it */
		assert_int_equal(after(&fixture, 1000, i % 2 ? 1 : -1, 0), 0);
	assert_int_equal(fixture.clock.last.wall_offset_ns, OFFSET_S * (int64_t)NS_PER_S);
	assert_int_equal(after(&fixture, 3600000, 0, 0), 0); /* stopped for an hour */
	assert_int_equal(after(&fixture, 1000, 1000, 0), 0);
	assert_int_equal(after(&fixture, 1000, -1000, 0), 0);
	assert_int_equal(fixture.step.us, 0);
	assert_int_equal(after(&fixture, 1000, 20, 0), 0);
	assert_int_equal(fixture.clock.last.wall_offset_ns,
		OFFSET_S * (int64_t)NS_PER_S + 20 * (int64_t)NS_PER_MS);
}

static void a_step_forward_covers_what_the_clock_left_out(void **state)
{
	struct fixture fixture = begin();
	const struct coverage_record *step = &fixture.records[0];

	(void)state;
	assert_int_equal(after(&fixture, 1000, 3600500, 0), 1);
	assert_int_equal(step->what, COVERAGE_CLOCK_STEP);
	assert_string_equal(step->detail, "forward");
	assert_int_equal(step->count, 3600500);
	assert_int_equal(step->from_us, (OFFSET_S + 100) * (int64_t)US_PER_S);
	assert_int_equal(step->until_us, (OFFSET_S + 101) * (int64_t)US_PER_S + 3600500000);
	assert_int_equal(fixture.step.us, 3600500000);
	assert_int_equal(fixture.step.at_us, 101 * (int64_t)US_PER_S);
	assert_false(fixture.step.corrects);
	assert_int_equal(after(&fixture, 1000, 0, 0), 0); /* told once */
	assert_int_equal(fixture.step.us, 0);
}

static void a_step_backward_covers_the_time_that_comes_twice(void **state)
{
	struct fixture fixture = begin();
	const struct coverage_record *step = &fixture.records[0];

	(void)state;
	assert_int_equal(after(&fixture, 1000, -60000, 0), 1);
	assert_string_equal(step->detail, "backward");
	assert_int_equal(step->count, 60000);
	assert_int_equal(step->from_us, (OFFSET_S + 40) * (int64_t)US_PER_S);
	assert_int_equal(step->until_us, (OFFSET_S + 101) * (int64_t)US_PER_S);
}

static void a_step_that_corrects_leaves_its_own_second_in_doubt(void **state)
{
	struct fixture fixture = begin();
	const struct coverage_record *step = &fixture.records[0];

	(void)state;
	fixture.clock.bounds.built_us = (OFFSET_S + 3600) * (int64_t)US_PER_S;
	assert_int_equal(after(&fixture, 1000, 86400000, 0), 1);
	assert_true(fixture.step.corrects);
	assert_int_equal(step->count, 86400000);
	assert_int_equal(step->from_us, (OFFSET_S + 86400 + 100) * (int64_t)US_PER_S);
	assert_int_equal(step->until_us, (OFFSET_S + 86400 + 101) * (int64_t)US_PER_S);
	assert_string_equal(step->detail, "forward; the times from before it were corrected");
}

static void a_step_of_years_leaves_the_history_between_alone(void **state)
{
	const int64_t years_ms = 40 * INT64_C(31557600000);
	struct fixture fixture = begin();
	const struct coverage_record *step = &fixture.records[0];

	(void)state;
	assert_int_equal(after(&fixture, 1000, years_ms, 0), 1);
	assert_int_equal(step->until_us - step->from_us, US_PER_S);
	assert_int_equal(after(&fixture, 1000, -years_ms, 0), 1);
	assert_int_equal(step->from_us, (OFFSET_S + 101) * (int64_t)US_PER_S);
	assert_int_equal(step->until_us, (OFFSET_S + 102) * (int64_t)US_PER_S);
	assert_string_equal(step->detail, "backward");
}

static void a_clock_from_before_the_program_was_built_is_wrong(void **state)
{
	struct fixture fixture = begin();
	struct coverage_record record;

	(void)state;
	assert_false(coverage_clock_is_wrong(&fixture.clock, &record));
	fixture.clock.bounds.newest_us = INT64_MAX;
	assert_false(coverage_clock_is_wrong(&fixture.clock, &record));
	fixture.clock.bounds.built_us = (OFFSET_S + 101) * (int64_t)US_PER_S;
	assert_true(coverage_clock_is_wrong(&fixture.clock, &record));
	assert_int_equal(record.from_us, (OFFSET_S + 100) * (int64_t)US_PER_S);
	assert_int_equal(record.until_us, 0);
	assert_int_equal(record.count, 0);
}

static void a_suspend_is_told_from_a_daemon_that_was_stopped(void **state)
{
	struct fixture fixture = begin();
	const struct coverage_record *suspend = &fixture.records[0];

	(void)state;
	assert_int_equal(after(&fixture, 30000, 0, 900), 0);
	assert_int_equal(after(&fixture, 1000, 0, 7200000), 1);
	assert_int_equal(suspend->what, COVERAGE_SUSPEND);
	assert_int_equal(suspend->count, 7200000);
	assert_int_equal(suspend->until_us - suspend->from_us, 7201 * (int64_t)US_PER_S);
	assert_int_equal(suspend->until_us,
		(fixture.reading.boottime_ns + fixture.reading.wall_offset_ns) / NS_PER_US);
}

static void a_clock_set_during_a_suspend_makes_both_records(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	assert_int_equal(after(&fixture, 1000, 5000, 60000), 2);
	assert_int_equal(fixture.records[0].what, COVERAGE_CLOCK_STEP);
	assert_int_equal(fixture.records[1].what, COVERAGE_SUSPEND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_that_run_together_make_no_record),
		cmocka_unit_test(a_step_forward_covers_what_the_clock_left_out),
		cmocka_unit_test(a_step_backward_covers_the_time_that_comes_twice),
		cmocka_unit_test(a_step_that_corrects_leaves_its_own_second_in_doubt),
		cmocka_unit_test(a_step_of_years_leaves_the_history_between_alone),
		cmocka_unit_test(a_clock_from_before_the_program_was_built_is_wrong),
		cmocka_unit_test(a_suspend_is_told_from_a_daemon_that_was_stopped),
		cmocka_unit_test(a_clock_set_during_a_suspend_makes_both_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

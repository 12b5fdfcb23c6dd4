/* Which steps of the wall clock correct what was recorded before them. */
#include "flow/clock_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define BUILT  (20000 * DAY)
#define NEWEST (20100 * DAY)
#define LATE   (3 * DAY) /* since the boot */

static const struct clock_bounds bounds = {.built_us = BUILT, .newest_us = NEWEST};

static bool corrects(int64_t at_us, int64_t before_us, int64_t after_us)
{
	struct clock_step step = clock_step_of(&bounds, at_us, before_us, after_us);

	assert_int_equal(step.us, after_us - before_us);
	assert_int_equal(step.at_us, at_us);
	return step.corrects;
}

static void what_is_below_a_second_is_no_step(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		assert_int_equal(
			clock_step_of(&bounds, LATE, NEWEST, NEWEST + sign * SECOND).us, 0);
		assert_int_not_equal(
			clock_step_of(&bounds, LATE, NEWEST, NEWEST + sign * (SECOND + 1)).us, 0);
	}
}

static void an_ordinary_step_corrects_nothing(void **state)
{
	(void)state;
	assert_false(corrects(LATE, NEWEST + DAY, NEWEST + DAY + HOUR));
	assert_false(corrects(LATE, NEWEST + DAY, NEWEST + DAY - HOUR));
	assert_false(corrects(LATE, NEWEST + DAY, 5 * DAY)); /* to a clock that is wrong */
}

static void a_clock_from_before_the_program_was_built_is_corrected(void **state)
{
	(void)state;
	assert_true(corrects(LATE, 10 * SECOND, NEWEST + DAY));
	assert_true(corrects(LATE, BUILT - 1, NEWEST + DAY));
	assert_true(
		corrects(LATE, 10 * SECOND, 10 * DAY)); /* stays in one piece until it is right */
	assert_true(corrects(LATE, 10 * SECOND, BUILT + HOUR));
}

static void a_clock_behind_the_history_is_corrected_by_one_that_is_not(void **state)
{
	(void)state;
	assert_true(corrects(LATE, NEWEST - DAY, NEWEST + HOUR));
	assert_false(corrects(LATE, NEWEST - 3 * DAY, NEWEST - 2 * DAY)); /* the history is ahead */
}

static void a_clock_that_is_set_soon_after_the_boot_is_corrected(void **state)
{
	(void)state;
	assert_true(corrects(HOUR - 1, NEWEST + SECOND, NEWEST + 8 * HOUR));
	assert_true(corrects(HOUR - 1, NEWEST + 8 * HOUR, NEWEST + SECOND));
	assert_false(corrects(HOUR, NEWEST + SECOND, NEWEST + 8 * HOUR));
	assert_false(corrects(HOUR - 1, NEWEST + SECOND, NEWEST - SECOND));
}

static void without_a_build_date_nothing_is_corrected(void **state)
{
	const struct clock_bounds none = {.newest_us = NEWEST};

	(void)state;
	assert_false(clock_step_of(&none, 1, 10 * SECOND, NEWEST + DAY).corrects);
	assert_false(clock_is_behind(&none, 10 * SECOND));
}

static void two_steps_are_one_of_the_first_ones_time(void **state)
{
	struct clock_step step = {0};
	const struct clock_step first = {.us = 5 * DAY, .at_us = HOUR, .corrects = true};
	const struct clock_step second = {.us = -DAY, .at_us = 2 * HOUR};

	(void)state;
	clock_step_add(&step, &first);
	clock_step_add(&step, &second);
	assert_int_equal(step.us, 4 * DAY);
	assert_int_equal(step.at_us, HOUR);
	assert_true(step.corrects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_below_a_second_is_no_step),
		cmocka_unit_test(an_ordinary_step_corrects_nothing),
		cmocka_unit_test(a_clock_from_before_the_program_was_built_is_corrected),
		cmocka_unit_test(a_clock_behind_the_history_is_corrected_by_one_that_is_not),
		cmocka_unit_test(a_clock_that_is_set_soon_after_the_boot_is_corrected),
		cmocka_unit_test(without_a_build_date_nothing_is_corrected),
		cmocka_unit_test(two_steps_are_one_of_the_first_ones_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Times and durations as people write them. */
#include "util/time_parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define S INT64_C(1000000)

/* 2026-11-23 12:34:56.5 UTC, a Monday. */
static const int64_t now_us = INT64_C(1795437296) * S + S / 2;
static const int64_t midnight_us = INT64_C(1795392000) * S;

static int64_t utc(const char *text)
{
	int64_t time_us = -1;

	assert_int_equal(time_parse(text, now_us, true, &time_us), 0);
	return time_us;
}

static int64_t local(const char *zone, const char *text)
{
	int64_t time_us = -1;

	setenv("TZ", zone, 1);
	tzset();
	assert_int_equal(time_parse(text, now_us, false, &time_us), 0);
	return time_us;
}

static void words_and_dates_are_the_first_moment_of_the_day(void **state)
{
	(void)state;
	assert_int_equal(utc("now"), now_us);
	assert_int_equal(utc("today"), midnight_us);
	assert_int_equal(utc("yesterday"), midnight_us - 86400 * S);
	assert_int_equal(utc("2026-11-23"), midnight_us);
	assert_int_equal(utc("2026-11-20"), midnight_us - 3 * 86400 * S);
	assert_int_equal(utc("2024-02-29"), INT64_C(1709164800) * S);
}

static void clocks_may_have_seconds_fractions_and_zones(void **state)
{
	const int64_t half_past_two = midnight_us + (14 * 3600 + 30 * 60) * S;

	(void)state;
	assert_int_equal(utc("14:30"), half_past_two);
	assert_int_equal(utc("2026-11-23 14:30"), half_past_two);
	assert_int_equal(utc("2026-11-23T14:30:05"), half_past_two + 5 * S);
	assert_int_equal(utc("2026-11-23T14:30:05.123456789"), half_past_two + 5 * S + 123456);
	assert_int_equal(utc("2026-11-23T14:30:05,5Z"), half_past_two + 5 * S + S / 2);
	assert_int_equal(utc("2026-11-23T15:30:00+01:00"), half_past_two);
	assert_int_equal(utc("2026-11-23T15:30:00+0100"), half_past_two);
	assert_int_equal(utc("2026-11-23 15:30 +01"), half_past_two);
	assert_int_equal(utc("2026-11-23T05:00-0930"), half_past_two);
}

static void what_has_no_zone_is_local(void **state)
{
	(void)state;
	assert_int_equal(local("Asia/Tokyo", "2026-11-23"), midnight_us - 9 * 3600 * S);
	assert_int_equal(local("Asia/Tokyo", "2026-11-23T00:00Z"), midnight_us);
	assert_int_equal(local("Europe/Berlin", "2026-07-01 12:00"), INT64_C(1782900000) * S);
	assert_int_equal(local("Europe/Berlin", "2026-12-01 12:00"), INT64_C(1796122800) * S);
	assert_int_equal(local("UTC", "2026-11-23"), midnight_us);
}

static void durations_go_back_from_now(void **state)
{
	(void)state;
	assert_int_equal(utc("2h"), now_us - 7200 * S);
	assert_int_equal(utc("-2h"), now_us - 7200 * S);
	assert_int_equal(utc("90m ago"), now_us - 5400 * S);
	assert_int_equal(utc("1h30m"), now_us - 5400 * S);
	assert_int_equal(utc("@1795437296.25"), now_us - S / 4);
	assert_int_equal(utc("@0"), 0);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {"", " ", "x", "tomorrow", "2026", "2026-11", "2026-13-01",
		"2026-00-01", "2026-02-29", "2026-11-31", "2026-11-23T", "2026-11-23T24:00",
		"2026-11-23T10:60", "2026-11-23T10:00:61", "2026-11-23T10:00:00.",
		"2026-11-23T10:00:00+25:00", "2026-11-23T10:00 x", "2026-11-23x", "10", "10:5",
		"25:00", "2 h", "2h ", "h", "-", "--2h", "@", "@x", "@1.", "@9999999999999",
		"99999999w", "12345678901234567890123456789012345678901234567890h"};
	int64_t time_us = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse(bad[i], now_us, true, &time_us) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(time_us, 7);
}

static void a_span_is_a_day_or_ends_now(void **state)
{
	int64_t from_us, until_us;

	(void)state;
	assert_int_equal(time_parse_span("yesterday", now_us, true, &from_us, &until_us), 0);
	assert_int_equal(from_us, midnight_us - 86400 * S);
	assert_int_equal(until_us, midnight_us);
	assert_int_equal(time_parse_span("2h", now_us, true, &from_us, &until_us), 0);
	assert_int_equal(from_us, now_us - 7200 * S);
	assert_int_equal(until_us, now_us);
	assert_int_equal(time_parse_span("12:30", now_us, true, &from_us, &until_us), -EINVAL);
	assert_int_equal(time_parse_span("", now_us, true, &from_us, &until_us), -EINVAL);
}

static void a_day_on_which_the_clocks_change_is_whole(void **state)
{
	int64_t from_us, until_us;

	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	assert_int_equal(time_parse_span("2026-10-25", now_us, false, &from_us, &until_us), 0);
	assert_int_equal(until_us - from_us, 25 * 3600 * S);
	assert_int_equal(time_parse_span("2026-03-29", now_us, false, &from_us, &until_us), 0);
	assert_int_equal(until_us - from_us, 23 * 3600 * S);
}

static void durations_need_a_unit(void **state)
{
	static const char *const bad[] = {
		"", "5", "s", "1.5s", "-5s", "5 s", "5x", "5s5", "99999999w", "123456789s"};
	int64_t us = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse_duration(bad[i], &us) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(us, 7);
	assert_int_equal(time_parse_duration("500ms", &us), 0);
	assert_int_equal(us, S / 2);
	assert_int_equal(time_parse_duration("1w2d3h4m5s", &us), 0);
	assert_int_equal(us, (((9 * 24 + 3) * 60 + 4) * 60 + 5) * S);
	assert_int_equal(time_parse_duration("2min", &us), 0);
	assert_int_equal(us, 120 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_dates_are_the_first_moment_of_the_day),
		cmocka_unit_test(clocks_may_have_seconds_fractions_and_zones),
		cmocka_unit_test(what_has_no_zone_is_local),
		cmocka_unit_test(durations_go_back_from_now),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(a_span_is_a_day_or_ends_now),
		cmocka_unit_test(a_day_on_which_the_clocks_change_is_whole),
		cmocka_unit_test(durations_need_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

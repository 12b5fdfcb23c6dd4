/* Numbers, sizes and durations: what is taken and what is refused. */
#include "util/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "util/clock.h"

static void plain_numbers_are_read(void **state)
{
	uint64_t value = 1;

	(void)state;
	assert_int_equal(parse_uint("0", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(parse_uint("65536", &value), 0);
	assert_int_equal(value, 65536);
	assert_int_equal(parse_uint("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
}

static void what_is_not_digits_is_refused_and_leaves_the_output(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "0x10", "1e3", "1.5", "abc", "12abc", "\xef\xbc\x91"};
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_uint(bad[i], &value), -EINVAL);
	assert_int_equal(parse_uint("18446744073709551616", &value), -ERANGE);
	assert_int_equal(parse_uint("99999999999999999999999", &value), -ERANGE);
	assert_int_equal(value, 77);
}

static void sizes_have_units_of_1024(void **state)
{
	uint64_t octets = 0;

	(void)state;
	assert_int_equal(parse_size("4096", &octets), 0);
	assert_int_equal(octets, 4096);
	assert_int_equal(parse_size("64K", &octets), 0);
	assert_int_equal(octets, 65536);
	assert_int_equal(parse_size("8M", &octets), 0);
	assert_int_equal(octets, 8388608);
	assert_int_equal(parse_size("1G", &octets), 0);
	assert_int_equal(octets, 1073741824);
}

static void wrong_sizes_are_refused(void **state)
{
	static const char *const bad[] = {"", "K", "1k", "1T", "1 K", "1KB", "1.5M", "-1M", "M1"};
	uint64_t octets = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_size(bad[i], &octets), -EINVAL);
	assert_int_equal(parse_size("17179869184G", &octets), -ERANGE);
	assert_int_equal(octets, 77);
}

static void durations_have_units_from_ms_to_days(void **state)
{
	int64_t ns = 1;

	(void)state;
	assert_int_equal(parse_duration("500ms", &ns), 0);
	assert_int_equal(ns, 500ll * NS_PER_MS);
	assert_int_equal(parse_duration("5s", &ns), 0);
	assert_int_equal(ns, 5ll * NS_PER_S);
	assert_int_equal(parse_duration("2m", &ns), 0);
	assert_int_equal(ns, 120ll * NS_PER_S);
	assert_int_equal(parse_duration("1h", &ns), 0);
	assert_int_equal(ns, 3600ll * NS_PER_S);
	assert_int_equal(parse_duration("7d", &ns), 0);
	assert_int_equal(ns, 7 * 86400ll * NS_PER_S);
	assert_int_equal(parse_duration("0", &ns), 0);
	assert_int_equal(ns, 0);
}

static void a_duration_without_unit_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "5", "5 s", "s", "5sec", "5S", "-5s", "1.5h", "1h30m"};
	int64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_duration(bad[i], &ns), -EINVAL);
	assert_int_equal(parse_duration("9223372037s", &ns), -ERANGE);
	assert_int_equal(parse_duration("9999999999999d", &ns), -ERANGE);
	assert_int_equal(ns, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_numbers_are_read),
		cmocka_unit_test(what_is_not_digits_is_refused_and_leaves_the_output),
		cmocka_unit_test(sizes_have_units_of_1024),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(durations_have_units_from_ms_to_days),
		cmocka_unit_test(a_duration_without_unit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

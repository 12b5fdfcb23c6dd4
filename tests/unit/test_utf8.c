/* Text of strangers: only RFC 3629 passes, the rest becomes visible and harmless. */
#include "util/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void sequences_of_each_length_are_known(void **state)
{
	(void)state;
	assert_int_equal(utf8_sequence("a", 1), 1);
	assert_int_equal(utf8_sequence("\xc3\xa4", 2), 2);
	assert_int_equal(utf8_sequence("\xe2\x82\xac", 3), 3);
	assert_int_equal(utf8_sequence("\xf0\x9f\x98\x80", 4), 4);
}

static void malformed_sequences_are_refused(void **state)
{
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc3", "\xc3(",
		"\xe0\x80\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x80\x80\xaf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"};

	(void)state;
	assert_int_equal(utf8_sequence("", 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(utf8_sequence(bad[i], strlen(bad[i])), 0);
}

static void bad_octets_and_nul_become_visible(void **state)
{
	char dst[64];

	(void)state;
	assert_int_equal(utf8_sanitize(dst, sizeof(dst), "a\0b\xff\xc3\xa4", 6), 12);
	assert_string_equal(dst, "a\\x00b\\xff\xc3\xa4");
}

static void it_is_cut_at_a_whole_character(void **state)
{
	char dst[5];

	(void)state;
	assert_int_equal(utf8_sanitize(dst, sizeof(dst), "abc\xc3\xa4", 5), 3);
	assert_string_equal(dst, "abc");
	assert_int_equal(utf8_sanitize(dst, sizeof(dst), "abcdef", 6), 4);
	assert_string_equal(dst, "abcd");
	assert_int_equal(utf8_sanitize(dst, 1, "abc", 3), 0);
	assert_string_equal(dst, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_of_each_length_are_known),
		cmocka_unit_test(malformed_sequences_are_refused),
		cmocka_unit_test(bad_octets_and_nul_become_visible),
		cmocka_unit_test(it_is_cut_at_a_whole_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

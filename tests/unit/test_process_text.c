/* Paths and command lines as the kernel keeps them become text that can be stored. */
#include "process/process_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PATH(octets)    (process_text_path(text, sizeof(text), octets, sizeof(octets) - 1), text)
#define CMDLINE(octets) (process_text_cmdline(text, sizeof(text), octets, sizeof(octets) - 1), text)

static char text[64];

static void components_are_joined_from_the_root(void **state)
{
	(void)state;
	assert_string_equal(PATH("curl\0bin\0usr\0"), "/usr/bin/curl");
	assert_string_equal(PATH("init\0"), "/init");
	assert_string_equal(PATH(""), "/");
	assert_string_equal(PATH("cut\0off"), "/off/cut");
}

static void a_memfd_hangs_in_no_tree(void **state)
{
	(void)state;
	assert_string_equal(PATH("memfd:evil\0"), "memfd:evil");
	assert_string_equal(PATH("memfd:x\0tmp\0"), "/tmp/memfd:x");
}

static void octets_that_are_no_text_are_shown_as_such(void **state)
{
	(void)state;
	assert_string_equal(PATH("a\xff"
				 "b\0tmp\0"),
		"/tmp/a\\xffb");
	assert_string_equal(CMDLINE("x\0\xc3\x28\0"), "x \\xc3(");
}

static void arguments_are_quoted_where_they_need_it(void **state)
{
	(void)state;
	assert_string_equal(CMDLINE("curl\0-s\0http://h/\0"), "curl -s http://h/");
	assert_string_equal(CMDLINE("sh\0-c\0a b\0"), "sh -c 'a b'");
	assert_string_equal(CMDLINE("x\0\0y\0"), "x '' y");
	assert_string_equal(CMDLINE("nginx: worker process\0\0\0"), "nginx: worker process");
	assert_string_equal(CMDLINE("\0\0"), "");
	assert_string_equal(CMDLINE(""), "");
}

static void what_does_not_fit_is_cut_within_the_bounds(void **state)
{
	char octets[400], small[16];

	(void)state;
	memset(octets, 'a', sizeof(octets));
	for (size_t i = 7; i < sizeof(octets); i += 8)
		octets[i] = '\0';
	for (size_t size = 1; size <= sizeof(small); size++) {
		size_t length = process_text_path(small, size, octets, sizeof(octets));

		assert_true(length < size);
		assert_int_equal(small[length], '\0');
		length = process_text_cmdline(small, size, octets, sizeof(octets));
		assert_true(length < size);
		assert_int_equal(small[length], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(components_are_joined_from_the_root),
		cmocka_unit_test(a_memfd_hangs_in_no_tree),
		cmocka_unit_test(octets_that_are_no_text_are_shown_as_such),
		cmocka_unit_test(arguments_are_quoted_where_they_need_it),
		cmocka_unit_test(what_does_not_fit_is_cut_within_the_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

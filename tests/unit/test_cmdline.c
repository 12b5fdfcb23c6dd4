/* What of arguments becomes text, in each mode. */
#include "process/cmdline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *keep(enum cmdline_mode mode, const char *arguments, size_t length)
{
	static char buf[PROCESS_CMDLINE_MAX];
	const struct process_info info = {
		.exe = "/bin/x",
		.arguments = arguments,
		.arguments_length = length,
		.cmdline = "never used",
	};
	const struct process_info kept = cmdline_keep(mode, &info, buf);

	assert_null(kept.arguments);
	assert_int_equal(kept.arguments_length, 0);
	assert_string_equal(kept.exe, "/bin/x");
	return kept.cmdline;
}

#define KEEP(mode, octets) keep(mode, octets, sizeof(octets) - 1)

static void each_mode_keeps_less_than_the_one_before(void **state)
{
	(void)state;
	assert_string_equal(KEEP(CMDLINE_FULL, "curl\0-u\0a:b c\0h\0"), "curl -u 'a:b c' h");
	assert_string_equal(KEEP(CMDLINE_MASKED, "curl\0-u\0a:b c\0h\0"), "curl -u a:*** h");
	assert_string_equal(KEEP(CMDLINE_EXE, "curl\0-u\0a:b c\0h\0"), "curl");
	assert_string_equal(KEEP(CMDLINE_NONE, "curl\0-u\0a:b c\0h\0"), "");
}

static void of_arguments_in_one_text_the_first_word_is_the_program(void **state)
{
	(void)state;
	assert_string_equal(KEEP(CMDLINE_EXE, "curl -u a:b h"), "curl");
	assert_string_equal(KEEP(CMDLINE_EXE, "nginx: worker process\0\0\0"), "nginx:");
	assert_string_equal(KEEP(CMDLINE_EXE, "my program\0-v\0"), "my program");
	assert_string_equal(KEEP(CMDLINE_EXE, "-bash\0"), "-bash");
	assert_string_equal(KEEP(CMDLINE_EXE, ""), "");
	assert_string_equal(KEEP(CMDLINE_EXE, "\0\0"), "");
}

static void what_a_source_does_not_know_is_unknown(void **state)
{
	(void)state;
	for (int mode = CMDLINE_FULL; mode <= CMDLINE_NONE; mode++)
		assert_string_equal(keep((enum cmdline_mode)mode, NULL, 0), "");
}

static void octets_that_are_no_text_are_shown_as_such(void **state)
{
	(void)state;
	assert_string_equal(KEEP(CMDLINE_MASKED, "x\0\xc3\x28\0"), "x \\xc3(");
	assert_string_equal(KEEP(CMDLINE_MASKED, "x\0--token\0\xc3\x28\0"), "x --token ***");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mode_keeps_less_than_the_one_before),
		cmocka_unit_test(of_arguments_in_one_text_the_first_word_is_the_program),
		cmocka_unit_test(what_a_source_does_not_know_is_unknown),
		cmocka_unit_test(octets_that_are_no_text_are_shown_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

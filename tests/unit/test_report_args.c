/* Values of parameters, and the language of report files. */
#include "query/report_args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report *parsed(const char *text)
{
	struct report_error error;
	struct report *report = NULL;

	if (report_new("test", "file", text, &report, &error) < 0)
		fail_msg("%s", error.text);
	return report;
}

static void the_head_says_what_a_report_takes_and_prints(void **state)
{
	struct report *report = parsed("-- Purpose.\n-- More: of it.\n--\n"
				       "-- param host: who [host required]\n"
				       "-- param by: what [a|b default=b]\n-- param x: no type\n"
				       "-- column n_octets: sent [octets wide]\n"
				       "-- column t_us \"when it was\": text: colon [time_us]\n"
				       "-- column way: way [narrow]\n"
				       "-- layout record\n\n-- param not: here\nSELECT 1\n");
	const struct report_param *by = report_param(report, "by");
	const struct report_column *octets = report_column(report, "n_octets");

	(void)state;
	assert_string_equal(report->purpose, "Purpose.");
	assert_string_equal(report->details, "More: of it.\n");
	assert_int_equal(report->params_count, 3);
	assert_true(report_param(report, "host")->required);
	assert_int_equal(report_param(report, "host")->type, REPORT_HOST);
	assert_int_equal(by->type, REPORT_CHOICE);
	assert_string_equal(by->choices, "a|b");
	assert_string_equal(by->fallback, "b");
	assert_int_equal(report_param(report, "x")->type, REPORT_TEXT);
	assert_null(report_param(report, "not"));
	assert_string_equal(octets->heading, "n");
	assert_true(octets->wide && !octets->narrow && octets->type == FORMAT_OCTETS);
	assert_string_equal(report_column(report, "t_us")->heading, "when it was");
	assert_true(report_column(report, "way")->narrow);
	assert_true(report->record);
	report_free(report);
	report_free(NULL);
}

static void expect_refused(const char *text, const char *word)
{
	struct report_error error;
	struct report *report;

	assert_int_equal(report_new("test", "file", text, &report, &error), -EINVAL);
	if (!strstr(error.text, word))
		fail_msg("'%s' is not in '%s'", word, error.text);
}

static void a_file_that_is_no_report_is_refused_with_its_line(void **state)
{
	(void)state;
	expect_refused("", "file:0:");
	expect_refused("SELECT 1", "file:1:");
	expect_refused("-- A.\n-- param x\n", "file:2: write: -- param");
	expect_refused("-- A.\n-- param x: y [z]\n", "file:2: 'z'");
	expect_refused("-- A.\n-- column x\n", "file:2: write: -- column");
	expect_refused("-- A.\n-- column x: y [z]\n", "file:2: 'z'");
	expect_refused("-- A.\nSELECT 1\n--:x 2\n", "file:3: no '-- param x:'");
	expect_refused("-- A.\n-- param x: x\n--:x,y 2\n", "file:3: no '-- param y:'");
	expect_refused("-- A.\n-- param x: x\n--:x_first 2\n", "x_first");
	expect_refused("-- A.\n-- param x: x\n--:x_loose 2\n", "x_loose");
	expect_refused("-- A.\n-- param x: x\n--:x {\n--:x {\n--}\n", "file:4: no '--}'");
	expect_refused("-- A.\n--}\n", "file:2:");
}

static bool is_a(void *ctx, const char *name)
{
	return strcmp(name, ctx) == 0;
}

static void expect_sql(const struct report *report, const char *given, const char *expected)
{
	struct strbuf sql = {0};

	report_sql(report, is_a, (void *)(uintptr_t)given, &sql);
	assert_string_equal(strstr(strbuf_text(&sql), "SELECT"), expected);
	strbuf_done(&sql);
}

static void lines_and_blocks_are_switched_by_what_is_given(void **state)
{
	struct report *report = parsed("-- A.\n-- param a: a\n-- param b: b\n-- param h: h [host]\n"
				       "SELECT 1\n--:a , 2\n--!a , 3\n--:a,b {\n, 4\n--!b , 5\n"
				       "--:b {\n, 6\n--:a , 7\n--}\n, 8\n--}\n--:h_first , 9");

	(void)state;
	expect_sql(report, "", "SELECT 1\n--:a , 2\n , 3\n\n\n\n\n\n\n\n\n--}\n--:h_first , 9");
	expect_sql(report, "a",
		"SELECT 1\n , 2\n--!a , 3\n--:a,b {\n, 4\n , 5\n\n\n\n--}\n, 8\n--}\n"
		"--:h_first , 9");
	expect_sql(report, "b",
		"SELECT 1\n--:a , 2\n , 3\n--:a,b {\n, 4\n--!b , 5\n--:b {\n, 6\n"
		"--:a , 7\n--}\n, 8\n--}\n--:h_first , 9");
	expect_sql(report, "h_first", "SELECT 1\n--:a , 2\n , 3\n\n\n\n\n\n\n\n\n--}\n , 9");
	report_free(report);
}

static const struct report_arg *set(
	struct report_args *args, enum report_type type, const char *value, const char *name)
{
	struct report_param param = {.name = (char *)(uintptr_t) "x", .type = type};
	char error[REPORT_ERROR_SIZE] = "";

	report_args_done(args);
	if (report_args_set(args, &param, value, error) < 0)
		fail_msg("'%s': %s", value, error);
	for (size_t i = 0; i < args->count; i++)
		if (strcmp(args->list[i].name, name) == 0)
			return &args->list[i];
	return NULL;
}

static void values_become_what_is_bound(void **state)
{
	struct report_args args = {.now_us = INT64_C(1000000000000), .utc = true};

	(void)state;
	assert_string_equal(set(&args, REPORT_TEXT, "a'b", "x")->text, "a'b");
	assert_int_equal(set(&args, REPORT_INTEGER, "-5", "x")->integer, -5);
	assert_int_equal(set(&args, REPORT_TIME, "1s", "x")->integer, 999999000000);
	assert_int_equal(set(&args, REPORT_USER, "root", "x")->integer, 0);
	assert_int_equal(set(&args, REPORT_USER, "4294967295", "x")->integer, UINT32_MAX);
	assert_int_equal(set(&args, REPORT_PROTOCOL, "udp", "x")->integer, 17);
	assert_int_equal(set(&args, REPORT_LIMIT, "10", "x")->integer, 11);
	assert_int_equal(args.limit, 10);
	assert_int_equal(set(&args, REPORT_LIMIT, "0", "x")->integer, -1);
	assert_int_equal(args.limit, 0);
	assert_true(report_args_given(&args, "x"));
	assert_false(report_args_given(&args, "y"));
	report_args_done(&args);
}

static void hosts_become_ranges_and_reversed_names(void **state)
{
	struct report_args args = {0};
	const struct report_arg *first, *last;

	(void)state;
	first = set(&args, REPORT_HOST, "10.1.2.3/8", "x_first");
	last = set(&args, REPORT_HOST, "10.1.2.3/8", "x_last");
	assert_true(first->blob_length == 4 && last->blob_length == 4);
	assert_memory_equal(last->blob, "\x0a\xff\xff\xff", 4);
	first = set(&args, REPORT_HOST, "[2001:db8::1]", "x_first");
	assert_int_equal(first->blob_length, 16);
	first = set(&args, REPORT_HOST, "::/0", "x_first");
	assert_int_equal(first->blob_length, 16);
	assert_int_equal(set(&args, REPORT_HOST, "::ffff:10.0.0.1", "x_first")->blob_length, 4);
	assert_null(set(&args, REPORT_HOST, "10.0.0.1", "x_name"));
	assert_false(args.named_host);
	assert_string_equal(
		set(&args, REPORT_HOST, "WWW.Example.com.", "x_name")->text, "com.example.www");
	assert_string_equal(
		set(&args, REPORT_HOST, "*.example.com", "x_suffix")->text, "com.example.");
	assert_string_equal(set(&args, REPORT_HOST, "host", "x_name")->text, "host");
	assert_true(args.named_host);
	report_args_done(&args);
}

static void what_is_dropped_is_not_given_and_the_others_stay(void **state)
{
	struct report_args args = {0};

	(void)state;
	assert_int_equal(report_args_text(&args, "a", "1"), 0);
	assert_int_equal(report_args_text(&args, "b", "2"), 0);
	assert_int_equal(report_args_text(&args, "c", "3"), 0);
	report_args_drop(&args, "a");
	report_args_drop(&args, "a");
	assert_false(report_args_given(&args, "a"));
	assert_string_equal(report_args_find(&args, "b")->text, "2");
	assert_string_equal(report_args_find(&args, "c")->text, "3");
	report_args_drop(&args, "c");
	assert_int_equal(args.count, 1);
	assert_int_equal(report_args_text(&args, "a", "4"), 0);
	assert_string_equal(report_args_find(&args, "a")->text, "4");
	report_args_done(&args);
}

static void bad_values_are_refused_by_their_type(void **state)
{
	static const struct {
		enum report_type type;
		const char *value;
		const char *word;
	} bad[] = {
		{REPORT_TEXT, "", "empty"},
		{REPORT_INTEGER, "1x", "not a number"},
		{REPORT_INTEGER, "99999999999999999999", "not a number"},
		{REPORT_TIME, "soon", "not a time"},
		{REPORT_USER, "no-such-user", "no user"},
		{REPORT_USER, "4294967296", "no user"},
		{REPORT_PROTOCOL, "xyz", "not a protocol"},
		{REPORT_LIMIT, "-1", "not a number of rows"},
		{REPORT_HOST, "", "not a host"},
		{REPORT_HOST, "300.1.1.1", "not a host"},
		{REPORT_HOST, "1.2.3.4/33", "not a host"},
		{REPORT_HOST, "a..b", "not a host"},
		{REPORT_HOST, ".", "not a host"},
		{REPORT_HOST, "a\nb", "not a host"},
		{REPORT_CHOICE, "c", "none of a|bc"},
		{REPORT_CHOICE, "b", "none of a|bc"},
		{REPORT_CHOICE, "", "none of a|bc"},
	};
	struct report_args args = {0};
	char error[REPORT_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct report_param param = {.name = (char *)(uintptr_t) "x",
			.type = bad[i].type,
			.choices = (char *)(uintptr_t) "a|bc"};

		assert_int_equal(report_args_set(&args, &param, bad[i].value, error), -EINVAL);
		if (!strstr(error, bad[i].word))
			fail_msg("'%s' is not in '%s'", bad[i].word, error);
	}
	assert_int_equal(args.count, 0);
}

static void what_is_required_must_be_given_and_defaults_are_set(void **state)
{
	struct report *report = parsed("-- A.\n-- param a: the a [required]\n"
				       "-- param b: b [integer default=7]\nSELECT 1\n");
	struct report_args args = {0};
	char error[REPORT_ERROR_SIZE];

	(void)state;
	assert_int_equal(report_args_complete(&args, report, error), -EINVAL);
	assert_non_null(strstr(error, "a is missing: the a"));
	assert_int_equal(report_args_text(&args, "a", "x"), 0);
	assert_int_equal(report_args_complete(&args, report, error), 0);
	assert_int_equal(args.list[args.count - 1].integer, 7);
	report_args_done(&args);
	report_free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_says_what_a_report_takes_and_prints),
		cmocka_unit_test(a_file_that_is_no_report_is_refused_with_its_line),
		cmocka_unit_test(lines_and_blocks_are_switched_by_what_is_given),
		cmocka_unit_test(values_become_what_is_bound),
		cmocka_unit_test(hosts_become_ranges_and_reversed_names),
		cmocka_unit_test(what_is_dropped_is_not_given_and_the_others_stay),
		cmocka_unit_test(bad_values_are_refused_by_their_type),
		cmocka_unit_test(what_is_required_must_be_given_and_defaults_are_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

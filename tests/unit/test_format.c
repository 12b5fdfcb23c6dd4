/* Escaping, shortening, lists, and what each format prints of the same rows. */
#include "query/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/escape.h"
#include "query/json_list.h"

static char *escaped(const char *text, size_t length)
{
	struct strbuf buf = {0};

	escape_add(&buf, text, length);
	return strbuf_take(&buf);
}

static void expect_escaped(const char *text, const char *expected)
{
	char *found = escaped(text, strlen(text));

	assert_string_equal(found, expected);
	free(found);
}

static void unsafe_text_becomes_digits(void **state)
{
	char *found;

	(void)state;
	expect_escaped("plain / \xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80", /* é 日 and a smiley */
		"plain / \xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80");
	expect_escaped("a\nb\tc\x1b[0m\x7f", "a\\x0ab\\x09c\\x1b[0m\\x7f");
	expect_escaped("\xc2\x85\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf",
		"\\u{85}\\u{202e}\\u{2066}\\u{feff}");
	expect_escaped("\xf3\xa0\x81\x81", "\\u{e0041}");
	expect_escaped(
		"\xff\xc0\x80\xed\xa0\x80 \xe2\x82", "\\xff\\xc0\\x80\\xed\\xa0\\x80 \\xe2\\x82");
	found = escaped("a\0b", 3);
	assert_string_equal(found, "a\\x00b");
	free(found);
}

static void json_text_is_valid_and_gives_the_text_back(void **state)
{
	struct strbuf buf = {0};

	(void)state;
	escape_add_json(&buf, "q\"b\\s/\n\x1b\xc2\x85\xe2\x80\xae\xf3\xa0\x81\x81\xff", 18);
	assert_string_equal(strbuf_text(&buf),
		"\"q\\\"b\\\\s/\\u000a\\u001b\\u0085\\u202e\\udb40\\udc41\\\\xff\"");
	strbuf_done(&buf);
}

static void long_text_is_cut_in_its_middle(void **state)
{
	struct strbuf buf = {0};

	(void)state;
	display_add_cut(&buf, "abcdefghij", 10, 10, true);
	assert_string_equal(strbuf_text(&buf), "abcdefghij");
	strbuf_clear(&buf);
	display_add_cut(&buf, "abcdefghij", 10, 6, true);
	assert_string_equal(strbuf_text(&buf), "a\xe2\x80\xa6ghij");
	strbuf_clear(&buf);
	display_add_cut(&buf, "abcdefghij", 10, 6, false);
	assert_string_equal(strbuf_text(&buf), "a..hij");
	strbuf_done(&buf);
}

static void lists_are_cut_between_their_items(void **state)
{
	static const struct {
		size_t width;
		const char *text;
	} expected[] = {
		{16, "tcp/1, tcp/22, 9"},
		{15, "tcp/1, .."},
		{12, "tcp/1, .."},
		{0, "tcp/1, .."},
	};
	const char text[] = "tcp/1, tcp/22, 9";
	struct strbuf buf = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		strbuf_clear(&buf);
		display_add_items(&buf, text, strlen(text), expected[i].width, false);
		assert_string_equal(strbuf_text(&buf), expected[i].text);
	}
	strbuf_clear(&buf);
	display_add_items(&buf, "tcp/12345", 9, 4, true);
	assert_string_equal(strbuf_text(&buf), "tcp/12345");
	strbuf_done(&buf);
}

static void lists_are_read_as_sqlite_writes_them(void **state)
{
	static const char text[] = "[\"a\",1,\"b\\\"\\\\\\n\\u00e9\\ud83d\\ude00\",null,-2.5,\"\"]";
	static const char *const expected[] = {
		"a", "1", "b\"\\\n\xc3\xa9\xf0\x9f\x98\x80", "null", "-2.5", ""};
	struct json_list list = json_list_begin(text, strlen(text));
	struct strbuf item = {0};
	bool is_number;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		assert_true(json_list_next(&list, &item, &is_number));
		assert_string_equal(strbuf_text(&item), expected[i]);
	}
	assert_false(json_list_next(&list, &item, &is_number));
	strbuf_done(&item);
}

static void what_is_no_list_ends_at_once(void **state)
{
	static const char *const bad[] = {"", "x", "[", "[]", "[\"", "[\"\\", "[\"\\u12",
		"[\"\\ud800\"", "[\"\\ud800\\u0041\"]"};
	struct strbuf item = {0};
	bool is_number;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_list list = json_list_begin(bad[i], strlen(bad[i]));

		assert_false(json_list_next(&list, &item, &is_number));
	}
	strbuf_done(&item);
}

static const struct format_column columns[] = {
	{"name", "NAME", FORMAT_LONG, false, false},
	{"octets", "OCTETS", FORMAT_OCTETS, false, false},
	{"time", "TIME", FORMAT_TIME, false, false},
	{"list", "LIST", FORMAT_LIST, false, false},
	{"wide", "WIDE", FORMAT_TEXT, true, false},
	{"narrow", "NARROW", FORMAT_TEXT, false, true},
};

static struct format_cell text_cell(const char *text)
{
	return (struct format_cell){.type = STORE_TEXT, .text = text, .length = strlen(text)};
}

/* Two rows, the second of nothing but NULL. Free the text. */
static char *printed(const struct format_ops *format, const struct display *display)
{
	const struct format_cell null = {.type = STORE_NULL, .text = ""};
	const struct format_cell nothing[] = {null, null, null, null, null, null};
	const struct format_cell cells[] = {text_cell("a \"b\",\n"),
		{.type = STORE_INTEGER, .integer = 1536},
		{.type = STORE_INTEGER, .integer = 1000001}, text_cell("[\"x\",2]"), text_cell("w"),
		text_cell("n")};
	struct format_options options = {.utc = true};
	struct format_state *state;
	char *text;
	size_t length;

	if (display)
		options.display = *display;
	options.out = open_memstream(&text, &length);
	state = format->begin(&options, columns, 6);
	assert_non_null(state);
	assert_int_equal(format->row(state, cells), 0);
	assert_int_equal(format->row(state, nothing), 0);
	assert_int_equal(format->end(state), 0);
	fclose(options.out);
	return text;
}

static void expect_printed(
	const struct format_ops *format, const struct display *display, const char *expected)
{
	char *text = printed(format, display);

	assert_string_equal(text, expected);
	free(text);
}

static void each_format_prints_the_same_rows_its_way(void **state)
{
	(void)state;
	expect_printed(&format_csv, NULL,
		"name,octets,time,list,wide\r\n"
		"\"a \"\"b\"\",\\x0a\",1536,1970-01-01T00:00:01.000001Z,\"x, 2\",w\r\n"
		",,,,\r\n");
	expect_printed(&format_json, NULL,
		"[\n{\"name\":\"a \\\"b\\\",\\u000a\",\"octets\":1536,"
		"\"time\":\"1970-01-01T00:00:01.000001Z\",\"list\":[\"x\",2],\"wide\":\"w\"},\n"
		"{\"name\":null,\"octets\":null,\"time\":null,\"list\":null,\"wide\":null}\n]\n");
	expect_printed(&format_jsonl, NULL,
		"{\"name\":\"a \\\"b\\\",\\u000a\",\"octets\":1536,"
		"\"time\":\"1970-01-01T00:00:01.000001Z\",\"list\":[\"x\",2],\"wide\":\"w\"}\n"
		"{\"name\":null,\"octets\":null,\"time\":null,\"list\":null,\"wide\":null}\n");
	expect_printed(&format_table, NULL,
		"NAME         OCTETS  TIME                 LIST  NARROW\n"
		"a \"b\",\\x0a  1.5 KiB  1970-01-01 00:00:01  x, 2  n\n"
		"-                 -  -                    -     -\n");
	expect_printed(&format_record, NULL,
		"NAME    a \"b\",\\x0a\nOCTETS  1.5 KiB\nTIME    1970-01-01 00:00:01\n"
		"LIST    x\n        2\nNARROW  n\n\n"
		"NAME    -\nOCTETS  -\nTIME    -\nLIST    -\nNARROW  -\n");
}

static void no_rows_are_an_empty_array_and_no_table(void **state)
{
	static const struct format_ops *const formats[] = {
		&format_json, &format_jsonl, &format_table};
	static const char *const expected[] = {"[]\n", "", ""};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct format_options options = {.utc = true};
		char *text;
		size_t length;

		options.out = open_memstream(&text, &length);
		assert_int_equal(formats[i]->end(formats[i]->begin(&options, columns, 6)), 0);
		fclose(options.out);
		assert_string_equal(text, expected[i]);
		free(text);
	}
}

static void only_long_columns_give_way_on_a_narrow_terminal(void **state)
{
	static const struct format_column two[] = {
		{"path", "path", FORMAT_LONG, false, false},
		{"address", "address", FORMAT_TEXT, false, false},
	};
	struct format_options options = {.display = {.width = 50}};
	struct format_cell cells[2];
	struct format_state *table;
	char *text;
	size_t length;

	(void)state;
	cells[0] = text_cell("/usr/lib/some/very/long/folder/for/a/program");
	cells[1] = text_cell("[2001:db8::1111:2222:3333]:443");
	options.out = open_memstream(&text, &length);
	table = format_table.begin(&options, two, 2);
	assert_int_equal(format_table.row(table, cells), 0);
	assert_int_equal(format_table.end(table), 0);
	fclose(options.out);
	assert_string_equal(text, "path                address\n"
				  "/usr/..r/a/program  [2001:db8::1111:2222:3333]:443\n");
	free(text);
}

static void more_rows_than_are_held_back_come_through(void **state)
{
	static const struct format_column one[] = {{"n", "n", FORMAT_INTEGER, false, false}};
	struct format_options options = {.utc = true};
	struct format_cell cell = {.type = STORE_INTEGER, .text = ""};
	struct format_state *table;
	size_t length, lines = 0;
	char *text;

	(void)state;
	options.out = open_memstream(&text, &length);
	table = format_table.begin(&options, one, 1);
	for (cell.integer = 0; cell.integer < 2500; cell.integer++)
		assert_int_equal(format_table.row(table, &cell), 0);
	assert_int_equal(format_table.end(table), 0);
	fclose(options.out);
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 2501);
	assert_non_null(strstr(text, "\n2499\n"));
	free(text);
}

static void expect_human(int64_t value, enum format_type type, const char *expected)
{
	const struct format_cell cell = {.type = STORE_INTEGER, .integer = value};
	const struct format_options options = {.utc = true};
	struct strbuf buf = {0};

	format_add_human(&buf, &cell, type, &options);
	assert_string_equal(strbuf_text(&buf), expected);
	strbuf_done(&buf);
}

static void numbers_are_written_for_people(void **state)
{
	(void)state;
	expect_human(0, FORMAT_OCTETS, "0 B");
	expect_human(1023, FORMAT_OCTETS, "1023 B");
	expect_human(1024, FORMAT_OCTETS, "1.0 KiB");
	expect_human(1048575, FORMAT_OCTETS, "1.0 MiB");
	expect_human(INT64_MAX, FORMAT_OCTETS, "8.0 EiB");
	expect_human(0, FORMAT_DURATION, "0us");
	expect_human(999999, FORMAT_DURATION, "999ms");
	expect_human(59999999, FORMAT_DURATION, "59.9s");
	expect_human(60000000, FORMAT_DURATION, "1m00s");
	expect_human(90061000000, FORMAT_DURATION, "1d01h");
	expect_human(-1, FORMAT_TIME, "1969-12-31 23:59:59");
	expect_human(0, FORMAT_USER, "root");
	expect_human(-1, FORMAT_USER, "");
	expect_human(3999999999, FORMAT_USER, "3999999999");
}

static void formats_and_types_go_by_name(void **state)
{
	enum format_type type;

	(void)state;
	assert_ptr_equal(format_by_name("csv"), &format_csv);
	assert_null(format_by_name("record"));
	assert_null(format_by_name(""));
	assert_int_equal(format_type_by_name("octets", &type), 0);
	assert_int_equal(type, FORMAT_OCTETS);
	assert_int_equal(format_type_by_name("colour", &type), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsafe_text_becomes_digits),
		cmocka_unit_test(json_text_is_valid_and_gives_the_text_back),
		cmocka_unit_test(long_text_is_cut_in_its_middle),
		cmocka_unit_test(lists_are_cut_between_their_items),
		cmocka_unit_test(lists_are_read_as_sqlite_writes_them),
		cmocka_unit_test(what_is_no_list_ends_at_once),
		cmocka_unit_test(each_format_prints_the_same_rows_its_way),
		cmocka_unit_test(no_rows_are_an_empty_array_and_no_table),
		cmocka_unit_test(only_long_columns_give_way_on_a_narrow_terminal),
		cmocka_unit_test(more_rows_than_are_held_back_come_through),
		cmocka_unit_test(numbers_are_written_for_people),
		cmocka_unit_test(formats_and_types_go_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

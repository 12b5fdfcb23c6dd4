/* Growing text. */
#include "util/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_buffer_is_an_empty_text(void **state)
{
	struct strbuf buf = {0};
	char *text;

	(void)state;
	assert_string_equal(strbuf_text(&buf), "");
	strbuf_clear(&buf);
	text = strbuf_take(&buf);
	assert_string_equal(text, "");
	free(text);
	strbuf_done(&buf);
}

static void what_is_added_stands_in_order(void **state)
{
	struct strbuf buf = {0};

	(void)state;
	strbuf_add_text(&buf, "ab");
	strbuf_add_char(&buf, 'c');
	strbuf_add_repeated(&buf, 'd', 3);
	strbuf_printf(&buf, "%d%s", 12, "e");
	strbuf_add(&buf, "f\0g", 3);
	assert_int_equal(buf.length, 12);
	assert_memory_equal(buf.text, "abcddd12ef\0g", 13);
	strbuf_clear(&buf);
	strbuf_add_text(&buf, "x");
	assert_string_equal(strbuf_text(&buf), "x");
	strbuf_done(&buf);
}

static void it_grows_at_every_size(void **state)
{
	struct strbuf buf = {0};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		strbuf_printf(&buf, "%c", 'a' + i % 26);
		assert_int_equal(strlen(buf.text), i + 1);
	}
	assert_int_equal(buf.text[4999], 'a' + 4999 % 26);
	strbuf_done(&buf);
}

static void a_failed_addition_sticks(void **state)
{
	struct strbuf buf = {0};

	(void)state;
	strbuf_add_text(&buf, "kept");
	buf.failed = true; /* as after a failed allocation */
	strbuf_add_text(&buf, " lost");
	strbuf_printf(&buf, " %d", 1);
	strbuf_add_repeated(&buf, 'x', 9);
	assert_string_equal(strbuf_text(&buf), "kept");
	assert_null(strbuf_take(&buf));
	assert_false(buf.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_an_empty_text),
		cmocka_unit_test(what_is_added_stands_in_order),
		cmocka_unit_test(it_grows_at_every_size),
		cmocka_unit_test(a_failed_addition_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pieces in any order, twice, overlapping, beyond the limit. */
#include "decode/reassembly.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct reassembly reassembly;

static bool add(uint64_t offset, const char *text)
{
	return reassembly_add(&reassembly, offset, (const uint8_t *)text, strlen(text));
}

static int clear(void **state)
{
	(void)state;
	reassembly_clear(&reassembly);
	return 0;
}

static void pieces_come_in_any_order(void **state)
{
	(void)state;
	assert_true(add(6, "gh"));
	assert_true(add(3, "def"));
	assert_int_equal(reassembly.ready, 0);
	assert_true(add(0, "abc"));
	assert_int_equal(reassembly.ready, 8);
	assert_memory_equal(reassembly.octets, "abcdefgh", 8);
}

static void the_first_copy_of_an_octet_is_kept(void **state)
{
	(void)state;
	assert_true(add(2, "cd"));
	assert_true(add(0, "abXXef"));
	assert_memory_equal(reassembly.octets, "abcdef", 6);
	assert_int_equal(reassembly.ready, 6);
}

static void an_empty_piece_changes_nothing(void **state)
{
	(void)state;
	assert_true(add(100, ""));
	assert_int_equal(reassembly.end, 0);
}

static void beyond_the_limit_nothing_is_taken(void **state)
{
	(void)state;
	assert_true(add(REASSEMBLY_MAX - 2, "yz"));
	assert_false(add(REASSEMBLY_MAX - 1, "zz"));
	assert_false(add(UINT64_MAX, "zz"));
	assert_true(add(REASSEMBLY_MAX, ""));
	assert_int_equal(reassembly.ready, 0);
	assert_int_equal(reassembly.end, REASSEMBLY_MAX);
}

static void what_was_read_is_dropped_and_the_rest_moves_up(void **state)
{
	(void)state;
	assert_true(add(0, "abcde"));
	assert_true(add(6, "gh"));
	reassembly_drop(&reassembly, 3);
	assert_int_equal(reassembly.ready, 2);
	assert_int_equal(reassembly.end, 5);
	assert_memory_equal(reassembly.octets, "de", 2);
	assert_true(add(2, "f"));
	assert_int_equal(reassembly.ready, 5);
	assert_memory_equal(reassembly.octets, "defgh", 5);
	reassembly_drop(&reassembly, 5);
	assert_int_equal(reassembly.end, 0);
	assert_true(add(1, "b"));
	assert_int_equal(reassembly.ready, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pieces_come_in_any_order, clear),
		cmocka_unit_test_setup(the_first_copy_of_an_octet_is_kept, clear),
		cmocka_unit_test_setup(an_empty_piece_changes_nothing, clear),
		cmocka_unit_test_setup(beyond_the_limit_nothing_is_taken, clear),
		cmocka_unit_test_setup(what_was_read_is_dropped_and_the_rest_moves_up, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

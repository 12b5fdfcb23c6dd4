/* Who gives how much: whoever has most gives first, and nobody more than is needed. */
#include "store/retention_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void nobody_gives_where_there_is_room(void **state)
{
	struct retention_share shares[] = {{3, 10, 0}, {1, 20, 0}, {2, 30, 0}};

	(void)state;
	assert_int_equal(retention_share_out(shares, 3, 60), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(shares[i].executable, i + 1); /* sorted */
		assert_int_equal(shares[i].excess, 0);
	}
	assert_int_equal(retention_share_out(shares, 0, 5), 0);
	assert_null(retention_share_find(shares, 0, 1));
}

static void whoever_has_most_gives(void **state)
{
	struct retention_share shares[] = {{1, 5, 0}, {2, 1000, 0}, {3, 40, 0}, {4, 900, 0}};

	(void)state;
	assert_int_equal(retention_share_out(shares, 4, 1045), 900);
	assert_int_equal(retention_share_find(shares, 4, 1)->excess, 0);
	assert_int_equal(retention_share_find(shares, 4, 2)->excess, 500);
	assert_int_equal(retention_share_find(shares, 4, 3)->excess, 0);
	assert_int_equal(retention_share_find(shares, 4, 4)->excess, 400);
	assert_null(retention_share_find(shares, 4, 5));
}

static void all_give_where_there_is_no_room(void **state)
{
	struct retention_share shares[] = {{1, 5, 0}, {2, 7, 0}};

	(void)state;
	assert_int_equal(retention_share_out(shares, 2, 0), 12);
	assert_int_equal(shares[0].excess, 5);
	assert_int_equal(shares[1].excess, 7);
}

/* Of any numbers: the room is kept and used, and nobody gives who has less than another one keeps.
 */
static void the_rule_holds_for_any_numbers(void **state)
{
	enum { COUNT = 50, ROUNDS = 500 };

	(void)state;
	srand(7);
	for (int round = 0; round < ROUNDS; round++) {
		struct retention_share shares[COUNT];
		int64_t sum = 0, room, kept = 0, least_cut = INT64_MAX, most_kept = 0;

		for (int i = 0; i < COUNT; i++) {
			shares[i] = (struct retention_share){i + 1, rand() % (1 << rand() % 16), 0};
			sum += shares[i].flows;
		}
		room = sum * (rand() % 100) / 100;
		retention_share_out(shares, COUNT, room);
		for (int i = 0; i < COUNT; i++) {
			int64_t keeps = shares[i].flows - shares[i].excess;

			assert_in_range(shares[i].excess, 0, shares[i].flows);
			kept += keeps;
			if (shares[i].excess > 0 && keeps < least_cut)
				least_cut = keeps;
			if (keeps > most_kept)
				most_kept = keeps;
		}
		assert_int_equal(kept, room);
		assert_true(least_cut == INT64_MAX || most_kept - least_cut <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_gives_where_there_is_room),
		cmocka_unit_test(whoever_has_most_gives),
		cmocka_unit_test(all_give_where_there_is_no_room),
		cmocka_unit_test(the_rule_holds_for_any_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Later fragments get the ports of the first one, and only of theirs. */
#include "decode/fragment_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct fragment_table table;

static int set_up(void **state)
{
	(void)state;
	fragment_table_init(&table, (struct hash_key){1, 2});
	return 0;
}

static struct decode_packet fragment_of(enum decode_fragment fragment, uint32_t id)
{
	struct decode_packet packet = {
		.source = addr_from_v4("\xc0\x00\x02\x01"),
		.destination = addr_from_v4("\xc6\x33\x64\x07"),
		.protocol = 60,
		.fragment = fragment,
		.fragment_id = id,
	};

	if (fragment == DECODE_FRAGMENT_FIRST) {
		packet.protocol = 17;
		packet.source_port = 7;
		packet.destination_port = 8;
	}
	return packet;
}

static void a_later_fragment_gets_ports_and_protocol(void **state)
{
	struct decode_packet first = fragment_of(DECODE_FRAGMENT_FIRST, 42);
	struct decode_packet later = fragment_of(DECODE_FRAGMENT_LATER, 42);

	(void)state;
	assert_true(fragment_table_pass(&table, &first, 0));
	assert_true(fragment_table_pass(&table, &later, FRAGMENT_TABLE_AGE_NS));
	assert_int_equal(later.protocol, 17);
	assert_int_equal(later.source_port, 7);
	assert_int_equal(later.destination_port, 8);
}

static void a_fragment_of_something_else_gets_none(void **state)
{
	struct decode_packet first = fragment_of(DECODE_FRAGMENT_FIRST, 42);
	struct decode_packet other = fragment_of(DECODE_FRAGMENT_LATER, 43);
	struct decode_packet back = fragment_of(DECODE_FRAGMENT_LATER, 42);
	struct decode_packet late = fragment_of(DECODE_FRAGMENT_LATER, 42);

	(void)state;
	back.source = first.destination;
	back.destination = first.source;
	assert_false(fragment_table_pass(&table, &late, 0));
	assert_true(fragment_table_pass(&table, &first, 0));
	assert_false(fragment_table_pass(&table, &other, 1));
	assert_false(fragment_table_pass(&table, &back, 1));
	assert_false(fragment_table_pass(&table, &late, FRAGMENT_TABLE_AGE_NS + 1));
	assert_int_equal(late.source_port, 0);
}

static void many_fragments_take_each_others_slots_but_never_lie(void **state)
{
	unsigned known = 0;

	(void)state;
	for (uint32_t id = 0; id < 4 * FRAGMENT_TABLE_SLOTS; id++) {
		struct decode_packet first = fragment_of(DECODE_FRAGMENT_FIRST, id);

		first.source_port = (uint16_t)id;
		fragment_table_pass(&table, &first, 0);
	}
	for (uint32_t id = 0; id < 4 * FRAGMENT_TABLE_SLOTS; id++) {
		struct decode_packet later = fragment_of(DECODE_FRAGMENT_LATER, id);

		if (!fragment_table_pass(&table, &later, 1))
			continue;
		assert_int_equal(later.source_port, (uint16_t)id);
		known++;
	}
	assert_in_range(known, FRAGMENT_TABLE_SLOTS / 2, FRAGMENT_TABLE_SLOTS);
}

static void what_a_carrier_gave_away_its_later_fragments_have_not(void **state)
{
	struct decode_packet first = fragment_of(DECODE_FRAGMENT_FIRST, 42);
	struct decode_packet later = fragment_of(DECODE_FRAGMENT_LATER, 42);

	(void)state;
	later.octets = 100;
	assert_true(fragment_table_pass(&table, &first, 0));
	assert_true(fragment_table_pass(&table, &later, 1));
	assert_int_equal(later.octets, 100);
	first.emptied = true;
	assert_true(fragment_table_pass(&table, &first, 2));
	assert_true(fragment_table_pass(&table, &later, 3));
	assert_int_equal(later.octets, 0);
}

static void within_a_tunnel_are_other_fragments(void **state)
{
	struct decode_packet first = fragment_of(DECODE_FRAGMENT_FIRST, 42);
	struct decode_packet later = fragment_of(DECODE_FRAGMENT_LATER, 42);

	(void)state;
	first.tunnel = FLOW_TUNNEL_4IN4;
	assert_true(fragment_table_pass(&table, &first, 0));
	assert_false(fragment_table_pass(&table, &later, 1));
	later.tunnel = FLOW_TUNNEL_4IN4;
	assert_true(fragment_table_pass(&table, &later, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_later_fragment_gets_ports_and_protocol, set_up),
		cmocka_unit_test_setup(
			what_a_carrier_gave_away_its_later_fragments_have_not, set_up),
		cmocka_unit_test_setup(within_a_tunnel_are_other_fragments, set_up),
		cmocka_unit_test_setup(a_fragment_of_something_else_gets_none, set_up),
		cmocka_unit_test_setup(many_fragments_take_each_others_slots_but_never_lie, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who stays and who goes when the table is full. */
#include "decode/stream_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX = 3 };

static struct stream_table *table;

static struct decode_packet from(uint16_t port)
{
	return (struct decode_packet){.source_port = port, .destination_port = 443, .protocol = 6};
}

static bool has(uint16_t port)
{
	struct decode_packet packet = from(port);

	return stream_table_find(table, &packet) != NULL;
}

static struct stream *begin(uint16_t port, enum stream_state state)
{
	struct decode_packet packet = from(port);
	struct stream *stream = stream_table_begin(table, &packet);

	stream_table_set(table, stream, state);
	return stream;
}

static int make(void **state)
{
	(void)state;
	return stream_table_new(MAX, (struct hash_key){1, 2}, &table);
}

static int destroy(void **state)
{
	(void)state;
	stream_table_free(table);
	return 0;
}

static void the_one_silent_for_longest_goes(void **state)
{
	(void)state;
	begin(1, STREAM_FRESH);
	begin(2, STREAM_DONE);
	begin(3, STREAM_FRESH);
	assert_true(has(1));
	begin(4, STREAM_FRESH);
	assert_false(has(2));
	assert_true(has(1) && has(3) && has(4));
	assert_int_equal(stream_table_evicted(table), 0);
}

static void those_that_keep_octets_go_last_and_are_counted(void **state)
{
	(void)state;
	begin(1, STREAM_PARTIAL);
	begin(2, STREAM_PARTIAL);
	begin(3, STREAM_FRESH);
	begin(4, STREAM_FRESH);
	assert_true(has(1) && has(2) && has(4));
	begin(4, STREAM_PARTIAL);
	begin(5, STREAM_FRESH);
	assert_false(has(1));
	assert_int_equal(stream_table_evicted(table), 1);
}

static void a_slot_that_is_free_is_taken_before_others_go(void **state)
{
	(void)state;
	begin(1, STREAM_PARTIAL);
	begin(2, STREAM_PARTIAL);
	stream_table_end(table, begin(3, STREAM_FRESH));
	assert_false(has(3));
	begin(4, STREAM_FRESH);
	assert_true(has(1) && has(2) && has(4));
}

static void to_begin_again_forgets_what_was_kept(void **state)
{
	struct stream *stream = begin(1, STREAM_PARTIAL);

	(void)state;
	assert_true(reassembly_add(&stream->octets, 0, (const uint8_t *)"abc", 3));
	assert_ptr_equal(begin(1, STREAM_FRESH), stream);
	assert_int_equal(stream->octets.end, 0);
	assert_int_equal(stream_table_evicted(table), 1);
}

static void the_same_ends_in_a_tunnel_are_another_sender(void **state)
{
	struct decode_packet packet = from(1);

	(void)state;
	begin(1, STREAM_PARTIAL);
	packet.tunnel = FLOW_TUNNEL_GRE;
	assert_null(stream_table_find(table, &packet));
	packet.tunnel_id = 7; /* may differ from one way to the other */
	stream_table_begin(table, &packet);
	packet.tunnel_id = 8;
	assert_non_null(stream_table_find(table, &packet));
	assert_true(has(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_one_silent_for_longest_goes, make, destroy),
		cmocka_unit_test_setup_teardown(
			those_that_keep_octets_go_last_and_are_counted, make, destroy),
		cmocka_unit_test_setup_teardown(
			a_slot_that_is_free_is_taken_before_others_go, make, destroy),
		cmocka_unit_test_setup_teardown(
			to_begin_again_forgets_what_was_kept, make, destroy),
		cmocka_unit_test_setup_teardown(
			the_same_ends_in_a_tunnel_are_another_sender, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which flow is joined to which connection of a NAT. Times are seconds. */
#include "flow/nat_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "util/clock.h"

#define AT(seconds) ((int64_t)((seconds)*US_PER_S) + INT64_C(1700000000000000))

enum { MAPPINGS_MAX = 4, KEEP_S = 100, TCP = 6, ICMP = 1, CONTAINER = 22, OTHER = 33 };

static struct nat_table *table;

static int set_up(void **state)
{
	struct nat_table_options options = {
		.max_mappings = MAPPINGS_MAX, .keep_us = KEEP_S * US_PER_S, .hash_key = {1, 2}};

	(void)state;
	return nat_table_new(&options, &table);
}

static int tear_down(void **state)
{
	(void)state;
	nat_table_free(table);
	return 0;
}

static struct flow_key key_of(
	uint8_t protocol, const char *local, uint16_t local_port, const char *remote, uint16_t port)
{
	struct flow_key key = {.local_port = local_port, .remote_port = port, .protocol = protocol};

	assert_int_equal(addr_parse(local, &key.local), 0);
	assert_int_equal(addr_parse(remote, &key.remote), 0);
	return key;
}

/* 10.0.0.2:port -> 203.0.113.9:443 leaves as 192.0.2.1:port + 1000. */
static struct nat_mapping masqueraded(uint16_t port)
{
	return (struct nat_mapping){
		.original = key_of(TCP, "10.0.0.2", port, "203.0.113.9", 443),
		.reply = key_of(TCP, "203.0.113.9", 443, "192.0.2.1", (uint16_t)(port + 1000)),
	};
}

static void put(uint16_t port, int64_t from_us)
{
	struct nat_mapping mapping = masqueraded(port);

	nat_table_put(table, &mapping, from_us);
}

static void gone(uint16_t port, int64_t until_us)
{
	struct nat_mapping mapping = masqueraded(port);

	nat_table_gone(table, &mapping, until_us);
}

static struct flow_record flow_of(uint16_t port, int64_t start_us, int64_t end_us)
{
	return (struct flow_record){
		.key = key_of(TCP, "10.0.0.2", port, "203.0.113.9", 443),
		.start_us = start_us,
		.end_us = end_us,
	};
}

static void expect_ends(const struct flow_record *flow, const char *local, uint16_t local_port,
	const char *remote, uint16_t remote_port)
{
	char text[ADDR_TEXT_SIZE];
	struct nat_ends ends;

	assert_true(nat_table_flow(table, flow, &ends));
	assert_string_equal(addr_format(&ends.local, text), local);
	assert_int_equal(ends.local_port, local_port);
	assert_string_equal(addr_format(&ends.remote, text), remote);
	assert_int_equal(ends.remote_port, remote_port);
}

static void expect_none(struct flow_record flow)
{
	struct nat_ends ends;

	assert_false(nat_table_flow(table, &flow, &ends));
}

static void each_of_four_views_has_the_one_beyond(void **state)
{
	struct flow_record flow = flow_of(5000, AT(1), AT(2));

	(void)state;
	put(5000, AT(0));
	flow.key.netns = CONTAINER;
	flow.key.socket_cookie = 77;
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
	flow.key = key_of(TCP, "203.0.113.9", 443, "192.0.2.1", 6000);
	expect_ends(&flow, "203.0.113.9", 443, "10.0.0.2", 5000);
	flow.key = key_of(TCP, "192.0.2.1", 6000, "203.0.113.9", 443);
	expect_ends(&flow, "10.0.0.2", 5000, "203.0.113.9", 443);
	flow.key = key_of(TCP, "203.0.113.9", 443, "10.0.0.2", 5000);
	expect_ends(&flow, "203.0.113.9", 443, "192.0.2.1", 6000);
}

static void what_differs_is_not_joined(void **state)
{
	struct flow_record flow = flow_of(5000, AT(1), AT(2));

	(void)state;
	expect_none(flow);
	put(5000, AT(0));
	flow.key.tunnel = FLOW_TUNNEL_VXLAN;
	expect_none(flow);
	flow = flow_of(5001, AT(1), AT(2));
	expect_none(flow);
	flow = flow_of(5000, AT(1), AT(2));
	flow.key.protocol = 17;
	expect_none(flow);
}

static void the_mapping_was_there_at_some_time_of_the_flow(void **state)
{
	(void)state;
	put(5000, AT(10));
	gone(5000, AT(20));
	expect_none(flow_of(5000, AT(1), AT(8)));
	expect_none(flow_of(5000, AT(22), AT(23)));
	expect_ends(
		&(struct flow_record){
			.key = flow_of(5000, 0, 0).key, .start_us = AT(1), .end_us = AT(9.5)},
		"192.0.2.1", 6000, "203.0.113.9", 443);
	expect_ends(
		&(struct flow_record){
			.key = flow_of(5000, 0, 0).key, .start_us = AT(20.5), .end_us = AT(30)},
		"192.0.2.1", 6000, "203.0.113.9", 443);
}

static void the_newest_mapping_of_the_same_ends_counts(void **state)
{
	struct nat_mapping mapping = masqueraded(5000);
	struct flow_record flow = flow_of(5000, AT(30), AT(31));

	(void)state;
	put(5000, AT(0));
	gone(5000, AT(20));
	mapping.reply.remote_port = 7;
	nat_table_put(table, &mapping, AT(25));
	expect_ends(&flow, "192.0.2.1", 7, "203.0.113.9", 443);
	flow = flow_of(5000, AT(1), AT(2));
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
}

static void what_is_known_is_not_known_twice(void **state)
{
	struct nat_table_counters counters;

	(void)state;
	put(5000, AT(0));
	put(5000, AT(5));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.count, 1);
	assert_int_equal(counters.added, 1);
	gone(5001, AT(6));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.count, 1);
}

static void the_same_ends_in_two_namespaces_are_not_mixed_up(void **state)
{
	struct flow_record flow = flow_of(5000, AT(1), AT(2));
	struct nat_table_counters counters;

	(void)state;
	put(5000, AT(0));
	flow.key.netns = CONTAINER;
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
	flow.key.netns = OTHER;
	expect_none(flow);
	flow.key.netns = 0;
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
	flow.key.netns = CONTAINER;
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
	nat_table_counters(table, &counters);
	assert_int_equal(counters.ambiguous, 1);
	assert_int_equal(counters.joined, 3);
}

static void icmp_is_known_by_addresses(void **state)
{
	struct nat_mapping mapping = {
		.original = key_of(ICMP, "10.0.0.2", 0, "203.0.113.9", 0),
		.reply = key_of(ICMP, "203.0.113.9", 0, "192.0.2.1", 0),
	};
	struct flow_record flow = {
		.key = key_of(ICMP, "10.0.0.2", 8, "203.0.113.9", 0), .end_us = AT(2)};

	(void)state;
	nat_table_put(table, &mapping, AT(0));
	expect_ends(&flow, "192.0.2.1", 8, "203.0.113.9", 0); /* type and code are no ports */
}

static void what_is_not_told_with_all_others_is_gone(void **state)
{
	(void)state;
	put(5000, AT(0));
	put(5001, AT(0));
	put(5002, AT(0));
	nat_table_begin_all(table);
	put(5001, AT(10));
	put(5003, AT(10));
	nat_table_end_all(table, AT(20));
	for (uint16_t port = 5000; port <= 5002; port += 2) {
		struct flow_record flow = flow_of(port, AT(1), AT(2));

		expect_none(flow_of(port, AT(30), AT(31)));
		expect_ends(&flow, "192.0.2.1", (uint16_t)(port + 1000), "203.0.113.9", 443);
	}
	for (uint16_t port = 5001; port <= 5003; port += 2) {
		struct flow_record flow = flow_of(port, AT(30), AT(31));

		expect_ends(&flow, "192.0.2.1", (uint16_t)(port + 1000), "203.0.113.9", 443);
	}
	nat_table_begin_all(table); /* which was never ended: nothing is known of the others */
	expect_ends(
		&(struct flow_record){
			.key = flow_of(5001, 0, 0).key, .start_us = AT(30), .end_us = AT(31)},
		"192.0.2.1", 6001, "203.0.113.9", 443);
}

/* One port that is taken again and again, with other ends beyond NAT each time. */
static void of_the_same_ends_few_are_kept(void **state)
{
	const struct nat_table_options options = {
		.max_mappings = 1000, .keep_us = KEEP_S * US_PER_S, .hash_key = {1, 2}};
	struct nat_table_counters counters;
	struct nat_mapping mapping = masqueraded(5000);
	struct flow_record flow = flow_of(5000, AT(5), AT(6));

	(void)state;
	nat_table_free(table);
	assert_int_equal(nat_table_new(&options, &table), 0);
	for (int side = 0; side < 2; side++) {
		for (uint16_t i = 1; i <= 200; i++) {
			*(side ? &mapping.original.local_port : &mapping.reply.remote_port) = i;
			nat_table_put(table, &mapping, AT(0));
			nat_table_gone(table, &mapping, AT(5));
		}
		mapping.reply.remote_port = 300;
	}
	nat_table_counters(table, &counters);
	assert_int_equal(counters.added, 400);
	assert_int_equal(counters.count, 32);
	assert_int_equal(counters.evicted, 0);
	expect_ends(&flow, "192.0.2.1", 200, "203.0.113.9", 443);
	flow.key.local_port = 200;
	expect_ends(&flow, "192.0.2.1", 300, "203.0.113.9", 443);
}

static void gone_ones_are_kept_for_a_while(void **state)
{
	struct nat_table_counters counters;

	(void)state;
	put(5000, AT(0));
	put(5001, AT(0));
	gone(5000, AT(10));
	nat_table_expire(table, AT(10 + KEEP_S - 1));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.count, 2);
	nat_table_expire(table, AT(10 + KEEP_S));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.count, 1);
	expect_none(flow_of(5000, AT(1), AT(2)));
}

static void a_full_table_forgets_gone_ones_then_old_ones(void **state)
{
	struct nat_table_counters counters;

	(void)state;
	for (uint16_t i = 0; i < MAPPINGS_MAX; i++)
		put((uint16_t)(5000 + i), AT(i));
	gone(5002, AT(5));
	put(5010, AT(6));
	expect_none(flow_of(5002, AT(2), AT(3)));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.evicted, 0);
	put(5011, AT(7));
	expect_none(flow_of(5000, AT(1), AT(8)));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.evicted, 1);
	put(5012, AT(1 + KEEP_S)); /* the oldest one is no loss any more */
	nat_table_counters(table, &counters);
	assert_int_equal(counters.evicted, 1);
	assert_int_equal(counters.count, MAPPINGS_MAX);
	for (uint16_t i = 0; i < 1000; i++)
		put((uint16_t)(6000 + i), AT(200));
	nat_table_counters(table, &counters);
	assert_int_equal(counters.count, MAPPINGS_MAX);
}

static void after_the_clock_was_set_mappings_are_as_old_as_they_were(void **state)
{
	const struct flow_record flow = flow_of(5000, AT(3601.0), AT(3602.0));

	(void)state;
	put(5000, AT(0));
	put(5001, AT(0));
	gone(5001, AT(1));
	nat_table_shift(table, 3600 * (int64_t)US_PER_S);
	expect_ends(&flow, "192.0.2.1", 6000, "203.0.113.9", 443);
	expect_none(flow_of(5000, AT(1), AT(2)));
	expect_none(flow_of(5001, AT(3603.0), AT(3604.0)));
	nat_table_shift(table, -AT(7200.0)); /* to 1970, and before: gone stays gone */
	expect_none(flow_of(5001, AT(0), AT(1)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_of_four_views_has_the_one_beyond),
		TEST(what_differs_is_not_joined),
		TEST(the_mapping_was_there_at_some_time_of_the_flow),
		TEST(the_newest_mapping_of_the_same_ends_counts),
		TEST(what_is_known_is_not_known_twice),
		TEST(the_same_ends_in_two_namespaces_are_not_mixed_up),
		TEST(icmp_is_known_by_addresses),
		TEST(what_is_not_told_with_all_others_is_gone),
		TEST(of_the_same_ends_few_are_kept),
		TEST(gone_ones_are_kept_for_a_while),
		TEST(after_the_clock_was_set_mappings_are_as_old_as_they_were),
		TEST(a_full_table_forgets_gone_ones_then_old_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

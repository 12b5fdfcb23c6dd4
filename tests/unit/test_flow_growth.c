/* What flows have moved, by protocol. */
#include "flow/flow_growth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct flow_key tcp = {.protocol = 6}, udp = {.protocol = 17},
			     sctp = {.protocol = 132};

static void growth_is_summed_by_protocol(void **state)
{
	struct flow_counters none = {0};
	struct flow_counters some = {
		.octets_out = 10, .octets_in = 20, .packets_out = 3, .packets_in = 4};
	struct flow_counters more = {
		.octets_out = 15, .octets_in = 20, .packets_out = 5, .packets_in = 4};
	struct flow_growth growth = {0};

	(void)state;
	flow_growth_add(&growth, &tcp, &none, &some);
	flow_growth_add(&growth, &tcp, &some, &more);
	flow_growth_add(&growth, &udp, &none, &more);
	flow_growth_add(&growth, &sctp, &none, &more);
	assert_int_equal(growth.tcp.packets_out, 5);
	assert_int_equal(growth.tcp.packets_in, 4);
	assert_int_equal(growth.tcp.octets, 35);
	assert_int_equal(growth.udp.packets_out, 5);
	assert_int_equal(growth.udp.octets, 35);
}

static void totals_that_shrink_add_nothing(void **state)
{
	struct flow_counters some = {.octets_out = 10, .packets_out = 3, .packets_in = 1};
	struct flow_counters less = {.octets_out = 9, .packets_out = 2, .packets_in = 2};
	struct flow_growth growth = {0};

	(void)state;
	flow_growth_add(&growth, &tcp, &some, &less);
	assert_int_equal(growth.tcp.octets, 0);
	assert_int_equal(growth.tcp.packets_out, 0);
	assert_int_equal(growth.tcp.packets_in, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(growth_is_summed_by_protocol),
		cmocka_unit_test(totals_that_shrink_add_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

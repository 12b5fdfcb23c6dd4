/* When what the kernel moved is said to be missing in flows, and when not. */
#include "daemon/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { MANY = 100000 };

struct fixture {
	struct reconcile_sample before, after;
	struct coverage_record records[RECONCILE_RECORDS];
};

/* A machine that has moved something before, and nothing since. */
static struct fixture begin(void)
{
	struct fixture fixture = {
		.before.kernel = {.tcp_in = MANY, .udp_out = MANY, .ip_octets_in = MANY},
		.before.flows.tcp = {.packets_in = 7, .octets = 8},
	};

	fixture.after = fixture.before;
	return fixture;
}

static size_t compare(struct fixture *fixture)
{
	return reconcile_compare(&fixture->before, &fixture->after, fixture->records);
}

static void what_flows_explain_is_fine(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	assert_int_equal(compare(&fixture), 0);
	fixture.after.kernel.tcp_in += MANY;
	fixture.after.kernel.tcp_out += MANY;
	fixture.after.flows.tcp.packets_in += MANY / 2;
	fixture.after.flows.tcp.packets_out += MANY / 2;
	fixture.after.flows.tcp.octets += MANY * 1000;
	fixture.after.kernel.udp_out += MANY;
	fixture.after.kernel.udp_in += MANY;
	fixture.after.flows.udp.packets_out += MANY;
	fixture.after.flows.udp.packets_in += MANY;
	fixture.after.flows.udp.octets += MANY * 1000;
	assert_int_equal(compare(&fixture), 0);
}

static void segments_that_no_flow_explains_are_told(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.tcp_in += MANY;
	fixture.after.kernel.tcp_out += MANY;
	fixture.after.flows.tcp.packets_in += MANY - 1;
	fixture.after.flows.tcp.octets += MANY * 1000;
	assert_int_equal(compare(&fixture), 1);
	assert_int_equal(fixture.records[0].what, COVERAGE_UNACCOUNTED);
	assert_int_equal(fixture.records[0].count, MANY + 1);
	assert_string_equal(fixture.records[0].detail, "TCP segments");
}

static void a_quiet_machine_is_not_judged(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.tcp_in += 5000;
	fixture.after.kernel.tcp_out += 4999;
	fixture.after.kernel.udp_out += 9999;
	assert_int_equal(compare(&fixture), 0);
}

static void floods_that_make_no_connection_are_no_flows(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.tcp_in += 3 * MANY;
	fixture.after.kernel.tcp_out += 3 * MANY;
	fixture.after.kernel.tcp_resets_out += MANY;
	fixture.after.kernel.tcp_failed += MANY;
	fixture.after.kernel.tcp_cookies += MANY;
	assert_int_equal(compare(&fixture), 0);
}

static void datagrams_sent_that_no_flow_explains_are_told(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.udp_out += MANY;
	fixture.after.flows.udp.packets_out += 1000;
	assert_int_equal(compare(&fixture), 1);
	assert_int_equal(fixture.records[0].count, MANY - 1000);
	assert_string_equal(fixture.records[0].detail, "UDP datagrams sent");
}

static void what_tunnels_receive_is_not_missed(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.udp_in += MANY;
	assert_int_equal(compare(&fixture), 0);
	fixture.after.flows.udp.packets_out += 100;
	fixture.after.flows.udp.packets_in += 1;
	fixture.after.flows.udp.octets += 10000;
	assert_int_equal(compare(&fixture), 0);
}

static void a_machine_that_sends_and_never_hears_is_deaf(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.udp_in += MANY;
	fixture.after.kernel.udp_out += 100;
	fixture.after.flows.udp.packets_out += 100;
	assert_int_equal(compare(&fixture), 1);
	assert_string_equal(fixture.records[0].detail, "UDP datagrams received");
}

static void octets_that_read_zero_are_told_but_acknowledgements_have_none(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel.tcp_in += MANY;
	fixture.after.flows.tcp.packets_in += MANY;
	fixture.after.kernel.ip_packets_in += MANY;
	fixture.after.kernel.ip_octets_in += MANY * 52;
	assert_int_equal(compare(&fixture), 0);
	fixture.after.kernel.ip_octets_in += MANY * 1448ull;
	assert_int_equal(compare(&fixture), 1);
	assert_string_equal(fixture.records[0].detail, "octets");
	assert_int_equal(fixture.records[0].count, MANY * 1500ull);
	fixture.after.flows.tcp.octets += MANY;
	assert_int_equal(compare(&fixture), 0);
}

static void counters_that_go_back_mean_nothing(void **state)
{
	struct fixture fixture = begin();

	(void)state;
	fixture.after.kernel = (struct netns_counters){0};
	assert_int_equal(compare(&fixture), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_flows_explain_is_fine),
		cmocka_unit_test(segments_that_no_flow_explains_are_told),
		cmocka_unit_test(a_quiet_machine_is_not_judged),
		cmocka_unit_test(floods_that_make_no_connection_are_no_flows),
		cmocka_unit_test(datagrams_sent_that_no_flow_explains_are_told),
		cmocka_unit_test(what_tunnels_receive_is_not_missed),
		cmocka_unit_test(a_machine_that_sends_and_never_hears_is_deaf),
		cmocka_unit_test(octets_that_read_zero_are_told_but_acknowledgements_have_none),
		cmocka_unit_test(counters_that_go_back_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

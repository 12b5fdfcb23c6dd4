/* The SNMP counters of /proc/net. */
#include "daemon/netns_counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void pairs_of_lines_and_single_lines_are_read(void **state)
{
	struct netns_counters counters = {0};

	(void)state;
	netns_counters_parse("Ip: Forwarding DefaultTTL InSegs\nIp: 1 64 99\n"
			     "Tcp: RtoAlgorithm AttemptFails InSegs OutSegs MaxConn OutRsts\n"
			     "Tcp: 1 5 18446744073709551615 20 -1 3\n"
			     "Udp: InDatagrams OutDatagrams\nUdp: 100 200\n"
			     "UdpLite: InDatagrams OutDatagrams\nUdpLite: 7 7\n",
		&counters);
	netns_counters_parse("TcpExt: SyncookiesSent SyncookiesRecv\nTcpExt: 11 12\n"
			     "IpExt: InOctets OutOctets InNoECTPkts InCEPkts\nIpExt: 5000 1 40 2\n",
		&counters);
	netns_counters_parse("Ip6InOctets                     \t600\nUdp6InDatagrams \t1\n"
			     "Udp6OutDatagrams\t2\nIp6InNoECTPkts\t4",
		&counters);
	assert_int_equal(counters.tcp_in, UINT64_MAX);
	assert_int_equal(counters.tcp_out, 20);
	assert_int_equal(counters.tcp_resets_out, 3);
	assert_int_equal(counters.tcp_failed, 5);
	assert_int_equal(counters.tcp_cookies, 11);
	assert_int_equal(counters.udp_in, 101);
	assert_int_equal(counters.udp_out, 202);
	assert_int_equal(counters.ip_octets_in, 5600);
	assert_int_equal(counters.ip_packets_in, 46);
}

static void text_that_stops_anywhere_does_no_harm(void **state)
{
	static const char text[] = "Tcp: InSegs OutSegs\nTcp: 1 2\nUdp6InDatagrams 3\n";
	char part[sizeof(text)];

	(void)state;
	for (size_t length = 0; length < sizeof(text); length++) {
		struct netns_counters counters = {0};

		memcpy(part, text, length);
		part[length] = '\0';
		netns_counters_parse(part, &counters);
		assert_true(counters.tcp_in <= 1 && counters.tcp_out <= 2 && counters.udp_in <= 3);
	}
}

static void the_counters_of_this_machine_can_be_read(void **state)
{
	struct netns_counters counters = {.tcp_in = UINT64_MAX};

	(void)state;
	assert_int_equal(netns_counters_read(&counters), 0);
	assert_true(counters.tcp_in < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_of_lines_and_single_lines_are_read),
		cmocka_unit_test(text_that_stops_anywhere_does_no_harm),
		cmocka_unit_test(the_counters_of_this_machine_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

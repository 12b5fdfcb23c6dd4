/* What the kernel's messages say of a socket, and what its counters say of a connection. The
 * numbers were seen on Linux 6.18. */
#include "source/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "source/sock_diag_tcp.h"

enum { ESTABLISHED = 1, SYN_SENT, FIN_WAIT2 = 5, CLOSE = 7, CLOSE_WAIT };

struct message {
	struct inet_diag_msg head;
	struct nlattr info_head;
	struct tcp_info info;
	struct nlattr protocol_head;
	uint8_t protocol, padding[3];
} __attribute__((packed));

static struct message a_message(void)
{
	struct message message = {
		.head = {.idiag_family = AF_INET,
			.idiag_state = ESTABLISHED,
			.id = {.idiag_sport = htons(50000),
				.idiag_dport = htons(443),
				.idiag_cookie = {5, 1}},
			.idiag_rqueue = 3,
			.idiag_wqueue = 4,
			.idiag_inode = 4711},
		.info_head = {.nla_type = INET_DIAG_INFO,
			.nla_len = sizeof(struct nlattr) + sizeof(struct tcp_info)},
		.info = {.tcpi_bytes_sent = 150,
			.tcpi_bytes_retrans = 50,
			.tcpi_bytes_acked = 101,
			.tcpi_segs_out = 7,
			.tcpi_rtt = 55},
		.protocol_head = {.nla_type = INET_DIAG_PROTOCOL,
			.nla_len = sizeof(struct nlattr) + 1},
		.protocol = IPPROTO_TCP,
	};

	memcpy(message.head.id.idiag_src, "\300\0\2\1", 4);
	memcpy(message.head.id.idiag_dst, "\306\63\144\7", 4);
	return message;
}

static void test_a_message_becomes_a_socket(void **state)
{
	struct message message = a_message();
	struct sock_diag_socket socket;
	char text[ADDR_TEXT_SIZE];

	(void)state;
	assert_true(sock_diag_parse(&message, sizeof(message), IPPROTO_TCP, &socket));
	assert_string_equal(addr_format(&socket.key.local, text), "192.0.2.1");
	assert_string_equal(addr_format(&socket.key.remote, text), "198.51.100.7");
	assert_int_equal(socket.key.local_port, 50000);
	assert_int_equal(socket.key.remote_port, 443);
	assert_int_equal(socket.key.socket_cookie, (1ull << 32) + 5);
	assert_int_equal(socket.inode, 4711);
	assert_int_equal(socket.unread, 3);
	assert_int_equal(socket.unacked, 4);
	assert_true(socket.counted);
	assert_int_equal(socket.tcp.sent, 100);
	assert_int_equal(socket.tcp.rtt_us, 55);
}

static void test_every_prefix_of_a_message_is_survived(void **state)
{
	struct message message = a_message();
	struct sock_diag_socket socket;

	(void)state;
	for (size_t size = 0; size < sizeof(message); size++) {
		char *prefix = malloc(size + 1);

		assert_non_null(prefix);
		memcpy(prefix, &message, size);
		assert_int_equal(sock_diag_parse(prefix, size, IPPROTO_TCP, &socket),
			size >= sizeof(message.head));
		free(prefix);
	}
}

static void test_what_is_left_of_a_closed_socket_is_none(void **state)
{
	struct message message = a_message();
	struct sock_diag_socket socket;

	(void)state;
	message.head.idiag_state = FIN_WAIT2;
	message.head.idiag_timer = 3;
	assert_false(sock_diag_parse(&message, sizeof(message), IPPROTO_TCP, &socket));
}

static void test_attributes_that_lie_about_their_length(void **state)
{
	static const uint16_t lengths[] = {0, 1, 3, 5, 4000, UINT16_MAX};
	struct message message = a_message();
	struct sock_diag_socket socket;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		message.info_head.nla_len = lengths[i];
		assert_true(sock_diag_parse(&message, sizeof(message), IPPROTO_TCP, &socket));
		assert_false(socket.counted);
	}
}

static void test_the_protocol_of_a_destroyed_or_raw_socket_is_an_attribute(void **state)
{
	struct message message = a_message();
	struct sock_diag_socket socket;

	(void)state;
	message.protocol = 253;
	assert_true(sock_diag_parse(&message, sizeof(message), IPPROTO_RAW, &socket));
	assert_int_equal(socket.key.protocol, 253);
	assert_int_equal(socket.key.local_port, 0);
	message.protocol_head.nla_len = sizeof(struct nlattr); /* none */
	assert_true(sock_diag_parse(&message, sizeof(message), IPPROTO_UDP, &socket));
	assert_int_equal(socket.key.protocol, IPPROTO_UDP);
}

static struct sock_diag_socket tcp(uint8_t state, uint64_t sent, uint64_t acked, uint64_t received)
{
	return (struct sock_diag_socket){
		.state = state,
		.counted = true,
		.tcp = {.sent = sent,
			.acked = acked,
			.received = received,
			.data_segments_in = received > 1,
			.segments_out = 4,
			.segments_in = 4},
	};
}

static void test_who_connected_by_what_was_acknowledged(void **state)
{
	static const struct {
		uint8_t state;
		unsigned sent, acked;
		enum flow_direction direction;
	} cases[] = {
		{SYN_SENT, 0, 0, FLOW_DIRECTION_OUT}, {ESTABLISHED, 100, 101, FLOW_DIRECTION_OUT},
		{ESTABLISHED, 30, 30, FLOW_DIRECTION_IN},
		{ESTABLISHED, 30, 33, FLOW_DIRECTION_UNKNOWN},
		{CLOSE_WAIT, 0, 0, FLOW_DIRECTION_IN}, {FIN_WAIT2, 100, 102, FLOW_DIRECTION_OUT},
		{FIN_WAIT2, 30, 31, FLOW_DIRECTION_IN}, {CLOSE, 100, 102, FLOW_DIRECTION_OUT},
		{CLOSE, 30, 30, FLOW_DIRECTION_IN},
		{CLOSE, 30, 31, FLOW_DIRECTION_UNKNOWN}, /* a SYN, or a FIN */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sock_diag_socket socket =
			tcp(cases[i].state, cases[i].sent, cases[i].acked, 0);

		assert_int_equal(sock_diag_tcp_direction(&socket), cases[i].direction);
		socket.unacked = 1;
		assert_int_equal(sock_diag_tcp_direction(&socket),
			cases[i].state == SYN_SENT ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_UNKNOWN);
	}
}

static void test_the_peers_fin_is_no_octet(void **state)
{
	struct sock_diag_socket before = tcp(ESTABLISHED, 100, 101, 30);
	struct sock_diag_socket waits = tcp(CLOSE_WAIT, 100, 101, 31);
	struct sock_diag_socket closed = tcp(CLOSE, 100, 102, 31);
	struct sock_diag_socket empty = tcp(CLOSE, 100, 102, 1);

	(void)state;
	assert_int_equal(sock_diag_tcp_octets_in(&before, NULL), 30);
	assert_int_equal(sock_diag_tcp_octets_in(&waits, NULL), 30);
	assert_int_equal(sock_diag_tcp_octets_in(&closed, NULL), 30);
	assert_int_equal(sock_diag_tcp_octets_in(&closed, &before), 30);
	assert_int_equal(sock_diag_tcp_octets_in(&empty, NULL), 0);
	closed.tcp.received = 30; /* destroyed before the FIN came */
	assert_int_equal(sock_diag_tcp_octets_in(&closed, &before), 30);
	closed.tcp.received = 50;
	closed.tcp.data_segments_in++;
	assert_in_range(sock_diag_tcp_octets_in(&closed, &before), 49, 50);
}

static void test_how_it_ended_by_what_was_acknowledged(void **state)
{
	struct sock_diag_socket before = tcp(ESTABLISHED, 100, 101, 30);
	struct sock_diag_socket connecting = tcp(SYN_SENT, 0, 0, 0);
	struct sock_diag_socket end = tcp(CLOSE, 100, 102, 31);

	(void)state;
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &before, FLOW_DIRECTION_OUT), FLOW_OUTCOME_CLOSED);
	end.tcp.acked = 101;
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &before, FLOW_DIRECTION_OUT), FLOW_OUTCOME_RESET);
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &before, FLOW_DIRECTION_IN), FLOW_OUTCOME_CLOSED);
	assert_int_equal(
		sock_diag_tcp_outcome(&end, NULL, FLOW_DIRECTION_UNKNOWN), FLOW_OUTCOME_LOST);
	end.unacked = 5;
	end.tcp.unanswered = true;
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &before, FLOW_DIRECTION_OUT), FLOW_OUTCOME_LOST);
	end = tcp(CLOSE, 0, 0, 0);
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &connecting, FLOW_DIRECTION_OUT), FLOW_OUTCOME_REFUSED);
	end.tcp.segments_in = 0;
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &connecting, FLOW_DIRECTION_OUT), FLOW_OUTCOME_LOST);
}

static void test_counters_that_the_kernel_forgot_tell_an_abort(void **state)
{
	struct sock_diag_socket before = tcp(ESTABLISHED, 100, 101, 30);
	struct sock_diag_socket connecting = tcp(SYN_SENT, 0, 0, 0);
	struct sock_diag_socket end = {.state = CLOSE, .counted = true, .unacked = 65538};

	(void)state;
	assert_true(sock_diag_tcp_forgotten(&end));
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &before, FLOW_DIRECTION_OUT), FLOW_OUTCOME_RESET);
	assert_int_equal(
		sock_diag_tcp_outcome(&end, &connecting, FLOW_DIRECTION_OUT), FLOW_OUTCOME_LOST);
	assert_int_equal(
		sock_diag_tcp_outcome(&end, NULL, FLOW_DIRECTION_UNKNOWN), FLOW_OUTCOME_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_becomes_a_socket),
		cmocka_unit_test(test_every_prefix_of_a_message_is_survived),
		cmocka_unit_test(test_what_is_left_of_a_closed_socket_is_none),
		cmocka_unit_test(test_attributes_that_lie_about_their_length),
		cmocka_unit_test(test_the_protocol_of_a_destroyed_or_raw_socket_is_an_attribute),
		cmocka_unit_test(test_who_connected_by_what_was_acknowledged),
		cmocka_unit_test(test_the_peers_fin_is_no_octet),
		cmocka_unit_test(test_how_it_ended_by_what_was_acknowledged),
		cmocka_unit_test(test_counters_that_the_kernel_forgot_tell_an_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

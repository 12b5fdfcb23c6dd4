/* Two polls, and word of destroyed sockets in between, become observations. */
#include "source/proc_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COOKIE = 77, INODE = 555, PORT = 443, POLL_NS = 1000 };

static const struct process_ref server = {.pid = 12, .start_ns = 500};

static struct {
	struct observation last;
	struct listener_record listener;
	int sightings, ends, listens, gone;
	uint64_t losses;
} told;

static void on_observation(void *ctx, const struct observation *observation)
{
	(void)ctx;
	told.last = *observation;
	told.sightings += observation->kind == OBSERVATION_SIGHTING;
	told.ends += observation->kind == OBSERVATION_END;
}

static void on_listener(void *ctx, const struct listener_record *record, int64_t time_ns, bool gone)
{
	(void)ctx;
	(void)time_ns;
	told.listener = *record;
	told.listens += !gone;
	told.gone += gone;
}

static void on_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	(void)ctx;
	assert_int_equal(what, COVERAGE_TABLE_FULL);
	assert_non_null(detail);
	told.losses += count;
}

static const struct source_sink sink = {
	.observe = on_observation, .listener = on_listener, .loss = on_loss};

static struct proc_sockets *sockets;
static int64_t now_ns;

static int begin(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	now_ns = 0;
	return proc_sockets_new(16, &sink, &sockets);
}

static int end(void **state)
{
	(void)state;
	proc_sockets_free(sockets);
	return 0;
}

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* A client that sent 100 octets and got 30, all acknowledged. */
static struct sock_diag_socket client(void)
{
	return (struct sock_diag_socket){
		.key = {.local = address("192.0.2.1"),
			.remote = address("198.51.100.7"),
			.socket_cookie = COOKIE,
			.netns = 1,
			.local_port = 50000,
			.remote_port = PORT,
			.protocol = IPPROTO_TCP},
		.inode = INODE,
		.state = TCP_ESTABLISHED,
		.counted = true,
		.tcp = {.sent = 100,
			.acked = 101,
			.received = 30,
			.segments_out = 4,
			.segments_in = 3,
			.data_segments_in = 1},
	};
}

static struct sock_diag_socket listener(void)
{
	struct sock_diag_socket socket = {
		.key = {.local = address("0.0.0.0"),
			.remote = address("0.0.0.0"),
			.socket_cookie = COOKIE + 1,
			.netns = 1,
			.local_port = PORT,
			.protocol = IPPROTO_TCP},
		.inode = INODE + 1,
		.state = TCP_LISTEN,
	};

	return socket;
}

/* What the kernel tells of the client once it was closed in order. */
static struct sock_diag_socket closed_client(void)
{
	struct sock_diag_socket socket = client();

	socket.state = TCP_CLOSE;
	socket.inode = 0;
	socket.tcp.acked = 102;
	socket.tcp.received = 31;
	return socket;
}

static void poll_of(const struct sock_diag_socket *socket)
{
	proc_sockets_begin(sockets, now_ns += POLL_NS);
	if (socket)
		proc_sockets_seen(sockets, socket);
	proc_sockets_report(sockets, true);
}

static size_t own(const struct process_ref *owner)
{
	struct proc_owner_want wants[4];
	size_t count = proc_sockets_wants(sockets, wants, 4);

	for (size_t i = 0; i < count && owner; i++)
		wants[i].owner = *owner;
	proc_sockets_own(sockets, wants, count);
	return count;
}

static bool none_lives(const void *ctx, const struct process_ref *owner)
{
	(void)ctx;
	(void)owner;
	return false;
}

static void test_a_socket_that_stays_is_sighted_by_each_poll(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	socket.tcp.sent += 50;
	socket.tcp.acked += 50;
	poll_of(&socket);
	assert_int_equal(told.sightings, 2);
	assert_int_equal(told.ends, 0);
	assert_int_equal(told.last.counters.octets_out, 150);
	assert_int_equal(told.last.counters.octets_in, 30);
	assert_int_equal(told.last.direction, FLOW_DIRECTION_OUT);
	assert_int_equal(told.last.method, FLOW_METHOD_UNKNOWN);
	assert_int_equal(told.last.source, FLOW_SOURCE_PROCFS);
}

static void test_a_datagram_socket_with_a_given_port_is_no_listener(void **state)
{
	struct sock_diag_socket socket = listener();

	(void)state;
	socket.key.protocol = IPPROTO_UDP;
	socket.state = TCP_CLOSE;
	socket.given = true;
	poll_of(&socket);
	assert_int_equal(told.listens, 0);
	assert_int_equal(told.sightings, 1);
	assert_int_equal(told.last.key.local_port, PORT);
	assert_true(addr_is_unspecified(&told.last.key.remote));
	poll_of(NULL);
	poll_of(NULL);
	assert_int_equal(told.ends, 1);
}

static void test_a_destroyed_socket_ends_with_its_last_counters(void **state)
{
	struct sock_diag_socket socket = client(), closed = closed_client();

	(void)state;
	poll_of(&socket);
	assert_int_equal(own(&server), 1);
	closed.tcp.sent += 5;
	closed.tcp.acked += 5;
	proc_sockets_destroyed(sockets, &closed, now_ns + 10);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_CLOSED);
	assert_int_equal(told.last.counters.octets_out, 105);
	assert_int_equal(told.last.counters.octets_in, 30);
	assert_int_equal(told.last.time_ns, now_ns + 10);
	assert_true(process_ref_equal(&told.last.user, &server));
	assert_int_equal(told.last.method, FLOW_METHOD_PROCFS);
	poll_of(NULL);
	poll_of(NULL);
	poll_of(NULL);
	assert_int_equal(told.ends, 1);
}

static void test_one_poll_that_skips_a_socket_does_not_end_it(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	poll_of(NULL);
	assert_int_equal(told.ends, 0);
	poll_of(&socket);
	poll_of(NULL);
	assert_int_equal(told.ends, 0);
}

static void test_a_socket_that_two_polls_miss_is_lost_at_its_last_sighting(void **state)
{
	struct sock_diag_socket socket = client(), closed = closed_client();

	(void)state;
	poll_of(&socket);
	poll_of(NULL);
	poll_of(NULL);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_LOST);
	assert_int_equal(told.last.time_ns, POLL_NS);
	proc_sockets_destroyed(sockets, &closed, now_ns); /* it was held, unconnected */
	assert_int_equal(told.ends, 1);
}

static void test_a_failed_dump_ends_nothing(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	for (int i = 0; i < 5; i++) {
		proc_sockets_begin(sockets, now_ns += POLL_NS);
		proc_sockets_report(sockets, false);
	}
	assert_int_equal(told.ends, 0);
}

static void test_a_flow_between_two_polls_has_its_counters_and_no_process(void **state)
{
	struct sock_diag_socket closed = closed_client();

	(void)state;
	proc_sockets_destroyed(sockets, &closed, 10);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_CLOSED);
	assert_int_equal(told.last.direction, FLOW_DIRECTION_OUT);
	assert_int_equal(told.last.counters.octets_out, 100);
	assert_int_equal(told.last.counters.octets_in, 30);
	assert_false(process_ref_known(&told.last.user));
	assert_int_equal(told.last.method, FLOW_METHOD_UNKNOWN);
}

static void test_a_listener_tells_which_way_a_flow_between_two_polls_went(void **state)
{
	struct sock_diag_socket listens = listener(), closed = closed_client();

	(void)state;
	poll_of(&listens);
	assert_int_equal(told.listens, 1);
	closed.key.local_port = PORT;
	closed.key.remote_port = 50000;
	closed.tcp.acked = 101; /* a FIN, and no SYN of ours */
	proc_sockets_destroyed(sockets, &closed, now_ns);
	assert_int_equal(told.last.direction, FLOW_DIRECTION_IN);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_CLOSED);
}

static void test_without_a_listener_it_may_have_gone_either_way(void **state)
{
	struct sock_diag_socket closed = closed_client();

	(void)state;
	closed.tcp.acked = 101;
	proc_sockets_destroyed(sockets, &closed, 10);
	assert_int_equal(told.last.direction, FLOW_DIRECTION_UNKNOWN);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_LOST);
}

static void test_a_listener_is_told_again_when_its_owner_is_found(void **state)
{
	struct sock_diag_socket listens = listener();

	(void)state;
	poll_of(&listens);
	assert_false(process_ref_known(&told.listener.owner));
	poll_of(&listens);
	assert_int_equal(told.listens, 1);
	proc_sockets_begin(sockets, now_ns += POLL_NS);
	proc_sockets_seen(sockets, &listens);
	own(&server);
	proc_sockets_report(sockets, true);
	assert_int_equal(told.listens, 2);
	assert_true(process_ref_equal(&told.listener.owner, &server));
	listens.state = TCP_CLOSE;
	proc_sockets_destroyed(sockets, &listens, now_ns);
	assert_int_equal(told.gone, 1);
	assert_int_equal(told.sightings + told.ends, 0);
}

static void test_an_owner_who_is_nowhere_is_not_looked_for_for_ever(void **state)
{
	struct sock_diag_socket socket = client();
	int looks = 0;

	(void)state;
	poll_of(&socket);
	while (own(NULL) > 0)
		looks++;
	assert_in_range(looks, 1, 5);
}

static void test_the_owner_who_ended_stays_until_another_is_found(void **state)
{
	const struct process_ref child = {.pid = 13, .start_ns = 600};
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	own(&server);
	assert_int_equal(own(&child), 0);
	proc_sockets_orphan(sockets, none_lives, NULL);
	poll_of(&socket);
	assert_true(process_ref_equal(&told.last.user, &server));
	assert_int_equal(own(&child), 1);
	poll_of(&socket);
	assert_true(process_ref_equal(&told.last.user, &child));
}

static void test_a_socket_without_a_file_keeps_its_owner(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	own(&server);
	proc_sockets_orphan(sockets, none_lives, NULL);
	socket.inode = 0;
	socket.state = TCP_FIN_WAIT1;
	poll_of(&socket);
	assert_int_equal(own(NULL), 0);
	assert_true(process_ref_equal(&told.last.user, &server));
}

static void test_a_socket_that_is_connected_anew_is_another_flow(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	poll_of(&socket);
	socket.key.remote = address("198.51.100.8");
	socket.tcp = (struct sock_diag_tcp){.acked = 1, .segments_out = 2, .segments_in = 1};
	poll_of(&socket);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.sightings, 2);
	assert_true(addr_equal(&told.last.key.remote, &socket.key.remote));
	assert_int_equal(told.last.counters.octets_in, 0);
}

static void test_a_bound_datagram_socket_waits_and_a_connected_one_is_a_flow(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	socket.key.protocol = IPPROTO_UDP;
	socket.counted = false;
	memset(&socket.tcp, 0, sizeof(socket.tcp));
	poll_of(&socket);
	assert_int_equal(told.sightings, 1);
	assert_int_equal(told.last.direction, FLOW_DIRECTION_OUT);
	proc_sockets_destroyed(sockets, &socket, now_ns);
	assert_int_equal(told.last.outcome, FLOW_OUTCOME_CLOSED);
	socket.key.socket_cookie++;
	socket.key.remote_port = 0;
	socket.key.remote = address("0.0.0.0");
	poll_of(&socket);
	assert_int_equal(told.listens, 1);
}

static void test_sockets_beyond_the_limit_are_counted(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	proc_sockets_begin(sockets, POLL_NS);
	for (int i = 0; i < 20; i++, socket.key.socket_cookie++)
		proc_sockets_seen(sockets, &socket);
	proc_sockets_report(sockets, true);
	assert_int_equal(told.sightings, 16);
	assert_int_equal(told.losses, 4);
}

static void test_marks_of_what_is_over_give_way(void **state)
{
	struct sock_diag_socket socket = client();

	(void)state;
	proc_sockets_begin(sockets, now_ns += POLL_NS);
	for (int i = 0; i < 16; i++, socket.key.socket_cookie++)
		proc_sockets_seen(sockets, &socket);
	proc_sockets_report(sockets, true);
	poll_of(NULL);
	poll_of(NULL);
	assert_int_equal(told.ends, 16);
	poll_of(&socket);
	assert_int_equal(told.losses, 0);
	assert_int_equal(told.sightings, 17);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_a_socket_that_stays_is_sighted_by_each_poll),
		TEST(test_a_datagram_socket_with_a_given_port_is_no_listener),
		TEST(test_a_destroyed_socket_ends_with_its_last_counters),
		TEST(test_one_poll_that_skips_a_socket_does_not_end_it),
		TEST(test_a_socket_that_two_polls_miss_is_lost_at_its_last_sighting),
		TEST(test_a_failed_dump_ends_nothing),
		TEST(test_a_flow_between_two_polls_has_its_counters_and_no_process),
		TEST(test_a_listener_tells_which_way_a_flow_between_two_polls_went),
		TEST(test_without_a_listener_it_may_have_gone_either_way),
		TEST(test_a_listener_is_told_again_when_its_owner_is_found),
		TEST(test_an_owner_who_is_nowhere_is_not_looked_for_for_ever),
		TEST(test_the_owner_who_ended_stays_until_another_is_found),
		TEST(test_a_socket_without_a_file_keeps_its_owner),
		TEST(test_a_socket_that_is_connected_anew_is_another_flow),
		TEST(test_a_bound_datagram_socket_waits_and_a_connected_one_is_a_flow),
		TEST(test_sockets_beyond_the_limit_are_counted),
		TEST(test_marks_of_what_is_over_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whose packets: which socket fits best, when it is gone, when nobody is named, and who is asked
 * for at the next poll. */
#include "source/packet_owner.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

enum { HERE = 1, ELSEWHERE = 2, MAX = 4 };

static const struct process_ref alice = {.pid = 10, .start_ns = 1};
static const struct process_ref bob = {.pid = 20, .start_ns = 2};
static const struct process_ref nobody;

static struct packet_owner *owner;

static int begin(void **state)
{
	(void)state;
	return packet_owner_new(MAX, (struct hash_key){1, 2}, &owner);
}

static int end(void **state)
{
	(void)state;
	packet_owner_free(owner);
	return 0;
}

/* remote "" is no remote end. */
static struct flow_key key(uint8_t protocol, uint32_t netns, const char *local, uint16_t port,
	const char *remote, uint16_t remote_port)
{
	struct flow_key made = {.protocol = protocol,
		.netns = netns,
		.local_port = port,
		.remote_port = remote_port};

	assert_int_equal(addr_parse(local, &made.local), 0);
	if (*remote)
		assert_int_equal(addr_parse(remote, &made.remote), 0);
	return made;
}

static void put(struct flow_key socket, uint64_t cookie, struct process_ref user)
{
	socket.socket_cookie = cookie;
	packet_owner_put(owner, &socket, &user);
}

static uint32_t pid_of(struct flow_key packet, int64_t time_ns)
{
	struct process_ref user;

	return packet_owner_find(owner, &packet, time_ns, &user) ? user.pid : 0;
}

static struct flow_key tcp_packet(void)
{
	return key(IPPROTO_TCP, HERE, "10.0.0.1", 40000, "10.0.0.2", 443);
}

static struct flow_key udp_packet(void)
{
	return key(IPPROTO_UDP, HERE, "10.0.0.1", 53, "10.0.0.2", 5000);
}

static void test_a_connected_socket_owns_its_own_ends_only(void **state)
{
	struct flow_key packet = tcp_packet();

	(void)state;
	put(packet, 7, alice);
	assert_int_equal(pid_of(packet, 1), alice.pid);
	packet.remote_port++;
	assert_int_equal(pid_of(packet, 1), 0);
	packet.remote_port--;
	packet.netns = ELSEWHERE;
	assert_int_equal(pid_of(packet, 1), 0);
}

static void test_a_listener_does_not_own_connections(void **state)
{
	(void)state;
	put(key(IPPROTO_TCP, HERE, "0.0.0.0", 40000, "", 0), 7, alice);
	assert_int_equal(pid_of(tcp_packet(), 1), 0);
}

static void test_a_datagram_goes_to_the_socket_that_fits_best(void **state)
{
	(void)state;
	put(key(IPPROTO_UDP, HERE, "::", 53, "", 0), 1, alice);
	assert_int_equal(pid_of(udp_packet(), 1), alice.pid);
	put(key(IPPROTO_UDP, HERE, "0.0.0.0", 53, "0.0.0.0", 0), 2, bob);
	assert_int_equal(pid_of(udp_packet(), 1), bob.pid);
	put(key(IPPROTO_UDP, HERE, "10.0.0.1", 53, "", 0), 3, alice);
	assert_int_equal(pid_of(udp_packet(), 1), alice.pid);
	put(udp_packet(), 4, bob);
	assert_int_equal(pid_of(udp_packet(), 1), bob.pid);
}

static void test_of_several_processes_nobody_is_named(void **state)
{
	struct flow_key shared = key(IPPROTO_UDP, HERE, "0.0.0.0", 53, "", 0), gone = shared;

	(void)state;
	put(shared, 1, alice);
	put(shared, 2, alice);
	assert_int_equal(pid_of(udp_packet(), 5), alice.pid);
	put(shared, 2, bob);
	assert_int_equal(pid_of(udp_packet(), 5), 0);
	gone.socket_cookie = 1;
	packet_owner_gone(owner, &gone, 4);
	assert_int_equal(pid_of(udp_packet(), 4), 0);
	assert_int_equal(pid_of(udp_packet(), 5), bob.pid);
}

static void test_a_socket_without_a_known_owner_hides_those_that_fit_less(void **state)
{
	(void)state;
	put(key(IPPROTO_UDP, HERE, "0.0.0.0", 53, "", 0), 1, alice);
	put(key(IPPROTO_UDP, HERE, "10.0.0.1", 53, "", 0), 2, nobody);
	assert_int_equal(pid_of(udp_packet(), 1), 0);
}

static void test_forwarded_packets_match_any_namespace_but_not_by_port_alone(void **state)
{
	struct flow_key forwarded = udp_packet();

	(void)state;
	forwarded.netns = 0;
	put(key(IPPROTO_UDP, ELSEWHERE, "0.0.0.0", 53, "", 0), 1, alice);
	assert_int_equal(pid_of(forwarded, 1), 0);
	put(key(IPPROTO_UDP, ELSEWHERE, "10.0.0.1", 53, "", 0), 2, bob);
	assert_int_equal(pid_of(forwarded, 1), bob.pid);
}

static void test_what_is_gone_owns_the_packets_of_before(void **state)
{
	struct flow_key packet = tcp_packet(), socket = packet;

	(void)state;
	put(packet, 7, alice);
	socket.socket_cookie = 7;
	packet_owner_gone(owner, &socket, 100);
	packet_owner_gone(owner, &socket, 200); /* twice is once */
	assert_int_equal(pid_of(packet, 100), alice.pid);
	assert_int_equal(pid_of(packet, 101), 0);
	put(packet, 8, bob);
	assert_int_equal(pid_of(packet, 101), bob.pid);
	packet_owner_expire(owner, 101);
	assert_int_equal(pid_of(packet, 100), bob.pid);
}

static void test_a_full_table_forgets_the_gone_and_refuses_the_new(void **state)
{
	struct flow_key packet = tcp_packet(), first = packet;

	(void)state;
	for (uint16_t i = 0; i <= MAX; i++) {
		packet.local_port = i;
		put(packet, i + 1u, alice);
	}
	assert_int_equal(packet_owner_refused(owner), 1);
	assert_int_equal(pid_of(packet, 1), 0);
	first.local_port = 0;
	first.socket_cookie = 1;
	packet_owner_gone(owner, &first, 1);
	put(packet, MAX + 1, bob);
	assert_int_equal(packet_owner_refused(owner), 1);
	assert_int_equal(pid_of(packet, 1), bob.pid);
}

static int answers;

static void count_answer(void *ctx, const struct flow_key *answered, const struct process_ref *user)
{
	(void)ctx;
	assert_int_equal(answered->local_port, 40000);
	assert_int_equal(user->pid, alice.pid);
	answers++;
}

static void test_who_was_not_known_is_told_after_the_poll(void **state)
{
	struct flow_key packet = tcp_packet();

	(void)state;
	answers = 0;
	assert_false(packet_owner_has_wants(owner));
	packet_owner_want(owner, &packet, 5, false);
	packet_owner_want(owner, &packet, 6, false); /* asked already */
	packet_owner_answer(owner, count_answer, NULL);
	assert_int_equal(answers, 0);
	assert_true(packet_owner_has_wants(owner));
	put(packet, 7, alice);
	packet_owner_answer(owner, count_answer, NULL);
	assert_int_equal(answers, 1);
	assert_false(packet_owner_has_wants(owner));
}

static void test_after_three_polls_it_is_asked_for_no_more_until_something_begins(void **state)
{
	struct flow_key packet = tcp_packet();

	(void)state;
	packet_owner_want(owner, &packet, 5, false);
	for (int polls = 0; polls < 3; polls++) {
		assert_true(packet_owner_has_wants(owner));
		packet_owner_answer(owner, count_answer, NULL);
	}
	packet_owner_want(owner, &packet, 6, false);
	assert_false(packet_owner_has_wants(owner));
	packet_owner_want(owner, &packet, 7, true);
	assert_true(packet_owner_has_wants(owner));
	for (int polls = 0; polls < 3; polls++)
		packet_owner_answer(owner, count_answer, NULL);
	packet_owner_want(owner, &packet, 7 + 10 * (int64_t)NS_PER_S, false);
	assert_true(packet_owner_has_wants(owner));
}

static void test_wants_are_bounded(void **state)
{
	struct flow_key packet = tcp_packet();

	(void)state;
	for (uint16_t i = 0; i < 5000; i++) {
		packet.remote_port = i;
		packet_owner_want(owner, &packet, 5, true);
	}
	for (int polls = 0; polls < 3; polls++)
		packet_owner_answer(owner, count_answer, NULL);
	assert_false(packet_owner_has_wants(owner));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_connected_socket_owns_its_own_ends_only),
		TEST(test_a_listener_does_not_own_connections),
		TEST(test_a_datagram_goes_to_the_socket_that_fits_best),
		TEST(test_of_several_processes_nobody_is_named),
		TEST(test_a_socket_without_a_known_owner_hides_those_that_fit_less),
		TEST(test_forwarded_packets_match_any_namespace_but_not_by_port_alone),
		TEST(test_what_is_gone_owns_the_packets_of_before),
		TEST(test_a_full_table_forgets_the_gone_and_refuses_the_new),
		TEST(test_who_was_not_known_is_told_after_the_poll),
		TEST(test_after_three_polls_it_is_asked_for_no_more_until_something_begins),
		TEST(test_wants_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

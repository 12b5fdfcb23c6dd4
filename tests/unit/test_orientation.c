/* Which end is local and who began: each sign alone, and in its order. */
#include "source/orientation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/observation.h"

static const uint8_t SYN = OBSERVATION_TCP_SYN, ACK = OBSERVATION_TCP_ACK;

static struct orientation *make(const struct source_pcap_range *local, size_t count, size_t max)
{
	struct orientation_options options = {
		.local = local, .local_count = count, .max_conversations = max, .hash_key = {1, 2}};
	struct orientation *orientation;

	assert_int_equal(orientation_new(&options, &orientation), 0);
	return orientation;
}

static struct decode_packet packet_of(uint8_t protocol, const char *source, uint16_t source_port,
	const char *destination, uint16_t destination_port)
{
	struct decode_packet packet = {.protocol = protocol,
		.source_port = source_port,
		.destination_port = destination_port};

	assert_int_equal(addr_parse(source, &packet.source), 0);
	assert_int_equal(addr_parse(destination, &packet.destination), 0);
	return packet;
}

static struct decode_packet tcp(bool from_client, uint8_t flags)
{
	struct decode_packet packet = from_client
					      ? packet_of(6, "10.0.0.1", 40000, "10.0.0.2", 8080)
					      : packet_of(6, "10.0.0.2", 8080, "10.0.0.1", 40000);

	packet.tcp_flags = flags;
	return packet;
}

static void check(struct orientation *orientation, struct decode_packet packet, bool from_local,
	enum flow_direction direction)
{
	struct orientation_verdict verdict = orientation_of(orientation, &packet, 1);

	assert_int_equal(verdict.from_local, from_local);
	assert_int_equal(verdict.direction, direction);
}

static void who_sends_the_syn_is_local(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);

	(void)state;
	check(orientation, tcp(true, SYN), true, FLOW_DIRECTION_OUT);
	check(orientation, tcp(false, SYN | ACK), false, FLOW_DIRECTION_OUT);
	check(orientation, tcp(true, ACK), true, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void who_answers_the_syn_is_remote(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);

	(void)state;
	check(orientation, tcp(false, SYN | ACK), false, FLOW_DIRECTION_OUT);
	check(orientation, tcp(true, ACK), true, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void in_mid_stream_the_first_speaker_is_local_and_nobody_began(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);

	(void)state;
	check(orientation, tcp(false, ACK), true, FLOW_DIRECTION_UNKNOWN);
	check(orientation, tcp(true, ACK), false, FLOW_DIRECTION_UNKNOWN);
	check(orientation, tcp(true, SYN), false, FLOW_DIRECTION_IN); /* the tuple's next use */
	orientation_free(orientation);
}

static void a_system_port_is_the_remote_service(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);

	(void)state;
	check(orientation, packet_of(17, "10.0.0.2", 53, "10.0.0.1", 40000), false,
		FLOW_DIRECTION_OUT);
	check(orientation, packet_of(17, "10.0.0.1", 40000, "10.0.0.2", 53), true,
		FLOW_DIRECTION_OUT);
	check(orientation, packet_of(17, "10.0.0.1", 123, "10.0.0.2", 123), true,
		FLOW_DIRECTION_OUT);
	check(orientation, packet_of(6, "10.0.0.3", 443, "10.0.0.1", 40000), false,
		FLOW_DIRECTION_UNKNOWN);
	orientation_free(orientation);
}

static void an_icmp_reply_tells_who_asked(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	struct decode_packet reply = packet_of(1, "10.0.0.2", 0, "10.0.0.1", 0);

	(void)state;
	reply.reply = true;
	check(orientation, reply, false, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void the_machines_own_addresses_come_first(void **state)
{
	struct source_pcap_range range = {0};
	struct orientation *orientation;
	struct decode_packet cooked = packet_of(17, "10.0.0.2", 4000, "10.0.0.1", 5000);

	(void)state;
	assert_int_equal(addr_parse_range("10.0.0.2/32", &range.first, &range.last), 0);
	orientation = make(&range, 1, 8);
	check(orientation, tcp(true, SYN), false, FLOW_DIRECTION_IN);
	check(orientation, tcp(false, SYN | ACK), true, FLOW_DIRECTION_IN);
	cooked.sender = DECODE_SENDER_REMOTE;
	check(orientation, cooked, true, FLOW_DIRECTION_OUT);
	check(orientation, packet_of(17, "10.0.0.9", 5353, "224.0.0.251", 5353), false,
		FLOW_DIRECTION_IN);
	check(orientation, packet_of(17, "10.0.0.2", 5353, "224.0.0.251", 5353), true,
		FLOW_DIRECTION_OUT);
	check(orientation, packet_of(17, "10.0.0.9", 68, "255.255.255.255", 67), false,
		FLOW_DIRECTION_IN);
	check(orientation, packet_of(17, "fe80::1", 5353, "ff02::fb", 5353), false,
		FLOW_DIRECTION_IN);
	orientation_free(orientation);
}

static void without_own_addresses_a_group_is_no_end_of_ours(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);

	(void)state;
	check(orientation, packet_of(17, "10.0.0.2", 5353, "224.0.0.251", 5353), true,
		FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void with_both_ends_local_the_initiator_decides(void **state)
{
	struct source_pcap_range range = {0};
	struct orientation *orientation;

	(void)state;
	assert_int_equal(addr_parse_range("10.0.0.0/8", &range.first, &range.last), 0);
	orientation = make(&range, 1, 8);
	check(orientation, tcp(true, SYN), true, FLOW_DIRECTION_OUT);
	check(orientation, tcp(false, SYN | ACK), false, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void with_neither_end_local_it_is_forwarded_from_the_initiator(void **state)
{
	struct source_pcap_range range = {0};
	struct orientation *orientation;
	struct decode_packet syn = tcp(true, SYN), segment;

	(void)state;
	assert_int_equal(addr_parse_range("10.0.0.9", &range.first, &range.last), 0);
	orientation = make(&range, 1, 8);
	syn.sender = DECODE_SENDER_LOCAL; /* as the device shows it that it leaves by */
	check(orientation, syn, true, FLOW_DIRECTION_FORWARDED);
	check(orientation, tcp(false, SYN | ACK), false, FLOW_DIRECTION_FORWARDED);
	segment = packet_of(6, "10.0.0.3", 443, "10.0.0.1", 40000);
	check(orientation, segment, false, FLOW_DIRECTION_FORWARDED); /* in mid-stream, too */
	check(orientation, packet_of(17, "10.0.0.2", 40000, "10.0.0.1", 53), true,
		FLOW_DIRECTION_FORWARDED);
	orientation_free(orientation);
}

static void a_broadcast_address_is_local_to_who_receives_it(void **state)
{
	struct source_pcap_range ranges[2] = {{.broadcast = false}, {.broadcast = true}};
	struct orientation *orientation;

	(void)state;
	assert_int_equal(addr_parse_range("10.0.0.9", &ranges[0].first, &ranges[0].last), 0);
	assert_int_equal(addr_parse_range("10.0.0.255", &ranges[1].first, &ranges[1].last), 0);
	orientation = make(ranges, 2, 8);
	check(orientation, packet_of(17, "10.0.0.2", 138, "10.0.0.255", 138), false,
		FLOW_DIRECTION_IN);
	check(orientation, packet_of(17, "10.0.0.9", 138, "10.0.0.255", 138), true,
		FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void addresses_that_come_later_count_for_what_begins_later(void **state)
{
	struct source_pcap_range range = {0};
	struct orientation *orientation;

	(void)state;
	assert_int_equal(addr_parse_range("10.0.0.9", &range.first, &range.last), 0);
	orientation = make(&range, 1, 8);
	check(orientation, tcp(true, SYN), true, FLOW_DIRECTION_FORWARDED);
	assert_int_equal(addr_parse_range("10.0.0.2", &range.first, &range.last), 0);
	assert_int_equal(orientation_set_local(orientation, &range, 1), 0);
	check(orientation, tcp(false, SYN | ACK), false, FLOW_DIRECTION_FORWARDED);
	check(orientation, packet_of(17, "10.0.0.2", 40000, "10.0.0.1", 53), true,
		FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static struct orientation *make_with_both_ends(void)
{
	struct source_pcap_range loopback = {0};
	struct orientation_options options = {.local = &loopback,
		.local_count = 1,
		.max_conversations = 8,
		.both_ends = true,
		.hash_key = {1, 2}};
	struct orientation *orientation;

	assert_int_equal(addr_parse_range("127.0.0.0/8", &loopback.first, &loopback.last), 0);
	assert_int_equal(orientation_new(&options, &orientation), 0);
	return orientation;
}

static void two_local_ends_have_a_flow_each_where_that_is_wanted(void **state)
{
	struct orientation *orientation = make_with_both_ends();
	struct decode_packet there = packet_of(17, "127.0.0.1", 40000, "127.0.0.1", 53);
	struct decode_packet out = packet_of(17, "127.0.0.1", 40000, "10.0.0.1", 53);

	(void)state;
	assert_true(orientation_of(orientation, &there, 1).both);
	assert_true(orientation_of(orientation, &there, 1).from_local);
	assert_false(orientation_of(orientation, &out, 1).both);
	orientation_free(orientation);
}

static void an_end_that_speaks_to_itself_has_one_flow(void **state)
{
	struct orientation *orientation = make_with_both_ends();
	struct decode_packet echo = packet_of(1, "127.0.0.1", 0, "127.0.0.1", 0);
	struct orientation_verdict verdict;

	(void)state;
	check(orientation, echo, true, FLOW_DIRECTION_OUT);
	echo.reply = true;
	verdict = orientation_of(orientation, &echo, 1);
	assert_false(verdict.from_local);
	assert_false(verdict.both);
	orientation_free(orientation);
}

static bool is_copy(struct orientation *orientation, struct decode_packet packet,
	uint32_t interface, int64_t time_ns)
{
	packet.interface = interface;
	return orientation_of(orientation, &packet, time_ns).copy;
}

static void each_way_counts_at_the_device_that_showed_it_first(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	enum { PORT = 3, BRIDGE = 7 };

	(void)state;
	assert_false(is_copy(orientation, tcp(true, SYN), PORT, 1000));
	assert_true(is_copy(orientation, tcp(true, SYN), BRIDGE, 1001));
	assert_false(is_copy(orientation, tcp(false, SYN | ACK), BRIDGE, 2000));
	assert_true(is_copy(orientation, tcp(false, SYN | ACK), PORT, 2001));
	assert_false(is_copy(orientation, tcp(true, ACK), PORT, 3000));
	assert_true(is_copy(orientation, tcp(true, ACK), BRIDGE, 2999)); /* read out of order */
	assert_false(is_copy(orientation, tcp(true, ACK), 0, 3001));     /* who cannot tell */
	orientation_free(orientation);
}

static void after_a_silence_another_device_takes_over(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	int64_t later = 1000 + ORIENTATION_TAKE_OVER_NS;

	(void)state;
	assert_false(is_copy(orientation, tcp(true, SYN), 3, 1000));
	assert_true(is_copy(orientation, tcp(true, ACK), 7, later - 1));
	assert_false(is_copy(orientation, tcp(true, ACK), 7, later));
	assert_true(is_copy(orientation, tcp(true, ACK), 3, later + 1));
	orientation_free(orientation);
}

static void the_link_layer_comes_before_the_initiator(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	struct decode_packet syn = tcp(true, SYN);

	(void)state;
	syn.sender = DECODE_SENDER_REMOTE;
	check(orientation, syn, false, FLOW_DIRECTION_IN);
	check(orientation, tcp(false, SYN | ACK), true, FLOW_DIRECTION_IN);
	orientation_free(orientation);
}

static void a_conversation_keeps_what_its_first_packet_told(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	struct decode_packet sent = packet_of(17, "10.0.0.1", 4000, "10.0.0.2", 5000), back;

	(void)state;
	sent.sender = DECODE_SENDER_LOCAL;
	check(orientation, sent, true, FLOW_DIRECTION_OUT);
	back = packet_of(17, "10.0.0.2", 5000, "10.0.0.1", 4000);
	back.sender = DECODE_SENDER_LOCAL; /* both ways shown as sent: a bridge */
	check(orientation, back, false, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

static void the_longest_silent_conversation_is_forgotten(void **state)
{
	struct orientation *orientation = make(NULL, 0, 2);
	struct decode_packet a = packet_of(17, "10.0.0.1", 4000, "10.0.0.2", 5000);
	struct decode_packet a_back = packet_of(17, "10.0.0.2", 5000, "10.0.0.1", 4000);
	struct decode_packet b = packet_of(17, "10.0.0.1", 4000, "10.0.0.3", 5000);
	struct decode_packet b_back = packet_of(17, "10.0.0.3", 5000, "10.0.0.1", 4000);
	struct decode_packet c = packet_of(17, "10.0.0.1", 4000, "10.0.0.4", 5000);

	(void)state;
	check(orientation, a, true, FLOW_DIRECTION_OUT);
	check(orientation, b, true, FLOW_DIRECTION_OUT);
	check(orientation, a_back, false, FLOW_DIRECTION_OUT);
	assert_int_equal(orientation_evicted(orientation), 0);
	check(orientation, c, true, FLOW_DIRECTION_OUT);
	assert_int_equal(orientation_evicted(orientation), 1);
	check(orientation, a_back, false, FLOW_DIRECTION_OUT);
	check(orientation, b_back, true, FLOW_DIRECTION_OUT); /* b was forgotten */
	orientation_free(orientation);
}

static void what_is_reported_is_known_only_if_it_was_seen(void **state)
{
	struct orientation *orientation = make(NULL, 0, 1);
	struct decode_packet seen = tcp(true, SYN), back = tcp(false, 0), other = seen;
	struct orientation_verdict verdict;

	(void)state;
	other.source_port++;
	assert_false(orientation_known(orientation, &seen, &verdict));
	check(orientation, seen, true, FLOW_DIRECTION_OUT);
	assert_true(orientation_known(orientation, &seen, &verdict));
	assert_true(verdict.from_local);
	assert_true(orientation_known(orientation, &back, &verdict));
	assert_false(verdict.from_local);
	assert_false(orientation_known(orientation, &other, &verdict));
	assert_int_equal(orientation_evicted(orientation), 0);
	orientation_free(orientation);
}

static void within_a_tunnel_is_another_conversation(void **state)
{
	struct orientation *orientation = make(NULL, 0, 8);
	struct decode_packet inner = tcp(false, SYN);

	(void)state;
	check(orientation, tcp(true, SYN), true, FLOW_DIRECTION_OUT);
	inner.tunnel = FLOW_TUNNEL_VXLAN;
	check(orientation, inner, true, FLOW_DIRECTION_OUT);
	inner.tunnel_id = 7; /* tells none apart */
	check(orientation, inner, true, FLOW_DIRECTION_OUT);
	check(orientation, tcp(true, ACK), true, FLOW_DIRECTION_OUT);
	orientation_free(orientation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_sends_the_syn_is_local),
		cmocka_unit_test(who_answers_the_syn_is_remote),
		cmocka_unit_test(in_mid_stream_the_first_speaker_is_local_and_nobody_began),
		cmocka_unit_test(a_system_port_is_the_remote_service),
		cmocka_unit_test(an_icmp_reply_tells_who_asked),
		cmocka_unit_test(the_machines_own_addresses_come_first),
		cmocka_unit_test(without_own_addresses_a_group_is_no_end_of_ours),
		cmocka_unit_test(with_both_ends_local_the_initiator_decides),
		cmocka_unit_test(with_neither_end_local_it_is_forwarded_from_the_initiator),
		cmocka_unit_test(a_broadcast_address_is_local_to_who_receives_it),
		cmocka_unit_test(addresses_that_come_later_count_for_what_begins_later),
		cmocka_unit_test(two_local_ends_have_a_flow_each_where_that_is_wanted),
		cmocka_unit_test(an_end_that_speaks_to_itself_has_one_flow),
		cmocka_unit_test(each_way_counts_at_the_device_that_showed_it_first),
		cmocka_unit_test(after_a_silence_another_device_takes_over),
		cmocka_unit_test(the_link_layer_comes_before_the_initiator),
		cmocka_unit_test(a_conversation_keeps_what_its_first_packet_told),
		cmocka_unit_test(the_longest_silent_conversation_is_forgotten),
		cmocka_unit_test(what_is_reported_is_known_only_if_it_was_seen),
		cmocka_unit_test(within_a_tunnel_is_another_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

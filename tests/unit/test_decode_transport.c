/* Transport headers: ports, octets, flags; short and contradictory ones. */
#include "decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/frame_make.h"

enum { RAW = 101 };

static enum decode_result decode(const struct frame *frame, struct decode_packet *ret_packet)
{
	return decode_frame(RAW, frame->octets, frame->length, frame->length, ret_packet);
}

static void tcp_gives_ports_flags_and_sequence(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 6, 20 + 100);
	put_tcp(&frame, 0x19, 0xdeadbeef);
	put_zero(&frame, 100);
	assert_int_equal(decode(&frame, &packet), DECODE_OK);
	assert_int_equal(packet.source_port, 40000);
	assert_int_equal(packet.destination_port, 443);
	assert_int_equal(packet.tcp_flags, 0x19);
	assert_int_equal(packet.tcp_seq, 0xdeadbeef);
	assert_int_equal(packet.octets, 100);
	assert_ptr_equal(packet.payload.at, frame.octets + 40);
	assert_int_equal(packet.payload.captured, 100);
}

static void tcp_options_are_no_payload(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 6, 32 + 5);
	put_tcp(&frame, 0x10, 1);
	frame.octets[20 + 12] = 0x80;
	put_zero(&frame, 12 + 5);
	assert_int_equal(decode(&frame, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 5);
}

static void a_short_snapshot_does_no_harm_if_it_has_the_flags(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 6, 32 + 1000);
	put_tcp(&frame, 0x10, 1);
	frame.octets[20 + 12] = 0x80;
	assert_int_equal(decode_frame(RAW, frame.octets, 34, 1052, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 1000);
	assert_int_equal(packet.payload.captured, 0);
	assert_int_equal(decode_frame(RAW, frame.octets, 33, 1052, &packet), DECODE_TRUNCATED);
}

static void tcp_headers_that_do_not_fit_are_malformed(void **state)
{
	struct decode_packet packet;

	(void)state;
	for (int bad = 0; bad < 2; bad++) {
		struct frame frame = {0};

		put_ip4(&frame, 6, 20);
		put_tcp(&frame, 0x10, 1);
		frame.octets[20 + 12] = bad ? 0x60 : 0x40;
		assert_int_equal(decode(&frame, &packet), DECODE_MALFORMED);
	}
	for (uint16_t length = 0; length < 20; length++) {
		struct frame frame = {0};

		put_ip4(&frame, 6, length);
		put_zero(&frame, length);
		assert_int_equal(decode(&frame, &packet), DECODE_MALFORMED);
	}
}

static void the_length_of_udp_counts(void **state)
{
	static const struct {
		uint16_t length;
		enum decode_result result;
		uint32_t octets;
	} cases[] = {{18, DECODE_OK, 10}, {8, DECODE_OK, 0}, {0, DECODE_OK, 10},
		{7, DECODE_MALFORMED, 0}, {19, DECODE_MALFORMED, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = {0};
		struct decode_packet packet;

		put_ip4(&frame, 17, 18);
		put_udp(&frame, 1, 2, (uint16_t)(cases[i].length - 8));
		put_zero(&frame, 10);
		assert_int_equal(decode(&frame, &packet), cases[i].result);
		if (cases[i].result != DECODE_OK)
			continue;
		assert_int_equal(packet.octets, cases[i].octets);
		assert_int_equal(packet.payload.captured, cases[i].octets);
		assert_ptr_equal(packet.payload.at, frame.octets + 28);
	}
}

static void udplite_and_sctp_have_ports(void **state)
{
	struct frame lite = {0}, sctp = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&lite, 136, 8 + 6);
	put_udp(&lite, 1, 2, 0); /* its length is how far the checksum goes */
	put_zero(&lite, 6);
	assert_int_equal(decode(&lite, &packet), DECODE_OK);
	assert_int_equal(packet.destination_port, 2);
	assert_int_equal(packet.octets, 6);

	put_ip4(&sctp, 132, 12 + 16);
	put16(&sctp, 3);
	put16(&sctp, 4);
	put_zero(&sctp, 8 + 16);
	assert_int_equal(decode(&sctp, &packet), DECODE_OK);
	assert_int_equal(packet.source_port, 3);
	assert_int_equal(packet.octets, 16);
}

static void replies_of_icmp_are_marked(void **state)
{
	static const struct {
		uint8_t protocol, type;
		bool reply;
	} cases[] = {{1, 8, false}, {1, 0, true}, {1, 14, true}, {1, 3, false}, {58, 128, false},
		{58, 129, true}, {58, 135, false}, {58, 136, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = {0};
		struct decode_packet packet;

		put_ip4(&frame, cases[i].protocol, 64);
		put8(&frame, cases[i].type);
		put_zero(&frame, 63);
		assert_int_equal(decode(&frame, &packet), DECODE_OK);
		assert_int_equal(packet.reply, cases[i].reply);
		assert_int_equal(packet.source_port, 0);
		assert_int_equal(packet.octets, 64);
	}
}

static void other_protocols_have_no_ports(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 253, 7);
	put_zero(&frame, 7);
	assert_int_equal(decode(&frame, &packet), DECODE_OK);
	assert_int_equal(packet.protocol, 253);
	assert_int_equal(packet.source_port, 0);
	assert_int_equal(packet.octets, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_gives_ports_flags_and_sequence),
		cmocka_unit_test(tcp_options_are_no_payload),
		cmocka_unit_test(a_short_snapshot_does_no_harm_if_it_has_the_flags),
		cmocka_unit_test(tcp_headers_that_do_not_fit_are_malformed),
		cmocka_unit_test(the_length_of_udp_counts),
		cmocka_unit_test(udplite_and_sctp_have_ports),
		cmocka_unit_test(replies_of_icmp_are_marked),
		cmocka_unit_test(other_protocols_have_no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

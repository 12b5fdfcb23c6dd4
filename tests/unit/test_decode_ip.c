/* IPv4, IPv6 and fragments: which octets are payload, and what is refused. */
#include "decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/frame_make.h"

enum { RAW = 101, ETHERNET = 1 };

static enum decode_result decode(
	int link_type, const struct frame *frame, struct decode_packet *ret_packet)
{
	return decode_frame(link_type, frame->octets, frame->length, frame->length, ret_packet);
}

static void check_raw(const struct frame *frame, enum decode_result expected)
{
	struct decode_packet packet;

	assert_int_equal(decode(RAW, frame, &packet), expected);
}

static void padding_of_ethernet_does_not_count(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ethernet(&frame, 0x0800);
	put_ip4(&frame, 6, 21);
	put_tcp(&frame, 0x10, 1);
	put_zero(&frame, 1 + 5 + 4); /* one octet of data, padding, check sequence */
	assert_int_equal(decode(ETHERNET, &frame, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 1);
}

static void options_are_skipped(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 17, 4 + 8 + 3);
	frame.octets[0] = 0x46;
	put32(&frame, 0x01010101);
	put_udp(&frame, 7, 8, 3);
	put_zero(&frame, 3);
	assert_int_equal(decode(RAW, &frame, &packet), DECODE_OK);
	assert_int_equal(packet.source_port, 7);
	assert_int_equal(packet.octets, 3);
}

static void a_total_length_of_zero_means_the_whole_frame(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 6, 20);
	frame.octets[2] = frame.octets[3] = 0;
	put_tcp(&frame, 0x10, 1);
	assert_int_equal(decode_frame(RAW, frame.octets, frame.length, 100040, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 100000);
}

static void a_payload_length_of_zero_means_the_whole_frame(void **state)
{
	struct frame plain = {0}, jumbo = {0}, none = {0};
	struct decode_packet packet;

	(void)state;
	put_ip6(&plain, 6, 0);
	put_tcp(&plain, 0x10, 1);
	assert_int_equal(decode_frame(RAW, plain.octets, plain.length, 200060, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 200000);

	put_ip6(&jumbo, 0, 0);
	put(&jumbo, "\x06\x00\xc2\x04", 4); /* hop by hop: the jumbo payload option */
	put32(&jumbo, 200028);
	put_tcp(&jumbo, 0x10, 1);
	assert_int_equal(decode_frame(RAW, jumbo.octets, jumbo.length, 200068, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 200000);

	put_ip6(&none, 59, 0);
	put_zero(&none, 6);
	assert_int_equal(decode(RAW, &none, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 0);
}

static void lengths_that_contradict_themselves_are_malformed(void **state)
{
	struct frame version = {0}, header = {0}, total = {0}, beyond = {0}, six = {0};

	(void)state;
	put_ethernet(&version, 0x0800);
	put_ip6(&version, 17, 8);
	put_udp(&version, 1, 2, 0);
	assert_int_equal(decode(ETHERNET, &version, &(struct decode_packet){0}), DECODE_MALFORMED);

	put_ip4(&header, 17, 8);
	header.octets[0] = 0x44;
	put_udp(&header, 1, 2, 0);
	check_raw(&header, DECODE_MALFORMED);

	put_ip4(&total, 17, 8);
	total.octets[3] = 19;
	put_udp(&total, 1, 2, 0);
	check_raw(&total, DECODE_MALFORMED);

	put_ip4(&beyond, 17, 9);
	put_udp(&beyond, 1, 2, 0);
	check_raw(&beyond, DECODE_MALFORMED);

	put_ip6(&six, 17, 9);
	put_udp(&six, 1, 2, 0);
	check_raw(&six, DECODE_MALFORMED);
}

static void extension_headers_are_walked(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip6(&frame, 0, 8 + 16 + 8 + 12 + 8 + 4);
	put(&frame, "\x3c\0\1\4\0\0\0\0", 8);                  /* hop by hop */
	put(&frame, "\x2b\1\1\4\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* destination, two units */
	put(&frame, "\x33\0\0\0\0\0\0\0", 8);                  /* routing */
	put(&frame, "\x11\1\0\0\0\0\0\0\0\0\0\0", 12);         /* authentication: units of four */
	put_udp(&frame, 7, 8, 4);
	put_zero(&frame, 4);
	assert_int_equal(decode(RAW, &frame, &packet), DECODE_OK);
	assert_int_equal(packet.protocol, 17);
	assert_int_equal(packet.source_port, 7);
	assert_int_equal(packet.octets, 4);
}

static void more_than_eight_extension_headers_are_unsupported(void **state)
{
	(void)state;
	for (unsigned count = 8; count <= 9; count++) {
		struct frame frame = {0};

		put_ip6(&frame, 60, (uint16_t)(count * 8 + 8));
		for (unsigned i = 1; i <= count; i++) {
			put8(&frame, i == count ? 17 : 60);
			put_zero(&frame, 7);
		}
		put_udp(&frame, 7, 8, 0);
		check_raw(&frame, count == 8 ? DECODE_OK : DECODE_UNSUPPORTED);
	}
}

static void an_extension_header_beyond_the_packet_is_malformed(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip6(&frame, 60, 16);
	put(&frame, "\x11\7\0\0\0\0\0\0", 8);
	put_udp(&frame, 7, 8, 0);
	check_raw(&frame, DECODE_MALFORMED);
	frame.octets[5] = 72;
	assert_int_equal(
		decode_frame(RAW, frame.octets, frame.length, 112, &packet), DECODE_TRUNCATED);
}

static void authentication_headers_of_ipv4_are_skipped(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&frame, 51, 12 + 8);
	put(&frame, "\x11\1\0\0\0\0\0\0\0\0\0\0", 12);
	put_udp(&frame, 7, 8, 0);
	assert_int_equal(decode(RAW, &frame, &packet), DECODE_OK);
	assert_int_equal(packet.protocol, 17);
	assert_int_equal(packet.destination_port, 8);
}

static void fragments_of_ipv4_are_told_apart(void **state)
{
	struct frame first = {0}, later = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4_fragment(&first, 17, 24, 0x2000);
	put_udp(&first, 7, 8, 2000); /* the length of the whole datagram */
	put_zero(&first, 16);
	assert_int_equal(decode(RAW, &first, &packet), DECODE_OK);
	assert_int_equal(packet.fragment, DECODE_FRAGMENT_FIRST);
	assert_int_equal(packet.fragment_id, 0x1234);
	assert_int_equal(packet.octets, 16);

	put_ip4_fragment(&later, 17, 24, 3);
	put_zero(&later, 24);
	assert_int_equal(decode(RAW, &later, &packet), DECODE_OK);
	assert_int_equal(packet.fragment, DECODE_FRAGMENT_LATER);
	assert_int_equal(packet.source_port, 0);
	assert_int_equal(packet.octets, 24);
}

static void fragments_of_ipv6_are_told_apart(void **state)
{
	struct frame first = {0}, later = {0}, atomic = {0};
	struct decode_packet packet;

	(void)state;
	put_ip6(&first, 44, 8 + 8 + 16);
	put(&first, "\x11\0\0\1\0\0\0\x2a", 8);
	put_udp(&first, 7, 8, 2000);
	put_zero(&first, 16);
	assert_int_equal(decode(RAW, &first, &packet), DECODE_OK);
	assert_int_equal(packet.fragment, DECODE_FRAGMENT_FIRST);
	assert_int_equal(packet.fragment_id, 42);
	assert_int_equal(packet.octets, 16);

	put_ip6(&later, 44, 8 + 24);
	put(&later, "\x3c\0\0\x18\0\0\0\x2a", 8); /* its next header is not here: do not walk */
	put_zero(&later, 24);
	assert_int_equal(decode(RAW, &later, &packet), DECODE_OK);
	assert_int_equal(packet.fragment, DECODE_FRAGMENT_LATER);
	assert_int_equal(packet.octets, 24);

	put_ip6(&atomic, 44, 8 + 8);
	put(&atomic, "\x11\0\0\0\0\0\0\x2a", 8);
	put_udp(&atomic, 7, 8, 0);
	assert_int_equal(decode(RAW, &atomic, &packet), DECODE_OK);
	assert_int_equal(packet.fragment, DECODE_FRAGMENT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_of_ethernet_does_not_count),
		cmocka_unit_test(options_are_skipped),
		cmocka_unit_test(a_total_length_of_zero_means_the_whole_frame),
		cmocka_unit_test(a_payload_length_of_zero_means_the_whole_frame),
		cmocka_unit_test(lengths_that_contradict_themselves_are_malformed),
		cmocka_unit_test(extension_headers_are_walked),
		cmocka_unit_test(more_than_eight_extension_headers_are_unsupported),
		cmocka_unit_test(an_extension_header_beyond_the_packet_is_malformed),
		cmocka_unit_test(authentication_headers_of_ipv4_are_skipped),
		cmocka_unit_test(fragments_of_ipv4_are_told_apart),
		cmocka_unit_test(fragments_of_ipv6_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

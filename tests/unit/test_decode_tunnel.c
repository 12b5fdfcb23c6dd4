/* Packets within packets: what a carrier is known by, and what comes out of it. The connections
 * within are those of tests/replay; here are the headers octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/frame_make.h"
#include "decode/decode.h"

enum { RAW = 101, DATAGRAM = 20 + 8 + 10, GRE = 47, UDP = 17 };

static void put_datagram(struct frame *frame)
{
	put_ip4(frame, UDP, 18);
	put_udp(frame, 5000, 53, 10);
	put_zero(frame, 10);
}

static enum decode_result open_carrier(
	const struct frame *frame, size_t captured, size_t wire, struct decode_packet *ret_inner)
{
	uint8_t *exact = malloc(captured + !captured); /* a sanitizer sees what lies behind */
	struct decode_packet carrier;
	enum decode_result result;

	assert_non_null(exact);
	memcpy(exact, frame->octets, captured);
	result = decode_frame(RAW, exact, captured, wire, &carrier);
	if (result == DECODE_OK && carrier.carries != FLOW_TUNNEL_NONE)
		result = decode_inner(&carrier, ret_inner);
	free(exact);
	return result;
}

static enum decode_result inner_of(const struct frame *frame, struct decode_packet *ret_inner)
{
	return open_carrier(frame, frame->length, frame->length, ret_inner);
}

/* The datagram comes out of it, and each cut behind the header of IP tells why it does not. */
static void check_datagram(const struct frame *frame, enum flow_tunnel tunnel, uint32_t id)
{
	struct decode_packet inner = {0};

	assert_int_equal(inner_of(frame, &inner), DECODE_OK);
	assert_int_equal(inner.tunnel, tunnel);
	assert_int_equal(inner.tunnel_id, id);
	assert_int_equal(inner.carries, FLOW_TUNNEL_NONE);
	assert_int_equal(inner.protocol, UDP);
	assert_int_equal(inner.source_port, 5000);
	assert_int_equal(inner.destination_port, 53);
	assert_int_equal(inner.octets, 10);
	for (size_t length = 40 + 16; length < frame->length - 10; length++)
		assert_int_equal(
			open_carrier(frame, length, frame->length, &inner), DECODE_TRUNCATED);
	for (size_t length = 0; length < 20; length++)
		assert_int_equal(
			open_carrier(frame, length, frame->length, &inner), DECODE_TRUNCATED);
	assert_int_equal(open_carrier(frame, frame->length - 10, frame->length, &inner), DECODE_OK);
}

static void ip_in_ip(void **state)
{
	struct frame v4 = {0}, v6 = {0}, six = {0};
	struct decode_packet inner;

	(void)state;
	put_ip4(&v4, 4, DATAGRAM);
	put_datagram(&v4);
	check_datagram(&v4, FLOW_TUNNEL_4IN4, 0);
	put_ip6(&v6, 4, DATAGRAM);
	put_datagram(&v6);
	check_datagram(&v6, FLOW_TUNNEL_4IN6, 0);
	put_ip4(&six, 41, 40 + 18);
	put_ip6(&six, UDP, 18);
	put_udp(&six, 5000, 53, 10);
	put_zero(&six, 10);
	check_datagram(&six, FLOW_TUNNEL_6IN4, 0);
	six.octets[20] = 0x45; /* not the version that the carrier announced */
	assert_int_equal(inner_of(&six, &inner), DECODE_MALFORMED);
}

static void put_gre(struct frame *frame, uint16_t flags, uint16_t kind)
{
	put16(frame, flags);
	put16(frame, kind);
	for (uint16_t bit = 0x8000; bit >= 0x1000; bit >>= 1)
		if (flags & bit)
			put32(frame, bit);
}

static void the_options_of_gre_are_skipped_and_its_key_is_read(void **state)
{
	(void)state;
	for (uint16_t bits = 0; bits < 8; bits++) {
		uint16_t flags = (uint16_t)((bits & 4 ? 0x8000 : 0) | (bits & 3) << 12);
		uint16_t options = (uint16_t)(4 * ((bits >> 2) + (bits >> 1 & 1) + (bits & 1)));
		struct frame frame = {0};

		put_ip4(&frame, GRE, (uint16_t)(4 + options + DATAGRAM));
		put_gre(&frame, flags, 0x0800);
		put_datagram(&frame);
		check_datagram(&frame, FLOW_TUNNEL_GRE, bits & 2 ? 0x2000 : 0);
	}
}

static void what_gre_carries_is_told_apart(void **state)
{
	static const struct {
		uint16_t flags, kind;
		enum decode_result result;
	} kinds[] = {
		{0x4000, 0x0800, DECODE_UNSUPPORTED}, /* source routes */
		{0x2001, 0x880b, DECODE_UNSUPPORTED}, /* PPTP */
		{0, 0x88be, DECODE_UNSUPPORTED},      /* ERSPAN */
		{0, 0x883e, DECODE_UNSUPPORTED},      /* WCCP */
		{0, 0x0000, DECODE_NOT_IP},           /* keep-alive */
		{0, 0x00fe, DECODE_NOT_IP},           /* OSI */
		{0, 0x2001, DECODE_NOT_IP},           /* NHRP */
		{0, 0x0806, DECODE_ARP},
		{0, 0x86dd, DECODE_MALFORMED},
	};
	struct decode_packet inner;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct frame frame = {0};

		put_ip4(&frame, GRE, 4 + 4 + DATAGRAM);
		put_gre(&frame, kinds[i].flags, kinds[i].kind);
		put_datagram(&frame);
		put_zero(&frame, 4);
		assert_int_equal(inner_of(&frame, &inner), kinds[i].result);
	}
}

static void put_vxlan(struct frame *frame, uint8_t flags, uint32_t network)
{
	put_udp(frame, 40001, 4789, 8 + 14 + DATAGRAM);
	put32(frame, (uint32_t)flags << 24);
	put32(frame, network << 8);
}

static void vxlan_is_read_with_the_group_policy_too(void **state)
{
	static const uint8_t flags[] = {0x08, 0x88};

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct frame frame = {0};

		put_ip4(&frame, UDP, 8 + 8 + 14 + DATAGRAM);
		put_vxlan(&frame, flags[i], 0xabcdef);
		if (flags[i] & 0x80)
			frame.octets[20 + 8 + 3] = 9;
		put_ethernet(&frame, 0x0800);
		put_datagram(&frame);
		check_datagram(&frame, FLOW_TUNNEL_VXLAN, 0xabcdef);
	}
}

/* length: of the options. */
static void put_geneve(struct frame *frame, uint16_t kind, uint8_t length, uint16_t payload)
{
	put_udp(frame, 40001, 6081, (uint16_t)(8 + length + payload));
	put8(frame, length / 4);
	put8(frame, 0x40);
	put16(frame, kind);
	put32(frame, 42 << 8);
	put_zero(frame, length);
}

static void geneve_is_read_whatever_its_options(void **state)
{
	(void)state;
	for (unsigned length = 0; length <= 252; length += 84) {
		struct frame frame = {0}, ip = {0};

		put_ip4(&frame, UDP, (uint16_t)(8 + 8 + length + 14 + DATAGRAM));
		put_geneve(&frame, 0x6558, (uint8_t)length, 14 + DATAGRAM);
		put_ethernet(&frame, 0x0800);
		put_datagram(&frame);
		check_datagram(&frame, FLOW_TUNNEL_GENEVE, 42);

		put_ip4(&ip, UDP, (uint16_t)(8 + 8 + length + DATAGRAM));
		put_geneve(&ip, 0x0800, (uint8_t)length, DATAGRAM);
		put_datagram(&ip);
		check_datagram(&ip, FLOW_TUNNEL_GENEVE, 42);
	}
}

static void check_plain(const struct frame *frame)
{
	struct decode_packet packet;

	assert_int_equal(
		decode_frame(RAW, frame->octets, frame->length, frame->length, &packet), DECODE_OK);
	assert_int_equal(packet.carries, FLOW_TUNNEL_NONE);
	assert_int_equal(packet.source_port, 40001);
}

static void a_header_that_is_not_that_of_the_tunnel_makes_no_carrier(void **state)
{
	static const struct {
		size_t octet; /* of the header */
		uint8_t value;
	} vxlan[] = {{0, 0}, {0, 0x0c}, {1, 1}, {2, 1}, {3, 1}, {7, 1}},
	  geneve[] = {{0, 0x40}, {0, 0x3f}, {1, 1}, {7, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(vxlan) / sizeof(vxlan[0]); i++) {
		struct frame frame = {0};

		put_ip4(&frame, UDP, 8 + 8 + 14 + DATAGRAM);
		put_vxlan(&frame, 8, 42);
		put_ethernet(&frame, 0x0800);
		put_datagram(&frame);
		frame.octets[28 + vxlan[i].octet] = vxlan[i].value;
		check_plain(&frame);
	}
	for (size_t i = 0; i < sizeof(geneve) / sizeof(geneve[0]); i++) {
		struct frame frame = {0};

		put_ip4(&frame, UDP, 8 + 8 + DATAGRAM);
		put_geneve(&frame, 0x0800, 0, DATAGRAM);
		put_datagram(&frame);
		frame.octets[28 + geneve[i].octet] = geneve[i].value;
		check_plain(&frame);
	}
}

static void a_carrier_of_datagrams_has_the_port_of_the_tunnel_twice(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet, inner;

	(void)state;
	put_ip4(&frame, UDP, 8 + 8 + 14 + DATAGRAM);
	put_vxlan(&frame, 8, 42);
	put_ethernet(&frame, 0x0800);
	put_datagram(&frame);
	assert_int_equal(
		decode_frame(RAW, frame.octets, frame.length, frame.length, &packet), DECODE_OK);
	assert_int_equal(decode_inner(&packet, &inner), DECODE_OK);
	assert_int_equal(packet.source_port, 4789);
	assert_int_equal(packet.destination_port, 4789);
	assert_int_equal(packet.octets, 8 + 14 + DATAGRAM);
}

static void a_datagram_that_only_looks_like_a_carrier_keeps_its_ports(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet, inner;

	(void)state;
	put_ip4(&frame, UDP, 8 + 8 + 14 + DATAGRAM);
	put_vxlan(&frame, 8, 42);
	put_ethernet(&frame, 0x0800);
	put_zero(&frame, DATAGRAM);
	assert_int_equal(
		decode_frame(RAW, frame.octets, frame.length, frame.length, &packet), DECODE_OK);
	assert_int_equal(decode_inner(&packet, &inner), DECODE_MALFORMED);
	assert_int_equal(packet.source_port, 40001);
}

/* Its own length counts, but no more than a whole packet can have. */
static void the_first_fragment_of_a_carrier_has_all_of_what_is_within(void **state)
{
	struct frame frame = {0};
	struct decode_packet inner = {0};

	(void)state;
	put_ip4_fragment(&frame, GRE, 4 + 40, 0x2000);
	put_gre(&frame, 0, 0x0800);
	put_ip4(&frame, UDP, 8 + 3000);
	put_udp(&frame, 5000, 53, 3000);
	put_zero(&frame, 12);
	assert_int_equal(inner_of(&frame, &inner), DECODE_OK);
	assert_true(inner.cut);
	assert_int_equal(inner.octets, 3000);
	frame.octets[24 + 2] = frame.octets[24 + 3] = 0; /* no length: nobody knows */
	assert_int_equal(inner_of(&frame, &inner), DECODE_MALFORMED);
}

static void a_later_fragment_carries_nothing_by_itself(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4_fragment(&frame, GRE, 4 + DATAGRAM, 100);
	put_gre(&frame, 0, 0x0800);
	put_datagram(&frame);
	assert_int_equal(
		decode_frame(RAW, frame.octets, frame.length, frame.length, &packet), DECODE_OK);
	assert_int_equal(packet.carries, FLOW_TUNNEL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_in_ip),
		cmocka_unit_test(the_options_of_gre_are_skipped_and_its_key_is_read),
		cmocka_unit_test(what_gre_carries_is_told_apart),
		cmocka_unit_test(vxlan_is_read_with_the_group_policy_too),
		cmocka_unit_test(geneve_is_read_whatever_its_options),
		cmocka_unit_test(a_header_that_is_not_that_of_the_tunnel_makes_no_carrier),
		cmocka_unit_test(a_carrier_of_datagrams_has_the_port_of_the_tunnel_twice),
		cmocka_unit_test(a_datagram_that_only_looks_like_a_carrier_keeps_its_ports),
		cmocka_unit_test(the_first_fragment_of_a_carrier_has_all_of_what_is_within),
		cmocka_unit_test(a_later_fragment_carries_nothing_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

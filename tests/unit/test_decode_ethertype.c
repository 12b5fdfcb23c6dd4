/* Between Ethernet and IP: LLC, PPPoE, PPP, MPLS, alone and in one another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/frame_make.h"
#include "decode/decode.h"

enum { ETHERNET = 1, PPP = 9, PPP_HDLC = 50, PPPOE = 51, DATAGRAM = 20 + 8 + 10 };

static void put_datagram(struct frame *frame)
{
	put_ip4(frame, 17, 18);
	put_udp(frame, 5000, 53, 10);
	put_zero(frame, 10);
}

static enum decode_result result_of(int link_type, const struct frame *frame)
{
	struct decode_packet packet;

	return decode_frame(link_type, frame->octets, frame->length, frame->length, &packet);
}

/* Every cut of it is truncated if there was more on the wire, else malformed. */
static void check_cuts(int link_type, const struct frame *frame)
{
	struct decode_packet packet;

	for (size_t length = 0; length < frame->length - 10; length++) {
		uint8_t *exact = malloc(length + !length); /* a sanitizer sees what lies behind */

		assert_non_null(exact);
		memcpy(exact, frame->octets, length);
		assert_int_equal(decode_frame(link_type, exact, length, frame->length, &packet),
			DECODE_TRUNCATED);
		assert_int_equal(
			decode_frame(link_type, exact, length, length, &packet), DECODE_MALFORMED);
		free(exact);
	}
}

static void check_datagram(int link_type, const struct frame *frame)
{
	struct decode_packet packet;

	assert_true(decode_link_type_supported(link_type));
	assert_int_equal(
		decode_frame(link_type, frame->octets, frame->length, frame->length, &packet),
		DECODE_OK);
	assert_int_equal(packet.protocol, 17);
	assert_int_equal(packet.source_port, 5000);
	assert_int_equal(packet.destination_port, 53);
	assert_int_equal(packet.octets, 10);
	check_cuts(link_type, frame);
}

/* length: of what follows, with the protocol. */
static void put_pppoe(struct frame *frame, uint8_t code, uint16_t length)
{
	put8(frame, 0x11);
	put8(frame, code);
	put16(frame, 7);
	put16(frame, length);
}

static void put_label(struct frame *frame, uint32_t label, bool bottom)
{
	put32(frame, label << 12 | (uint32_t)bottom << 8 | 64);
}

static void a_pppoe_session_is_read_behind_vlan_tags_too(void **state)
{
	struct frame plain = {0}, tagged = {0};

	(void)state;
	put_ethernet(&plain, 0x8864);
	put_pppoe(&plain, 0, 2 + DATAGRAM);
	put16(&plain, 0x0021);
	put_datagram(&plain);
	check_datagram(ETHERNET, &plain);

	put_ethernet(&tagged, 0x8100);
	put16(&tagged, 7);
	put16(&tagged, 0x8864);
	put_pppoe(&tagged, 0, 2 + DATAGRAM);
	put16(&tagged, 0x0021);
	put_datagram(&tagged);
	check_datagram(ETHERNET, &tagged);
}

static void pppoe_that_contradicts_itself_is_malformed(void **state)
{
	struct frame longer = {0}, code = {0}, version = {0}, discovery = {0};

	(void)state;
	put_pppoe(&longer, 0, 2 + DATAGRAM + 1);
	put16(&longer, 0x0021);
	put_datagram(&longer);
	assert_int_equal(result_of(PPPOE, &longer), DECODE_MALFORMED);
	put_pppoe(&code, 9, 2 + DATAGRAM);
	put16(&code, 0x0021);
	put_datagram(&code);
	assert_int_equal(result_of(PPPOE, &code), DECODE_MALFORMED);
	put_pppoe(&version, 0, 2 + DATAGRAM);
	version.octets[0] = 0x21;
	assert_int_equal(result_of(PPPOE, &version), DECODE_UNSUPPORTED);
	put_ethernet(&discovery, 0x8863);
	put_pppoe(&discovery, 9, 0);
	assert_int_equal(result_of(ETHERNET, &discovery), DECODE_NOT_IP);
}

static void the_length_of_pppoe_cuts_padding_off(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_pppoe(&frame, 0, 2 + 12);
	put16(&frame, 0x0021);
	put_datagram(&frame);
	assert_int_equal(result_of(PPPOE, &frame), DECODE_MALFORMED); /* IP is longer than that */
}

static void ppp_is_read_with_and_without_its_hdlc_header(void **state)
{
	struct frame bare = {0}, hdlc = {0}, compressed = {0};

	(void)state;
	put16(&bare, 0x0021);
	put_datagram(&bare);
	check_datagram(PPP, &bare);
	put16(&hdlc, 0xff03);
	put16(&hdlc, 0x0021);
	put_datagram(&hdlc);
	check_datagram(PPP_HDLC, &hdlc);
	put8(&compressed, 0x21);
	put_datagram(&compressed);
	check_datagram(PPP, &compressed);
}

static void what_ppp_carries_is_told_apart(void **state)
{
	static const struct {
		uint16_t protocol;
		enum decode_result result;
	} protocols[] = {
		{0xc021, DECODE_NOT_IP},      /* LCP */
		{0x8021, DECODE_NOT_IP},      /* IPCP */
		{0xc223, DECODE_NOT_IP},      /* CHAP */
		{0x002d, DECODE_UNSUPPORTED}, /* compressed headers */
		{0x00fd, DECODE_UNSUPPORTED}, /* compressed or encrypted */
		{0x0057, DECODE_MALFORMED},   /* IPv6: that is IPv4 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		struct frame frame = {0};

		put16(&frame, protocols[i].protocol);
		put_datagram(&frame);
		put_zero(&frame, 20);
		assert_int_equal(result_of(PPP, &frame), protocols[i].result);
	}
}

static void up_to_eight_labels_are_skipped(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 9; count++) {
		struct frame frame = {0};

		put_ethernet(&frame, count & 1 ? 0x8847 : 0x8848);
		for (uint32_t label = 1; label <= count; label++)
			put_label(&frame, 1000 + label, label == count);
		put_datagram(&frame);
		if (count <= 8)
			check_datagram(ETHERNET, &frame);
		else
			assert_int_equal(result_of(ETHERNET, &frame), DECODE_UNSUPPORTED);
	}
}

static void labels_within_tags_and_within_ppp(void **state)
{
	struct frame tagged = {0}, ppp = {0};

	(void)state;
	put_ethernet(&tagged, 0x88a8);
	put16(&tagged, 7);
	put16(&tagged, 0x8847);
	put_label(&tagged, 16, true);
	put_datagram(&tagged);
	check_datagram(ETHERNET, &tagged);

	put_pppoe(&ppp, 0, 2 + 4 + DATAGRAM);
	put16(&ppp, 0x0281);
	put_label(&ppp, 16, true);
	put_datagram(&ppp);
	check_datagram(PPPOE, &ppp);
}

static void what_labels_carry_is_not_guessed(void **state)
{
	static const struct {
		uint8_t first;
		enum decode_result result;
	} payloads[] = {
		{0x00, DECODE_UNSUPPORTED}, /* control word of a pseudowire */
		{0x10, DECODE_NOT_IP},      /* associated channel */
		{0x20, DECODE_UNSUPPORTED},
		{0x41, DECODE_MALFORMED},
		{0x60, DECODE_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		struct frame frame = {0};

		put_ethernet(&frame, 0x8847);
		put_label(&frame, 3, true);
		put8(&frame, payloads[i].first);
		put_zero(&frame, 20);
		assert_int_equal(result_of(ETHERNET, &frame), payloads[i].result);
	}
}

static void ip_behind_snap_is_read_and_other_llc_is_not_ip(void **state)
{
	struct frame snap = {0}, vendor = {0}, tree = {0};

	(void)state;
	put_ethernet(&snap, 8 + DATAGRAM);
	put(&snap, "\xaa\xaa\3\0\0\0\x08\0", 8);
	put_datagram(&snap);
	check_datagram(ETHERNET, &snap);
	put_ethernet(&vendor, 8 + DATAGRAM);
	put(&vendor, "\xaa\xaa\3\0\0\x0c\x20\0", 8); /* CDP */
	put_datagram(&vendor);
	assert_int_equal(result_of(ETHERNET, &vendor), DECODE_NOT_IP);
	put_ethernet(&tree, 38);
	put(&tree, "\x42\x42\3", 3);
	put_zero(&tree, 35);
	assert_int_equal(result_of(ETHERNET, &tree), DECODE_NOT_IP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pppoe_session_is_read_behind_vlan_tags_too),
		cmocka_unit_test(pppoe_that_contradicts_itself_is_malformed),
		cmocka_unit_test(the_length_of_pppoe_cuts_padding_off),
		cmocka_unit_test(ppp_is_read_with_and_without_its_hdlc_header),
		cmocka_unit_test(what_ppp_carries_is_told_apart),
		cmocka_unit_test(up_to_eight_labels_are_skipped),
		cmocka_unit_test(labels_within_tags_and_within_ppp),
		cmocka_unit_test(what_labels_carry_is_not_guessed),
		cmocka_unit_test(ip_behind_snap_is_read_and_other_llc_is_not_ip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

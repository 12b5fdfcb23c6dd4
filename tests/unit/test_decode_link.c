/* Link layers: each brings the same datagram to light, or says why not. */
#include "decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/frame_make.h"

static void put_datagram(struct frame *frame)
{
	put_ip4(frame, 17, 18);
	put_udp(frame, 5000, 53, 10);
	put_zero(frame, 10);
}

static struct decode_packet decoded(int link_type, const struct frame *frame)
{
	struct decode_packet packet;

	assert_int_equal(
		decode_frame(link_type, frame->octets, frame->length, frame->length, &packet),
		DECODE_OK);
	return packet;
}

static enum decode_result result_of(int link_type, const struct frame *frame)
{
	struct decode_packet packet;

	return decode_frame(link_type, frame->octets, frame->length, frame->length, &packet);
}

static void check_datagram(int link_type, const struct frame *frame, enum decode_sender sender)
{
	struct decode_packet packet = decoded(link_type, frame);
	char buf[ADDR_TEXT_SIZE];

	assert_true(decode_link_type_supported(link_type));
	assert_string_equal(addr_format(&packet.source, buf), "192.0.2.1");
	assert_string_equal(addr_format(&packet.destination, buf), "198.51.100.7");
	assert_int_equal(packet.protocol, 17);
	assert_int_equal(packet.source_port, 5000);
	assert_int_equal(packet.destination_port, 53);
	assert_int_equal(packet.octets, 10);
	assert_int_equal(packet.sender, sender);
	assert_int_equal(packet.interface, link_type == 276 ? 7 : 0);
}

static void ethernet_is_read_with_up_to_four_vlan_tags(void **state)
{
	static const uint16_t tags[] = {0x88a8, 0x8100, 0x9100, 0x9200, 0x8100};

	(void)state;
	for (size_t count = 0; count <= 5; count++) {
		struct frame frame = {0};

		put(&frame, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
		for (size_t i = 0; i < count; i++) {
			put16(&frame, tags[i]);
			put16(&frame, 42);
		}
		put16(&frame, 0x0800);
		put_datagram(&frame);
		if (count <= 4)
			check_datagram(1, &frame, DECODE_SENDER_UNKNOWN);
		else
			assert_int_equal(result_of(1, &frame), DECODE_UNSUPPORTED);
	}
}

static void what_is_not_ip_and_what_may_be_ip_are_told_apart(void **state)
{
	static const struct {
		uint16_t ethertype;
		enum decode_result result;
	} types[] = {
		{0x0806, DECODE_ARP}, {0x8035, DECODE_ARP}, /* RARP */
		{0x0026, DECODE_NOT_IP},                    /* 802.3 length: spanning tree */
		{0x88cc, DECODE_NOT_IP},                    /* LLDP */
		{0x88e5, DECODE_UNSUPPORTED},               /* MACsec */
		{0x894f, DECODE_UNSUPPORTED},               /* NSH */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct frame frame = {0};

		put_ethernet(&frame, types[i].ethertype);
		put_datagram(&frame);
		assert_int_equal(result_of(1, &frame), types[i].result);
	}
}

static void cooked_captures_tell_the_sender(void **state)
{
	static const enum decode_sender senders[] = {DECODE_SENDER_REMOTE, DECODE_SENDER_REMOTE,
		DECODE_SENDER_REMOTE, DECODE_SENDER_UNKNOWN, DECODE_SENDER_LOCAL};

	(void)state;
	for (uint8_t type = 0; type < 5; type++) {
		struct frame v1 = {0}, v2 = {0};

		put16(&v1, type);
		put16(&v1, 1); /* ARPHRD_ETHER */
		put16(&v1, 6);
		put_zero(&v1, 8);
		put16(&v1, 0x0800);
		put_datagram(&v1);
		check_datagram(113, &v1, senders[type]);

		put16(&v2, 0x0800);
		put16(&v2, 0);
		put32(&v2, 7); /* the device */
		put16(&v2, 1);
		put8(&v2, type);
		put8(&v2, 6);
		put_zero(&v2, 8);
		put_datagram(&v2);
		check_datagram(276, &v2, senders[type]);
	}
}

static void a_loopback_device_does_not_tell_the_sender(void **state)
{
	struct frame frame = {0};

	(void)state;
	put16(&frame, 0);
	put16(&frame, 772);
	put16(&frame, 6);
	put_zero(&frame, 8);
	put16(&frame, 0x0800);
	put_datagram(&frame);
	check_datagram(113, &frame, DECODE_SENDER_UNKNOWN);
}

static void a_cooked_vlan_tag_is_skipped_and_netlink_is_not_ip(void **state)
{
	struct frame tagged = {0}, netlink = {0};

	(void)state;
	put16(&tagged, 4);
	put16(&tagged, 1);
	put_zero(&tagged, 10);
	put16(&tagged, 0x8100);
	put16(&tagged, 42);
	put16(&tagged, 0x0800);
	put_datagram(&tagged);
	check_datagram(113, &tagged, DECODE_SENDER_LOCAL);

	put16(&netlink, 4);
	put16(&netlink, 824);
	put_zero(&netlink, 10);
	put16(&netlink, 0x0800);
	put_datagram(&netlink);
	assert_int_equal(result_of(113, &netlink), DECODE_NOT_IP);
}

static void raw_ip_needs_no_link_header(void **state)
{
	static const int types[] = {12, 14, 101, 228, 229};
	struct frame frame = {0}, strange = {0};

	(void)state;
	put_datagram(&frame);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		check_datagram(types[i], &frame, DECODE_SENDER_UNKNOWN);
	put8(&strange, 0x50);
	assert_int_equal(result_of(101, &strange), DECODE_NOT_IP);
}

static void the_family_of_null_is_in_either_byte_order(void **state)
{
	static const uint8_t families[][4] = {{2, 0, 0, 0}, {0, 0, 0, 2}};
	static const uint8_t six[] = {10, 24, 28, 30};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct frame frame = {0};

		put(&frame, families[i], 4);
		put_datagram(&frame);
		check_datagram(0, &frame, DECODE_SENDER_UNKNOWN);
		check_datagram(108, &frame, DECODE_SENDER_UNKNOWN);
	}
	for (size_t i = 0; i < sizeof(six); i++) {
		struct frame frame = {0};

		put8(&frame, six[i]);
		put_zero(&frame, 3);
		put_ip6(&frame, 17, 8);
		put_udp(&frame, 1, 2, 0);
		assert_int_equal(decoded(0, &frame).protocol, 17);
	}
}

static void a_family_that_is_not_ip_is_not_ip(void **state)
{
	struct frame frame = {0};

	(void)state;
	put32(&frame, 7);
	put_datagram(&frame);
	assert_int_equal(result_of(0, &frame), DECODE_NOT_IP);
}

static void other_link_types_are_unsupported(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_datagram(&frame);
	assert_false(decode_link_type_supported(105)); /* 802.11 */
	assert_int_equal(result_of(105, &frame), DECODE_UNSUPPORTED);
}

static void every_cut_is_truncated_or_malformed_but_never_read(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;

	(void)state;
	put_ethernet(&frame, 0x8100);
	put16(&frame, 42);
	put16(&frame, 0x0800);
	put_datagram(&frame);
	for (size_t length = 0; length < 18 + 20 + 8; length++) {
		uint8_t *exact = malloc(length + !length); /* a sanitizer sees what lies behind */

		assert_non_null(exact);
		memcpy(exact, frame.octets, length);
		assert_int_equal(
			decode_frame(1, exact, length, frame.length, &packet), DECODE_TRUNCATED);
		assert_int_equal(decode_frame(1, exact, length, length, &packet), DECODE_MALFORMED);
		free(exact);
	}
	assert_int_equal(decode_frame(1, frame.octets, 46, frame.length, &packet), DECODE_OK);
	assert_int_equal(packet.octets, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ethernet_is_read_with_up_to_four_vlan_tags),
		cmocka_unit_test(what_is_not_ip_and_what_may_be_ip_are_told_apart),
		cmocka_unit_test(cooked_captures_tell_the_sender),
		cmocka_unit_test(a_loopback_device_does_not_tell_the_sender),
		cmocka_unit_test(a_cooked_vlan_tag_is_skipped_and_netlink_is_not_ip),
		cmocka_unit_test(raw_ip_needs_no_link_header),
		cmocka_unit_test(the_family_of_null_is_in_either_byte_order),
		cmocka_unit_test(a_family_that_is_not_ip_is_not_ip),
		cmocka_unit_test(other_link_types_are_unsupported),
		cmocka_unit_test(every_cut_is_truncated_or_malformed_but_never_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

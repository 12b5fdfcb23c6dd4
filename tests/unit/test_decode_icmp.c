/* Errors of ICMP: what they report, of which packet, and how much of it they must show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/frame_make.h"
#include "decode/decode.h"

enum { RAW = 101, ICMP = 1, ICMP6 = 58, TCP = 6, UDP = 17 };

static enum decode_result reported(
	const struct frame *frame, size_t length, struct decode_packet *ret_packet)
{
	uint8_t *exact = malloc(length + !length); /* a sanitizer sees what lies behind */
	struct decode_packet report;
	enum decode_result result;

	assert_non_null(exact);
	memcpy(exact, frame->octets, length);
	result = decode_frame(RAW, exact, length, frame->length, &report);
	if (result == DECODE_OK)
		result = report.reports == FLOW_OUTCOME_OPEN ? DECODE_UNSUPPORTED
							     : decode_reported(&report, ret_packet);
	free(exact);
	return result;
}

static void put_error(struct frame *frame, uint8_t type, uint8_t code)
{
	put8(frame, type);
	put8(frame, code);
	put_zero(frame, 6);
}

static void a_packet_is_told_by_its_first_octets(void **state)
{
	static const uint8_t protocols[] = {TCP, UDP, 136, 132};
	struct decode_packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		size_t needed = 28 + 20 + (protocols[i] == TCP ? 8 : 4);
		struct frame frame = {0};

		put_ip4(&frame, ICMP, 8 + 20 + 20);
		put_error(&frame, 3, 3);
		put_ip4(&frame, protocols[i], 1000); /* more than was sent back */
		put_tcp(&frame, 2, 0xdeadbeef);
		for (size_t length = 0; length < needed; length++)
			assert_int_not_equal(reported(&frame, length, &packet), DECODE_OK);
		assert_int_equal(reported(&frame, needed, &packet), DECODE_OK);
		assert_int_equal(packet.protocol, protocols[i]);
		assert_int_equal(packet.source_port, 40000);
		assert_int_equal(packet.destination_port, 443);
		assert_int_equal(packet.tcp_seq, protocols[i] == TCP ? 0xdeadbeef : 0);
	}
}

static void a_packet_of_ipv6_is_told_too(void **state)
{
	struct frame frame = {0};
	struct decode_packet packet;
	char buf[ADDR_TEXT_SIZE];

	(void)state;
	put_ip6(&frame, ICMP6, 8 + 40 + 8);
	put_error(&frame, 1, 4);
	put_ip6(&frame, UDP, 1000);
	put_udp(&frame, 5000, 53, 992);
	assert_int_equal(reported(&frame, frame.length, &packet), DECODE_OK);
	assert_string_equal(addr_format(&packet.destination, buf), "2001:db8::2");
	assert_int_equal(packet.destination_port, 53);
}

static void codes_become_outcomes(void **state)
{
	static const struct {
		bool six;
		uint8_t type, code;
		enum flow_outcome outcome;
	} errors[] = {
		{false, 3, 0, FLOW_OUTCOME_UNREACHABLE},
		{false, 3, 1, FLOW_OUTCOME_UNREACHABLE},
		{false, 3, 2, FLOW_OUTCOME_REFUSED},
		{false, 3, 3, FLOW_OUTCOME_REFUSED},
		{false, 3, 4, FLOW_OUTCOME_OPEN}, /* too large */
		{false, 3, 10, FLOW_OUTCOME_UNREACHABLE},
		{false, 11, 0, FLOW_OUTCOME_OPEN}, /* time exceeded */
		{false, 8, 3, FLOW_OUTCOME_OPEN},
		{true, 1, 0, FLOW_OUTCOME_UNREACHABLE},
		{true, 1, 4, FLOW_OUTCOME_REFUSED},
		{true, 2, 0, FLOW_OUTCOME_OPEN}, /* too large */
		{true, 3, 0, FLOW_OUTCOME_OPEN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct frame frame = {0};
		struct decode_packet packet;

		if (errors[i].six)
			put_ip6(&frame, ICMP6, 8);
		else
			put_ip4(&frame, ICMP, 8);
		put_error(&frame, errors[i].type, errors[i].code);
		assert_int_equal(
			decode_frame(RAW, frame.octets, frame.length, frame.length, &packet),
			DECODE_OK);
		assert_int_equal(packet.reports, errors[i].outcome);
		assert_false(packet.reply);
		assert_int_equal(packet.octets, 8);
	}
}

static void what_has_no_ports_is_not_told(void **state)
{
	struct frame later = {0}, echo = {0};
	struct decode_packet packet;

	(void)state;
	put_ip4(&later, ICMP, 8 + 28);
	put_error(&later, 3, 3);
	put_ip4_fragment(&later, UDP, 1000, 100);
	put_zero(&later, 8);
	assert_int_equal(reported(&later, later.length, &packet), DECODE_UNSUPPORTED);
	put_ip4(&echo, ICMP, 8 + 28);
	put_error(&echo, 3, 3);
	put_ip4(&echo, ICMP, 8);
	put_error(&echo, 8, 0);
	assert_int_equal(reported(&echo, echo.length, &packet), DECODE_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_told_by_its_first_octets),
		cmocka_unit_test(a_packet_of_ipv6_is_told_too),
		cmocka_unit_test(codes_become_outcomes),
		cmocka_unit_test(what_has_no_ports_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

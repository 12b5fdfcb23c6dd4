/* The socket filter that lets through what may tell a name (bpf/names.bpf.c), run by the kernel on
 * frames that are made here. Skipped where programs cannot be loaded. */
#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/frame_make.h"
#include "source/names_filter.h"

enum { SYN = 0x02, RST = 0x04, ACK = 0x10 };
enum { TCP = 6, UDP = 17, IPV4 = 0x0800, IPV6 = 0x86dd, ARP = 0x0806 };
enum { SKIPPED = 77, HEAD_OCTETS = 16384 };

static int program = -1;

static bool passes(const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->octets,
		.data_size_in = (uint32_t)frame->length);

	assert_int_equal(bpf_prog_test_run_opts(program, &run), 0);
	return run.retval != 0;
}

/* To and from are swapped in an answer. */
static void swap_ports(struct frame *frame, size_t transport)
{
	uint8_t port[2];

	memcpy(port, frame->octets + transport, 2);
	memcpy(frame->octets + transport, frame->octets + transport + 2, 2);
	memcpy(frame->octets + transport + 2, port, 2);
}

static void swap_addresses(struct frame *frame)
{
	uint8_t address[4];

	memcpy(address, frame->octets + 26, 4);
	memcpy(frame->octets + 26, frame->octets + 30, 4);
	memcpy(frame->octets + 30, address, 4);
}

static struct frame segment(uint8_t flags, uint32_t seq, uint16_t octets)
{
	struct frame frame = {0};

	put_ethernet(&frame, IPV4);
	put_ip4(&frame, TCP, (uint16_t)(20 + octets));
	put_tcp(&frame, flags, seq);
	put_zero(&frame, octets);
	return frame;
}

static bool segment_passes(uint8_t flags, uint32_t seq, uint16_t octets)
{
	struct frame frame = segment(flags, seq, octets);

	return passes(&frame);
}

static void the_head_of_a_connection_passes_in_all_its_segments(void **state)
{
	const uint32_t firsts[] = {1000, UINT32_MAX - 100}; /* the numbers wrap */

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint32_t first = firsts[i] + 1;

		assert_true(segment_passes(SYN, firsts[i], 0));
		assert_false(segment_passes(ACK, first, 0));
		assert_true(segment_passes(ACK, first, 1400));
		assert_true(segment_passes(ACK, first + 1400, 400));
		assert_true(segment_passes(ACK, first + HEAD_OCTETS - 1, 400));
		assert_false(segment_passes(ACK, first + HEAD_OCTETS, 400));
		assert_false(segment_passes(ACK, first - 1, 400));
		assert_false(segment_passes(RST | ACK, first + 1400, 0));
	}
}

static void only_who_opened_is_heard(void **state)
{
	struct frame frame;

	(void)state;
	assert_true(segment_passes(SYN, 5000, 0));
	frame = segment(ACK, 5001, 100);
	swap_addresses(&frame);
	swap_ports(&frame, 34);
	assert_false(passes(&frame));
	frame = segment(SYN | ACK, 5000, 0);
	swap_addresses(&frame);
	swap_ports(&frame, 34);
	assert_false(passes(&frame));
}

/* Questions too, however far from the SYN: without them their answers do not count. */
static void of_name_servers_all_tcp_passes(void **state)
{
	const uint8_t flags[] = {SYN, SYN | ACK, ACK, RST | ACK};

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		uint16_t octets = flags[i] & SYN ? 0 : 100;
		struct frame frame = segment(flags[i], 77 + 2 * HEAD_OCTETS, octets);

		frame.octets[36] = 0;
		frame.octets[37] = 53;
		assert_true(passes(&frame));
		swap_ports(&frame, 34);
		assert_true(passes(&frame));
	}
}

static struct frame datagram(
	uint16_t source, uint16_t destination, const void *octets, size_t count)
{
	struct frame frame = {0};

	put_ethernet(&frame, IPV4);
	put_ip4(&frame, UDP, (uint16_t)(8 + count));
	put_udp(&frame, source, destination, (uint16_t)count);
	put(&frame, octets, count);
	return frame;
}

static bool datagram_passes(uint16_t source, uint16_t destination, const void *octets, size_t count)
{
	struct frame frame = datagram(source, destination, octets, count);

	return passes(&frame);
}

static void datagrams_of_name_services_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const uint16_t port = (const uint16_t[]){53, 5353, 5355}[i];

		assert_true(datagram_passes(40000, port, "x", 1));
		assert_true(datagram_passes(port, 40000, "", 0));
	}
	assert_false(datagram_passes(40000, 54, "xxxxxxxx", 8));
}

static void of_quic_only_initial_packets_pass(void **state)
{
	(void)state;
	assert_true(datagram_passes(40000, 443, "\xc3\0\0\0\1", 5));
	assert_true(datagram_passes(40000, 4433, "\xd3\x6b\x33\x43\xcf", 5));
	assert_false(datagram_passes(40000, 443, "\xe3\0\0\0\1", 5));         /* handshake */
	assert_false(datagram_passes(40000, 443, "\xc3\x6b\x33\x43\xcf", 5)); /* retry */
	assert_false(datagram_passes(40000, 443, "\x43\0\0\0\1", 5));         /* short header */
	assert_false(datagram_passes(40000, 443, "\xc3\0\0\0\2", 5));
	assert_false(datagram_passes(40000, 443, "\xc3\0\0\0", 4));
}

static struct frame question6(uint8_t extensions)
{
	struct frame frame = {0};

	put_ethernet(&frame, IPV6);
	put_ip6(&frame, extensions ? 60 : UDP, (uint16_t)(16 * extensions + 8));
	for (uint8_t i = extensions; i > 0; i--) {
		put8(&frame, i > 1 ? 60 : UDP);
		put8(&frame, 1); /* of 16 octets */
		put_zero(&frame, 14);
	}
	put_udp(&frame, 40000, 53, 0);
	return frame;
}

static void behind_extension_headers_is_looked(void **state)
{
	(void)state;
	for (uint8_t extensions = 0; extensions <= 4; extensions++) {
		struct frame frame = question6(extensions);

		assert_int_equal(passes(&frame), extensions <= 3);
	}
}

static void what_is_no_ip_or_cut_off_does_not_pass(void **state)
{
	struct frame frame = datagram(40000, 53, "question", 8);

	(void)state;
	frame.octets[12] = ARP >> 8;
	frame.octets[13] = (uint8_t)ARP;
	assert_false(passes(&frame));
	frame = datagram(40000, 53, "question", 8);
	frame.octets[20] = 0x00;
	frame.octets[21] = 0x10; /* a later fragment */
	assert_false(passes(&frame));
	frame = datagram(40000, 53, "question", 8);
	for (frame.length--; frame.length > 34; frame.length--)
		assert_int_equal(passes(&frame), frame.length >= 42);
	frame = segment(SYN, 9000, 0);
	for (frame.length--; frame.length > 34; frame.length--)
		assert_int_equal(passes(&frame), frame.length >= 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_of_a_connection_passes_in_all_its_segments),
		cmocka_unit_test(only_who_opened_is_heard),
		cmocka_unit_test(of_name_servers_all_tcp_passes),
		cmocka_unit_test(datagrams_of_name_services_pass),
		cmocka_unit_test(of_quic_only_initial_packets_pass),
		cmocka_unit_test(behind_extension_headers_is_looked),
		cmocka_unit_test(what_is_no_ip_or_cut_off_does_not_pass),
	};
	const char *expected = getenv("LASTCONN_EXPECT_EBPF");

	program = names_filter_load();
	if (program < 0 && !(expected && strcmp(expected, "1") == 0)) {
		fprintf(stderr, "skipped: the kernel refuses the filter: %s\n", strerror(-program));
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Blocks of pcapng files: packets, options, times, and what contradicts itself. */
#include "decode/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, SIMPLE = 3, ENHANCED = 6 };

#define DARWIN_PROCESS 0x80000001u

static struct pcapng pcapng;

struct block {
	uint8_t octets[512];
	size_t length;
	bool big_endian;
};

static void put(struct block *block, const void *octets, size_t length)
{
	assert_true(block->length + length <= sizeof(block->octets));
	memcpy(block->octets + block->length, octets, length);
	block->length += length;
}

static void put16(struct block *block, uint16_t value)
{
	uint8_t little[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
	uint8_t big[2] = {little[1], little[0]};

	put(block, block->big_endian ? big : little, 2);
}

static void put32(struct block *block, uint32_t value)
{
	put16(block, (uint16_t)(block->big_endian ? value >> 16 : value));
	put16(block, (uint16_t)(block->big_endian ? value : value >> 16));
}

static void put_padded(struct block *block, const void *octets, size_t length)
{
	put(block, octets, length);
	put(block, "\0\0\0", -length & 3);
}

static void put_option(struct block *block, uint16_t code, const void *value, size_t length)
{
	put16(block, code);
	put16(block, (uint16_t)length);
	put_padded(block, value, length);
}

static void put_number(struct block *block, uint16_t code, uint32_t value)
{
	put16(block, code);
	put16(block, 4);
	put32(block, value);
}

static struct block begin(uint32_t type, bool big_endian)
{
	struct block block = {.big_endian = big_endian};

	put32(&block, type);
	put32(&block, 0);
	return block;
}

/* Sets both lengths. */
static void end(struct block *block)
{
	struct block length = {.big_endian = block->big_endian};

	put32(&length, (uint32_t)block->length + 4);
	memcpy(block->octets + 4, length.octets, 4);
	put(block, length.octets, 4);
}

/* Reads it in a place of its own length, so that a read beyond it is seen; borrowed texts live
 * until the next call. */
static struct pcapng_content read_whole(const struct block *block)
{
	static uint8_t *copy;
	struct pcapng_content content;
	struct pcapng_block head;

	free(copy);
	copy = malloc(block->length);
	assert_non_null(copy);
	memcpy(copy, block->octets, block->length);
	assert_null(pcapng_begin_block(&pcapng, copy, &head));
	assert_int_equal(head.length, block->length);
	assert_true(head.wanted);
	pcapng_read_block(&pcapng, &head, copy, &content);
	return content;
}

static struct pcapng_content finish(struct block *block)
{
	end(block);
	return read_whole(block);
}

static void begin_section(bool big_endian)
{
	struct block block = begin(SECTION, big_endian);

	put32(&block, 0x1a2b3c4d);
	put16(&block, 1);
	put16(&block, 0);
	put32(&block, UINT32_MAX);
	put32(&block, UINT32_MAX);
	assert_int_equal(finish(&block).kind, PCAPNG_SECTION);
}

static struct block interface_of(uint16_t link_type, uint32_t snap_length)
{
	struct block block = begin(INTERFACE, pcapng.big_endian);

	put16(&block, link_type);
	put16(&block, 0);
	put32(&block, snap_length);
	return block;
}

static void add_interface(uint16_t link_type)
{
	struct block block = interface_of(link_type, 0);

	assert_int_equal(finish(&block).kind, PCAPNG_OTHER);
}

static struct block packet_of(uint32_t interface, uint64_t time, size_t length)
{
	struct block block = begin(ENHANCED, pcapng.big_endian);

	put32(&block, interface);
	put32(&block, (uint32_t)(time >> 32));
	put32(&block, (uint32_t)time);
	put32(&block, (uint32_t)length);
	put32(&block, 1500);
	put_padded(&block, "0123456789abcdef", length);
	return block;
}

static int set_up(void **state)
{
	(void)state;
	memset(&pcapng, 0, sizeof(pcapng));
	return 0;
}

static void a_packet_is_read_with_what_its_options_say(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		struct block block;
		struct pcapng_packet packet;

		begin_section(big_endian);
		add_interface(1);
		add_interface(101);
		block = packet_of(1, 1700000000123456, 13);
		put_option(&block, 1, "PID: 5\nCmd: a\nArgs: b", 21);
		put_number(&block, 2, 0x102);
		put_number(&block, 0x8001, 7);
		put_number(&block, 0x8002, 8);
		put_number(&block, 0x8003, 9);
		put32(&block, 0);
		packet = finish(&block).packet;
		assert_int_equal(packet.link_type, 101);
		assert_int_equal(packet.captured, 13);
		assert_int_equal(packet.wire, 1500);
		assert_memory_equal(packet.octets, "0123456789abc", 13);
		assert_int_equal(packet.time_ns, 1700000000123456000);
		assert_int_equal(packet.sender, DECODE_SENDER_LOCAL);
		assert_int_equal(packet.process, 7);
		assert_int_equal(packet.effective, 9);
		assert_int_equal(packet.comments.pid, 5);
	}
}

static void a_packet_without_options_names_nobody(void **state)
{
	struct block block;
	struct pcapng_packet packet;

	(void)state;
	begin_section(false);
	add_interface(1);
	block = packet_of(0, 0, 16);
	packet = finish(&block).packet;
	assert_int_equal(packet.sender, DECODE_SENDER_UNKNOWN);
	assert_int_equal(packet.process, -1);
	assert_int_equal(packet.effective, -1);
	assert_int_equal(packet.comments.pid, 0);
	assert_int_equal(packet.comments.uid, CAPTURED_UID_NONE);
}

static void a_process_block_names_a_process(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		struct block block;
		struct pcapng_content content;

		begin_section(big_endian);
		block = begin(DARWIN_PROCESS, big_endian);
		put32(&block, 321);
		put_option(&block, 2, "Safari", 6);
		put_option(&block, 4, "0123456789abcdef", 16);
		content = finish(&block);
		assert_int_equal(content.kind, PCAPNG_PROCESS);
		assert_int_equal(content.process.pid, 321);
		assert_int_equal(content.process.name.length, 6);
		assert_memory_equal(content.process.name.at, "Safari", 6);
		assert_int_equal(content.process.exe.length, 0);
	}
}

static int64_t time_of(uint8_t resolution, int64_t offset_s, uint64_t units)
{
	struct block block;

	begin_section(false);
	block = interface_of(1, 0);
	put_option(&block, 9, &resolution, 1);
	put16(&block, 14);
	put16(&block, 8);
	put32(&block, (uint32_t)offset_s);
	put32(&block, (uint32_t)(offset_s >> 32));
	assert_int_equal(finish(&block).kind, PCAPNG_OTHER);
	block = packet_of(0, units, 4);
	return finish(&block).packet.time_ns;
}

static void times_are_in_the_unit_of_their_interface(void **state)
{
	(void)state;
	assert_int_equal(time_of(0, 0, 5), 5 * (int64_t)NS_PER_S);
	assert_int_equal(time_of(9, 0, 1000000001), 1000000001);
	assert_int_equal(time_of(12, 0, 1000000001999), 1000000001);
	assert_int_equal(time_of(19, 0, 10000000000000000000u), NS_PER_S);
	assert_int_equal(time_of(0x80 | 1, 0, 3), 1500000000);
	assert_int_equal(time_of(0x80 | 63, 0, 3ull << 62), 1500000000);
	assert_int_equal(time_of(3, -2, 5001), 3001000000);
	assert_int_equal(time_of(3, 2, 5001), 7001000000);
}

static void times_beyond_all_bounds_are_cut(void **state)
{
	(void)state;
	assert_true(time_of(0, 0, UINT64_MAX) > 0);
	assert_true(time_of(0, INT64_MAX, UINT64_MAX) > 0);
	assert_int_equal(time_of(0, INT64_MIN, UINT64_MAX), 0);
	assert_int_equal(time_of(0, -6, 5), 0);
}

static void a_simple_packet_is_of_the_first_interface_and_its_snap_length(void **state)
{
	struct block block;
	struct pcapng_packet packet;

	(void)state;
	begin_section(false);
	block = interface_of(101, 5);
	finish(&block);
	block = begin(SIMPLE, false);
	put32(&block, 900);
	put_padded(&block, "01234", 5);
	packet = finish(&block).packet;
	assert_int_equal(packet.link_type, 101);
	assert_int_equal(packet.captured, 5);
	assert_int_equal(packet.wire, 900);
	assert_int_equal(packet.time_ns, -1);
}

static void interfaces_beyond_the_limit_have_no_link_type(void **state)
{
	struct block block;
	struct pcapng_packet packet;

	(void)state;
	begin_section(false);
	for (int i = 0; i <= PCAPNG_INTERFACES_MAX; i++)
		add_interface(1);
	block = packet_of(PCAPNG_INTERFACES_MAX, 0, 4);
	packet = finish(&block).packet;
	assert_int_equal(packet.link_type, -1);
	assert_int_equal(packet.time_ns, -1);
	block = packet_of(PCAPNG_INTERFACES_MAX - 1, 0, 4);
	assert_int_equal(finish(&block).packet.link_type, 1);
}

static void a_section_forgets_the_interfaces_of_the_one_before(void **state)
{
	struct block block;

	(void)state;
	begin_section(false);
	add_interface(1);
	begin_section(true);
	block = packet_of(0, 0, 4);
	assert_int_equal(finish(&block).kind, PCAPNG_DAMAGED);
}

static const char *head_error(uint32_t type, uint32_t length)
{
	struct block block = {.big_endian = false};
	struct pcapng_block ret;

	put32(&block, type);
	put32(&block, length);
	put32(&block, 0x1a2b3c4d);
	return pcapng_begin_block(&pcapng, block.octets, &ret);
}

static void heads_that_cannot_be_are_refused(void **state)
{
	struct block block = {.big_endian = false};
	struct pcapng_block ret;

	(void)state;
	assert_non_null(head_error(ENHANCED, 32));
	assert_null(head_error(SECTION, 28));
	assert_null(head_error(ENHANCED, 32));
	assert_non_null(head_error(ENHANCED, 0));
	assert_non_null(head_error(ENHANCED, 8));
	assert_non_null(head_error(ENHANCED, 33));
	assert_non_null(head_error(ENHANCED, PCAPNG_BLOCK_MAX + 4));
	assert_null(head_error(0xbad, PCAPNG_BLOCK_MAX + 4));
	put32(&block, SECTION);
	put32(&block, 28);
	put32(&block, 0x11111111);
	assert_non_null(pcapng_begin_block(&pcapng, block.octets, &ret));
}

static void no_prefix_of_a_block_is_read_beyond_its_end(void **state)
{
	struct block whole[3];

	(void)state;
	begin_section(false);
	add_interface(1);
	whole[0] = packet_of(0, 0, 13);
	put_option(&whole[0], 1, "PID: 5\nCmd: a\nArgs: b", 21);
	put_number(&whole[0], 0x8001, 7);
	put32(&whole[0], 0);
	whole[1] = begin(DARWIN_PROCESS, false);
	put32(&whole[1], 321);
	put_option(&whole[1], 2, "Safari", 6);
	whole[2] = interface_of(1, 0);
	put_option(&whole[2], 9, "\6", 1);
	for (size_t i = 0; i < 3; i++)
		for (size_t length = 8; length <= whole[i].length; length += 4) {
			struct block part = whole[i];

			part.length = length;
			finish(&part);
		}
}

static void a_block_with_two_lengths_is_damaged(void **state)
{
	struct block block;

	(void)state;
	begin_section(false);
	add_interface(1);
	block = packet_of(0, 0, 4);
	end(&block);
	block.octets[block.length - 4] ^= 4;
	assert_int_equal(read_whole(&block).kind, PCAPNG_DAMAGED);
}

static void a_packet_longer_than_its_block_is_damaged(void **state)
{
	struct block block;

	(void)state;
	begin_section(false);
	add_interface(1);
	block = packet_of(0, 0, 8);
	block.octets[8 + 12] = 9;
	assert_int_equal(finish(&block).kind, PCAPNG_DAMAGED);
}

static void options_are_believed_up_to_the_first_that_is_too_long(void **state)
{
	struct block block;
	struct pcapng_packet packet;

	(void)state;
	begin_section(false);
	add_interface(1);
	block = packet_of(0, 0, 4);
	put_number(&block, 0x8001, 7);
	put16(&block, 0x8003);
	put16(&block, 400);
	put32(&block, 9);
	packet = finish(&block).packet;
	assert_int_equal(packet.process, 7);
	assert_int_equal(packet.effective, -1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_is_read_with_what_its_options_say),
		TEST(a_packet_without_options_names_nobody),
		TEST(a_process_block_names_a_process),
		TEST(times_are_in_the_unit_of_their_interface),
		TEST(times_beyond_all_bounds_are_cut),
		TEST(a_simple_packet_is_of_the_first_interface_and_its_snap_length),
		TEST(interfaces_beyond_the_limit_have_no_link_type),
		TEST(a_section_forgets_the_interfaces_of_the_one_before),
		TEST(heads_that_cannot_be_are_refused),
		TEST(no_prefix_of_a_block_is_read_beyond_its_end),
		TEST(a_block_with_two_lengths_is_damaged),
		TEST(a_packet_longer_than_its_block_is_damaged),
		TEST(options_are_believed_up_to_the_first_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

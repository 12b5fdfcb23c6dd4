/* PKTAP headers of both versions and byte orders: what they name, and what is wrong with them. */
#include "decode/pktap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V1_LENGTH = 156, V2_LENGTH = 70, RAW = 12, IN = 1, OUT = 2, V2 = 0x80000 };

struct header {
	uint8_t octets[256];
	size_t length;
};

static void set32(struct header *header, size_t at, uint32_t value, bool big_endian)
{
	for (size_t i = 0; i < 4; i++)
		header->octets[at + i] = (uint8_t)(value >> (big_endian ? 24 - 8 * i : 8 * i));
}

static void set16(struct header *header, size_t at, uint16_t value, bool big_endian)
{
	header->octets[at + big_endian] = (uint8_t)value;
	header->octets[at + !big_endian] = (uint8_t)(value >> 8);
}

static struct header v1(bool big_endian)
{
	struct header header = {.length = V1_LENGTH};

	set32(&header, 0, V1_LENGTH, big_endian);
	set32(&header, 4, 1, big_endian);
	set32(&header, 8, RAW, big_endian);
	set32(&header, 36, OUT | 0x3000, big_endian);
	set32(&header, 52, 321, big_endian);
	memcpy(header.octets + 56, "com.apple.WebKit", 16);
	set32(&header, 84, 77, big_endian);
	memcpy(header.octets + 88, "Safari", 6);
	return header;
}

static struct header v2(bool big_endian)
{
	struct header header = {.length = V2_LENGTH};

	header.octets[0] = V2_LENGTH;
	header.octets[3] = 40;
	header.octets[4] = 46;
	header.octets[5] = 63;
	set16(&header, 6, RAW, big_endian);
	set32(&header, 28, 321, big_endian);
	set32(&header, 32, 77, big_endian);
	set32(&header, 36, IN | V2, big_endian);
	memcpy(header.octets + 40, "en0", 3);
	memcpy(header.octets + 46, "com.apple.WebKit", 16);
	memcpy(header.octets + 63, "Safari", 6);
	return header;
}

/* Octets in a block of their own, so that a read beyond them is seen. */
static enum decode_result read_part(
	const struct header *header, size_t captured, size_t wire, struct pktap *ret_pktap)
{
	uint8_t *octets = malloc(captured + !captured);
	struct cursor cursor = {octets, captured, wire};
	enum decode_result result;

	assert_non_null(octets);
	memcpy(octets, header->octets, captured);
	result = pktap_read(&cursor, ret_pktap);
	free(octets);
	return result;
}

static enum decode_result result_of(const struct header *header)
{
	struct pktap pktap;

	return read_part(header, header->length, header->length, &pktap);
}

static void check_process(const struct captured_process *process, uint32_t pid, const char *name)
{
	assert_int_equal(process->pid, pid);
	assert_int_equal(process->uid, CAPTURED_UID_NONE);
	assert_int_equal(process->name.length, strlen(name));
	if (name[0])
		assert_memory_equal(process->name.at, name, strlen(name));
}

static struct pktap check_header(const struct header *header, enum decode_sender sender)
{
	struct cursor cursor = {header->octets, header->length + 9, header->length + 9};
	struct pktap pktap;

	assert_int_equal(pktap_read(&cursor, &pktap), DECODE_OK);
	assert_int_equal(cursor.captured, 9);
	assert_int_equal(pktap.link_type, RAW);
	assert_int_equal(pktap.sender, sender);
	return pktap;
}

static void both_versions_are_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		struct header one = v1(big_endian), two = v2(big_endian);
		struct pktap pktap = check_header(&one, DECODE_SENDER_LOCAL);

		check_process(&pktap.process, 321, "com.apple.WebKit");
		check_process(&pktap.effective, 77, "Safari");
		pktap = check_header(&two, DECODE_SENDER_REMOTE);
		check_process(&pktap.process, 321, "com.apple.WebKit");
		check_process(&pktap.effective, 77, "Safari");
	}
}

static void both_link_types_are_known(void **state)
{
	(void)state;
	assert_true(pktap_link_type(258));
	assert_true(pktap_link_type(149));
	assert_false(pktap_link_type(1));
	assert_false(pktap_link_type(-1));
}

static void a_second_version_may_have_no_names(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		struct header header = v2(big_endian);
		struct pktap pktap;

		header.octets[3] = header.octets[4] = header.octets[5] = 0;
		header.octets[0] = 40;
		header.length = 40;
		pktap = check_header(&header, DECODE_SENDER_REMOTE);
		check_process(&pktap.process, 321, "");
		check_process(&pktap.effective, 77, "");
	}
}

static void nobody_is_minus_one_or_the_kernel(void **state)
{
	static const uint32_t pids[] = {0, UINT32_MAX, 0x80000000};

	(void)state;
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		struct header header = v1(false);
		struct pktap pktap;

		set32(&header, 52, pids[i], false);
		pktap = check_header(&header, DECODE_SENDER_LOCAL);
		check_process(&pktap.process, 0, "");
		check_process(&pktap.effective, 77, "Safari");
	}
}

static void a_packet_without_direction_has_no_sender(void **state)
{
	struct header header = v1(false);

	(void)state;
	set32(&header, 36, 0, false);
	check_header(&header, DECODE_SENDER_UNKNOWN);
}

static void every_prefix_is_truncated_and_every_short_packet_malformed(void **state)
{
	const struct header headers[] = {v1(false), v1(true), v2(false), v2(true)};
	struct pktap pktap;

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		for (size_t length = 0; length < headers[i].length; length++) {
			assert_int_equal(read_part(&headers[i], length, headers[i].length, &pktap),
				DECODE_TRUNCATED);
			assert_int_equal(
				read_part(&headers[i], length, length, &pktap), DECODE_MALFORMED);
		}
}

static void lengths_and_offsets_that_contradict_the_header_are_malformed(void **state)
{
	struct header header = v1(false);

	(void)state;
	set32(&header, 0, 107, false);
	assert_int_equal(result_of(&header), DECODE_MALFORMED);
	set32(&header, 0, UINT32_MAX, false);
	assert_int_equal(result_of(&header), DECODE_MALFORMED);
	header = v1(false);
	set32(&header, 8, 0x10000, false);
	assert_int_equal(result_of(&header), DECODE_MALFORMED);
	for (size_t at = 4; at <= 5; at++) {
		header = v2(false);
		header.octets[at] = 39;
		assert_int_equal(result_of(&header), DECODE_MALFORMED);
		header.octets[at] = V2_LENGTH;
		assert_int_equal(result_of(&header), DECODE_MALFORMED);
		header.octets[at] = V2_LENGTH - 1;
		assert_int_equal(result_of(&header), DECODE_OK);
	}
	header = v2(false);
	header.octets[0] = 39;
	assert_int_equal(result_of(&header), DECODE_MALFORMED);
}

static void what_follows_may_be_nothing_or_unknown(void **state)
{
	struct header header = v1(false);

	(void)state;
	set32(&header, 4, 0, false);
	assert_int_equal(result_of(&header), DECODE_NOT_IP);
	set32(&header, 4, 2, false);
	assert_int_equal(result_of(&header), DECODE_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions_are_read_in_both_byte_orders),
		cmocka_unit_test(both_link_types_are_known),
		cmocka_unit_test(a_second_version_may_have_no_names),
		cmocka_unit_test(nobody_is_minus_one_or_the_kernel),
		cmocka_unit_test(a_packet_without_direction_has_no_sender),
		cmocka_unit_test(every_prefix_is_truncated_and_every_short_packet_malformed),
		cmocka_unit_test(lengths_and_offsets_that_contradict_the_header_are_malformed),
		cmocka_unit_test(what_follows_may_be_nothing_or_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ClientHellos, whole, cut, spread over records, contradicting themselves. */
#include "decode/dissect_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/hello_make.h"

static struct dissect_tls_hello hello;
static uint8_t scratch[DISSECT_TLS_HELLO_MAX];

static enum dissect_result dissect(const struct frame *message)
{
	return dissect_tls_hello(message->octets, message->length, &hello);
}

static enum dissect_result dissect_stream(const uint8_t *octets, size_t length)
{
	uint8_t *copy = malloc(length + !length); /* so that a read beyond it is seen */
	enum dissect_result result;

	memcpy(copy, octets, length);
	result = dissect_tls_stream(copy, length, scratch, &hello);
	free(copy);
	return result;
}

static void name_protocol_and_ech_are_told(void **state)
{
	struct frame message = {0};

	(void)state;
	put_hello(&message,
		&(struct hello){.name = "WWW.Example.com", .alpn = "\2h2\10http/1.1", .ech = 1});
	assert_int_equal(dissect(&message), DISSECT_OK);
	assert_string_equal(hello.name, "www.example.com");
	assert_string_equal(hello.alpn, "h2");
	assert_true(hello.ech);
}

static void a_hello_may_lack_all_of_it(void **state)
{
	struct frame message = {0}, old = {0};

	(void)state;
	put_hello(&message, &(struct hello){.ech = 2});
	assert_int_equal(dissect(&message), DISSECT_OK);
	assert_string_equal(hello.name, "");
	assert_string_equal(hello.alpn, "");
	assert_false(hello.ech);
	put(&old, "\1\0\0\x29\3\3", 6);
	put_zero(&old, 32);
	put(&old, "\0\0\2\0\5\1\0", 7);
	assert_int_equal(dissect(&old), DISSECT_OK);
}

static void grease_is_no_protocol(void **state)
{
	struct frame message = {0}, odd = {0}, longer = {0};

	(void)state;
	put_hello(&message, &(struct hello){.alpn = "\2\x2a\x2a\2h3"});
	assert_int_equal(dissect(&message), DISSECT_OK);
	assert_string_equal(hello.alpn, "h3");
	put_hello(&odd, &(struct hello){.alpn = "\3a\nb\1c"});
	assert_int_equal(dissect(&odd), DISSECT_OK);
	assert_string_equal(hello.alpn, "c");
	put_hello(&longer, &(struct hello){.alpn = "\24abcdefghijklmnopqrst"});
	assert_int_equal(dissect(&longer), DISSECT_OK);
	assert_string_equal(hello.alpn, "abcdefghijklmno");
}

static void an_address_is_no_name(void **state)
{
	struct frame message = {0};

	(void)state;
	put_hello(&message, &(struct hello){.name = "192.0.2.1"});
	assert_int_equal(dissect(&message), DISSECT_OK);
	assert_string_equal(hello.name, "");
}

static void every_prefix_of_a_message_is_truncated(void **state)
{
	struct frame message = {0};

	(void)state;
	put_hello(&message, &(struct hello){.name = "a.example", .alpn = "\2h2", .ech = 1});
	for (size_t length = 0; length < message.length; length++) {
		uint8_t *copy = malloc(length + !length);

		memcpy(copy, message.octets, length);
		assert_int_equal(dissect_tls_hello(copy, length, &hello), DISSECT_TRUNCATED);
		free(copy);
	}
	/* what there is of it is told all the same */
	assert_string_equal(hello.name, "a.example");
	assert_string_equal(hello.alpn, "h2");
}

static void every_prefix_of_a_stream_is_truncated_however_it_is_cut_into_records(void **state)
{
	struct frame message = {0};

	(void)state;
	put_hello(&message, &(struct hello){.name = "a.example", .padding = 200});
	for (size_t most = 1; most <= message.length; most += most < 9 ? 1 : 40) {
		struct frame stream = {0};

		put_records(&stream, &message, most);
		for (size_t length = 0; length < stream.length; length++)
			assert_int_equal(dissect_stream(stream.octets, length), DISSECT_TRUNCATED);
		put(&stream, "behind", 6);
		assert_int_equal(dissect_stream(stream.octets, stream.length), DISSECT_OK);
		assert_string_equal(hello.name, "a.example");
	}
}

static void lengths_that_contradict_each_other_are_malformed(void **state)
{
	struct frame message = {0};
	unsigned malformed = 0;

	(void)state;
	put_hello(&message, &(struct hello){.name = "a.example", .alpn = "\2h2"});
	for (size_t at = 4; at < message.length; at++) {
		struct frame bad = message;
		enum dissect_result result;

		bad.octets[at] ^= 0x40;
		result = dissect(&bad);
		assert_true(result == DISSECT_OK || result == DISSECT_MALFORMED);
		malformed += result == DISSECT_MALFORMED;
	}
	assert_true(malformed > 10);
	message.octets[3]--;
	assert_int_equal(dissect(&message), DISSECT_MALFORMED);
}

static void other_protocols_are_told_by_their_first_octets(void **state)
{
	(void)state;
	assert_int_equal(dissect_stream((const uint8_t *)"GET /", 5), DISSECT_OTHER);
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\2", 2), DISSECT_OTHER);
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\5", 3), DISSECT_OTHER);
	assert_int_equal(dissect_stream((const uint8_t *)"\x17\3\3\0\1x", 6), DISSECT_OTHER);
	/* a server's hello */
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\3\0\1\2", 6), DISSECT_OTHER);
}

static void records_that_are_empty_or_of_another_kind_are_malformed(void **state)
{
	(void)state;
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\1\0\0", 5), DISSECT_MALFORMED);
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\1\x40\1", 5), DISSECT_MALFORMED);
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\1\0\2\1\0\x14\3\3\0\1\1", 13),
		DISSECT_MALFORMED);
}

static void a_hello_beyond_the_limit_is_unsupported(void **state)
{
	(void)state;
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\1\x40\0\1\0\x40\0", 9),
		DISSECT_UNSUPPORTED);
	assert_int_equal(dissect_stream((const uint8_t *)"\x16\3\1\0\2\1\0\x16\3\1\0\2\x40\0", 14),
		DISSECT_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_protocol_and_ech_are_told),
		cmocka_unit_test(a_hello_may_lack_all_of_it),
		cmocka_unit_test(grease_is_no_protocol),
		cmocka_unit_test(an_address_is_no_name),
		cmocka_unit_test(every_prefix_of_a_message_is_truncated),
		cmocka_unit_test(
			every_prefix_of_a_stream_is_truncated_however_it_is_cut_into_records),
		cmocka_unit_test(lengths_that_contradict_each_other_are_malformed),
		cmocka_unit_test(other_protocols_are_told_by_their_first_octets),
		cmocka_unit_test(records_that_are_empty_or_of_another_kind_are_malformed),
		cmocka_unit_test(a_hello_beyond_the_limit_is_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

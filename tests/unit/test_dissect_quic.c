/* Initial packets: the RFCs' own, some made here, cut and damaged ones. */
#include "decode/dissect_quic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/hello_make.h"
#include "../support/quic_vectors.h"
#include "decode/dissect_tls.h"

#define CONNECTION "\1\2\3\4\5\6\7\x08"

static struct dissect_quic *quic;
static struct reassembly crypto;

static int make(void **state)
{
	(void)state;
	return dissect_quic_new(&quic);
}

static int destroy(void **state)
{
	(void)state;
	dissect_quic_free(quic);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	reassembly_clear(&crypto);
	return 0;
}

/* With the secret that the datagram itself tells. */
static enum dissect_result dissect(const struct frame *datagram, size_t length)
{
	struct dissect_quic_secret secret;
	uint8_t *copy = malloc(length + !length); /* so that a read beyond it is seen */
	enum dissect_result result = DISSECT_OTHER;

	memcpy(copy, datagram->octets, length);
	if (dissect_quic_begins(copy, length)) {
		result = dissect_quic_secret(quic, copy, length, &secret);
		if (result == DISSECT_OK)
			result = dissect_quic_read(quic, copy, length, &secret, &crypto);
	}
	free(copy);
	return result;
}

static void check_vector(const char *hex)
{
	struct frame datagram = {0};
	struct dissect_tls_hello hello;

	put_hex(&datagram, hex);
	assert_int_equal(datagram.length, 1200);
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_OK);
	assert_int_equal(crypto.ready, 241);
	assert_int_equal(dissect_tls_hello(crypto.octets, crypto.ready, &hello), DISSECT_OK);
	assert_string_equal(hello.name, "example.com");
	assert_string_equal(hello.alpn, "alpn");
}

static void the_first_packet_of_rfc_9001_is_opened(void **state)
{
	(void)state;
	check_vector(quic_rfc9001);
}

static void the_first_packet_of_rfc_9369_is_opened(void **state)
{
	(void)state;
	check_vector(quic_rfc9369);
}

static void no_prefix_of_a_packet_is_opened(void **state)
{
	struct frame datagram = {0};

	(void)state;
	put_hex(&datagram, quic_rfc9001);
	for (size_t length = 0; length < datagram.length; length++)
		assert_int_not_equal(dissect(&datagram, length), DISSECT_OK);
	assert_int_equal(crypto.end, 0);
}

static void a_damaged_packet_is_not_opened(void **state)
{
	struct frame datagram = {0};

	(void)state;
	put_hex(&datagram, quic_rfc9369);
	for (size_t at = 0; at < datagram.length; at += at < 40 ? 1 : 97) {
		struct frame bad = datagram;

		bad.octets[at] ^= 0x10;
		assert_int_not_equal(dissect(&bad, bad.length), DISSECT_OK);
	}
	assert_int_equal(crypto.end, 0);
}

static void other_datagrams_do_not_begin_so(void **state)
{
	static const uint8_t negotiation[] = "\xc0\0\0\0\0\x08", handshake[] = "\xe0\0\0\0\1\x08",
			     short_header[] = "\x40\0\0\0\1\x08";

	(void)state;
	assert_false(dissect_quic_begins(negotiation, 6));
	assert_false(dissect_quic_begins(handshake, 6));
	assert_false(dissect_quic_begins(short_header, 6));
	assert_false(dissect_quic_begins(negotiation, 0));
}

static void a_connection_id_of_a_wrong_length_is_malformed(void **state)
{
	struct frame datagram = {0};

	(void)state;
	put_hex(&datagram, quic_rfc9001);
	datagram.octets[5] = 21;
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_MALFORMED);
	datagram.octets[5] = 7;
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_MALFORMED);
}

static void frames_come_in_any_order_and_packets_share_a_datagram(void **state)
{
	struct frame message = {0}, first = {0}, second = {0}, datagram = {0};

	(void)state;
	put_hello(&message, &(struct hello){.name = "a.example"});
	put_crypto(&first, &message, 60, message.length - 60);
	put(&first, "\1\2\0\0\0\0\3\0\0\1\0\1\2\1\2\3",
		16); /* PING, ACK, ACK with a range and ECN */
	put_crypto(&first, &message, 10, 30);
	put_crypto(&second, &message, 0, 12);
	put_crypto(&second, &message, 40, 20);
	put_initial(&datagram, quic, CONNECTION, NULL, &first, 0, 0);
	put(&datagram, "\xe0\0\0\0\1\0\0\2xy", 10); /* a Handshake packet between them */
	put_initial(&datagram, quic, CONNECTION, NULL, &second, 900, 1);
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_OK);
	assert_int_equal(crypto.ready, message.length);
	assert_memory_equal(crypto.octets, message.octets, message.length);
}

static void frames_that_do_not_belong_there_are_malformed(void **state)
{
	static const char *const bad[] = {
		"\x08xxxx", "\6\0\x7fx", "\6\xff", "\2\1\1\5", "\x30xxxx", "\3\1\1\1"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame frames = {0}, datagram = {0};

		put_zero(&frames, 8);
		put(&frames, bad[i], bad[i][1] ? strlen(bad[i]) : 4);
		put_initial(&datagram, quic, CONNECTION, NULL, &frames, 0, 0);
		assert_int_equal(dissect(&datagram, datagram.length), DISSECT_MALFORMED);
	}
}

static void what_follows_a_close_is_not_read(void **state)
{
	struct frame frames = {0}, datagram = {0};

	(void)state;
	put(&frames, "\x1c\0\0\3bye\xff", 8);
	put_initial(&datagram, quic, CONNECTION, NULL, &frames, 30, 0);
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_OK);
}

static void crypto_beyond_the_limit_is_unsupported(void **state)
{
	struct frame frames = {0}, datagram = {0};

	(void)state;
	put(&frames, "\6\x80\0\x40\0\1xxxxxxxxxxxxxxxx", 22);
	put_initial(&datagram, quic, CONNECTION, NULL, &frames, 0, 0);
	assert_int_equal(dissect(&datagram, datagram.length), DISSECT_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_packet_of_rfc_9001_is_opened, clear),
		cmocka_unit_test_setup(the_first_packet_of_rfc_9369_is_opened, clear),
		cmocka_unit_test_setup(no_prefix_of_a_packet_is_opened, clear),
		cmocka_unit_test_setup(a_damaged_packet_is_not_opened, clear),
		cmocka_unit_test_setup(other_datagrams_do_not_begin_so, clear),
		cmocka_unit_test_setup(a_connection_id_of_a_wrong_length_is_malformed, clear),
		cmocka_unit_test_setup(
			frames_come_in_any_order_and_packets_share_a_datagram, clear),
		cmocka_unit_test_setup(frames_that_do_not_belong_there_are_malformed, clear),
		cmocka_unit_test_setup(what_follows_a_close_is_not_read, clear),
		cmocka_unit_test_setup(crypto_beyond_the_limit_is_unsupported, clear),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}

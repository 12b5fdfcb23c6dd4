/* One expression over frames of several link types, with and without a PKTAP header. */
#include "source/packet_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../support/frame_make.h"

enum { NULL_LINK = 0, ETHERNET = 1, RAW_DLT = 12, RAW_LINK = 101, PKTAP = 258, UNKNOWN = 105 };

static struct packet_filter *make(const char *expression)
{
	struct packet_filter *filter;

	assert_int_equal(packet_filter_new(expression, &filter), 0);
	return filter;
}

static struct frame datagram(uint16_t port)
{
	struct frame frame = {0};

	put_ip4(&frame, 17, 12);
	put_udp(&frame, 40000, port, 4);
	put_zero(&frame, 4);
	return frame;
}

static struct frame wrapped(const char *head, size_t length, uint16_t port)
{
	struct frame frame = {0}, packet = datagram(port);

	put(&frame, head, length);
	put(&frame, packet.octets, packet.length);
	return frame;
}

static enum packet_filter_verdict take(
	struct packet_filter *filter, int link_type, const struct frame *frame)
{
	const struct packet_observer_frame packet = {
		.link_type = link_type,
		.octets = frame->octets,
		.captured = frame->length,
		.wire = frame->length,
	};

	return packet_filter_take(filter, &packet);
}

static void check(struct packet_filter *filter, int link_type, const char *head, size_t length)
{
	struct frame dns = wrapped(head, length, 53), other = wrapped(head, length, 54);

	assert_int_equal(take(filter, link_type, &dns), PACKET_FILTER_PASS);
	assert_int_equal(take(filter, link_type, &other), PACKET_FILTER_REJECT);
}

static void an_expression_serves_every_link_type(void **state)
{
	struct packet_filter *filter = make("udp port 53");

	(void)state;
	for (int round = 0; round < 2; round++) { /* then from the cache */
		check(filter, ETHERNET, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 14);
		check(filter, RAW_DLT, "", 0);
		check(filter, RAW_LINK, "", 0);
		check(filter, NULL_LINK, "\2\0\0\0", 4);
	}
	assert_null(packet_filter_refusal(filter, ETHERNET));
	assert_null(packet_filter_unfit(filter));
	packet_filter_free(filter);
}

static struct frame pktap(uint16_t port)
{
	struct frame frame = {0}, packet = datagram(port);
	uint8_t head[156] = {156, 0, 0, 0, 1, 0, 0, 0, RAW_DLT};

	put(&frame, head, sizeof(head));
	put(&frame, packet.octets, packet.length);
	return frame;
}

static void the_header_of_pktap_is_passed_over(void **state)
{
	struct packet_filter *filter = make("udp port 53");
	struct frame dns = pktap(53), other = pktap(54);

	(void)state;
	assert_null(packet_filter_refusal(filter, PKTAP));
	assert_int_equal(take(filter, PKTAP, &dns), PACKET_FILTER_PASS);
	assert_int_equal(take(filter, PKTAP, &other), PACKET_FILTER_REJECT);
	packet_filter_free(filter);
}

static void a_mistake_is_told_in_the_words_of_libpcap(void **state)
{
	struct packet_filter *filter = make("udp prot 53");
	const char *why = packet_filter_refusal(filter, ETHERNET);

	(void)state;
	assert_non_null(why);
	assert_non_null(strstr(why, "EN10MB"));
	assert_non_null(strstr(why, "syntax error"));
	packet_filter_free(filter);
}

static void what_fits_one_link_type_may_not_fit_another(void **state)
{
	struct packet_filter *filter = make("ether host 02:00:00:00:00:01");
	struct frame raw = datagram(53);

	(void)state;
	assert_null(packet_filter_refusal(filter, ETHERNET));
	assert_null(packet_filter_unfit(filter));
	assert_int_equal(take(filter, RAW_LINK, &raw), PACKET_FILTER_UNFIT);
	assert_non_null(strstr(packet_filter_unfit(filter), "link type RAW"));
	packet_filter_free(filter);
}

static void what_cannot_be_read_passes(void **state)
{
	struct packet_filter *filter = make("udp port 53");
	struct frame cut = pktap(54);

	(void)state;
	assert_int_equal(take(filter, UNKNOWN, &cut), PACKET_FILTER_PASS);
	cut.length = 20;
	assert_int_equal(take(filter, PKTAP, &cut), PACKET_FILTER_PASS);
	packet_filter_free(filter);
}

/* Every prefix: the program of an expression reads no further than it was captured. */
static void short_frames_do_not_match(void **state)
{
	struct packet_filter *filter = make("udp port 53");
	struct frame dns = datagram(53);

	(void)state;
	for (dns.length = 0; dns.length < 24; dns.length++)
		assert_int_equal(take(filter, RAW_LINK, &dns), PACKET_FILTER_REJECT);
	packet_filter_free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_expression_serves_every_link_type),
		cmocka_unit_test(the_header_of_pktap_is_passed_over),
		cmocka_unit_test(a_mistake_is_told_in_the_words_of_libpcap),
		cmocka_unit_test(what_fits_one_link_type_may_not_fit_another),
		cmocka_unit_test(what_cannot_be_read_passes),
		cmocka_unit_test(short_frames_do_not_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

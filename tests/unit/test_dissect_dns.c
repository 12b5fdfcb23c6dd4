/* Answers: aliases, several addresses, what does not belong, what is cut or contradicts itself. */
#include "decode/dissect_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/dns_make.h"

#define ADDRESS  "\xc0\0\2\1"
#define ADDRESS6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"

static char told[2048];

static void tell(void *ctx, const struct dissect_dns_answer *answer)
{
	char address[ADDR_TEXT_SIZE];
	size_t length = strlen(told);

	(void)ctx;
	snprintf(told + length, sizeof(told) - length, "%s %s %s %u\n", answer->name, answer->owner,
		addr_format(&answer->address, address), answer->ttl_s);
}

static enum dissect_result dissect_cut(
	const struct frame *frame, size_t captured, enum name_source source)
{
	struct dissect_dns_sink sink = {NULL, tell};
	uint8_t *copy = malloc(captured + !captured); /* so that a read beyond it is seen */
	enum dissect_result result;

	told[0] = '\0';
	memcpy(copy, frame->octets, captured);
	result = dissect_dns(copy, captured, frame->length, source, &sink);
	free(copy);
	return result;
}

static void check(const struct frame *frame, enum name_source source, const char *expected)
{
	assert_int_equal(dissect_cut(frame, frame->length, source), DISSECT_OK);
	assert_string_equal(told, expected);
}

/* www -> mid -> cdn -> an address of each kind */
static void put_chain(struct frame *frame)
{
	put_dns_header(frame, DNS_RESPONSE, 1, 4, 0);
	put_dns_question(frame, "WWW.example.com", DNS_A);
	put_dns_alias(frame, "@12", 50, "mid.example.org");
	put_dns_alias(frame, "mid.EXAMPLE.org", 40, "cdn.example.net");
	put_dns_record(frame, "cdn.example.net", DNS_A, 1, 60, ADDRESS, 4);
	put_dns_record(frame, "cdn.example.net", DNS_AAAA, 1, 30, ADDRESS6, 16);
}

static void an_address_stands_for_the_name_that_was_asked_for(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_chain(&frame);
	check(&frame, NAME_SOURCE_DNS,
		"www.example.com cdn.example.net 192.0.2.1 40\n"
		"www.example.com cdn.example.net 2001:db8::1 30\n");
}

static void records_that_the_question_does_not_lead_to_are_not_told(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 5, 1);
	put_dns_question(&frame, "a.example", DNS_A);
	put_dns_record(&frame, "bank.example", DNS_A, 1, 60, ADDRESS, 4);
	put_dns_alias(&frame, "bank.example", 60, "a.example");
	put_dns_record(&frame, "a.example", DNS_A, 3, 60, ADDRESS, 4); /* CHAOS */
	put_dns_record(&frame, "a.example", DNS_PTR, 1, 60, "\1x", 3);
	put_dns_record(&frame, "a.example", DNS_A, 1, 60, "\0\0\0\0", 4);
	put_dns_record(&frame, "a.example", DNS_A, 1, 60, ADDRESS, 4); /* additional */
	check(&frame, NAME_SOURCE_DNS, "");
}

static void aliases_in_a_circle_end(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 3, 0);
	put_dns_question(&frame, "a.example", DNS_A);
	put_dns_alias(&frame, "a.example", 60, "b.example");
	put_dns_alias(&frame, "b.example", 60, "a.example");
	put_dns_record(&frame, "a.example", DNS_A, 1, 0x80000001, ADDRESS, 4);
	check(&frame, NAME_SOURCE_DNS, "a.example a.example 192.0.2.1 0\n");
}

static void of_a_ttl_a_day_counts(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 2, 0);
	put_dns_question(&frame, "a.example", DNS_A);
	put_dns_record(&frame, "a.example", DNS_A, 1, 0x7fffffff, ADDRESS, 4);
	put_dns_record(&frame, "a.example", DNS_A, 1, 86399, ADDRESS, 4);
	check(&frame, NAME_SOURCE_DNS,
		"a.example a.example 192.0.2.1 86400\na.example a.example 192.0.2.1 86399\n");
}

static void a_question_of_mdns_may_want_unicast(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, 0, 1, 0, 0);
	put_dns_question(&frame, "a.local", DNS_A);
	assert_false(dissect_dns_wants_unicast(frame.octets, frame.length));
	frame.octets[frame.length - 2] |= 0x80;
	assert_true(dissect_dns_wants_unicast(frame.octets, frame.length));
	for (size_t length = 0; length < frame.length; length++) {
		uint8_t *copy = malloc(length + !length); /* so that a read beyond it is seen */

		memcpy(copy, frame.octets, length);
		assert_false(dissect_dns_wants_unicast(copy, length));
		free(copy);
	}
	frame.octets[5] = 0; /* no question */
	assert_false(dissect_dns_wants_unicast(frame.octets, DNS_QUESTION_AT));
}

static void hints_of_services_are_addresses(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(&frame, "a.example", DNS_HTTPS);
	put_dns_record(&frame, "@12", DNS_HTTPS, 1, 9,
		"\0\1\0\0\1\0\3\2h2\0\4\0\x08" ADDRESS ADDRESS "\0\6\0\x10" ADDRESS6, 42);
	frame.octets[frame.length - 42 + 17] = 2;
	check(&frame, NAME_SOURCE_DNS,
		"a.example a.example 192.0.2.2 9\na.example a.example 192.0.2.1 9\n"
		"a.example a.example 2001:db8::1 9\n");
	frame.octets[frame.length - 42 + 13] = 60; /* a value longer than the record */
	assert_int_equal(dissect_cut(&frame, frame.length, NAME_SOURCE_DNS), DISSECT_MALFORMED);
}

static void multicast_answers_name_their_owners(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, 0x8400, 0, 2, 2);
	put_dns_record(&frame, "_ipp._tcp.local", DNS_PTR, 1, 60, "\1x\0", 3);
	put_dns_record(&frame, "Printer.local", DNS_A, 0x8001, 120, ADDRESS, 4);
	put_dns_record(&frame, "printer.local", DNS_AAAA, 0x8001, 120, ADDRESS6, 16);
	put_dns_record(&frame, "gone.local", DNS_A, 0x8001, 0, ADDRESS, 4);
	check(&frame, NAME_SOURCE_MDNS,
		"printer.local printer.local 192.0.2.1 120\n"
		"printer.local printer.local 2001:db8::1 120\n");
	assert_int_equal(dissect_cut(&frame, frame.length, NAME_SOURCE_DNS), DISSECT_UNSUPPORTED);
}

#define TARGET "\0\0\0\0\2\x77\7Printer\5local" /* ends with a terminating zero */

/* The PTR record that leads to the instance, the instance, its host. */
static void put_service(struct frame *frame, const void *data, size_t length)
{
	put_dns_header(frame, 0x8400, 0, 1, 5);
	put_dns_record(frame, "_ipp._tcp.local", DNS_PTR, 1, 60, "\1x\0", 3);
	put_dns_record(frame, "Front Desk._ipp._tcp.local", DNS_SRV, 0x8001, 90, data, length);
	put_dns_record(frame, "gone._ipp._tcp.local", DNS_SRV, 0x8001, 0, data, length);
	put_dns_record(frame, "printer.local", DNS_A, 0x8001, 120, ADDRESS, 4);
	put_dns_record(frame, "printer.local", DNS_AAAA, 0x8001, 60, ADDRESS6, 16);
	put_dns_record(frame, "other.local", DNS_A, 0x8001, 60, "\xc0\0\2\2", 4);
}

static void multicast_services_lead_to_their_hosts(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_service(&frame, TARGET, sizeof(TARGET));
	check(&frame, NAME_SOURCE_MDNS,
		"front\\032desk._ipp._tcp.local printer.local 192.0.2.1 90\n"
		"front\\032desk._ipp._tcp.local printer.local 2001:db8::1 60\n"
		"printer.local printer.local 192.0.2.1 120\n"
		"printer.local printer.local 2001:db8::1 60\n"
		"other.local other.local 192.0.2.2 60\n");
}

static void a_service_that_is_cut_is_malformed(void **state)
{
	char longer[sizeof(TARGET) + 1] = TARGET;

	(void)state;
	for (size_t length = 0; length <= sizeof(longer); length++) {
		struct frame frame = {0};

		put_service(&frame, longer, length);
		assert_int_equal(dissect_cut(&frame, frame.length, NAME_SOURCE_MDNS),
			length == sizeof(TARGET) ? DISSECT_OK : DISSECT_MALFORMED);
	}
}

static void every_prefix_of_a_service_tells_nothing(void **state)
{
	struct frame frame = {0};
	size_t whole;

	(void)state;
	put_service(&frame, TARGET, sizeof(TARGET));
	whole = frame.length;
	for (size_t captured = 0; captured < whole; captured++)
		assert_int_equal(
			dissect_cut(&frame, captured, NAME_SOURCE_MDNS), DISSECT_TRUNCATED);
	for (frame.length = 0; frame.length < whole; frame.length++) {
		assert_int_equal(
			dissect_cut(&frame, frame.length, NAME_SOURCE_MDNS), DISSECT_MALFORMED);
		assert_string_equal(told, "");
	}
}

static void of_very_many_services_some_are_told(void **state)
{
	struct frame frame = {0};
	size_t lines = 0;

	(void)state;
	put_dns_header(&frame, 0x8400, 0, 20, 1);
	for (int i = 0; i < 20; i++)
		put_dns_record(&frame, "x._a._tcp.local", DNS_SRV, 1, 90, "\0\0\0\0\0\1\1h", 9);
	put_dns_record(&frame, "h", DNS_A, 1, 120, ADDRESS, 4);
	dissect_cut(&frame, frame.length, NAME_SOURCE_MDNS);
	for (const char *at = told; (at = strstr(at, "x._a._tcp.local h ")); at++)
		lines++;
	assert_int_equal(lines, 16);
}

static void queries_are_other_and_errors_tell_nothing(void **state)
{
	struct frame query = {0}, error = {0};

	(void)state;
	put_dns_header(&query, 0x0100, 1, 0, 0);
	put_dns_question(&query, "a.example", DNS_A);
	assert_int_equal(dissect_cut(&query, query.length, NAME_SOURCE_DNS), DISSECT_OTHER);
	put_dns_header(&error, 0x8183, 1, 0, 0);
	put_dns_question(&error, "a.example", DNS_A);
	check(&error, NAME_SOURCE_DNS, "");
}

static void names_with_odd_octets_are_escaped(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(&frame, "a\x1b[31m b.\xc3\xa4", DNS_A);
	put_dns_record(&frame, "@12", DNS_A, 1, 5, ADDRESS, 4);
	check(&frame, NAME_SOURCE_DNS,
		"a\\027[31m\\032b.\\195\\164 a\\027[31m\\032b.\\195\\164 192.0.2.1 5\n");
}

static void every_prefix_of_a_capture_is_truncated(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_chain(&frame);
	for (size_t captured = 0; captured < frame.length; captured++) {
		assert_int_equal(dissect_cut(&frame, captured, NAME_SOURCE_DNS), DISSECT_TRUNCATED);
		assert_string_equal(told, "");
	}
}

static void every_prefix_as_a_message_is_malformed(void **state)
{
	struct frame frame = {0};
	size_t whole;

	(void)state;
	put_chain(&frame);
	whole = frame.length;
	for (frame.length = 0; frame.length < whole; frame.length++)
		assert_int_equal(
			dissect_cut(&frame, frame.length, NAME_SOURCE_DNS), DISSECT_MALFORMED);
}

static void octets_that_are_changed_do_no_harm(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_chain(&frame);
	for (size_t at = 0; at < frame.length; at++)
		for (unsigned value = 0; value < 256; value += 5) {
			struct frame bad = frame;

			bad.octets[at] = (uint8_t)value;
			dissect_cut(&bad, bad.length, NAME_SOURCE_DNS);
			dissect_cut(&bad, bad.length, NAME_SOURCE_MDNS);
		}
}

static void records_that_contradict_themselves_are_malformed(void **state)
{
	struct frame frame = {0}, alias = {0}, loop = {0};

	(void)state;
	put_dns_header(&frame, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(&frame, "a.example", DNS_A);
	put_dns_record(&frame, "@12", DNS_A, 1, 5, ADDRESS6, 16);
	assert_int_equal(dissect_cut(&frame, frame.length, NAME_SOURCE_DNS), DISSECT_MALFORMED);
	put_dns_header(&alias, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(&alias, "a.example", DNS_A);
	put_dns_record(&alias, "@12", DNS_CNAME, 1, 5, "\1x\0yy", 5);
	assert_int_equal(dissect_cut(&alias, alias.length, NAME_SOURCE_DNS), DISSECT_MALFORMED);
	put_dns_header(&loop, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(&loop, "a.example", DNS_A);
	put_dns_record(&loop, "@27", DNS_A, 1, 5, ADDRESS, 4);
	assert_int_equal(dissect_cut(&loop, loop.length, NAME_SOURCE_DNS), DISSECT_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_stands_for_the_name_that_was_asked_for),
		cmocka_unit_test(records_that_the_question_does_not_lead_to_are_not_told),
		cmocka_unit_test(aliases_in_a_circle_end),
		cmocka_unit_test(of_a_ttl_a_day_counts),
		cmocka_unit_test(a_question_of_mdns_may_want_unicast),
		cmocka_unit_test(hints_of_services_are_addresses),
		cmocka_unit_test(multicast_answers_name_their_owners),
		cmocka_unit_test(multicast_services_lead_to_their_hosts),
		cmocka_unit_test(a_service_that_is_cut_is_malformed),
		cmocka_unit_test(every_prefix_of_a_service_tells_nothing),
		cmocka_unit_test(of_very_many_services_some_are_told),
		cmocka_unit_test(queries_are_other_and_errors_tell_nothing),
		cmocka_unit_test(names_with_odd_octets_are_escaped),
		cmocka_unit_test(every_prefix_of_a_capture_is_truncated),
		cmocka_unit_test(every_prefix_as_a_message_is_malformed),
		cmocka_unit_test(octets_that_are_changed_do_no_harm),
		cmocka_unit_test(records_that_contradict_themselves_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

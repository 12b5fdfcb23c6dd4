/* The stage: packets in, names out. Segments and datagrams in any order, by whom, how often. */
#include "decode/dissect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/dns_make.h"
#include "../support/hello_make.h"
#include "decode/reassembly.h"

enum { SYN = 2, RST = 4, ACK = 16, FIN = 1, STREAMS = 4, TCP = 6, UDP = 17 };

#define CONNECTION "\1\2\3\4\5\6\7\x08"
#define OTHER      "\1\2\3\4\5\6\7\x09"

static struct dissect *dissect;
static struct dissect_quic *quic;
static char told[4096];
static struct name_evidence last;

static void tell(void *ctx, const struct name_evidence *evidence)
{
	char address[ADDR_TEXT_SIZE];
	size_t length = strlen(told);

	(void)ctx;
	last = *evidence;
	snprintf(told + length, sizeof(told) - length, "%d %s %s\n", evidence->source,
		evidence->name, addr_format(&evidence->address, address));
}

static int make(void **state)
{
	struct dissect_options options = {.max_streams = STREAMS, .hash_key = {1, 2}, .name = tell};

	(void)state;
	told[0] = '\0';
	return dissect_new(&options, &dissect) || dissect_quic_new(&quic);
}

static int destroy(void **state)
{
	(void)state;
	dissect_free(dissect);
	dissect_quic_free(quic);
	return 0;
}

/* One packet of a flow from 192.0.2.1 (the client, local) to 198.51.100.7. */
struct sent {
	uint8_t protocol, flags;
	bool by_server;
	enum flow_direction direction;
	uint16_t client_port, server_port;
	uint32_t seq;
	size_t missing; /* octets at the end that were not captured */
};

static void take(const struct sent *sent, const void *payload, size_t length)
{
	struct addr client = addr_from_v4("\xc0\0\2\1"), server = addr_from_v4("\xc6\x33\x64\7");
	uint8_t *copy = malloc(length - sent->missing + 1);
	struct observation observation = {
		.key = {.local = client,
			.remote = server,
			.local_port = sent->client_port,
			.remote_port = sent->server_port,
			.protocol = sent->protocol},
		.direction = sent->direction,
		.from_local = !sent->by_server,
		.time_ns = 1234567890,
	};
	struct decode_packet packet = {
		.source = sent->by_server ? server : client,
		.destination = sent->by_server ? client : server,
		.source_port = sent->by_server ? sent->server_port : sent->client_port,
		.destination_port = sent->by_server ? sent->client_port : sent->server_port,
		.protocol = sent->protocol,
		.tcp_flags = sent->flags,
		.tcp_seq = sent->seq,
		.octets = (uint32_t)length,
		.payload = {copy, length - sent->missing, length},
	};

	if (length > sent->missing)
		memcpy(copy, payload, length - sent->missing);
	dissect_take(dissect, &packet, &observation);
	free(copy);
}

/* Of a connection whose SYN has the number 999. */
static void segment(uint16_t port, uint8_t flags, uint32_t seq, const void *octets, size_t length)
{
	take(&(struct sent){.protocol = TCP,
		     .flags = flags,
		     .direction = FLOW_DIRECTION_OUT,
		     .client_port = port,
		     .server_port = 443,
		     .seq = seq},
		octets, length);
}

/* Of a connection whose SYN was not seen. */
static void late_segment(
	uint16_t port, uint8_t flags, uint32_t seq, const void *octets, size_t length)
{
	take(&(struct sent){.protocol = TCP,
		     .flags = flags,
		     .direction = FLOW_DIRECTION_UNKNOWN,
		     .client_port = port,
		     .server_port = 443,
		     .seq = seq},
		octets, length);
}

static void datagram(const struct frame *frame)
{
	take(&(struct sent){.protocol = UDP,
		     .direction = FLOW_DIRECTION_OUT,
		     .client_port = 1,
		     .server_port = 443},
		frame->octets, frame->length);
}

static void answer(uint8_t protocol, uint8_t flags, uint32_t seq, const void *octets, size_t length)
{
	take(&(struct sent){.protocol = protocol,
		     .flags = flags,
		     .by_server = true,
		     .direction = FLOW_DIRECTION_OUT,
		     .client_port = 1,
		     .server_port = 53,
		     .seq = seq},
		octets, length);
}

static void query(uint8_t protocol, enum flow_direction direction, uint8_t flags, uint32_t seq,
	const void *octets, size_t length)
{
	take(&(struct sent){.protocol = protocol,
		     .flags = flags,
		     .direction = direction,
		     .client_port = 1,
		     .server_port = 53,
		     .seq = seq},
		octets, length);
}

static void put_query(struct frame *frame, bool with_length)
{
	size_t start = with_length ? begin_vector(frame, 2) : 0;

	put_dns_header(frame, 0x0100, 1, 0, 0);
	put_dns_question(frame, "a.example", DNS_A);
	if (with_length)
		end_vector(frame, start, 2);
}

/* As answer(UDP, ...), of the identification that dns_make.h gives. */
static void ask(void)
{
	struct frame frame = {0};

	put_query(&frame, false);
	query(UDP, FLOW_DIRECTION_OUT, 0, 0, frame.octets, frame.length);
}

/* As answer(TCP, ...). */
static void ask_by_tcp(void)
{
	struct frame frame = {0};

	put_query(&frame, true);
	query(TCP, FLOW_DIRECTION_OUT, SYN, 99, "", 0);
	query(TCP, FLOW_DIRECTION_OUT, ACK, 100, frame.octets, frame.length);
}

static struct dissect_counters counters(void)
{
	struct dissect_counters counters;

	dissect_counters(dissect, &counters);
	return counters;
}

static void make_hello(struct frame *stream, const char *name, size_t padding)
{
	struct frame message = {0};

	put_hello(&message, &(struct hello){.name = name, .alpn = "\2h2", .padding = padding});
	put_records(stream, &message, 16384);
}

static void a_hello_in_one_segment_is_told_with_its_flow(void **state)
{
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 0);
	segment(7, SYN, 999, "", 0);
	segment(7, ACK, 1000, stream.octets, stream.length);
	assert_string_equal(told, "4 a.example 198.51.100.7\n");
	assert_int_equal(last.time_us, 1234567);
	assert_int_equal(last.key.local_port, 7);
	assert_string_equal(last.alpn, "h2");
	assert_string_equal(last.query, "a.example");
}

static void segments_are_put_together_in_any_order_and_cut_anywhere(void **state)
{
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 0);
	for (size_t cut = 1; cut < stream.length; cut++) {
		bool swapped = cut % 2;
		uint16_t port = (uint16_t)(1000 + cut);

		told[0] = '\0';
		segment(port, SYN, 999, "", 0);
		if (swapped)
			segment(port, ACK, 1000 + (uint32_t)cut, stream.octets + cut,
				stream.length - cut);
		segment(port, ACK, 1000, stream.octets, cut);
		assert_string_equal(told, swapped ? "4 a.example 198.51.100.7\n" : "");
		segment(port, ACK, 1000 + (uint32_t)cut, stream.octets + cut, stream.length - cut);
		assert_string_equal(told, "4 a.example 198.51.100.7\n");
	}
	assert_int_equal(counters().results[DISSECT_OK], stream.length - 1);
	assert_int_equal(counters().evicted, 0);
}

static void octet_by_octet_and_across_the_end_of_the_numbers(void **state)
{
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 0);
	segment(7, SYN, UINT32_MAX - 4, "", 0);
	for (uint32_t i = 0; i < stream.length; i++) {
		segment(7, ACK, UINT32_MAX - 3 + i, stream.octets + i, 1);
		segment(7, ACK, UINT32_MAX - 4 + i, "x", 1); /* sent again, keep-alive */
	}
	assert_string_equal(told, "4 a.example 198.51.100.7\n");
}

static void without_its_syn_a_hello_is_known_by_its_looks(void **state)
{
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 1800);
	late_segment(7000, ACK, 5000, "\x17\3\3 some data", 13);
	late_segment(7000, ACK, 1000, stream.octets, 1400);
	late_segment(7000, ACK, 2400, stream.octets + 1400, stream.length - 1400);
	assert_string_equal(told, "4 a.example 198.51.100.7\n");
}

static void a_connection_tells_its_name_once(void **state)
{
	static const char first[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
	static const char second[] = "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
	const uint32_t length = sizeof(first) - 1;

	(void)state;
	segment(7, SYN, 999, "", 0);
	segment(7, ACK, 1000, first, length);
	segment(7, ACK, 1000, first, length);
	segment(7, ACK, 1000 + length, second, length);
	assert_string_equal(told, "6 a.example 198.51.100.7\n");
	segment(7, FIN | ACK, 1000 + 2 * length, "", 0);
	segment(7, SYN, 99, "", 0);
	segment(7, ACK, 100, second, length);
	assert_string_equal(told, "6 a.example 198.51.100.7\n6 b.example 198.51.100.7\n");
}

static void what_a_proxy_is_asked_for_is_not_its_name(void **state)
{
	static const char text[] = "CONNECT far.example:443 HTTP/1.1\r\n\r\n";

	(void)state;
	late_segment(7000, ACK, 1000, text, sizeof(text) - 1);
	assert_string_equal(told, "6 far.example ::\n");
}

static void a_server_cannot_name_its_client(void **state)
{
	struct sent sent = {.protocol = TCP,
		.flags = ACK,
		.by_server = true,
		.direction = FLOW_DIRECTION_OUT,
		.client_port = 40007,
		.server_port = 443};
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "bank.example", 0);
	take(&sent, stream.octets, stream.length);
	assert_string_equal(told, "");
	sent.direction = FLOW_DIRECTION_FORWARDED;
	take(&sent, stream.octets, stream.length);
	assert_string_equal(told, "");
	sent.direction = FLOW_DIRECTION_UNKNOWN; /* its SYN was not seen */
	take(&sent, stream.octets, stream.length);
	sent.server_port = 65000; /* a server chooses its port */
	take(&sent, stream.octets, stream.length);
	assert_string_equal(told, "");
}

static void a_connection_that_lost_its_slot_is_read_no_more(void **state)
{
	static const char first[] = "CONNECT far.example:443 HTTP/1.1\r\n\r\n";
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "inner.example", 0);
	segment(7, SYN, 999, "", 0);
	segment(7, ACK, 1000, first, sizeof(first) - 1);
	for (uint16_t port = 100; port < 110; port++)
		segment(port, SYN, 1, "", 0);
	segment(7, ACK, 999 + sizeof(first), stream.octets, stream.length);
	assert_string_equal(told, "6 far.example ::\n");
}

static void a_cut_capture_tells_what_it_has(void **state)
{
	struct sent sent = {.protocol = TCP,
		.flags = ACK,
		.direction = FLOW_DIRECTION_UNKNOWN,
		.client_port = 7000,
		.server_port = 443,
		.missing = 3};
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 0);
	take(&sent, stream.octets, stream.length);
	assert_string_equal(told, "4 a.example 198.51.100.7\n");
	sent.client_port = 7001;
	sent.missing = stream.length - 20;
	take(&sent, stream.octets, stream.length);
	assert_int_equal(counters().results[DISSECT_TRUNCATED], 2);
	assert_int_equal(counters().names, 1);
}

static void a_hole_that_nobody_fills_is_given_up(void **state)
{
	static uint8_t octets[4000];

	(void)state;
	segment(7, SYN, 999, "", 0);
	for (uint32_t seq = 1001; seq < 22000; seq += sizeof(octets))
		segment(7, ACK, seq, octets, sizeof(octets));
	assert_int_equal(counters().results[DISSECT_TRUNCATED], 1);
	assert_string_equal(told, "");
}

static void half_read_names_stay_while_others_flood_the_table(void **state)
{
	struct frame stream = {0};

	(void)state;
	make_hello(&stream, "a.example", 0);
	late_segment(7000, ACK, 1000, stream.octets, 40);
	for (uint16_t port = 100; port < 200; port++)
		segment(port, SYN, 1, "", 0);
	late_segment(7000, ACK, 1040, stream.octets + 40, stream.length - 40);
	assert_string_equal(told, "4 a.example 198.51.100.7\n");
	for (uint16_t port = 7100; port < 7110; port++)
		late_segment(port, ACK, 1000, stream.octets, 40);
	assert_int_equal(counters().evicted, 10 - STREAMS);
	late_segment(7109, RST, 1040, "", 0);
	assert_int_equal(counters().evicted, 11 - STREAMS);
}

static void make_answer(struct frame *frame, const char *name, bool with_length)
{
	size_t start = with_length ? begin_vector(frame, 2) : 0;

	put_dns_header(frame, DNS_RESPONSE, 1, 1, 0);
	put_dns_question(frame, name, DNS_A);
	put_dns_record(frame, name, DNS_A, 1, 300, "\xcb\0\x71\1", 4);
	if (with_length)
		end_vector(frame, start, 2);
}

static void answers_by_udp_are_told_with_their_exchange(void **state)
{
	struct frame frame = {0};

	(void)state;
	make_answer(&frame, "a.example", false);
	ask();
	answer(UDP, 0, 0, frame.octets, frame.length);
	assert_string_equal(told, "1 a.example 203.0.113.1\n");
	assert_int_equal(last.ttl_s, 300);
	assert_int_equal(last.key.remote_port, 53);
	answer(UDP, 0, 0, frame.octets, frame.length - 1);
	assert_int_equal(counters().results[DISSECT_MALFORMED], 1);
}

static void answers_by_udp_that_nobody_asked_for_are_counted(void **state)
{
	struct frame frame = {0};

	(void)state;
	make_answer(&frame, "a.example", false);
	answer(UDP, 0, 0, frame.octets, frame.length);
	ask();
	frame.octets[0] ^= 1; /* the identification */
	answer(UDP, 0, 0, frame.octets, frame.length);
	answer(UDP, 0, 0, frame.octets, 12);
	assert_string_equal(told, "");
	assert_int_equal(counters().unasked, 3);
	for (int i = 0; i < DISSECT_RESULTS; i++)
		assert_int_equal(counters().results[i], 0);
	answer(UDP, 0, 0, frame.octets, 11);
	assert_int_equal(counters().results[DISSECT_MALFORMED], 1);
}

static void answers_by_tcp_may_be_many_cut_anywhere(void **state)
{
	static const char expected[] = "1 a.example 203.0.113.1\n1 b.example 203.0.113.1\n"
				       "1 c.example 203.0.113.1\n";
	struct frame frame = {0};

	(void)state;
	make_answer(&frame, "a.example", true);
	make_answer(&frame, "b.example", true);
	make_answer(&frame, "c.example", true);
	ask_by_tcp();
	for (size_t step = 1; step <= frame.length; step++) {
		told[0] = '\0';
		answer(TCP, SYN | ACK, 999, "", 0);
		for (size_t at = 0; at < frame.length; at += step)
			answer(TCP, ACK, 1000 + (uint32_t)at, frame.octets + at,
				frame.length - at < step ? frame.length - at : step);
		assert_string_equal(told, expected);
		answer(TCP, FIN | ACK, 1000 + (uint32_t)frame.length, "", 0);
	}
	assert_int_equal(counters().evicted, 0);
}

static void a_segment_larger_than_the_room_is_taken_in_turns(void **state)
{
	static uint8_t octets[60000];
	struct frame frame = {0};
	size_t length = 0, count = 0;

	(void)state;
	make_answer(&frame, "a.example", true);
	ask_by_tcp();
	for (; length + frame.length <= sizeof(octets); length += frame.length, count++)
		memcpy(octets + length, frame.octets, frame.length);
	answer(TCP, ACK, 1000, octets, length);
	assert_int_equal(counters().results[DISSECT_OK], count);
	assert_int_equal(counters().results[DISSECT_TRUNCATED], 0);
}

static void after_a_hole_answers_go_on_with_the_next_segment(void **state)
{
	static uint8_t octets[16000];
	struct frame frame = {0};

	(void)state;
	make_answer(&frame, "a.example", true);
	ask_by_tcp();
	answer(TCP, SYN | ACK, 999, "", 0);
	answer(TCP, ACK, 1001, octets, sizeof(octets));
	answer(TCP, ACK, 40000, frame.octets, frame.length);
	assert_string_equal(told, "1 a.example 203.0.113.1\n");
	assert_int_equal(counters().results[DISSECT_TRUNCATED], 1);
}

static void a_question_by_tcp_may_be_cut_anywhere(void **state)
{
	struct frame asked = {0}, frame = {0};

	(void)state;
	put_query(&asked, true);
	make_answer(&frame, "a.example", true);
	for (size_t cut = 1; cut < asked.length; cut++) {
		told[0] = '\0';
		query(TCP, FLOW_DIRECTION_OUT, SYN, 99, "", 0);
		query(TCP, FLOW_DIRECTION_OUT, ACK, 100 + (uint32_t)cut, asked.octets + cut,
			asked.length - cut);
		query(TCP, FLOW_DIRECTION_OUT, ACK, 100, asked.octets, cut);
		answer(TCP, ACK, 1000, frame.octets, frame.length);
		assert_string_equal(told, "1 a.example 203.0.113.1\n");
		query(TCP, FLOW_DIRECTION_OUT, RST, 100 + (uint32_t)asked.length, "", 0);
		answer(TCP, RST, 1000 + (uint32_t)frame.length, "", 0);
	}
}

/* Before the answers, which come in another order; in all more octets than are kept. */
static void questions_by_tcp_may_be_many_before_their_answers(void **state)
{
	enum { ROUNDS = 400, AT_ONCE = 3 };
	struct frame asked = {0}, frame = {0};

	(void)state;
	for (uint8_t i = 0; i < AT_ONCE; i++) {
		size_t question = asked.length, reply = frame.length;

		put_query(&asked, true);
		make_answer(&frame, "a.example", true);
		asked.octets[question + 2] = i; /* the identification */
		frame.octets[reply + 2] = (uint8_t)(AT_ONCE - 1 - i);
	}
	assert_true(ROUNDS * asked.length > REASSEMBLY_MAX);
	query(TCP, FLOW_DIRECTION_OUT, SYN, 99, "", 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		query(TCP, FLOW_DIRECTION_OUT, ACK, 100 + i * (uint32_t)asked.length, asked.octets,
			asked.length);
		answer(TCP, ACK, 1000 + i * (uint32_t)frame.length, frame.octets, frame.length);
	}
	assert_int_equal(counters().names, ROUNDS * AT_ONCE);
	assert_int_equal(counters().unasked, 0);
}

/* What a stranger can send who sees nothing: answers, questions, segments in mid-stream. */
static void by_tcp_nothing_is_believed_without_syn_and_question(void **state)
{
	struct frame asked = {0}, frame = {0};

	(void)state;
	put_query(&asked, true);
	make_answer(&frame, "a.example", true);
	answer(TCP, ACK, 1000, frame.octets, frame.length);
	query(TCP, FLOW_DIRECTION_UNKNOWN, ACK, 100, asked.octets, asked.length);
	answer(TCP, ACK, 1000 + (uint32_t)frame.length, frame.octets, frame.length);
	query(TCP, FLOW_DIRECTION_UNKNOWN, ACK, 100, "\26\3\1\0\7\1", 6);
	query(TCP, FLOW_DIRECTION_UNKNOWN, ACK, 106, asked.octets, asked.length);
	answer(TCP, ACK, 1000 + 2 * (uint32_t)frame.length, frame.octets, frame.length);
	ask(); /* by UDP */
	query(TCP, FLOW_DIRECTION_OUT, SYN, 99, "", 0);
	answer(TCP, SYN | ACK, 999, frame.octets, frame.length);
	assert_string_equal(told, "");
	assert_int_equal(counters().unasked, 4);
	query(TCP, FLOW_DIRECTION_OUT, ACK, 100, asked.octets, asked.length);
	frame.octets[2] ^= 1; /* the identification */
	answer(TCP, ACK, 1000 + (uint32_t)frame.length, frame.octets, frame.length);
	assert_int_equal(counters().unasked, 5);
	frame.octets[2] ^= 1;
	answer(TCP, ACK, 1000 + 2 * (uint32_t)frame.length, frame.octets, frame.length);
	assert_string_equal(told, "1 a.example 203.0.113.1\n");
}

static void what_a_client_says_that_is_no_question_ends_its_reading(void **state)
{
	struct frame asked = {0}, frame = {0};

	(void)state;
	put_query(&asked, true);
	make_answer(&frame, "a.example", true);
	query(TCP, FLOW_DIRECTION_OUT, SYN, 99, "", 0);
	query(TCP, FLOW_DIRECTION_OUT, ACK, 100, frame.octets, frame.length);
	query(TCP, FLOW_DIRECTION_OUT, ACK, 100 + (uint32_t)frame.length, asked.octets,
		asked.length);
	answer(TCP, ACK, 1000, frame.octets, frame.length);
	assert_string_equal(told, "");
	assert_int_equal(counters().unasked, 1);
}

static void make_quic_hello(struct frame *message, const char *name)
{
	put_hello(message, &(struct hello){.name = name, .alpn = "\2h3", .padding = 1500});
}

static void put_part(struct frame *frame, const char *connection,
	const struct dissect_quic_secret *secret, const struct frame *message, size_t from,
	size_t to)
{
	struct frame frames = {0};

	put_crypto(&frames, message, from, to - from);
	put_initial(frame, quic, connection, secret, &frames, 1200 - (to - from), 1);
}

static void a_hello_in_several_initial_packets_in_any_order(void **state)
{
	struct frame message = {0}, first = {0}, second = {0};

	(void)state;
	make_quic_hello(&message, "q.example");
	put_part(&first, CONNECTION, NULL, &message, 0, 1000);
	put_part(&second, CONNECTION, NULL, &message, 1000, message.length);
	datagram(&second);
	assert_string_equal(told, "");
	datagram(&first);
	datagram(&first);
	assert_string_equal(told, "5 q.example 198.51.100.7\n");
	assert_string_equal(last.alpn, "h3");
	assert_int_equal(counters().results[DISSECT_OK], 1);
}

static void after_the_servers_answer_the_old_keys_open_what_follows(void **state)
{
	struct frame message = {0}, first = {0}, second = {0};
	struct dissect_quic_secret secret;

	(void)state;
	make_quic_hello(&message, "q.example");
	put_part(&first, CONNECTION, NULL, &message, 0, 1000);
	assert_int_equal(
		dissect_quic_secret(quic, first.octets, first.length, &secret), DISSECT_OK);
	put_part(&second, OTHER, &secret, &message, 1000, message.length);
	datagram(&first);
	datagram(&second);
	assert_string_equal(told, "5 q.example 198.51.100.7\n");
	datagram(&second); /* again: no error, no name */
	assert_int_equal(counters().results[DISSECT_MALFORMED], 0);
}

static void another_connection_of_the_same_ports_tells_its_own_name(void **state)
{
	struct frame message = {0}, half = {0}, other = {0}, whole = {0}, third = {0}, again = {0};

	(void)state;
	make_quic_hello(&message, "q.example");
	put_part(&half, CONNECTION, NULL, &message, 0, 1000);
	put_hello(&other, &(struct hello){.name = "r.example"});
	put_part(&whole, OTHER, NULL, &other, 0, other.length);
	datagram(&half);
	datagram(&whole);
	assert_string_equal(told, "5 r.example 198.51.100.7\n");
	put_hello(&third, &(struct hello){.name = "s.example"});
	put_part(&again, CONNECTION, NULL, &third, 0, third.length);
	datagram(&again);
	assert_string_equal(told, "5 r.example 198.51.100.7\n5 s.example 198.51.100.7\n");
}

static void small_or_forged_initial_packets_take_no_slot(void **state)
{
	struct frame message = {0}, small = {0}, forged = {0}, frames = {0};

	(void)state;
	put_hello(&message, &(struct hello){.name = "q.example"});
	put_crypto(&frames, &message, 0, message.length);
	put_initial(&small, quic, CONNECTION, NULL, &frames, 0, 0);
	datagram(&small);
	put_part(&forged, CONNECTION, NULL, &message, 0, message.length);
	forged.octets[100] ^= 1;
	datagram(&forged);
	assert_string_equal(told, "");
	assert_int_equal(counters().results[DISSECT_MALFORMED], 2);
	assert_int_equal(counters().evicted, 0);
}

static void what_is_nothing_of_ours_is_not_counted(void **state)
{
	struct frame frame = {0};

	(void)state;
	put_zero(&frame, 1300);
	datagram(&frame);
	late_segment(7000, ACK, 1000, "SSH-2.0-x\r\n", 11);
	segment(8, SYN | ACK, 1000, "", 0);
	for (int i = 0; i < DISSECT_RESULTS; i++)
		assert_int_equal(counters().results[i], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hello_in_one_segment_is_told_with_its_flow),
		TEST(segments_are_put_together_in_any_order_and_cut_anywhere),
		TEST(octet_by_octet_and_across_the_end_of_the_numbers),
		TEST(without_its_syn_a_hello_is_known_by_its_looks),
		TEST(a_connection_tells_its_name_once),
		TEST(what_a_proxy_is_asked_for_is_not_its_name),
		TEST(a_server_cannot_name_its_client),
		TEST(a_connection_that_lost_its_slot_is_read_no_more),
		TEST(a_cut_capture_tells_what_it_has),
		TEST(a_hole_that_nobody_fills_is_given_up),
		TEST(half_read_names_stay_while_others_flood_the_table),
		TEST(answers_by_udp_are_told_with_their_exchange),
		TEST(answers_by_udp_that_nobody_asked_for_are_counted),
		TEST(answers_by_tcp_may_be_many_cut_anywhere),
		TEST(a_segment_larger_than_the_room_is_taken_in_turns),
		TEST(a_question_by_tcp_may_be_cut_anywhere),
		TEST(questions_by_tcp_may_be_many_before_their_answers),
		TEST(by_tcp_nothing_is_believed_without_syn_and_question),
		TEST(what_a_client_says_that_is_no_question_ends_its_reading),
		TEST(after_a_hole_answers_go_on_with_the_next_segment),
		TEST(a_hello_in_several_initial_packets_in_any_order),
		TEST(after_the_servers_answer_the_old_keys_open_what_follows),
		TEST(another_connection_of_the_same_ports_tells_its_own_name),
		TEST(small_or_forged_initial_packets_take_no_slot),
		TEST(what_is_nothing_of_ours_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

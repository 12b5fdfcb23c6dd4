/* What the kernel hands over with its sockets: into names, whatever it says. */
#include "source/ebpf_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/dns_make.h"
#include "bpf/flow_event.h"

enum { TCP = 6, UDP = 17, CLIENT_PORT = 40000, NETNS = 77 };

#define OFFSET_US INT64_C(1000000)

static struct ebpf_names *names;
static char told[1024];
static struct name_evidence last;

static void tell(void *ctx, const struct name_evidence *evidence)
{
	size_t length = strlen(told);

	(void)ctx;
	last = *evidence;
	snprintf(told + length, sizeof(told) - length, "%s\n", evidence->name);
}

static int make(void **state)
{
	static const struct source_sink sink = {.name = tell};

	(void)state;
	told[0] = '\0';
	if (ebpf_names_new(&sink, &names))
		return -1;
	ebpf_names_set_clock(names, OFFSET_US * 1000);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	ebpf_names_free(names);
	return 0;
}

/* From 192.0.2.1, which is local, to 198.51.100.7. */
static struct event_head head(uint8_t protocol, uint16_t port, uint32_t offset, size_t length)
{
	struct event_head made = {
		.type = EVENT_HEAD,
		.netns = NETNS,
		.time_ns = 5000000000,
		.local = {[10] = 0xff, 0xff, 192, 0, 2, 1},
		.remote = {[10] = 0xff, 0xff, 198, 51, 100, 7},
		.local_port = CLIENT_PORT,
		.remote_port = port,
		.protocol = protocol,
		.direction = EVENT_DIRECTION_OUT,
		.out = 1,
		.offset = offset,
		.length = (uint32_t)length,
		.captured = (uint32_t)length,
	};

	return made;
}

/* size: of the event as the ring tells it, which has room behind what was captured. */
static void take_sized(
	const struct event_head *event, const void *payload, size_t length, size_t size)
{
	uint8_t *copy = calloc(1, size ? size : 1);

	memcpy(copy, event, size < sizeof(*event) ? size : sizeof(*event));
	if (size > sizeof(*event))
		memcpy(copy + sizeof(*event), payload,
			length < size - sizeof(*event) ? length : size - sizeof(*event));
	ebpf_names_take(names, copy, size);
	free(copy);
}

static void take(const struct event_head *event, const void *payload)
{
	take_sized(event, payload, event->captured, sizeof(*event) + event->captured);
}

static void say(uint32_t offset, const char *octets)
{
	struct event_head event = head(TCP, 80, offset, strlen(octets));

	take(&event, octets);
}

static void a_name_has_the_ends_the_namespace_and_the_time_of_its_packet(void **state)
{
	(void)state;
	say(0, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
	assert_string_equal(told, "a.example\n");
	assert_int_equal(last.time_us, 5000000 + OFFSET_US);
	assert_int_equal(last.key.netns, NETNS);
	assert_int_equal(last.key.local_port, CLIENT_PORT);
	assert_int_equal(last.key.remote_port, 80);
	assert_int_equal(last.key.socket_cookie, 0);
	assert_memory_equal(last.address.octets + 12, "\xc6\x33\x64\7", 4);
}

static void segments_are_put_together_without_a_syn(void **state)
{
	(void)state;
	say(16, "Host: a.exa"); /* what came before is not here: nobody waits for it */
	say(0, "GET / HTTP/1.1\r\n");
	say(27, "mple\r\n\r\n");
	say(0, "GET / HTTP/1.1\r\n"); /* sent again */
	assert_string_equal(told, "");
	say(16, "Host: a.exa");
	assert_string_equal(told, "a.example\n");
	say(35, "GET / HTTP/1.1\r\nHost: later.example\r\n\r\n");
	assert_string_equal(told, "a.example\n");
}

/* Somebody else can have the same ends in a namespace of his own. */
static void namespaces_do_not_mix(void **state)
{
	struct event_head event = head(TCP, 80, 0, 22);

	(void)state;
	say(0, "GET / HTTP/1.1\r\nHost: a.");
	event.netns = NETNS + 1;
	take(&event, "GET / HTTP/1.1\r\nHost: forged.");
	say(24, "example\r\n\r\n");
	assert_string_equal(told, "a.example\n");
	assert_int_equal(last.key.netns, NETNS);
}

/* Those that never end cost a name for each that there is no room for, and no more. */
static void half_read_streams_do_not_push_out_all_others(void **state)
{
	enum { STREAMS = 600, ROOM = 512 };
	unsigned named = 0;

	(void)state;
	for (uint32_t part = 0; part < 2; part++)
		for (int i = 0; i < STREAMS; i++) {
			static const char *const parts[] = {
				"GET / HTTP/1.1\r\n", "Host: a.example\r\n\r\n"};
			struct event_head event = head(TCP, 80, 16 * part, strlen(parts[part]));

			event.local_port = (uint16_t)(1000 + i);
			told[0] = '\0';
			take(&event, parts[part]);
			named += told[0] != '\0';
		}
	assert_int_equal(named, ROOM);
}

static void the_next_connection_of_the_same_ends_begins_anew(void **state)
{
	(void)state;
	say(0, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
	say(0, "GET / HTTP/1.1\r\nHo"); /* this one never ends */
	say(0, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
	assert_string_equal(told, "a.example\nb.example\n");
}

static void a_server_does_not_name_its_client(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
	struct event_head event = head(TCP, 80, 0, strlen(text));

	(void)state;
	event.out = 0;
	take(&event, text);
	assert_string_equal(told, "");
}

static struct frame answer_of(const char *name)
{
	struct frame answer = {0};

	put_dns_header(&answer, 0x8180, 1, 1, 0);
	put_dns_question(&answer, name, 1);
	put_dns_record(&answer, name, 1, 1, 60, "\xcb\0\x71\x05", 4);
	return answer;
}

/* Each socket that listens gets it, the sender's own, too. */
static void what_a_group_hears_counts_once(void **state)
{
	struct frame answer = answer_of("a.local");
	struct event_head event = head(UDP, 5353, 0, answer.length);

	(void)state;
	event.local_port = 5353;
	memcpy(event.local + 12, "\xe0\0\0\xfb", 4);
	event.out = 0;
	for (int i = 0; i < 5; i++)
		take(&event, answer.octets);
	assert_string_equal(told, "a.local\n");
	event.time_ns += 1000000000;
	take(&event, answer.octets);
	assert_string_equal(told, "a.local\na.local\n");
}

static void an_answer_counts_with_its_question_only(void **state)
{
	struct frame answer = answer_of("a.example"), question = {0};
	struct event_head event = head(UDP, 53, 0, answer.length);

	(void)state;
	event.out = 0;
	take(&event, answer.octets);
	assert_string_equal(told, "");
	put_dns_header(&question, 0x0100, 1, 0, 0);
	put_dns_question(&question, "a.example", 1);
	event = head(UDP, 53, 0, question.length);
	take(&event, question.octets);
	event = head(UDP, 53, 0, answer.length);
	event.out = 0;
	take(&event, answer.octets);
	assert_string_equal(told, "a.example\n");
	assert_int_equal(last.ttl_s, 60);
}

static void what_contradicts_itself_is_passed_over(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
	size_t length = strlen(text);
	struct event_head event = head(TCP, 80, 0, length);

	(void)state;
	for (size_t size = 0; size < sizeof(event) + length; size++)
		take_sized(&event, text, length, size);
	event.captured = (uint32_t)length + 1; /* than there was in the packet */
	take_sized(&event, text, length, sizeof(event) + 512);
	event.captured = UINT32_MAX;
	event.length = UINT32_MAX;
	take_sized(&event, text, length, sizeof(event) + 512);
	event = head(TCP, 80, 0, length);
	event.type = EVENT_RESOLVE;
	take(&event, text);
	event = head(TCP, 80, UINT32_MAX, length); /* a keep-alive, or far behind the head */
	take(&event, text);
	event = head(TCP, 80, 1 << 20, length);
	take(&event, text);
	assert_string_equal(told, "");
	event = head(TCP, 80, 0, length);
	take_sized(&event, text, length,
		sizeof(event) + 512); /* room in the ring is no contradiction */
	assert_string_equal(told, "a.example\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_name_has_the_ends_the_namespace_and_the_time_of_its_packet, make,
			destroy),
		cmocka_unit_test_setup_teardown(
			segments_are_put_together_without_a_syn, make, destroy),
		cmocka_unit_test_setup_teardown(
			the_next_connection_of_the_same_ends_begins_anew, make, destroy),
		cmocka_unit_test_setup_teardown(namespaces_do_not_mix, make, destroy),
		cmocka_unit_test_setup_teardown(
			half_read_streams_do_not_push_out_all_others, make, destroy),
		cmocka_unit_test_setup_teardown(what_a_group_hears_counts_once, make, destroy),
		cmocka_unit_test_setup_teardown(a_server_does_not_name_its_client, make, destroy),
		cmocka_unit_test_setup_teardown(
			an_answer_counts_with_its_question_only, make, destroy),
		cmocka_unit_test_setup_teardown(
			what_contradicts_itself_is_passed_over, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

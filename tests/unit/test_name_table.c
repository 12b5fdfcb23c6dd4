/* The rule that names flows, and what is told of evidence. Times are seconds. */
#include "process/name_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow_names.h"
#include "util/clock.h"

#define AT(seconds) ((int64_t)((seconds)*US_PER_S) + INT64_C(1700000000000000))

enum { BROWSER = 10, MAILER = 20, NAMES_MAX = 8, TOLD_MAX = 256 };

static struct name_table *table;
static struct name_record told[TOLD_MAX];
static char told_names[TOLD_MAX][NAME_MAX_OCTETS + 1];
static size_t told_count;

static void on_name(void *ctx, const struct name_record *record)
{
	(void)ctx;
	assert_true(told_count < TOLD_MAX);
	told[told_count] = *record;
	strcpy(told_names[told_count], record->name);
	told_count++;
}

static void make_table(size_t max_names)
{
	struct name_table_options options = {
		.max_names = max_names, .hash_key = {1, 2}, .tell = on_name};

	name_table_free(table);
	assert_int_equal(name_table_new(&options, &table), 0);
	told_count = 0;
}

static int set_up(void **state)
{
	(void)state;
	make_table(NAMES_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	name_table_free(table);
	table = NULL;
	return 0;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static struct process_ref ref_of(uint32_t pid)
{
	return (struct process_ref){.pid = pid, .start_ns = pid, .exec_id = pid ? 1 : 0};
}

static struct flow_key key_of(const char *remote, uint16_t remote_port, uint16_t local_port)
{
	return (struct flow_key){
		.local = addr_of("10.0.0.1"),
		.remote = addr_of(remote),
		.local_port = local_port,
		.remote_port = remote_port,
		.protocol = remote_port == 53 ? 17 : 6,
	};
}

static struct flow_record flow_of(uint32_t pid, const char *remote, double start)
{
	struct flow_record record = {
		.key = key_of(remote, 443, 40000),
		.user = ref_of(pid),
		.start_us = AT(start),
		.end_us = AT(start + 0.5),
		.kind = FLOW_RECORD_END,
		.direction = FLOW_DIRECTION_OUT,
		.method = FLOW_METHOD_EXACT,
	};

	record.key.socket_cookie = 77;
	record.key.netns = 4026531840;
	return record;
}

static struct name_evidence evidence_of(
	enum name_source source, const char *name, const char *address, double time)
{
	struct name_evidence evidence = {.time_us = AT(time), .source = source};

	evidence.address = addr_of(address);
	snprintf(evidence.name, sizeof(evidence.name), "%s", name);
	snprintf(evidence.query, sizeof(evidence.query), "%s", name);
	return evidence;
}

/* The kernel's word on a question to a name server: the socket is bound to no address. */
static void client_asks(uint32_t pid, uint16_t port, double time)
{
	struct flow_record record = flow_of(pid, "10.0.0.53", time);

	record.key = key_of("10.0.0.53", 53, port);
	record.key.local = (struct addr){0};
	record.key.socket_cookie = port;
	record.key.netns = 4026531840;
	record.end_us = AT(time + 0.01);
	name_table_client(table, &record);
}

static void answer_comes(
	const char *name, const char *address, uint16_t port, uint32_t ttl_s, double time)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_DNS, name, address, time);

	evidence.key = key_of("10.0.0.53", 53, port);
	evidence.ttl_s = ttl_s;
	name_table_put(table, &evidence);
}

/* pid asked; 0: nobody knows who. */
static void ask(uint32_t pid, const char *name, const char *address, uint32_t ttl_s, double time)
{
	static uint16_t port = 20000;

	port++;
	if (pid)
		client_asks(pid, port, time);
	answer_comes(name, address, port, ttl_s, time);
}

static void say(enum name_source source, const char *name, const char *remote, double time)
{
	struct name_evidence evidence = evidence_of(source, name, remote, time);

	evidence.key = key_of(remote, 443, 40000);
	name_table_put(table, &evidence);
}

/* "name source", or "-". */
static const char *name_of_record(const struct flow_record *record)
{
	static char text[NAME_MAX_OCTETS + FLOW_NAME_SOURCE_SIZE + 2];
	char source[FLOW_NAME_SOURCE_SIZE];
	struct flow_name name;

	if (!name_table_flow(table, record, &name))
		return "-";
	snprintf(text, sizeof(text), "%s %s", name.text, flow_name_source(&name, source));
	return text;
}

static const char *name_of(uint32_t pid, const char *remote, double start)
{
	struct flow_record record = flow_of(pid, remote, start);

	return name_of_record(&record);
}

static void what_a_flow_says_comes_first(void **state)
{
	(void)state;
	ask(BROWSER, "dns.example", "192.0.2.1", 60, 1);
	say(NAME_SOURCE_SNI, "said.example", "192.0.2.1", 2.1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "said.example sni");
}

static void what_a_flow_said_names_no_other_flow(void **state)
{
	struct flow_record other = flow_of(BROWSER, "192.0.2.1", 2);

	(void)state;
	say(NAME_SOURCE_SNI, "said.example", "192.0.2.1", 2.1);
	other.key.local_port = 40001;
	assert_string_equal(name_of_record(&other), "-");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "said.example sni");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 60), "-"); /* the port is used again */
}

/* The same ends within a tunnel and outside of it; a socket knows no tunnel. */
static void what_is_said_in_a_tunnel_names_the_flow_in_it_or_the_socket(void **state)
{
	struct name_evidence evidence =
		evidence_of(NAME_SOURCE_SNI, "within.example", "192.0.2.1", 2.1);
	struct flow_record captured = flow_of(0, "192.0.2.1", 2);

	(void)state;
	evidence.key = key_of("192.0.2.1", 443, 40000);
	evidence.key.tunnel = FLOW_TUNNEL_VXLAN;
	evidence.key.tunnel_id = 42;
	name_table_put(table, &evidence);
	captured.key.socket_cookie = 0;
	assert_string_equal(name_of_record(&captured), "-");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "within.example sni");
	say(NAME_SOURCE_SNI, "outside.example", "192.0.2.1", 2.1);
	captured.key.tunnel = FLOW_TUNNEL_VXLAN;
	name_table_put(table, &evidence);
	assert_string_equal(name_of_record(&captured), "within.example sni");
	captured.key.tunnel = FLOW_TUNNEL_NONE;
	assert_string_equal(name_of_record(&captured), "outside.example sni");
}

static void the_next_flow_from_a_port_has_its_own_name(void **state)
{
	(void)state;
	say(NAME_SOURCE_HTTP, "one.example", "192.0.2.1", 2.1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "one.example http");
	say(NAME_SOURCE_SNI, "two.example", "192.0.2.1", 4.1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 4), "two.example sni");
}

static void the_first_name_that_a_flow_says_stays(void **state)
{
	struct flow_record flow = flow_of(BROWSER, "192.0.2.1", 2);

	(void)state;
	flow.end_us = AT(9);
	say(NAME_SOURCE_HTTP, "one.example", "192.0.2.1", 2.1);
	say(NAME_SOURCE_HTTP, "two.example", "192.0.2.1", 3.1);
	assert_string_equal(name_of_record(&flow), "one.example http");
}

static void an_incoming_flow_is_not_named_after_this_end(void **state)
{
	struct flow_record flow = flow_of(BROWSER, "192.0.2.1", 2);

	(void)state;
	say(NAME_SOURCE_SNI, "we.example", "10.0.0.1", 2.1);
	flow.direction = FLOW_DIRECTION_IN;
	flow.key = key_of("192.0.2.1", 50000, 443);
	assert_string_equal(name_of_record(&flow), "-");
}

/* Capture may take the server's end of a connection within the machine for the local one. */
static void a_flow_is_found_from_either_end(void **state)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_SNI, "a.example", "127.0.0.1", 2.1);
	struct flow_record flow = flow_of(BROWSER, "127.0.0.1", 2);

	(void)state;
	evidence.key = key_of("127.0.0.1", 40000, 443);
	evidence.key.local = addr_of("127.0.0.1");
	name_table_put(table, &evidence);
	flow.key.local = addr_of("127.0.0.1");
	assert_string_equal(name_of_record(&flow), "a.example sni");
	say(NAME_SOURCE_SNI, "b.example", "127.0.0.1", 2.1);
	flow.direction = FLOW_DIRECTION_IN; /* the server's */
	flow.key = key_of("127.0.0.1", 40000, 443);
	assert_string_equal(name_of_record(&flow), "-");
}

static void a_name_without_address_is_that_of_its_flow_only(void **state)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_HTTP, "a.example", "::", 2.1);

	(void)state;
	evidence.key = key_of("192.0.2.1", 443, 40000);
	name_table_put(table, &evidence);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "a.example http");
}

static void of_two_names_of_an_address_each_process_has_its_own(void **state)
{
	(void)state;
	ask(BROWSER, "www.example", "192.0.2.1", 60, 1);
	ask(MAILER, "mail.example", "192.0.2.1", 60, 2);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 3), "www.example dns");
	assert_string_equal(name_of(MAILER, "192.0.2.1", 3), "mail.example dns");
	assert_string_equal(name_of(99, "192.0.2.1", 3), "mail.example dns-other");
	assert_string_equal(name_of(0, "192.0.2.1", 3), "mail.example dns-any");
	assert_string_equal(name_of(99, "192.0.2.2", 3), "-");
}

static void of_two_names_of_one_process_the_last_before_the_flow_counts(void **state)
{
	(void)state;
	ask(BROWSER, "one.example", "192.0.2.1", 60, 1);
	ask(BROWSER, "two.example", "192.0.2.1", 60, 5);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 4.9), "one.example dns");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 5.1), "two.example dns");
	ask(BROWSER, "one.example", "192.0.2.1", 60, 7);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 6.9), "two.example dns");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 7.1), "one.example dns");
}

static void an_answer_that_is_too_old_names_only_flows_of_who_asked(void **state)
{
	(void)state;
	ask(BROWSER, "www.example", "192.0.2.1", 30, 1);
	assert_string_equal(name_of(99, "192.0.2.1", 90.5), "www.example dns-other");
	assert_string_equal(name_of(99, "192.0.2.1", 91.5), "-");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 5000), "www.example dns");
}

static void the_last_answer_makes_none_before_it_older(void **state)
{
	(void)state;
	ask(BROWSER, "www.example", "192.0.2.1", 600, 1);
	ask(BROWSER, "www.example", "192.0.2.1", 600, 300);
	ask(BROWSER, "www.example", "192.0.2.1", 600, 800);
	ask(BROWSER, "www.example", "192.0.2.1", 0, 1300);
	assert_string_equal(name_of(99, "192.0.2.1", 790), "www.example dns-other");
	assert_string_equal(name_of(99, "192.0.2.1", 1290), "www.example dns-other");
	assert_string_equal(name_of(99, "192.0.2.1", 1359), "www.example dns-other");
	assert_string_equal(name_of(99, "192.0.2.1", 1361), "-");
	ask(BROWSER, "www.example", "192.0.2.1", 86400, 1365); /* after a pause */
	assert_string_equal(name_of(99, "192.0.2.1", 1362), "-");
}

static void an_answer_after_the_start_does_not_count(void **state)
{
	(void)state;
	ask(BROWSER, "www.example", "192.0.2.1", 30, 10);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 8.9), "-");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 9.5), "www.example dns"); /* clocks */
}

/* An answer to port, in a tunnel of that network (0 none) and a namespace (0 not known). */
static void answer_in(const char *name, uint16_t port, uint32_t network, uint32_t netns)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_DNS, name, "192.0.2.1", 1);

	evidence.key = key_of("10.0.0.53", 53, port);
	evidence.key.netns = netns;
	evidence.key.tunnel = network ? FLOW_TUNNEL_VXLAN : FLOW_TUNNEL_NONE;
	evidence.key.tunnel_id = network;
	evidence.ttl_s = 60;
	name_table_put(table, &evidence);
}

static const char *name_in(uint32_t network, uint32_t netns)
{
	struct flow_record flow = flow_of(0, "192.0.2.1", 2);

	flow.key.socket_cookie = 0;
	flow.key.netns = netns;
	flow.key.tunnel = network ? FLOW_TUNNEL_VXLAN : FLOW_TUNNEL_NONE;
	flow.key.tunnel_id = network;
	return name_of_record(&flow);
}

static void an_answer_names_others_in_its_tunnel_and_namespace_only(void **state)
{
	(void)state;
	answer_in("within.example", 30000, 42, 0);
	assert_string_equal(name_in(42, 0), "within.example dns-any");
	assert_string_equal(name_in(43, 0), "-");
	assert_string_equal(name_in(0, 0), "-");
	assert_string_equal(name_of(99, "192.0.2.1", 2), "-"); /* a socket */
	client_asks(BROWSER, 30000, 1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "within.example dns");
	make_table(NAMES_MAX);
	answer_in("one.example", 30000, 0, 7);
	assert_string_equal(name_in(0, 7), "one.example dns-any");
	assert_string_equal(name_in(0, 8), "-");
	assert_string_equal(name_in(0, 0), "one.example dns-any"); /* not known whose */
}

static void the_same_answer_in_two_tunnels_names_flows_of_both(void **state)
{
	(void)state;
	answer_in("www.example", 30000, 42, 0);
	answer_in("www.example", 30000, 43, 0);
	answer_in("www.example", 30000, 0, 7);
	name_table_tell_all(table);
	assert_string_equal(name_in(42, 0), "www.example dns-any");
	assert_string_equal(name_in(43, 0), "www.example dns-any");
	assert_string_equal(name_in(0, 7), "www.example dns-any");
	assert_string_equal(name_in(0, 8), "-");
}

static void nobody_can_name_the_loopback_for_others(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1", "0.0.0.0", "224.0.0.251"};

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		make_table(NAMES_MAX);
		ask(BROWSER, "hostile.example", addresses[i], 86400, 1);
		assert_string_equal(name_of(99, addresses[i], 2), "-");
		assert_string_equal(name_of(0, addresses[i], 2), "-");
		assert_string_equal(name_of(BROWSER, addresses[i], 2), "hostile.example dns");
	}
}

/* What pid says that its C library answered. */
static void ask_library(uint32_t pid, const char *name, const char *address, double time)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_GETADDRINFO, name, address, time);

	evidence.asker = ref_of(pid);
	evidence.key.netns = 4026531840;
	name_table_put(table, &evidence);
}

static void what_a_process_asked_its_library_names_its_own_flows_only(void **state)
{
	struct flow_record flow = flow_of(BROWSER, "192.0.2.1", 4000);

	(void)state;
	ask_library(BROWSER, "asked.example", "192.0.2.1", 1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1), "asked.example getaddrinfo");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 4000), "asked.example getaddrinfo");
	assert_string_equal(name_of(BROWSER, "192.0.2.2", 2), "-");
	assert_string_equal(name_of(MAILER, "192.0.2.1", 2), "-");
	assert_string_equal(name_of(0, "192.0.2.1", 2), "-");
	flow.user.exec_id++; /* the next program of the process */
	assert_string_equal(name_of_record(&flow), "-");
	ask_library(BROWSER, "localhost", "127.0.0.1", 1);
	assert_string_equal(name_of(BROWSER, "127.0.0.1", 2), "localhost getaddrinfo");
	assert_string_equal(name_of(MAILER, "127.0.0.1", 2), "-");
}

/* Of a process that makes answers up in its memory. */
static void a_lie_about_an_address_changes_the_names_of_no_other_process(void **state)
{
	enum { LIAR = 30 };

	(void)state;
	ask(MAILER, "true.example", "192.0.2.1", 60, 1);
	ask_library(LIAR, "lie.example", "192.0.2.1", 2);
	assert_string_equal(name_of(MAILER, "192.0.2.1", 3), "true.example dns");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 3), "true.example dns-other");
	assert_string_equal(name_of(0, "192.0.2.1", 3), "true.example dns-any");
	assert_string_equal(name_of(LIAR, "192.0.2.1", 3), "lie.example getaddrinfo");
}

static void of_packet_and_library_the_last_word_before_the_flow_counts(void **state)
{
	(void)state;
	ask(BROWSER, "www.search.example", "192.0.2.1", 60, 1);
	ask_library(BROWSER, "www", "192.0.2.1", 1.1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "www getaddrinfo");
	say(NAME_SOURCE_SNI, "said.example", "192.0.2.1", 2.1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "said.example sni");
}

static void what_was_asked_of_a_library_is_told_at_once_with_who_asked(void **state)
{
	(void)state;
	ask_library(BROWSER, "asked.example", "192.0.2.1", 1);
	ask_library(BROWSER, "asked.example", "192.0.2.1", 2);
	ask_library(MAILER, "asked.example", "192.0.2.1", 3);
	name_table_tell(table, AT(3));
	assert_int_equal(told_count, 2);
	assert_string_equal(told_names[0], "asked.example");
	assert_int_equal(told[0].source, NAME_SOURCE_GETADDRINFO);
	assert_int_equal(told[0].asker.pid, BROWSER);
	assert_int_equal(told[0].count, 2);
	assert_int_equal(told[0].last_us, AT(2));
	assert_int_equal(told[1].asker.pid, MAILER);
}

static void who_asked_may_be_known_after_the_answer(void **state)
{
	(void)state;
	answer_comes("www.example", "192.0.2.1", 30000, 60, 1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1.1), "www.example dns-any");
	name_table_tell(table, AT(2));
	assert_int_equal(told_count, 0); /* it waits */
	client_asks(BROWSER, 30000, 1);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1.1), "www.example dns");
	name_table_tell(table, AT(2));
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].asker.pid, BROWSER);
}

static void a_port_that_is_used_again_is_another_asker(void **state)
{
	(void)state;
	client_asks(BROWSER, 30000, 1);
	answer_comes("www.example", "192.0.2.1", 30000, 600, 100);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 101), "www.example dns-any");
	client_asks(MAILER, 30000, 100);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 101), "www.example dns-other");
	assert_string_equal(name_of(MAILER, "192.0.2.1", 101), "www.example dns");
}

static void nobody_found_is_told_in_time(void **state)
{
	(void)state;
	ask(0, "www.example", "192.0.2.1", 60, 1);
	name_table_tell(table, AT(10.9));
	assert_int_equal(told_count, 0);
	name_table_tell(table, AT(11));
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].asker.pid, 0);
	ask(0, "www.example", "192.0.2.1", 60, 12); /* from another port */
	name_table_tell(table, AT(22));
	name_table_tell(table, AT(80));
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].count, 1);
}

static void what_a_flow_said_is_told_with_its_process(void **state)
{
	struct name_evidence evidence =
		evidence_of(NAME_SOURCE_SNI, "www.example", "192.0.2.1", 1.1);

	(void)state;
	evidence.key = key_of("192.0.2.1", 443, 40000);
	evidence.ech = true;
	strcpy(evidence.alpn, "h2");
	name_table_put(table, &evidence);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1), "www.example sni");
	name_table_tell(table, AT(2));
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].asker.pid, BROWSER);
	assert_int_equal(told[0].source, NAME_SOURCE_SNI);
	assert_true(told[0].ech);
	assert_string_equal(told[0].alpn, "h2");
}

/* By flows of which the process is known before they speak, or only afterwards. */
static void what_later_flows_say_beside_the_name_is_kept(void **state)
{
	struct name_evidence evidence =
		evidence_of(NAME_SOURCE_SNI, "www.example", "192.0.2.1", 1.1);

	(void)state;
	evidence.key = key_of("192.0.2.1", 443, 40000);
	name_table_put(table, &evidence);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1), "www.example sni");
	name_table_tell(table, AT(2));
	assert_false(told[0].ech);
	evidence.time_us = AT(1.4);
	evidence.ech = true;
	name_table_put(table, &evidence);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 1), "www.example sni");
	evidence.time_us = AT(20.1);
	evidence.ech = false;
	strcpy(evidence.alpn, "h2");
	name_table_put(table, &evidence);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 20), "www.example sni");
	name_table_tell_all(table);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].count, 2);
	assert_true(told[1].ech);
	assert_string_equal(told[1].alpn, "h2");
}

static void repeated_evidence_is_told_once_a_minute_with_its_count(void **state)
{
	(void)state;
	ask(BROWSER, "www.example", "192.0.2.1", 60, 1);
	name_table_tell(table, AT(1));
	for (int i = 0; i < 50; i++)
		ask(BROWSER, "www.example", "192.0.2.1", 60, 2 + i);
	name_table_tell(table, AT(61));
	assert_int_equal(told_count, 1);
	name_table_tell(table, AT(62));
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].count, 50);
	assert_int_equal(told[1].first_us, AT(2));
	assert_int_equal(told[1].last_us, AT(51));
	ask(BROWSER, "www.example", "192.0.2.1", 60, 63);
	name_table_tell_all(table);
	assert_int_equal(told_count, 3);
	name_table_tell_all(table);
	assert_int_equal(told_count, 3);
}

static void no_record_spans_a_pause(void **state)
{
	static const double times[] = {9000, 0, 9001, 1, 5000};
	uint64_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		ask(i == 0 ? 0 : BROWSER, "www.example", "192.0.2.1", 60, times[i]);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "www.example dns");
	assert_string_equal(name_of(99, "192.0.2.1", 9002), "www.example dns-other");
	name_table_tell_all(table);
	for (size_t i = 0; i < told_count; i++) {
		assert_true(told[i].last_us - told[i].first_us <= US_PER_S);
		count += told[i].count;
	}
	assert_int_equal(count, 5);
}

static void a_clock_that_is_set_back_holds_nothing_up(void **state)
{
	(void)state;
	ask(0, "www.example", "192.0.2.1", 60, 5000);
	name_table_tell(table, AT(1));
	assert_int_equal(told_count, 1);
}

static void after_the_clock_was_set_names_are_as_old_as_they_were(void **state)
{
	static const int64_t steps_s[] = {3600, -3600};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		make_table(NAMES_MAX);
		ask(BROWSER, "www.example", "192.0.2.1", 60, 1);
		name_table_shift(table, steps_s[i] * US_PER_S);
		assert_string_equal(
			name_of(BROWSER, "192.0.2.1", (double)steps_s[i] + 2), "www.example dns");
		name_table_tell_all(table);
		assert_int_equal(told[0].first_us, AT(1 + steps_s[i]));
	}
}

static void the_owner_of_the_record_is_kept_beside_the_name(void **state)
{
	struct name_evidence evidence = evidence_of(NAME_SOURCE_DNS, "www.example", "192.0.2.1", 1);

	(void)state;
	strcpy(evidence.query, "cdn.example");
	name_table_put(table, &evidence);
	name_table_tell_all(table);
	assert_string_equal(told_names[0], "www.example");
	make_table(NAMES_MAX);
	ask(0, "plain.example", "192.0.2.1", 60, 1);
	name_table_tell_all(table);
	assert_string_equal(told_names[0], "plain.example");
}

static void a_service_that_a_host_announces_names_no_flow(void **state)
{
	struct name_evidence service =
		evidence_of(NAME_SOURCE_MDNS, "desk._ipp._tcp.local", "192.0.2.1", 1);
	struct name_evidence host = evidence_of(NAME_SOURCE_MDNS, "desk.local", "192.0.2.1", 1);

	(void)state;
	strcpy(service.query, "desk.local");
	service.ttl_s = host.ttl_s = 60;
	name_table_put(table, &service);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "-");
	name_table_put(table, &host);
	service.time_us++;
	name_table_put(table, &service);
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 2), "desk.local mdns-any");
	name_table_tell_all(table);
	assert_int_equal(told_count, 2);
}

static void a_full_table_forgets_the_oldest_and_tells_it(void **state)
{
	const struct addr first = addr_of("192.0.2.0");
	struct name_table_counters counters;
	char address[32];

	(void)state;
	for (int i = 0; i <= NAMES_MAX; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		ask(BROWSER, "www.example", address, 60, 1 + i);
	}
	name_table_counters(table, &counters);
	assert_int_equal(counters.count, NAMES_MAX);
	assert_int_equal(counters.evicted, 1);
	assert_int_equal(told_count, 1);
	assert_true(addr_equal(&told[0].address, &first));
	assert_string_equal(name_of(BROWSER, "192.0.2.0", 20), "-");
	assert_string_equal(name_of(BROWSER, "192.0.2.1", 20), "www.example dns");
}

static void an_address_has_a_bounded_number_of_names(void **state)
{
	struct name_table_counters counters;
	char name[32];

	(void)state;
	make_table(4 * NAME_TABLE_ADDRESS_MAX);
	for (int i = 0; i < 2 * NAME_TABLE_ADDRESS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		ask(MAILER, name, "192.0.2.1", 60, 1 + i);
	}
	name_table_counters(table, &counters);
	assert_int_equal(counters.count, NAME_TABLE_ADDRESS_MAX);
	assert_int_equal(counters.evicted, NAME_TABLE_ADDRESS_MAX);
	assert_int_equal(told_count, NAME_TABLE_ADDRESS_MAX);
	name_table_tell_all(table);
	assert_int_equal(told_count, 2 * NAME_TABLE_ADDRESS_MAX);
}

static void texts_are_given_back(void **state)
{
	struct name_table_counters counters;

	(void)state;
	make_table(1);
	for (int i = 0; i < 20; i++) {
		say(NAME_SOURCE_SNI, i % 2 ? "a.example" : "bb.example", "192.0.2.1", 100 * i);
		name_of(BROWSER, "192.0.2.1", 100 * i);
	}
	name_table_counters(table, &counters);
	assert_int_equal(counters.count, 1);
	assert_true(counters.text_octets <= 2 * sizeof("bb.example ")); /* known, and lent */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_flow_says_comes_first),
		TEST(what_a_flow_said_names_no_other_flow),
		TEST(what_is_said_in_a_tunnel_names_the_flow_in_it_or_the_socket),
		TEST(the_next_flow_from_a_port_has_its_own_name),
		TEST(the_first_name_that_a_flow_says_stays),
		TEST(an_incoming_flow_is_not_named_after_this_end),
		TEST(a_flow_is_found_from_either_end),
		TEST(a_name_without_address_is_that_of_its_flow_only),
		TEST(of_two_names_of_an_address_each_process_has_its_own),
		TEST(of_two_names_of_one_process_the_last_before_the_flow_counts),
		TEST(an_answer_that_is_too_old_names_only_flows_of_who_asked),
		TEST(the_last_answer_makes_none_before_it_older),
		TEST(an_answer_after_the_start_does_not_count),
		TEST(an_answer_names_others_in_its_tunnel_and_namespace_only),
		TEST(the_same_answer_in_two_tunnels_names_flows_of_both),
		TEST(nobody_can_name_the_loopback_for_others),
		TEST(what_a_process_asked_its_library_names_its_own_flows_only),
		TEST(a_lie_about_an_address_changes_the_names_of_no_other_process),
		TEST(of_packet_and_library_the_last_word_before_the_flow_counts),
		TEST(what_was_asked_of_a_library_is_told_at_once_with_who_asked),
		TEST(who_asked_may_be_known_after_the_answer),
		TEST(a_port_that_is_used_again_is_another_asker),
		TEST(nobody_found_is_told_in_time),
		TEST(what_a_flow_said_is_told_with_its_process),
		TEST(what_later_flows_say_beside_the_name_is_kept),
		TEST(repeated_evidence_is_told_once_a_minute_with_its_count),
		TEST(no_record_spans_a_pause),
		TEST(a_clock_that_is_set_back_holds_nothing_up),
		TEST(after_the_clock_was_set_names_are_as_old_as_they_were),
		TEST(the_owner_of_the_record_is_kept_beside_the_name),
		TEST(a_service_that_a_host_announces_names_no_flow),
		TEST(a_full_table_forgets_the_oldest_and_tells_it),
		TEST(an_address_has_a_bounded_number_of_names),
		TEST(texts_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

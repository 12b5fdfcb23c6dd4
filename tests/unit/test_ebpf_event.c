/* Kernel events become observations, process records and listeners; short ones become nothing. */
#include "source/ebpf_event.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "process/cmdline.h"

static struct observation seen;
static char exe[PROCESS_PATH_MAX], cmdline[256], cgroup[256], comm[80];
static uint32_t process_flags;
static int processes, listeners, forks;
static struct name_evidence asked[EVENT_RESOLVE_MAX];
static size_t asked_count;

static void on_observation(void *ctx, const struct observation *observation)
{
	(void)ctx;
	seen = *observation;
}

static void on_process(void *ctx, const struct process_info *info)
{
	char text[PROCESS_CMDLINE_MAX];

	(void)ctx;
	processes++;
	process_flags = info->flags;
	strcpy(exe, info->exe);
	strcpy(cmdline, cmdline_keep(CMDLINE_FULL, info, text).cmdline);
	strcpy(cgroup, info->cgroup);
	strcpy(comm, info->comm);
}

static void on_fork(void *ctx, const struct process_ref *child, const struct process_ref *parent)
{
	(void)ctx;
	forks += child->pid == 5 && parent->pid == 4;
}

static void on_listener(void *ctx, const struct listener_record *record, int64_t time_ns, bool gone)
{
	(void)ctx;
	listeners += record->owner.pid == 3 && time_ns == 99 && gone;
}

static void on_asked(void *ctx, const struct name_evidence *evidence, int64_t time_ns)
{
	(void)ctx;
	assert_true(asked_count < EVENT_RESOLVE_MAX);
	assert_int_equal(time_ns, 99);
	asked[asked_count++] = *evidence;
}

static const struct source_sink sink = {.observe = on_observation,
	.process = on_process,
	.fork = on_fork,
	.listener = on_listener,
	.asked = on_asked};

static struct event_flow tcp_end(uint8_t old_state, int error)
{
	return (struct event_flow){.type = EVENT_FLOW_END,
		.protocol = IPPROTO_TCP,
		.old_state = old_state,
		.error = error,
		.cookie = 1};
}

static enum flow_outcome outcome(uint8_t old_state, int error)
{
	struct event_flow event = tcp_end(old_state, error);

	assert_true(ebpf_event_dispatch(&event, sizeof(event), &sink));
	assert_int_equal(seen.kind, OBSERVATION_END);
	return seen.outcome;
}

static void outcomes_come_from_state_and_error(void **state)
{
	(void)state;
	assert_int_equal(outcome(TCP_SYN_SENT, ECONNREFUSED), FLOW_OUTCOME_REFUSED);
	assert_int_equal(outcome(TCP_SYN_SENT, ETIMEDOUT), FLOW_OUTCOME_TIMEOUT);
	assert_int_equal(outcome(TCP_SYN_SENT, EHOSTUNREACH), FLOW_OUTCOME_UNREACHABLE);
	assert_int_equal(outcome(TCP_SYN_SENT, 0), FLOW_OUTCOME_ABORTED);
	assert_int_equal(outcome(TCP_ESTABLISHED, ECONNRESET), FLOW_OUTCOME_RESET);
	assert_int_equal(outcome(TCP_CLOSE_WAIT, 0), FLOW_OUTCOME_RESET);
	assert_int_equal(outcome(TCP_FIN_WAIT1, ETIMEDOUT), FLOW_OUTCOME_TIMEOUT);
	assert_int_equal(outcome(TCP_FIN_WAIT2, 0), FLOW_OUTCOME_CLOSED);
	assert_int_equal(outcome(TCP_LAST_ACK, 0), FLOW_OUTCOME_CLOSED);
}

static enum flow_method method(uint32_t flags)
{
	struct event_flow event = tcp_end(TCP_LAST_ACK, 0);

	event.flags = flags;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	return seen.method;
}

static void methods_come_from_what_is_known_of_the_owner(void **state)
{
	(void)state;
	assert_int_equal(method(0), FLOW_METHOD_UNKNOWN);
	assert_int_equal(method(EVENT_OWNER_EXACT | EVENT_OWNER_SNAPSHOT), FLOW_METHOD_EXACT);
	assert_int_equal(method(EVENT_OWNER_INHERITED), FLOW_METHOD_INHERITED);
	assert_int_equal(
		method(EVENT_OWNER_INHERITED | EVENT_OWNER_SNAPSHOT), FLOW_METHOD_LISTENER);
	assert_int_equal(method(EVENT_OWNER_SNAPSHOT), FLOW_METHOD_SNAPSHOT);
}

/* Of a connection whose maker is known, and nobody who used it. */
static enum flow_method method_after(uint64_t octets_out, uint64_t octets_in, uint32_t flags)
{
	struct event_flow event = tcp_end(TCP_LAST_ACK, 0);

	event.flags = EVENT_DIRECTION_IN | flags;
	event.opener.pid = event.user.pid = 7;
	event.octets_out = octets_out;
	event.octets_in = octets_in;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	return seen.method;
}

static void who_made_a_socket_is_exact_until_somebody_unseen_used_it(void **state)
{
	(void)state;
	assert_int_equal(method_after(0, 0, 0), FLOW_METHOD_EXACT);
	assert_int_equal(method_after(0, 1, EVENT_PEER_FIN), FLOW_METHOD_EXACT);
	assert_int_equal(method_after(0, 1, 0), FLOW_METHOD_INHERITED);
	assert_int_equal(method_after(1, 0, 0), FLOW_METHOD_INHERITED);
	assert_int_equal(method_after(1, 1, EVENT_OWNER_EXACT), FLOW_METHOD_EXACT);
	assert_int_equal(method_after(1, 1, EVENT_DATAGRAMS), FLOW_METHOD_EXACT);
	assert_int_equal(method_after(1, 1, EVENT_KERNEL_USED), FLOW_METHOD_EXACT);
}

static void the_peers_fin_is_no_octet(void **state)
{
	struct event_flow event = tcp_end(TCP_LAST_ACK, 0);

	(void)state;
	event.octets_in = 8;
	event.flags = EVENT_PEER_FIN | EVENT_DIRECTION_IN;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.counters.octets_in, 7);
	assert_int_equal(seen.direction, FLOW_DIRECTION_IN);
}

static void an_idle_datagram_flow_is_not_closed(void **state)
{
	struct event_flow event = {.type = EVENT_FLOW_END, .protocol = IPPROTO_UDP};

	(void)state;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_CLOSED);
	event.old_state = 1;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_IDLE);
	event.type = EVENT_FLOW_SIGHTING;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_OPEN);
	assert_int_equal(seen.kind, OBSERVATION_SIGHTING);
}

static void a_connect_that_failed_at_once_may_lack_its_errno(void **state)
{
	struct event_flow event = {
		.type = EVENT_FLOW_END, .protocol = IPPROTO_TCP, .flags = EVENT_FAILED};

	(void)state;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_UNREACHABLE);
	event.error = EPERM;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_ABORTED);
	assert_int_equal(seen.error, EPERM);
	event.protocol = IPPROTO_UDP;
	event.error = ENETUNREACH;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_UNREACHABLE);
}

static void what_icmp_says_counts_until_an_answer_comes(void **state)
{
	struct event_flow event = {
		.type = EVENT_FLOW_END, .protocol = IPPROTO_UDP, .error = ECONNREFUSED};

	(void)state;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_REFUSED);
	event.packets_in = 1;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_CLOSED);
	assert_int_equal(seen.error, ECONNREFUSED);
	event.packets_in = 0;
	event.error = EMSGSIZE;
	ebpf_event_dispatch(&event, sizeof(event), &sink);
	assert_int_equal(seen.outcome, FLOW_OUTCOME_CLOSED);
}

static size_t make_process(void *buffer, const char *path, size_t path_length,
	const char *arguments, size_t arguments_length)
{
	struct event_process event = {.type = EVENT_PROCESS,
		.comm = "Web\xff"
			"Content",
		.path_length = (uint16_t)path_length,
		.cmdline_length = (uint16_t)arguments_length};
	char *data = (char *)buffer + sizeof(event);

	memcpy(buffer, &event, sizeof(event));
	memcpy(data, path, path_length);
	memcpy(data + path_length, arguments, arguments_length);
	return sizeof(event) + path_length + arguments_length;
}

static void a_process_event_is_split_into_its_texts(void **state)
{
	uint64_t buffer[64];
	size_t size = make_process(buffer, "curl\0bin\0", 9, "curl\0-s\0", 8);

	(void)state;
	assert_true(ebpf_event_dispatch(buffer, size, &sink));
	assert_string_equal(exe, "/bin/curl");
	assert_string_equal(cmdline, "curl -s");
	assert_string_equal(cgroup, "/");
	assert_string_equal(comm, "Web\\xffContent");
}

static void a_memfd_is_marked(void **state)
{
	uint64_t buffer[64];
	size_t size = make_process(buffer, "memfd:x\0", 8, "x\0", 2);

	(void)state;
	((struct event_process *)buffer)->flags = EVENT_PROCESS_DELETED;
	assert_true(ebpf_event_dispatch(buffer, size, &sink));
	assert_int_equal(process_flags, PROCESS_EXE_MEMFD);
}

static void a_path_that_was_cut_does_not_look_whole(void **state)
{
	uint64_t buffer[64];
	size_t size = make_process(buffer, "curl\0bin\0", 9, "x\0", 2);

	(void)state;
	((struct event_process *)buffer)->flags = EVENT_PROCESS_PATH_CUT;
	assert_true(ebpf_event_dispatch(buffer, size, &sink));
	assert_string_equal(exe, ".../bin/curl");
	assert_int_equal(process_flags, PROCESS_EXE_TRUNCATED);
}

static void a_path_too_long_for_its_text_is_marked(void **state)
{
	static uint64_t buffer[1024];
	char path[EVENT_PATH_MAX];
	size_t size;

	(void)state;
	memset(path, 0xff, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	size = make_process(buffer, path, sizeof(path), "x\0", 2);
	assert_true(ebpf_event_dispatch(buffer, size, &sink));
	assert_int_equal(process_flags, PROCESS_EXE_TRUNCATED);
}

static void events_cut_short_are_left_alone(void **state)
{
	uint64_t buffer[64];
	size_t size = make_process(buffer, "curl\0bin\0", 9, "curl\0-s\0", 8);
	struct event_flow flow = tcp_end(TCP_LAST_ACK, 0);
	int before = processes;

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		void *exact = malloc(cut ? cut : 1);

		memcpy(exact, buffer, cut);
		assert_false(ebpf_event_dispatch(exact, cut, &sink));
		free(exact);
	}
	assert_int_equal(processes, before);
	assert_false(ebpf_event_dispatch(&flow, sizeof(flow) - 1, &sink));
	flow.type = 1234;
	assert_false(ebpf_event_dispatch(&flow, sizeof(flow), &sink));
}

static void forks_and_listeners_are_passed_on(void **state)
{
	struct event_fork fork = {.type = EVENT_FORK, .child = {.pid = 5}, .parent = {.pid = 4}};
	struct event_flow event = {.type = EVENT_LISTEN_GONE, .time_ns = 99, .opener = {.pid = 3}};

	(void)state;
	assert_true(ebpf_event_dispatch(&fork, sizeof(fork), &sink));
	assert_int_equal(forks, 1);
	assert_true(ebpf_event_dispatch(&event, sizeof(event), &sink));
	assert_int_equal(listeners, 1);
}

static struct event_resolve resolve_event(const char *name)
{
	struct event_resolve event = {.type = EVENT_RESOLVE,
		.count = 2,
		.name_length = (uint16_t)strlen(name),
		.asker = {.pid = 3, .start_ns = 4, .exec_id = 5},
		.time_ns = 99,
		.netns = 6,
		.addresses = {{[10] = 0xff, 0xff, 192, 0, 2, 1}, {0x20, 0x01, [15] = 1}}};

	assert_true(event.name_length <= sizeof(event.name));
	memcpy(event.name, name, event.name_length);
	return event;
}

static void a_name_that_was_asked_for_stands_for_each_address(void **state)
{
	struct event_resolve event = resolve_event("WWW.B\xfc"
						   "cher.Example.");

	(void)state;
	asked_count = 0;
	assert_true(ebpf_event_dispatch(&event, sizeof(event), &sink));
	assert_int_equal(asked_count, 2);
	for (size_t i = 0; i < asked_count; i++) {
		assert_string_equal(asked[i].name, "www.b\\252cher.example");
		assert_string_equal(asked[i].query, asked[i].name);
		assert_int_equal(asked[i].source, NAME_SOURCE_GETADDRINFO);
		assert_int_equal(asked[i].asker.pid, 3);
		assert_int_equal(asked[i].asker.start_ns, 4);
		assert_int_equal(asked[i].asker.exec_id, 5);
		assert_int_equal(asked[i].key.netns, 6);
	}
	assert_true(addr_is_v4(&asked[0].address));
	assert_int_equal(asked[1].address.octets[0], 0x20);
}

static size_t names_asked(const struct event_resolve *event)
{
	asked_count = 0;
	assert_true(ebpf_event_dispatch(event, sizeof(*event), &sink));
	return asked_count;
}

static void an_address_or_a_name_too_long_is_no_evidence(void **state)
{
	static const char *const numbers[] = {"192.0.2.1", "127.1", "0x7f000001", "0X7f.1", "017",
		"1.2.3.0xA", "2001:db8::1", "fe80::1%eth0", ".", "0x"};
	static const char *const names[] = {"a", "1.example", "0xg", "x1", "1e100.net", "abc.0xfg"};
	char longest[EVENT_RESOLVE_NAME_SIZE + 1];
	struct event_resolve event;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		event = resolve_event(numbers[i]);
		assert_int_equal(names_asked(&event), 0);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		event = resolve_event(names[i]);
		assert_int_equal(names_asked(&event), 2);
	}
	memset(longest, 'n', sizeof(longest));
	longest[NAME_MAX_OCTETS] = '\0';
	event = resolve_event(longest);
	assert_int_equal(names_asked(&event), 2);
	longest[NAME_MAX_OCTETS] = 'n';
	longest[NAME_MAX_OCTETS + 1] = '\0';
	event = resolve_event(longest);
	assert_int_equal(names_asked(&event), 0);
	event.name_length = EVENT_RESOLVE_NAME_SIZE;
	assert_int_equal(names_asked(&event), 0);
	event.name_length = UINT16_MAX;
	assert_int_equal(names_asked(&event), 0);
}

static void a_name_event_that_is_cut_or_counts_too_many_is_left_alone(void **state)
{
	struct event_resolve event = resolve_event("a.example");

	(void)state;
	asked_count = 0;
	for (size_t cut = 0; cut < sizeof(event); cut++) {
		void *exact = malloc(cut ? cut : 1);

		memcpy(exact, &event, cut);
		assert_false(ebpf_event_dispatch(exact, cut, &sink));
		free(exact);
	}
	event.count = EVENT_RESOLVE_MAX + 1;
	assert_false(ebpf_event_dispatch(&event, sizeof(event), &sink));
	assert_int_equal(asked_count, 0);
	event.count = 1;
	memset(event.addresses[0], 0, sizeof(event.addresses[0])); /* stands for no host */
	assert_int_equal(names_asked(&event), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcomes_come_from_state_and_error),
		cmocka_unit_test(methods_come_from_what_is_known_of_the_owner),
		cmocka_unit_test(who_made_a_socket_is_exact_until_somebody_unseen_used_it),
		cmocka_unit_test(the_peers_fin_is_no_octet),
		cmocka_unit_test(an_idle_datagram_flow_is_not_closed),
		cmocka_unit_test(a_connect_that_failed_at_once_may_lack_its_errno),
		cmocka_unit_test(what_icmp_says_counts_until_an_answer_comes),
		cmocka_unit_test(a_process_event_is_split_into_its_texts),
		cmocka_unit_test(a_memfd_is_marked),
		cmocka_unit_test(a_path_that_was_cut_does_not_look_whole),
		cmocka_unit_test(a_path_too_long_for_its_text_is_marked),
		cmocka_unit_test(events_cut_short_are_left_alone),
		cmocka_unit_test(forks_and_listeners_are_passed_on),
		cmocka_unit_test(a_name_that_was_asked_for_stands_for_each_address),
		cmocka_unit_test(an_address_or_a_name_too_long_is_no_evidence),
		cmocka_unit_test(a_name_event_that_is_cut_or_counts_too_many_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

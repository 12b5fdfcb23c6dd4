/* Attribution hands processes over once, ancestors first, and never makes up an owner. */
#include "process/attribute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_key hash_key = {3, 4};
static struct process_table *processes;
static struct listener_table *listeners;
static char said[256];
static struct flow_record last;

static void say(const char *format, unsigned number)
{
	size_t used = strlen(said);

	snprintf(said + used, sizeof(said) - used, format, number);
}

static void on_process(void *ctx, const struct process_info *info)
{
	(void)ctx;
	say("p%u ", info->ref.pid);
}

static void on_flow(void *ctx, const struct flow_record *record)
{
	(void)ctx;
	last = *record;
	say("flow ", 0);
}

static void on_listener(void *ctx, const struct listener_record *record)
{
	(void)ctx;
	say("l%u ", record->owner.pid);
}

static const struct attribute_sink sink = {
	.process = on_process, .flow = on_flow, .listener = on_listener};

static void put(uint32_t pid, uint32_t parent)
{
	struct process_info info = {
		.ref = {.pid = pid, .start_ns = pid},
		.parent = {.pid = parent, .start_ns = parent},
		.netns = 7,
		.comm = "c",
		.exe = "/c",
		.cmdline = "c",
		.cgroup = "/",
	};

	process_table_put(processes, &info);
}

static int set_up(void **state)
{
	(void)state;
	said[0] = '\0';
	return process_table_new(64, hash_key, &processes) ||
	       listener_table_new(64, hash_key, &listeners);
}

static int tear_down(void **state)
{
	(void)state;
	process_table_free(processes);
	listener_table_free(listeners);
	return 0;
}

static void ancestors_come_first_and_only_once(void **state)
{
	struct flow_record record = {
		.user = {.pid = 3, .start_ns = 3}, .method = FLOW_METHOD_EXACT};

	(void)state;
	put(1, 0);
	put(2, 1);
	put(3, 2);
	attribute_flow(processes, listeners, &record, &sink);
	attribute_flow(processes, listeners, &record, &sink);
	assert_string_equal(said, "p1 p2 p3 flow flow ");
	assert_int_equal(last.opener.pid, 3);
	assert_int_equal(last.key.netns, 7);
}

static void a_loop_of_parents_ends(void **state)
{
	struct flow_record record = {.user = {.pid = 1, .start_ns = 1}};

	(void)state;
	put(1, 2);
	put(2, 1);
	attribute_flow(processes, listeners, &record, &sink);
	assert_non_null(strstr(said, "p1 "));
	assert_non_null(strstr(said, "p2 "));
}

static void nobody_known_is_said_so(void **state)
{
	struct flow_record record = {.method = FLOW_METHOD_EXACT};

	(void)state;
	attribute_flow(processes, listeners, &record, &sink);
	assert_int_equal(last.method, FLOW_METHOD_UNKNOWN);
	assert_int_equal(last.user.pid, 0);
}

static void a_process_without_record_keeps_its_pid(void **state)
{
	struct flow_record record = {
		.user = {.pid = 9, .start_ns = 9}, .method = FLOW_METHOD_EXACT};

	(void)state;
	attribute_flow(processes, listeners, &record, &sink);
	assert_string_equal(said, "flow ");
	assert_int_equal(last.user.pid, 9);
	assert_int_equal(last.method, FLOW_METHOD_EXACT);
}

static void direction_of_an_old_connection_comes_from_the_listeners(void **state)
{
	struct listener_record listener = {
		.key = {.local_port = 22, .protocol = 6, .socket_cookie = 5}};
	struct flow_record record = {.key = {.local_port = 22, .protocol = 6, .socket_cookie = 6}};

	(void)state;
	listener_table_put(listeners, &listener);
	attribute_flow(processes, listeners, &record, &sink);
	assert_int_equal(last.direction, FLOW_DIRECTION_IN);
	listener.until_us = 1;
	listener_table_put(listeners, &listener);
	attribute_flow(processes, listeners, &record, &sink);
	assert_int_equal(last.direction, FLOW_DIRECTION_OUT);
	record.source = FLOW_SOURCE_FILE; /* from packets: not known is not guessed */
	attribute_flow(processes, listeners, &record, &sink);
	assert_int_equal(last.direction, FLOW_DIRECTION_UNKNOWN);
}

static void a_listener_from_before_the_start_counts_after_its_end(void **state)
{
	struct listener_record listener = {
		.key = {.local_port = 22, .protocol = 6, .socket_cookie = 5},
		.method = FLOW_METHOD_SNAPSHOT};
	struct flow_record record = {.key = {.local_port = 22, .protocol = 6, .socket_cookie = 6}};

	(void)state;
	listener_table_put(listeners, &listener);
	listener.until_us = 1;
	listener_table_put(listeners, &listener);
	attribute_flow(processes, listeners, &record, &sink);
	assert_int_equal(last.direction, FLOW_DIRECTION_IN);
}

static void a_listener_brings_its_owner(void **state)
{
	struct listener_record listener = {.owner = {.pid = 4, .start_ns = 4}};

	(void)state;
	put(4, 0);
	attribute_listener(processes, &listener, &sink);
	assert_string_equal(said, "p4 l4 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ancestors_come_first_and_only_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_loop_of_parents_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_known_is_said_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_process_without_record_keeps_its_pid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			direction_of_an_old_connection_comes_from_the_listeners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_listener_from_before_the_start_counts_after_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_listener_brings_its_owner, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

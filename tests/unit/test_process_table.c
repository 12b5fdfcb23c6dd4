/* The process table keeps what attribution asks for, within its limit. */
#include "process/process_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_key hash_key = {1, 2};

static struct process_info info_of(uint32_t pid, uint32_t exec_id, const char *exe)
{
	return (struct process_info){
		.ref = {.pid = pid, .start_ns = pid * 1000ull, .exec_id = exec_id},
		.comm = "comm",
		.exe = exe,
		.cmdline = "a command line",
		.cgroup = "/",
	};
}

static struct process_table *new_table(size_t max)
{
	struct process_table *table;

	assert_int_equal(process_table_new(max, hash_key, &table), 0);
	return table;
}

static void a_process_is_known_by_each_of_its_runs_and_no_other(void **state)
{
	struct process_table *table = new_table(8);
	struct process_info first = info_of(10, 1, "/bin/sh"), second = info_of(10, 2, "/bin/curl");
	struct process_info found;
	struct process_ref later = {.pid = 10, .start_ns = 10000, .exec_id = 9};

	(void)state;
	process_table_put(table, &first);
	process_table_put(table, &second);
	assert_true(process_table_find(table, &first.ref, &found));
	assert_string_equal(found.exe, "/bin/sh");
	assert_true(process_table_find(table, &second.ref, &found));
	assert_string_equal(found.exe, "/bin/curl");
	assert_false(process_table_find(table, &later, &found));
	process_table_free(table);
}

static void a_reused_pid_is_another_process(void **state)
{
	struct process_table *table = new_table(8);
	struct process_info old = info_of(10, 1, "/bin/old");
	struct process_ref reused = {.pid = 10, .start_ns = 77, .exec_id = 1};
	struct process_info found;

	(void)state;
	process_table_put(table, &old);
	assert_false(process_table_find(table, &reused, &found));
	process_table_free(table);
}

static void a_forked_child_has_its_parents_texts_after_the_parent_is_gone(void **state)
{
	struct process_table *table = new_table(8);
	struct process_info parent = info_of(10, 1, "/bin/sh"), found;
	struct process_ref child = {.pid = 11, .start_ns = 11, .exec_id = 1};

	(void)state;
	process_table_put(table, &parent);
	process_table_fork(table, &child, &parent.ref);
	parent.exe = "/bin/other";
	process_table_put(table, &parent);
	assert_true(process_table_find(table, &child, &found));
	assert_string_equal(found.exe, "/bin/sh");
	assert_int_equal(found.parent.pid, 10);
	process_table_free(table);
}

static void a_later_record_keeps_what_it_lacks(void **state)
{
	struct process_table *table = new_table(8);
	struct process_info whole = info_of(10, 1, "/bin/sh"), poor = info_of(10, 1, "");
	struct process_info found;

	(void)state;
	poor.cmdline = "";
	poor.uid = 33;
	process_table_put(table, &whole);
	process_table_put(table, &poor);
	assert_true(process_table_find(table, &whole.ref, &found));
	assert_string_equal(found.exe, "/bin/sh");
	assert_string_equal(found.cmdline, "a command line");
	assert_int_equal(found.uid, 33);
	poor.uid = PROCESS_UID_NONE;
	process_table_put(table, &poor);
	assert_true(process_table_find(table, &whole.ref, &found));
	assert_int_equal(found.uid, 33);
	process_table_free(table);
}

static void at_the_limit_the_dead_go_before_the_living(void **state)
{
	struct process_table *table = new_table(3);
	struct process_table_counters counters;
	struct process_info infos[4], found;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		infos[i] = info_of(10 + i, 1, "/bin/x");
	for (int i = 0; i < 3; i++)
		process_table_put(table, &infos[i]);
	process_table_exit(table, &infos[1].ref);
	process_table_put(table, &infos[3]);
	assert_true(process_table_find(table, &infos[0].ref, &found));
	assert_false(process_table_find(table, &infos[1].ref, &found));
	process_table_counters(table, &counters);
	assert_int_equal(counters.evicted, 0);
	assert_int_equal(counters.count, 3);
	process_table_put(table, &infos[1]);
	process_table_counters(table, &counters);
	assert_int_equal(counters.evicted, 1);
	assert_int_equal(counters.count, 3);
	process_table_free(table);
}

static void a_fork_when_full_may_evict_the_parent_itself(void **state)
{
	struct process_table *table = new_table(1);
	struct process_info parent = info_of(10, 1, "/bin/sh"), found;
	struct process_ref child = {.pid = 11, .start_ns = 11, .exec_id = 1};

	(void)state;
	process_table_put(table, &parent);
	process_table_fork(table, &child, &parent.ref);
	assert_true(process_table_find(table, &child, &found));
	assert_string_equal(found.exe, "/bin/sh");
	process_table_free(table);
}

static void long_command_lines_are_bounded_in_sum(void **state)
{
	struct process_table *table = new_table(8);
	struct process_table_counters counters;
	char cmdline[3000];

	(void)state;
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	cmdline[sizeof(cmdline) - 1] = '\0';
	for (uint32_t pid = 1; pid <= 8; pid++) {
		struct process_info info = info_of(pid, 1, "/bin/x");

		info.cmdline = cmdline;
		process_table_put(table, &info);
	}
	process_table_counters(table, &counters);
	assert_true(counters.text_octets < 8 * PROCESS_TABLE_TEXT_OCTETS + 2 * sizeof(cmdline));
	assert_true(counters.count > 0 && counters.count < 8);
	assert_int_equal(counters.count + counters.evicted, 8);
	process_table_free(table);
}

static void stored_is_forgotten_when_a_batch_was_lost_or_the_record_changed(void **state)
{
	struct process_table *table = new_table(8);
	struct process_info info = info_of(10, 1, "/bin/sh");

	(void)state;
	process_table_put(table, &info);
	assert_false(process_table_is_stored(table, &info.ref));
	process_table_set_stored(table, &info.ref);
	assert_true(process_table_is_stored(table, &info.ref));
	process_table_forget_stored(table);
	assert_false(process_table_is_stored(table, &info.ref));
	process_table_set_stored(table, &info.ref);
	process_table_put(table, &info);
	assert_false(process_table_is_stored(table, &info.ref));
	process_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_known_by_each_of_its_runs_and_no_other),
		cmocka_unit_test(a_reused_pid_is_another_process),
		cmocka_unit_test(a_forked_child_has_its_parents_texts_after_the_parent_is_gone),
		cmocka_unit_test(a_later_record_keeps_what_it_lacks),
		cmocka_unit_test(at_the_limit_the_dead_go_before_the_living),
		cmocka_unit_test(a_fork_when_full_may_evict_the_parent_itself),
		cmocka_unit_test(long_command_lines_are_bounded_in_sum),
		cmocka_unit_test(stored_is_forgotten_when_a_batch_was_lost_or_the_record_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

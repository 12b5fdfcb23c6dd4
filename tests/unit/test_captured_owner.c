/* Processes that a capture names: told once, told apart, bounded. */
#include "source/captured_owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process/cmdline.h"

enum { TOLD_MAX = 8 };

struct told {
	int count;
	struct process_ref refs[TOLD_MAX], parents[TOLD_MAX];
	uint32_t uids[TOLD_MAX];
	char texts[TOLD_MAX][256];
};

static struct told told;
static struct captured_owners owners;

static void take(void *ctx, const struct process_info *info)
{
	int i = told.count++ % TOLD_MAX;
	char cmdline[PROCESS_CMDLINE_MAX];

	(void)ctx;
	assert_int_equal(info->ref.start_ns, 0);
	assert_int_equal(info->loginuid, PROCESS_UID_NONE);
	told.refs[i] = info->ref;
	told.parents[i] = info->parent;
	told.uids[i] = info->uid;
	snprintf(told.texts[i], sizeof(told.texts[i]), "%s|%s|%s|%s", info->comm, info->exe,
		cmdline_keep(CMDLINE_FULL, info, cmdline).cmdline, info->cgroup);
}

static const struct source_sink sink = {.process = take};

static int set_up(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	captured_owners_init(&owners, &sink, (struct hash_key){1, 2});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	captured_owners_done(&owners);
	return 0;
}

static struct captured_text text_of(const char *text)
{
	return (struct captured_text){text, strlen(text)};
}

static struct captured_process named(uint32_t pid, const char *name)
{
	return (struct captured_process){
		.pid = pid, .uid = CAPTURED_UID_NONE, .name = text_of(name)};
}

static void a_process_is_told_once_and_its_name_stands_for_its_path(void **state)
{
	struct captured_process process = named(321, "curl");
	struct process_ref first = captured_owners_ref(&owners, &process);
	struct process_ref again = captured_owners_ref(&owners, &process);

	(void)state;
	assert_int_equal(told.count, 1);
	assert_int_equal(first.pid, 321);
	assert_true(process_ref_equal(&first, &again));
	assert_true(process_ref_equal(&first, &told.refs[0]));
	assert_int_equal(told.uids[0], PROCESS_UID_NONE);
	assert_string_equal(told.texts[0], "curl|curl||");
}

static void nobody_is_not_told(void **state)
{
	struct captured_process process = named(0, "kernel_task");
	struct process_ref ref = captured_owners_ref(&owners, &process);

	(void)state;
	assert_false(process_ref_known(&ref));
	assert_int_equal(told.count, 0);
}

static void programs_of_one_pid_are_told_apart(void **state)
{
	struct captured_process curl = named(9, "curl"), wget = named(9, "wget");
	struct process_ref first = captured_owners_ref(&owners, &curl);
	struct process_ref second = captured_owners_ref(&owners, &wget);

	(void)state;
	assert_false(process_ref_equal(&first, &second));
	assert_int_equal(told.count, 2);
}

static void one_pid_in_two_captures_is_two_processes(void **state)
{
	struct captured_process curl = named(9, "curl");
	struct process_ref first = captured_owners_ref(&owners, &curl), second;

	(void)state;
	captured_owners_done(&owners);
	captured_owners_init(&owners, &sink, (struct hash_key){3, 4});
	second = captured_owners_ref(&owners, &curl);
	assert_false(process_ref_equal(&first, &second));
}

static void a_parent_is_told_first_and_is_the_same_when_it_speaks_itself(void **state)
{
	struct captured_process child = named(321, ""), parent = named(300, "");
	struct process_ref ref;

	(void)state;
	child.uid = 1000;
	child.exe = text_of("/usr/bin/curl");
	child.cmdline = text_of("curl -s");
	child.parent_pid = 300;
	child.parent_exe = parent.exe = text_of("/bin/sh");
	child.parent_cmdline = parent.cmdline = text_of("sh");
	child.container = text_of("abc");
	captured_owners_ref(&owners, &child);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.texts[0], "|/bin/sh|sh|");
	assert_string_equal(told.texts[1], "|/usr/bin/curl|curl -s|/abc");
	assert_int_equal(told.uids[1], 1000);
	assert_true(process_ref_equal(&told.parents[1], &told.refs[0]));
	ref = captured_owners_ref(&owners, &parent);
	assert_true(process_ref_equal(&ref, &told.refs[0]));
	assert_int_equal(told.count, 2);
}

static void what_is_told_of_it_later_is_told_on(void **state)
{
	struct captured_process process = named(321, "curl");
	struct process_ref first = captured_owners_ref(&owners, &process), second;

	(void)state;
	process.uid = 0;
	second = captured_owners_ref(&owners, &process);
	assert_true(process_ref_equal(&first, &second));
	assert_int_equal(told.count, 2);
	assert_int_equal(told.uids[1], 0);
}

static void texts_become_utf8_and_are_cut(void **state)
{
	char path[2 * PROCESS_PATH_MAX];
	struct captured_process process = named(1, "\xff");

	(void)state;
	captured_owners_ref(&owners, &process);
	assert_string_equal(told.texts[0], "\\xff|\\xff||");
	memset(path, 'a', sizeof(path));
	process.exe = (struct captured_text){path, sizeof(path)};
	captured_owners_ref(&owners, &process);
	assert_int_equal(told.count, 2);
}

static void packets_name_process_blocks_of_their_section(void **state)
{
	struct captured_process one = named(1, "one"), two = named(2, "two");

	(void)state;
	captured_owners_add_block(&owners, &one);
	captured_owners_add_block(&owners, &two);
	assert_int_equal(captured_owners_of_block(&owners, 0).pid, 1);
	assert_int_equal(captured_owners_of_block(&owners, 1).pid, 2);
	assert_int_equal(captured_owners_of_block(&owners, 2).pid, 0);
	assert_int_equal(captured_owners_of_block(&owners, -1).pid, 0);
	captured_owners_begin_section(&owners);
	assert_int_equal(captured_owners_of_block(&owners, 0).pid, 0);
	captured_owners_add_block(&owners, &two);
	assert_int_equal(captured_owners_of_block(&owners, 0).pid, 2);
}

static void process_blocks_beyond_the_limit_are_counted(void **state)
{
	struct captured_process process = named(1, "one");

	(void)state;
	for (int i = 0; i < CAPTURED_OWNER_BLOCKS + 3; i++)
		captured_owners_add_block(&owners, &process);
	assert_int_equal(owners.refused, 3);
	assert_int_equal(captured_owners_of_block(&owners, CAPTURED_OWNER_BLOCKS - 1).pid, 1);
	assert_int_equal(captured_owners_of_block(&owners, CAPTURED_OWNER_BLOCKS).pid, 0);
}

static void behind_a_block_that_was_refused_none_takes_its_number(void **state)
{
	struct captured_process process = named(1, "one");

	(void)state;
	owners.block_count = owners.block_room = CAPTURED_OWNER_BLOCKS; /* as without memory */
	captured_owners_add_block(&owners, &process);
	owners.block_count = owners.block_room = 0;
	captured_owners_add_block(&owners, &process);
	assert_int_equal(owners.refused, 2);
	assert_int_equal(captured_owners_of_block(&owners, 0).pid, 0);
	captured_owners_begin_section(&owners);
	captured_owners_add_block(&owners, &process);
	assert_int_equal(captured_owners_of_block(&owners, 0).pid, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_is_told_once_and_its_name_stands_for_its_path),
		TEST(nobody_is_not_told),
		TEST(programs_of_one_pid_are_told_apart),
		TEST(one_pid_in_two_captures_is_two_processes),
		TEST(a_parent_is_told_first_and_is_the_same_when_it_speaks_itself),
		TEST(what_is_told_of_it_later_is_told_on),
		TEST(texts_become_utf8_and_are_cut),
		TEST(packets_name_process_blocks_of_their_section),
		TEST(process_blocks_beyond_the_limit_are_counted),
		TEST(behind_a_block_that_was_refused_none_takes_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

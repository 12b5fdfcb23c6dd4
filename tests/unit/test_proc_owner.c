/* Who holds a socket, in a made-up /proc. */
#include "source/proc_owner.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "source/proc_read.h"

enum { INODE = 4711, PATH_SIZE = 128 };

static char proc[64];
static struct proc_owner *owner;

static int begin(void **state)
{
	(void)state;
	snprintf(proc, sizeof(proc), "/tmp/lastconn-unit-XXXXXX");
	assert_non_null(mkdtemp(proc));
	return proc_owner_new(proc, &owner);
}

static int end(void **state)
{
	char command[PATH_SIZE];

	(void)state;
	proc_owner_free(owner);
	snprintf(command, sizeof(command), "rm -r '%s'", proc);
	return system(command) ? -1 : 0;
}

/* comm is what a hostile process would take for a name. */
static void add_process(int pid, int parent, unsigned start_ticks, unsigned long stack)
{
	char path[PATH_SIZE];
	FILE *stat;

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/%d/fd", proc, pid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/%d/stat", proc, pid);
	stat = fopen(path, "w");
	assert_non_null(stat);
	fprintf(stat,
		"%d (a) 1 (b) S %d 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 %u 1 1 1 1 1 %lu 0 0",
		pid, parent, start_ticks, stack);
	fclose(stat);
}

static void hold(int pid, int fd, unsigned inode)
{
	char path[PATH_SIZE], target[32];

	snprintf(path, sizeof(path), "%s/%d/fd/%d", proc, pid, fd);
	snprintf(target, sizeof(target), "socket:[%u]", inode);
	assert_int_equal(symlink(target, path), 0);
}

static void look(struct proc_owner_want *wants, size_t count, const struct process_ref *likely,
	size_t likely_count)
{
	assert_int_equal(proc_owner_begin(owner, wants, count, likely, likely_count), 0);
	assert_false(proc_owner_look(owner, 0)); /* no time: it goes on later */
	assert_true(proc_owner_is_looking(owner));
	assert_true(proc_owner_look(owner, INT64_MAX));
	assert_false(proc_owner_is_looking(owner));
}

static struct proc_owner_want find(int64_t since_ns, int likely)
{
	struct process_ref first = {.pid = (uint32_t)likely};
	struct proc_owner_want want = {.inode = INODE, .since_ns = since_ns};

	look(&want, 1, &first, likely ? 1 : 0);
	return want;
}

static void test_the_only_holder_is_the_owner(void **state)
{
	struct proc_owner_want want;

	(void)state;
	add_process(1, 0, 0, 16);
	add_process(20, 1, 700, 32);
	add_process(21, 1, 800, 48);
	hold(20, 3, INODE);
	hold(20, 4, INODE);
	hold(21, 3, INODE + 1);
	want = find(0, 0);
	assert_int_equal(want.owner.pid, 20);
	assert_int_equal(want.owner.start_ns, 700 * proc_tick_ns());
	assert_int_equal(want.owner.exec_id, 2 ^ 1);
}

static void test_nobody_holds_it(void **state)
{
	struct proc_owner_want want;

	(void)state;
	add_process(1, 0, 0, 16);
	hold(1, 3, INODE + 1);
	want = find(0, 0);
	assert_false(process_ref_known(&want.owner));
}

static void test_of_a_family_the_one_that_the_others_come_from(void **state)
{
	(void)state;
	add_process(1, 0, 0, 16);
	add_process(30, 1, 500, 16);
	add_process(31, 30, 600, 16);
	add_process(32, 31, 700, 16); /* a pid may be smaller than its parent's, too */
	add_process(5, 32, 800, 16);
	hold(5, 3, INODE);
	hold(30, 3, INODE);
	hold(32, 3, INODE);
	assert_int_equal(find(0, 0).owner.pid, 30);
}

static void test_strangers_that_share_a_socket_are_not_chosen_from(void **state)
{
	struct proc_owner_want want;

	(void)state;
	add_process(1, 0, 0, 16);
	add_process(30, 1, 500, 16);
	add_process(40, 1, 600, 16);
	hold(30, 3, INODE);
	hold(40, 3, INODE);
	want = find(0, 0);
	assert_false(process_ref_known(&want.owner));
}

static void test_the_parent_of_a_young_holder_is_looked_at_too(void **state)
{
	(void)state;
	add_process(1, 0, 0, 16);
	add_process(30, 1, 500, 16);   /* old, had no socket before: opened this one */
	add_process(31, 30, 9000, 16); /* its child since */
	hold(30, 3, INODE);
	hold(31, 3, INODE);
	assert_int_equal(find(8000 * proc_tick_ns(), 31).owner.pid, 30);
}

static void test_an_old_process_without_a_family_is_found_by_the_second_round(void **state)
{
	(void)state;
	add_process(1, 0, 0, 16);
	add_process(30, 1, 500, 16);
	add_process(31, 1, 600, 16);
	hold(30, 3, INODE);
	assert_int_equal(find(8000 * proc_tick_ns(), 31).owner.pid, 30);
}

static void test_sockets_of_one_file_have_one_owner(void **state)
{
	struct proc_owner_want wants[] = {{.inode = INODE}, {.inode = 7}, {.inode = INODE}};

	(void)state;
	add_process(1, 0, 0, 16);
	hold(1, 3, INODE);
	look(wants, 3, NULL, 0);
	assert_int_equal(wants[0].inode, 7);
	assert_int_equal(wants[0].owner.pid, 0);
	assert_int_equal(wants[1].owner.pid, 1);
	assert_int_equal(wants[2].owner.pid, 1);
}

static void test_all_sockets_of_a_process_are_found(void **state)
{
	enum { MANY = 3000 };
	static struct proc_owner_want wants[MANY];

	(void)state;
	add_process(1, 0, 0, 16);
	for (unsigned i = 0; i < MANY; i++) {
		wants[i] = (struct proc_owner_want){.inode = INODE + i};
		hold(1, (int)i, INODE + i);
		hold(1, MANY + (int)i, INODE + i);
	}
	look(wants, MANY, NULL, 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(wants[i].owner.pid, 1);
}

static void test_a_process_that_is_gone_before_its_descriptors_are_read(void **state)
{
	struct proc_owner_want want;
	char path[PATH_SIZE];

	(void)state;
	add_process(1, 0, 0, 16);
	add_process(30, 1, 500, 16);
	hold(30, 3, INODE);
	snprintf(path, sizeof(path), "%s/30/stat", proc);
	assert_int_equal(unlink(path), 0);
	want = find(0, 0);
	assert_false(process_ref_known(&want.owner));
}

static void test_a_directory_that_is_no_proc(void **state)
{
	struct proc_owner_want want = {.inode = INODE};
	struct proc_owner *nowhere;

	(void)state;
	assert_int_equal(proc_owner_new("/nonexistent", &nowhere), 0);
	assert_int_equal(proc_owner_begin(nowhere, &want, 1, NULL, 0), -ENOENT);
	assert_false(proc_owner_is_looking(nowhere));
	proc_owner_free(nowhere);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_the_only_holder_is_the_owner),
		TEST(test_nobody_holds_it),
		TEST(test_of_a_family_the_one_that_the_others_come_from),
		TEST(test_strangers_that_share_a_socket_are_not_chosen_from),
		TEST(test_the_parent_of_a_young_holder_is_looked_at_too),
		TEST(test_an_old_process_without_a_family_is_found_by_the_second_round),
		TEST(test_sockets_of_one_file_have_one_owner),
		TEST(test_all_sockets_of_a_process_are_found),
		TEST(test_a_process_that_is_gone_before_its_descriptors_are_read),
		TEST(test_a_directory_that_is_no_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What each version of Landlock is asked for; and, where the kernel has it, what a restricted
 * process can do. */
#include "daemon/privilege_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { VERSION_LATEST = 99 };

static void a_kernel_is_asked_for_no_more_than_its_version_has(void **state)
{
	(void)state;
	assert_int_equal(privilege_landlock_handled(1), 0x1fff);
	assert_int_equal(privilege_landlock_handled(2), 0x3fff);
	assert_int_equal(privilege_landlock_handled(3), 0x7fff);
	assert_int_equal(privilege_landlock_handled(4), 0x7fff);
	assert_int_equal(privilege_landlock_handled(5), 0xffff);
	assert_int_equal(privilege_landlock_handled(VERSION_LATEST), 0xffff);
	assert_int_equal(privilege_landlock_handled_net(3), 0);
	assert_int_equal(privilege_landlock_handled_net(4), 3);
}

static void what_is_granted_is_a_part_of_what_is_restricted(void **state)
{
	(void)state;
	for (int version = 1; version < 8; version++)
		for (int use = PRIVILEGE_LANDLOCK_READ; use <= (int)PRIVILEGE_LANDLOCK_WRITE; use++)
			for (int directory = 0; directory < 2; directory++)
				assert_int_equal(
					privilege_landlock_wanted(version,
						(enum privilege_landlock_use)use, directory) &
						~privilege_landlock_handled(version),
					0);
}

static void a_reader_neither_writes_nor_runs_and_a_file_is_no_directory(void **state)
{
	(void)state;
	/* read_file, read_dir */
	assert_int_equal(
		privilege_landlock_wanted(VERSION_LATEST, PRIVILEGE_LANDLOCK_READ, 1), 0xc);
	assert_int_equal(
		privilege_landlock_wanted(VERSION_LATEST, PRIVILEGE_LANDLOCK_READ, 0), 0x4);
	/* write_file, read_file, truncate */
	assert_int_equal(
		privilege_landlock_wanted(VERSION_LATEST, PRIVILEGE_LANDLOCK_WRITE, 0), 0x4006);
}

static int create(const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : unlink(path);
}

/* Exit status: 0 as it should be, 77 this kernel has none, else the number of what is wrong. */
static int restricted(const char *own, const char *other)
{
	const struct privilege_landlock_path paths[] = {{own, PRIVILEGE_LANDLOCK_WRITE},
		{"/proc", PRIVILEGE_LANDLOCK_READ}, {"/nowhere", PRIVILEGE_LANDLOCK_READ}};
	int version;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	version = privilege_landlock_apply(paths, 3);
	if (version == -EOPNOTSUPP)
		return 77;
	if (version < 1)
		return 1;
	if (create(own, "file") != 0)
		return 2;
	if (create(other, "file") != -EACCES)
		return 3;
	if (open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0)
		return 4;
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 5;
}

static void a_restricted_process_writes_where_it_was_granted_and_nowhere_else(void **state)
{
	char own[] = "/tmp/test_landlock.XXXXXX", other[] = "/tmp/test_landlock.XXXXXX";
	int status;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(own));
	assert_non_null(mkdtemp(other));
	child = fork();
	if (child == 0)
		_exit(restricted(own, other));
	assert_int_equal(waitpid(child, &status, 0), child);
	rmdir(own);
	rmdir(other);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_is_asked_for_no_more_than_its_version_has),
		cmocka_unit_test(what_is_granted_is_a_part_of_what_is_restricted),
		cmocka_unit_test(a_reader_neither_writes_nor_runs_and_a_file_is_no_directory),
		cmocka_unit_test(a_restricted_process_writes_where_it_was_granted_and_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which files are C libraries: by name, and those that live processes have loaded. */
#include "source/libc_file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void c_libraries_are_known_by_their_names(void **state)
{
	static const char *const libraries[] = {"/usr/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/libc-2.31.so", "/usr/lib/x86_64-linux-musl/libc.so",
		"/lib/ld-musl-x86_64.so.1", "/lib/libc.musl-x86_64.so.1"};
	static const char *const others[] = {"/usr/lib/libcap.so.2", "/usr/lib/libcrypto.so.3",
		"/usr/lib/libc++.so.1", "/libc.so.6/x", "/usr/lib/locale/libc-locale", "libc", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		assert_true(libc_file_is_name(libraries[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(libc_file_is_name(others[i]));
}

static void our_own_is_found_and_has_a_resolver(void **state)
{
	struct libc_file_id id, again;
	uint64_t offset = 0;
	int fd;

	(void)state;
	assert_int_equal(libc_file_of((uint32_t)getpid(), &id, &fd), 0);
	assert_int_equal(libc_file_resolver(fd, &offset), 0);
	assert_true(offset > 0);
	close(fd);
	assert_int_equal(libc_file_of((uint32_t)getpid(), &again, NULL), 0);
	assert_true(libc_file_same(&id, &again));
}

static void usual_places_may_be_empty_but_hold_no_other_thing(void **state)
{
	struct libc_file_id id;
	uint64_t offset;
	int fd;

	(void)state;
	for (size_t i = 0; i < LIBC_FILE_USUAL_MAX; i++) {
		if (libc_file_usual(i, &id, &fd) < 0)
			continue;
		assert_int_equal(libc_file_resolver(fd, &offset), 0);
		close(fd);
	}
}

static void who_is_gone_has_none(void **state)
{
	pid_t child = fork();
	struct libc_file_id id;

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(libc_file_of((uint32_t)child, &id, NULL), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(libc_file_of((uint32_t)child, &id, NULL), -ESRCH);
}

static void what_is_no_library_has_no_resolver(void **state)
{
	int ends[2];
	uint64_t offset;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(libc_file_resolver(ends[0], &offset), -EFBIG);
	assert_int_equal(libc_file_resolver(-1, &offset), -EBADF);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(c_libraries_are_known_by_their_names),
		cmocka_unit_test(our_own_is_found_and_has_a_resolver),
		cmocka_unit_test(usual_places_may_be_empty_but_hold_no_other_thing),
		cmocka_unit_test(who_is_gone_has_none),
		cmocka_unit_test(what_is_no_library_has_no_resolver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

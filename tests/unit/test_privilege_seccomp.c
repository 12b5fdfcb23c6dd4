/* The table, and what a filtered process is refused: each call in a process of its own. */
#include "daemon/privilege_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/privilege_calls.h"
#include "daemon/privilege_need.h"

enum { NO_FILTERS = 255, BPF_PROG_LOAD = 5, BPF_MAP_LOOKUP = 1, CLONE3 = 435 };

/* The errno of what is tried under the filter of these needs. */
static int tried(unsigned needs, long (*try)(void))
{
	int status, error;
	pid_t child = fork();

	if (child == 0) {
		error = privilege_seccomp_apply(
			privilege_calls_for(needs) & ~(unsigned)PRIVILEGE_CALLS_SANITIZER);
		if (error)
			_exit(error == -ENOSYS ? NO_FILTERS : 254);
		errno = 0;
		_exit(try() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_FILTERS)
		skip();
	return WEXITSTATUS(status);
}

static long run_program(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	return execv("/bin/true", argv);
}

static long begin_process(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long begin_process_newly(void)
{
	return syscall(CLONE3, NULL, 0);
}

static long trace(void)
{
	return syscall(SYS_ptrace, 16, getppid(), NULL, NULL);
}

static long mount_something(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static long enter_mounts(void)
{
	return setns(-1, CLONE_NEWNS);
}

static long enter_network(void)
{
	return setns(-1, CLONE_NEWNET);
}

static long load_program(void)
{
	return syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0);
}

static long look_into_map(void)
{
	return syscall(SYS_bpf, BPF_MAP_LOOKUP, NULL, 0);
}

static long map_code_to_write(void)
{
	void *at = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? -1 : 0;
}

static long open_stream(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long open_datagrams(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static long ask_kernel(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long signal_parent(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long raise_limit(void)
{
	const struct rlimit limit = {0, 0};

	return setrlimit(RLIMIT_CORE, &limit);
}

static long type_for_others(void)
{
	return syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
}

static void *run(void *arg)
{
	return arg;
}

static long begin_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, NULL);

	if (!error)
		error = pthread_join(thread, NULL);
	errno = error;
	return -error;
}

static long use_file(void)
{
	char octet;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	return read(fd, &octet, 1) == 1 ? close(fd) : -1;
}

static const unsigned all_needs = PRIVILEGE_NEED_NAT | PRIVILEGE_NEED_CAPTURE |
				  PRIVILEGE_NEED_POLL | PRIVILEGE_NEED_NAMESPACES |
				  PRIVILEGE_NEED_BPF | PRIVILEGE_NEED_LIBRARIES;

static void nobody_runs_programs_traces_mounts_or_loads(void **state)
{
	static long (*const forbidden[])(void) = {run_program, begin_process, trace,
		mount_something, enter_mounts, load_program, map_code_to_write, open_stream,
		signal_parent, raise_limit, type_for_others};

	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		assert_int_equal(tried(all_needs, forbidden[i]), EPERM);
		assert_int_equal(tried(0, forbidden[i]), EPERM);
	}
}

static void threads_and_files_work_for_all(void **state)
{
	(void)state;
	assert_int_equal(tried(0, begin_thread), 0);
	assert_int_equal(tried(0, use_file), 0);
	assert_int_equal(tried(all_needs, begin_thread), 0);
}

static void what_is_young_is_not_there_so_that_libraries_fall_back(void **state)
{
	(void)state;
	assert_int_equal(tried(0, begin_process_newly), ENOSYS);
}

static void a_reader_of_files_opens_no_socket(void **state)
{
	(void)state;
	assert_int_equal(tried(0, ask_kernel), EPERM);
	assert_int_equal(tried(0, open_datagrams), EPERM);
	assert_int_equal(tried(0, look_into_map), EPERM);
}

static void a_feature_that_is_on_has_its_calls_and_no_other_has_them(void **state)
{
	(void)state;
	assert_int_equal(tried(PRIVILEGE_NEED_NAT, ask_kernel), 0);
	assert_int_equal(tried(PRIVILEGE_NEED_NAT, open_datagrams), EPERM);
	assert_int_equal(tried(PRIVILEGE_NEED_CAPTURE, open_datagrams), 0);
	assert_int_equal(tried(PRIVILEGE_NEED_NAT, enter_network), EPERM);
	assert_int_equal(tried(PRIVILEGE_NEED_NAMESPACES, enter_network), EBADF);
	assert_int_not_equal(tried(PRIVILEGE_NEED_BPF, look_into_map), 0);
}

static void no_row_grants_what_is_forbidden(void **state)
{
	static const char *const never[] = {"execve", "execveat", "mount", "fsopen", "umount2",
		"pivot_root", "chroot", "unshare", "init_module", "finit_module", "delete_module",
		"kexec_load", "kexec_file_load", "reboot", "keyctl", "add_key", "request_key",
		"process_vm_writev", "setuid", "setresuid", "setgid", "setgroups", "capset", "fork",
		"vfork", "listen", "accept", "accept4", "userfaultfd", "io_uring_setup",
		"memfd_create", "pidfd_getfd", "syslog", "swapon", "iopl", "ioperm"};
	const struct privilege_call *call;

	(void)state;
	for (size_t i = 0; (call = privilege_calls_at(i)); i++)
		for (size_t j = 0; j < sizeof(never) / sizeof(never[0]); j++)
			assert_string_not_equal(call->name, never[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_runs_programs_traces_mounts_or_loads),
		cmocka_unit_test(threads_and_files_work_for_all),
		cmocka_unit_test(what_is_young_is_not_there_so_that_libraries_fall_back),
		cmocka_unit_test(a_reader_of_files_opens_no_socket),
		cmocka_unit_test(a_feature_that_is_on_has_its_calls_and_no_other_has_them),
		cmocka_unit_test(no_row_grants_what_is_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

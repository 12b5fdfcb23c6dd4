/* Which program it was: paths, names and arguments as they are, not as somebody would like them.
 * The client is mostly a copy of this program in a directory of the case, in another role. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "role.h"
#include "truth.h"

enum { ARGUMENTS_MAX = 8, NOBODY = 65534, PASSED = 99 };

#define PASSED_TEXT "99"

struct program {
	const char *directory; /* where it is started; NULL: here */
	const char *file;      /* for execve(2); NULL: fd */
	int fd;
	const char *argv[ARGUMENTS_MAX];
};

/* Of the case: where its server listens, and its copies of this program. */
static int listener;
static char port[8], directory[64], path[512];

static void begin(void)
{
	listener = net_listen("127.0.0.1", 8);
	snprintf(port, sizeof(port), "%d", net_port(listener));
	snprintf(directory, sizeof(directory), "%s", truth_directory());
}

static void copy_to(int to)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char data[65536];
	ssize_t got;

	if (from < 0 || to < 0)
		truth_fail("copy of this program: %s", strerror(errno));
	while ((got = read(from, data, sizeof(data))) > 0)
		if (write(to, data, (size_t)got) != got)
			truth_fail("copy of this program: %s", strerror(errno));
	close(from);
}

/* Makes a copy of this program at path. */
static void copy_as(const char *name)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	copy_to(fd);
	close(fd);
}

static void execute(const struct program *program)
{
	char *const *argv = (char *const *)program->argv;

	if (program->directory && chdir(program->directory) < 0)
		truth_fail("chdir: %s", strerror(errno));
	if (program->file)
		execv(program->file, argv);
	else
		fexecve(program->fd, argv, environ);
	truth_fail("exec: %s", strerror(errno));
}

/* The server's end of a connection of ROLE_OCTETS; the truth of its client's end without process.
 */
static struct truth *serve_role(void)
{
	int sock = net_accept(listener);
	struct truth *truth = truth_flow("server", sock, NULL, "in");

	truth_octets(truth, 0, ROLE_OCTETS);
	net_receive_all(sock);
	close(sock);
	return truth_mirror("client", truth);
}

/* fork(2) with a chosen pid: Linux 5.5, and only with privilege. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	long child = syscall(SYS_clone3, &arguments, sizeof(arguments));

	if (child < 0)
		truth_skip("clone3 with a chosen pid: %s", strerror(errno));
	return (pid_t)child;
}

/* One connection of a program that is path when it connects, as this pid or as any (0). */
static struct truth *run_program(const struct program *program, pid_t wanted)
{
	pid_t pid = wanted ? fork_as(wanted) : net_fork();
	struct truth *truth;

	if (pid == 0)
		execute(program);
	truth = serve_role();
	truth_child(truth, pid);
	truth_program(truth, path, program->argv);
	net_reap(pid);
	return truth;
}

static void run_plain(void)
{
	begin();
	copy_as("plain");
	run_program(&(struct program){.file = path, .argv = {path, "@connect", port}}, 0);
}

/* The record speaks of the program that connects, not of those before it in the same process. */
static void run_chain(void)
{
	struct truth *truth;

	begin();
	copy_as("last");
	truth = run_program(&(struct program){.file = "/proc/self/exe",
				    .argv = {"first", "@exec", path, "@connect", port}},
		0);
	truth_program(truth, path, (const char *const[]){path, "@connect", port, NULL});
}

/* As busybox does it: a link names what the program is to do. */
static void run_multicall(void)
{
	char link_path[600];
	struct truth *truth;

	begin();
	copy_as("many");
	snprintf(link_path, sizeof(link_path), "%s/ls", directory);
	if (symlink(path, link_path) < 0)
		truth_fail("symlink: %s", strerror(errno));
	truth = run_program(
		&(struct program){.file = link_path, .argv = {"dir", "@connect", port}}, 0);
	strcpy(truth->user.comm, "ls");
}

static void run_relative(void)
{
	begin();
	copy_as("relative");
	run_program(&(struct program){.directory = directory,
			    .file = "./relative",
			    .argv = {"./relative", "@connect", port}},
		0);
}

static void run_deleted(void)
{
	begin();
	copy_as("deleted");
	run_program(&(struct program){.file = path, .argv = {path, "@vanish", port}}, 0);
}

static void run_memfd(void)
{
	int fd = memfd_create("hidden", 0);
	struct truth *truth;

	begin();
	copy_to(fd);
	strcpy(path, "/memfd:hidden");
	truth = run_program(&(struct program){.fd = fd, .argv = {"innocent", "@connect", port}}, 0);
	truth->user.comm[0] = '\0'; /* the number of the descriptor, or the name since Linux 6.14 */
}

/* A line break, a terminal's escape sequence, and octets that are no UTF-8. */
static void run_hostile(void)
{
	begin();
	copy_as("a\n\033[31m\xff\xc3\xa4 b");
	run_program(
		&(struct program){.file = path,
			.argv = {"\033]0;x\007", "@connect", "\xfe\n'quoted' \"twice\"", "", port}},
		0);
}

/* The kernel runs the interpreter. */
static void run_script(void)
{
	char script[600], line[600];
	struct truth *truth;
	int fd;

	begin();
	copy_as("interpreter");
	snprintf(script, sizeof(script), "%s/script", directory);
	snprintf(line, sizeof(line), "#!%s @connect\n", path);
	fd = open(script, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		truth_fail("%s: %s", script, strerror(errno));
	close(fd);
	truth = run_program(&(struct program){.file = script, .argv = {script, port}}, 0);
	truth_program(truth, path, (const char *const[]){path, "@connect", script, port, NULL});
	strcpy(truth->user.comm, "script");
}

/* Connected by one program, used by the next of the same process. */
static void run_connect_and_exec(void)
{
	const struct program program = {.file = path, .argv = {path, "@send", PASSED_TEXT}};
	struct truth *truth;
	pid_t pid;

	begin();
	copy_as("next");
	pid = net_fork();
	if (pid == 0) {
		dup2(net_connect("127.0.0.1", net_port(listener)), PASSED);
		execute(&program);
	}
	truth = serve_role();
	truth_child(truth, pid);
	strcpy(truth->opener_exe, truth->user.exe);
	truth_program(truth, path, program.argv);
	net_reap(pid);
}

static void send_role(int sock)
{
	net_send(sock, ROLE_OCTETS);
	shutdown(sock, SHUT_WR);
	net_receive_all(sock);
}

/* The listener comes from the program before, as from a service manager. */
static void run_activation(void)
{
	const struct program program = {.file = path, .argv = {path, "@serve", PASSED_TEXT}};
	struct truth *truth;
	pid_t pid, client;

	begin();
	copy_as("activated");
	client = pair_start_client(
		&(struct pair){.ask = send_role, .asked = ROLE_OCTETS}, net_port(listener));
	pid = net_fork();
	if (pid == 0) {
		dup2(listener, PASSED);
		execute(&program);
	}
	net_reap(client); /* who waited for the server's close */
	truth = truth_mirror("server", truth_at(0));
	truth_child(truth, pid);
	truth_program(truth, path, program.argv);
	truth->opener = getpid();
	net_reap(pid);
}

static int connect_as_nobody(const char *ip, int to)
{
	if (setuid(NOBODY) < 0)
		truth_skip("needs root to become somebody else");
	return net_connect(ip, to);
}

static void run_user(void)
{
	pair_run(&(struct pair){.connect = connect_as_nobody});
}

/* Three processes, one after the other, with the same pid. */
static void run_pid_reuse(void)
{
	const struct program program = {.file = path, .argv = {path, "@connect", port}};
	struct truth *truth;
	pid_t pid;

	begin();
	copy_as("reused");
	pid = run_program(&program, 0)->user.pid;
	if (fork_as(pid) == 0) {
		net_send(net_connect("127.0.0.1", net_port(listener)), ROLE_OCTETS);
		_exit(0);
	}
	truth = serve_role();
	truth_child(truth, pid);
	net_reap(pid);
	run_program(&program, pid);
}

static const struct case_entry entries[] = {
	{"program_plain", run_plain},
	{"program_chain", run_chain},
	{"program_multicall", run_multicall},
	{"program_relative", run_relative},
	{"program_deleted", run_deleted},
	{"program_memfd", run_memfd},
	{"program_hostile", run_hostile},
	{"program_script", run_script},
	{"program_connect_and_exec", run_connect_and_exec},
	{"program_activation", run_activation},
	{"program_user", run_user},
	{"program_pid_reuse", run_pid_reuse},
	{0},
};

const struct case_entry *case_program(void)
{
	return entries;
}

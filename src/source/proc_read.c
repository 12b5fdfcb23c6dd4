/* A process is told by its start time, read before and after: a pid may be reused in between. */
#include "source/proc_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

enum { STAT_SIZE = 2048, PATH_SIZE = 256 };

/* proc(5): the fields of stat behind comm, counted from 3. */
enum {
	FIELD_FIRST = 3, /* state */
	FIELD_PARENT = 4,
	FIELD_FLAGS = 9,
	FIELD_START_TIME = 22, /* clock ticks since boot */
	FIELD_END_CODE = 27,
	FIELD_START_STACK = 28,
	FIELD_COUNT = 29,
};

enum { KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD, linux/sched.h */

int64_t proc_tick_ns(void)
{
	return NS_PER_S / sysconf(_SC_CLK_TCK);
}

int proc_read_file(const char *proc, uint32_t pid, const char *name, char *dst, size_t dst_size)
{
	char path[PATH_SIZE];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%u/%s", proc, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, dst, dst_size);
	if (got < 0)
		got = -errno;
	close(fd);
	return (int)got;
}

int proc_read_link(const char *proc, uint32_t pid, const char *name, char *dst, size_t dst_size)
{
	char path[PATH_SIZE];
	ssize_t got;

	snprintf(path, sizeof(path), "%s/%u/%s", proc, pid, name);
	got = readlink(path, dst, dst_size);
	return got < 0 ? -errno : (int)got;
}

/* comm may hold anything, parentheses and newlines too: the last one ends it. */
static int parse_stat(const char *text, uint32_t pid, struct proc_stat *ret_stat)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long fields[FIELD_COUNT] = {0};
	size_t length;
	char *at;

	if (!open || !close || close < open)
		return -EINVAL;
	at = (char *)(uintptr_t)close + strspn(close, ") ") + 1; /* behind the state's letter */
	for (int i = FIELD_FIRST + 1; i < FIELD_COUNT; i++)
		fields[i] = strtoull(at, &at, 10);
	*ret_stat = (struct proc_stat){
		.ref = {.start_ns = fields[FIELD_START_TIME] * (uint64_t)proc_tick_ns(),
			.pid = pid,
			.exec_id = (uint32_t)((fields[FIELD_START_STACK] >> 4) ^
					      fields[FIELD_END_CODE])},
		.parent_pid = (uint32_t)fields[FIELD_PARENT],
		.kernel_thread = fields[FIELD_FLAGS] & KERNEL_THREAD,
	};
	length = (size_t)(close - open - 1);
	if (length >= sizeof(ret_stat->comm))
		length = sizeof(ret_stat->comm) - 1;
	memcpy(ret_stat->comm, open + 1, length);
	return 0;
}

int proc_read_stat(const char *proc, uint32_t pid, struct proc_stat *ret_stat)
{
	char text[STAT_SIZE];
	int got = proc_read_file(proc, pid, "stat", text, sizeof(text) - 1);

	if (got < 0)
		return got;
	text[got] = '\0';
	return parse_stat(text, pid, ret_stat);
}

static int check_identity(const char *proc, uint32_t pid, uint64_t start_ns)
{
	uint64_t tick_ns = (uint64_t)proc_tick_ns();
	struct proc_stat stat;
	int error = proc_read_stat(proc, pid, &stat);

	if (error < 0)
		return error;
	return stat.ref.start_ns / tick_ns == start_ns / tick_ns ? 0 : -ESRCH;
}

int proc_read_cmdline(const char *proc, uint32_t pid, uint64_t start_ns, char *dst, size_t dst_size)
{
	int got, error = check_identity(proc, pid, start_ns);

	if (error < 0)
		return error;
	got = proc_read_file(proc, pid, "cmdline", dst, dst_size);
	error = check_identity(proc, pid, start_ns);
	return error < 0 ? error : got;
}

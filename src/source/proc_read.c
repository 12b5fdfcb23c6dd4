/* A process is told by its start time, read before and after: a pid may be reused in between. */
#include "source/proc_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

enum { STAT_SIZE = 1024, START_TIME_FIELD = 22 };

static int read_file(const char *proc, uint32_t pid, const char *name, char *dst, size_t dst_size)
{
	char path[256];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%u/%s", proc, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, dst, dst_size);
	close(fd);
	return got < 0 ? -errno : (int)got;
}

/* proc(5): field 22 of stat, in clock ticks since boot; comm (field 2) may hold anything. */
static int start_ticks(const char *proc, uint32_t pid, uint64_t *ret_ticks)
{
	char stat[STAT_SIZE];
	int got = read_file(proc, pid, "stat", stat, sizeof(stat) - 1);
	char *at;

	if (got < 0)
		return got;
	stat[got] = '\0';
	at = strrchr(stat, ')');
	for (int field = 2; at && field < START_TIME_FIELD; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	if (!at)
		return -EINVAL;
	*ret_ticks = strtoull(at, NULL, 10);
	return 0;
}

static int check_identity(const char *proc, uint32_t pid, uint64_t start_ns)
{
	uint64_t ticks, tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
	int error = start_ticks(proc, pid, &ticks);

	if (error < 0)
		return error;
	return ticks == start_ns / tick_ns ? 0 : -ESRCH;
}

int proc_read_cmdline(const char *proc, uint32_t pid, uint64_t start_ns, char *dst, size_t dst_size)
{
	int got, error = check_identity(proc, pid, start_ns);

	if (error < 0)
		return error;
	got = read_file(proc, pid, "cmdline", dst, dst_size);
	error = check_identity(proc, pid, start_ns);
	return error < 0 ? error : got;
}

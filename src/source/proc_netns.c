/* setns(2) moves the calling thread only; descriptors of sockets stay in the namespace in which
 * they were opened. */
#include "source/proc_netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/sock_diag.h"

/* In the namespace in which the thread is. */
static int add_current(struct proc_netns *table, uint32_t inode)
{
	struct proc_netns_one one = {.inode = inode, .inhabited = true};

	one.diag_fd = sock_diag_open();
	if (one.diag_fd < 0)
		return one.diag_fd;
	one.events_fd = sock_diag_subscribe();
	table->at[table->count++] = one;
	return 0;
}

int proc_netns_init(struct proc_netns *table, const char *proc)
{
	struct stat own;
	int error;

	memset(table, 0, sizeof(*table));
	table->proc = proc;
	table->own_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (table->own_fd < 0)
		return -errno;
	error = fstat(table->own_fd, &own) < 0 ? -errno : add_current(table, (uint32_t)own.st_ino);
	if (error)
		close(table->own_fd);
	return error;
}

static void close_one(const struct proc_netns_one *one)
{
	close(one->diag_fd);
	if (one->events_fd >= 0)
		close(one->events_fd);
}

void proc_netns_done(struct proc_netns *table)
{
	if (table->count == 0)
		return;
	for (size_t i = 0; i < table->count; i++)
		close_one(&table->at[i]);
	close(table->own_fd);
	table->count = 0;
}

void proc_netns_drop(struct proc_netns *table, size_t index)
{
	close_one(&table->at[index]);
	table->at[index] = table->at[--table->count];
}

int proc_netns_check(const struct proc_netns *table)
{
	return setns(table->own_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

static struct proc_netns_one *find(struct proc_netns *table, uint32_t inode)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->at[i].inode == inode)
			return &table->at[i];
	return NULL;
}

static int enter(struct proc_netns *table, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	struct stat there;

	if (fd < 0 || fstat(fd, &there) < 0) {
		table->refused += errno != ENOENT && errno != ESRCH; /* it may be gone */
	} else if (find(table, (uint32_t)there.st_ino)) {
		/* the process went there since its link was read */
	} else if (setns(fd, CLONE_NEWNET) < 0) {
		table->refused++;
	} else {
		if (add_current(table, (uint32_t)there.st_ino) < 0)
			table->refused++;
		error = setns(table->own_fd, CLONE_NEWNET) < 0 ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

/* The namespace of one process. */
static int visit(struct proc_netns *table, const char *pid, uint32_t *last_refused)
{
	char path[300], link[64];
	struct proc_netns_one *one;
	uint32_t inode;
	ssize_t length;

	snprintf(path, sizeof(path), "%s/%s/ns/net", table->proc, pid);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 6)
		return 0; /* gone, or a stranger's */
	link[length] = '\0';
	inode = (uint32_t)strtoul(link + 5, NULL, 10); /* "net:[INODE]" */
	one = find(table, inode);
	if (one) {
		one->inhabited = true;
		return 0;
	}
	if (inode == *last_refused)
		return 0;
	*last_refused = inode;
	if (table->count == PROC_NETNS_MAX) {
		table->refused++;
		return 0;
	}
	return enter(table, path);
}

int proc_netns_refresh(struct proc_netns *table)
{
	DIR *directory = opendir(table->proc);
	const struct dirent *entry;
	uint32_t last_refused = 0;
	int error = 0;

	if (!directory)
		return -errno;
	table->refused = 0;
	for (size_t i = 1; i < table->count; i++)
		table->at[i].inhabited = false;
	while (!error && (entry = readdir(directory)))
		if (isdigit((unsigned char)entry->d_name[0]))
			error = visit(table, entry->d_name, &last_refused);
	closedir(directory);
	return error;
}

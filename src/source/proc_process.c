/* A process may end, or run another program, while it is read: it is read between two looks at its
 * identity, and told of only if both are the same. */
#include "source/proc_process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/unit_parse.h"
#include "source/proc_read.h"
#include "util/utf8.h"

enum { SMALL_FILE = 16384 }; /* cgroup has a path for each controller of version 1 */

struct proc_process {
	const char *proc;
	struct source_sink sink;
	struct process_ref *known; /* sorted by pid, start, exec_id */
	size_t count, max;
};

struct texts {
	char comm[4 * PROC_COMM_SIZE];
	char exe[PROCESS_PATH_MAX];
	char arguments[PROCESS_CMDLINE_MAX];
	char cgroup[PROCESS_PATH_MAX];
};

int proc_process_new(const char *proc, size_t max, const struct source_sink *sink,
	struct proc_process **ret_processes)
{
	struct proc_process *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return -ENOMEM;
	processes->known = calloc(max, sizeof(*processes->known));
	if (!processes->known) {
		free(processes);
		return -ENOMEM;
	}
	processes->proc = proc;
	processes->sink = *sink;
	processes->max = max;
	*ret_processes = processes;
	return 0;
}

void proc_process_free(struct proc_process *processes)
{
	if (!processes)
		return;
	free(processes->known);
	free(processes);
}

const struct process_ref *proc_process_known(
	const struct proc_process *processes, size_t *ret_count)
{
	*ret_count = processes->count;
	return processes->known;
}

static int compare_refs(const struct process_ref *a, const struct process_ref *b)
{
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return (a->exec_id > b->exec_id) - (a->exec_id < b->exec_id);
}

/* Where it is, or would be. */
static size_t place_of(const struct proc_process *processes, const struct process_ref *ref)
{
	size_t low = 0, high = processes->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_refs(&processes->known[middle], ref) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool proc_process_is_known(const struct proc_process *processes, const struct process_ref *ref)
{
	size_t at = place_of(processes, ref);

	return at < processes->count && process_ref_equal(&processes->known[at], ref);
}

static void remember(struct proc_process *processes, const struct process_ref *ref)
{
	size_t at;

	if (processes->count == processes->max)
		processes->count = 0;
	at = place_of(processes, ref);
	memmove(&processes->known[at + 1], &processes->known[at],
		(processes->count - at) * sizeof(*processes->known));
	processes->known[at] = *ref;
	processes->count++;
}

/* A file of text; "" if it cannot be read. */
static void read_text(const struct proc_process *processes, uint32_t pid, const char *name,
	char dst[static SMALL_FILE])
{
	int got = proc_read_file(processes->proc, pid, name, dst, SMALL_FILE - 1);

	dst[got > 0 ? got : 0] = '\0';
}

static void read_status(
	const struct proc_process *processes, uint32_t pid, struct process_info *info)
{
	char text[SMALL_FILE];
	const char *uid, *inner;

	read_text(processes, pid, "status", text);
	uid = strstr(text, "\nUid:\t");
	inner = strstr(text, "\nNSpid:\t");
	info->uid = uid ? (uint32_t)strtoul(uid + 6, NULL, 10) : PROCESS_UID_NONE;
	info->inner_pid = 0;
	if (inner) {
		/* one of each pid namespace, ours first */
		size_t length = strcspn(inner + 1, "\n");
		const char *last = memrchr(inner + 1, '\t', length);

		info->inner_pid = last ? (uint32_t)strtoul(last, NULL, 10) : 0;
	}
}

static uint32_t read_loginuid(const struct proc_process *processes, uint32_t pid)
{
	char text[SMALL_FILE];

	read_text(processes, pid, "loginuid", text);
	return *text ? (uint32_t)strtoul(text, NULL, 10) : PROCESS_UID_NONE;
}

/* The target of ns/net is "net:[INODE]". */
static uint32_t read_netns(const struct proc_process *processes, uint32_t pid)
{
	char link[64];
	int got = proc_read_link(processes->proc, pid, "ns/net", link, sizeof(link) - 1);

	if (got < 0)
		return 0;
	link[got] = '\0';
	return strncmp(link, "net:[", 5) == 0 ? (uint32_t)strtoul(link + 5, NULL, 10) : 0;
}

static void read_cgroup(const struct proc_process *processes, uint32_t pid, char *dst, size_t size)
{
	char text[SMALL_FILE];
	const char *path;
	size_t length;

	read_text(processes, pid, "cgroup", text);
	path = unit_parse_file(text, &length);
	utf8_sanitize(dst, size, path, length);
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t end_length = strlen(end);

	return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

/* The path as the process's own root shows it: the kernel tells it from the top of the mount
 * namespace, and the root (of a chroot) likewise. Returns the flags with what the path tells. */
static uint32_t read_exe(const struct proc_process *processes, uint32_t pid, char *dst, size_t size)
{
	static const char deleted[] = " (deleted)", memfd[] = "/memfd:";
	char path[PROCESS_PATH_MAX], root[PROCESS_PATH_MAX];
	int got = proc_read_link(processes->proc, pid, "exe", path, sizeof(path));
	int up = proc_read_link(processes->proc, pid, "root", root, sizeof(root));
	size_t length = got > 0 ? (size_t)got : 0, skip = 0;
	uint32_t flags = length == sizeof(path) ? PROCESS_EXE_TRUNCATED : 0;

	if (ends_with(path, length, deleted)) {
		length -= strlen(deleted);
		flags |= PROCESS_EXE_DELETED;
	}
	if (up > 1 && (size_t)up < length && memcmp(path, root, (size_t)up) == 0 && path[up] == '/')
		skip = (size_t)up;
	if (length > strlen(memfd) && memcmp(path, memfd, strlen(memfd)) == 0) {
		skip = 1;
		flags = PROCESS_EXE_MEMFD;
	}
	utf8_sanitize(dst, size, path + skip, length - skip);
	return flags;
}

static void read_arguments(const struct proc_process *processes, const struct proc_stat *stat,
	char buf[static PROCESS_CMDLINE_MAX], struct process_info *info)
{
	int got = proc_read_cmdline(
		processes->proc, stat->ref.pid, stat->ref.start_ns, buf, PROCESS_CMDLINE_MAX);

	info->arguments = buf;
	info->arguments_length = got > 0 ? (size_t)got : 0;
	if (got == PROCESS_CMDLINE_MAX)
		info->flags |= PROCESS_CMDLINE_TRUNCATED;
}

/* Tells of the process. Returns whether it was still the same afterwards. */
static bool describe(const struct proc_process *processes, const struct proc_stat *stat,
	const struct process_ref *parent)
{
	uint32_t pid = stat->ref.pid;
	struct proc_stat after;
	struct texts texts;
	struct process_info info = {
		.ref = stat->ref,
		.parent = *parent,
		.loginuid = read_loginuid(processes, pid),
		.netns = read_netns(processes, pid),
		.flags = PROCESS_POLLED | (stat->kernel_thread ? PROCESS_KERNEL_THREAD : 0),
		.comm = texts.comm,
		.exe = texts.exe,
		.cmdline = "",
		.cgroup = texts.cgroup,
	};

	read_status(processes, pid, &info);
	utf8_sanitize(texts.comm, sizeof(texts.comm), stat->comm, strlen(stat->comm));
	info.flags |= read_exe(processes, pid, texts.exe, sizeof(texts.exe));
	read_arguments(processes, stat, texts.arguments, &info);
	read_cgroup(processes, pid, texts.cgroup, sizeof(texts.cgroup));
	if (proc_read_stat(processes->proc, pid, &after) < 0 ||
		!process_ref_equal(&after.ref, &stat->ref))
		return false;
	processes->sink.process(processes->sink.ctx, &info);
	return true;
}

/* The process's parent as it is now; unknown if it changes meanwhile. */
static bool read_parent(const struct proc_process *processes, const struct proc_stat *stat,
	struct proc_stat *ret_parent)
{
	struct proc_stat after;

	return stat->parent_pid > 0 &&
	       proc_read_stat(processes->proc, stat->parent_pid, ret_parent) == 0 &&
	       proc_read_stat(processes->proc, stat->ref.pid, &after) == 0 &&
	       after.parent_pid == stat->parent_pid &&
	       ret_parent->ref.start_ns <= stat->ref.start_ns;
}

bool proc_process_tell(struct proc_process *processes, const struct process_ref *ref)
{
	struct proc_stat stat, parent;

	if (proc_process_is_known(processes, ref))
		return true;
	if (proc_read_stat(processes->proc, ref->pid, &stat) < 0 ||
		!process_ref_equal(&stat.ref, ref))
		return false;
	for (int i = 0; i < PROCESS_ANCESTORS_MAX; i++) {
		bool has_parent = read_parent(processes, &stat, &parent);
		struct process_ref above = {0};

		if (has_parent)
			above = parent.ref;
		if (!describe(processes, &stat, &above))
			return i > 0;
		remember(processes, &stat.ref);
		if (!has_parent || proc_process_is_known(processes, &above))
			break;
		stat = parent;
	}
	return true;
}

size_t proc_process_reap(struct proc_process *processes)
{
	size_t kept = 0, gone;

	for (size_t i = 0; i < processes->count; i++) {
		struct process_ref ref = processes->known[i];
		struct proc_stat stat;

		if (proc_read_stat(processes->proc, ref.pid, &stat) == 0 &&
			process_ref_equal(&stat.ref, &ref))
			processes->known[kept++] = ref;
		else
			processes->sink.exit(processes->sink.ctx, &ref);
	}
	gone = processes->count - kept;
	processes->count = kept;
	return gone;
}

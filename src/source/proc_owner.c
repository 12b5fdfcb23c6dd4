/* Two rounds. The first looks at the families of whoever may have made the sockets: processes that
 * had some before, processes younger than the sockets, and the parents of these: a descriptor is
 * inherited by fork from a process that is older than it to one that is younger, so that everybody
 * who shares a socket with a member is a member. If that leaves a socket without owner, the second
 * round looks at all the others. (Descriptors that were passed over AF_UNIX break the rule; then
 * one of the two holders may go unnoticed.)
 *
 * Nothing is decided before a round is over: the holder that counts may be the last one. A slice
 * may end between any two descriptors, for a process may have a million of them. */
#include "source/proc_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/proc_list.h"
#include "source/proc_read.h"
#include "util/clock.h"

enum {
	HOLDERS_MAX = 16, /* of one socket; of more the oldest count */
	GENERATIONS_MAX = 32,
};

struct holders {
	const struct proc_stat *at[HOLDERS_MAX];
	size_t count;
	const struct proc_stat *read; /* whose descriptors showed it last */
};

/* A look. */
struct proc_owner {
	const char *proc;
	struct proc_owner_want *wants; /* NULL: no look is under way */
	struct holders *holders;       /* of each want */
	size_t want_count, distinct;   /* inodes among them */
	size_t found;
	struct proc_list list;
	bool *families; /* of each process of the list */
	int round;
	size_t next;    /* of the list */
	DIR *directory; /* of the next one's descriptors, once they are being read */
	size_t *mine;   /* the wants among them */
	size_t mine_count;
};

int proc_owner_new(const char *proc, struct proc_owner **ret_owner)
{
	struct proc_owner *owner = calloc(1, sizeof(*owner));

	if (!owner)
		return -ENOMEM;
	owner->proc = proc;
	*ret_owner = owner;
	return 0;
}

static void end_look(struct proc_owner *owner)
{
	if (owner->directory)
		closedir(owner->directory);
	free(owner->holders);
	free(owner->families);
	free(owner->mine);
	proc_list_done(&owner->list);
	*owner = (struct proc_owner){.proc = owner->proc};
}

void proc_owner_free(struct proc_owner *owner)
{
	if (owner)
		end_look(owner);
	free(owner);
}

static int compare_wants(const void *left, const void *right)
{
	const struct proc_owner_want *a = left, *b = right;

	return (a->inode > b->inode) - (a->inode < b->inode);
}

static struct proc_owner_want *find_want(const struct proc_owner *look, uint32_t inode)
{
	const struct proc_owner_want key = {.inode = inode};
	struct proc_owner_want *want =
		bsearch(&key, look->wants, look->want_count, sizeof(key), compare_wants);

	while (want && want > look->wants && want[-1].inode == inode)
		want--; /* sockets of one file: the first stands for all */
	return want;
}

/* Keeps the oldest. */
static void add_holder(struct holders *holders, const struct proc_stat *process)
{
	size_t youngest = 0;

	if (holders->count < HOLDERS_MAX) {
		holders->at[holders->count++] = process;
		return;
	}
	for (size_t i = 1; i < HOLDERS_MAX; i++)
		if (holders->at[i]->ref.start_ns > holders->at[youngest]->ref.start_ns)
			youngest = i;
	if (process->ref.start_ns < holders->at[youngest]->ref.start_ns)
		holders->at[youngest] = process;
}

static void open_descriptors(struct proc_owner *look, const struct proc_stat *process)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%u/fd", look->proc, process->ref.pid);
	look->directory = opendir(path);
	look->mine_count = 0;
}

/* Notes the wants among the process's descriptors, each once. False: no time. */
static bool read_descriptors(
	struct proc_owner *look, const struct proc_stat *process, int64_t end_ns)
{
	const struct dirent *entry;
	char link[64];

	while (clock_boottime_ns() < end_ns) {
		const struct proc_owner_want *want;
		ssize_t length;

		entry = readdir(look->directory);
		if (!entry)
			return true;
		length = readlinkat(dirfd(look->directory), entry->d_name, link, sizeof(link) - 1);
		if (length < 0 || strncmp(link, "socket:[", 8) != 0)
			continue;
		link[length] = '\0';
		want = find_want(look, (uint32_t)strtoul(link + 8, NULL, 10));
		if (!want || look->holders[want - look->wants].read == process)
			continue;
		look->holders[want - look->wants].read = process;
		look->mine[look->mine_count++] = (size_t)(want - look->wants);
	}
	return false;
}

/* The process is the same before and after, or it holds nothing. */
static void note_holder(struct proc_owner *look, const struct proc_stat *process)
{
	struct proc_stat after;

	if (look->mine_count == 0 || proc_read_stat(look->proc, process->ref.pid, &after) < 0 ||
		!process_ref_equal(&process->ref, &after.ref))
		return;
	for (size_t i = 0; i < look->mine_count; i++) {
		struct holders *holders = &look->holders[look->mine[i]];

		look->found += holders->count == 0;
		add_holder(holders, process);
	}
}

/* False: no time. */
static bool look_at(struct proc_owner *look, const struct proc_stat *process, int64_t end_ns)
{
	if (clock_boottime_ns() >= end_ns)
		return false;
	if (!look->directory)
		open_descriptors(look, process);
	if (!look->directory)
		return true; /* gone, or a stranger's */
	if (!read_descriptors(look, process, end_ns))
		return false;
	closedir(look->directory);
	look->directory = NULL;
	note_holder(look, process);
	return true;
}

static bool is_likely(
	const struct process_ref *ref, const struct process_ref *likely, size_t likely_count)
{
	size_t low = 0, high = likely_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (likely[middle].pid < ref->pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < likely_count && likely[low].pid == ref->pid;
}

static void mark_families(
	struct proc_owner *look, const struct process_ref *likely, size_t likely_count)
{
	int64_t since_ns = INT64_MAX;

	for (size_t i = 0; i < look->want_count; i++)
		if (look->wants[i].since_ns < since_ns)
			since_ns = look->wants[i].since_ns;
	since_ns -= proc_tick_ns(); /* start times are cut to a tick */
	for (size_t i = 0; i < look->list.count; i++) {
		const struct proc_stat *process = &look->list.at[i], *parent;
		bool young = (int64_t)process->ref.start_ns >= since_ns;

		if (young || is_likely(&process->ref, likely, likely_count))
			look->families[i] = true;
		parent = young ? proc_list_find(&look->list, process->parent_pid) : NULL;
		if (parent)
			look->families[parent - look->list.at] = true;
	}
}

/* Goes on where the last slice ended. False: no time. */
static bool look_on(struct proc_owner *look, int64_t end_ns)
{
	for (; look->round < 2; look->round++, look->next = 0) {
		if (look->round == 1 && look->found == look->distinct)
			return true;
		for (; look->next < look->list.count; look->next++)
			if (look->families[look->next] == (look->round == 0) &&
				!look_at(look, &look->list.at[look->next], end_ns))
				return false;
	}
	return true;
}

static bool descends(const struct proc_owner *look, const struct proc_stat *process,
	const struct proc_stat *from)
{
	for (int i = 0; process && process != from && i < GENERATIONS_MAX; i++)
		process = proc_list_find(&look->list, process->parent_pid);
	return process == from;
}

/* The oldest, if the others descend from it. */
static void decide(const struct proc_owner *look, size_t index)
{
	const struct holders *holders = &look->holders[index];
	const struct proc_stat *oldest = holders->count ? holders->at[0] : NULL;

	for (size_t i = 1; i < holders->count; i++)
		if (holders->at[i]->ref.start_ns < oldest->ref.start_ns ||
			descends(look, oldest, holders->at[i]))
			oldest = holders->at[i];
	for (size_t i = 0; i < holders->count; i++)
		if (!descends(look, holders->at[i], oldest))
			return;
	if (oldest)
		look->wants[index].owner = oldest->ref;
}

int proc_owner_begin(struct proc_owner *owner, struct proc_owner_want *wants, size_t want_count,
	const struct process_ref *likely, size_t likely_count)
{
	int error;

	end_look(owner);
	error = proc_list_read(owner->proc, &owner->list);
	if (error)
		return error;
	owner->holders = calloc(want_count + 1, sizeof(*owner->holders));
	owner->mine = calloc(want_count + 1, sizeof(*owner->mine));
	owner->families = calloc(owner->list.count + 1, sizeof(bool));
	if (!owner->holders || !owner->mine || !owner->families) {
		end_look(owner);
		return -ENOMEM;
	}
	qsort(wants, want_count, sizeof(*wants), compare_wants);
	owner->wants = wants;
	owner->want_count = want_count;
	for (size_t i = 0; i < want_count; i++)
		owner->distinct += i == 0 || wants[i].inode != wants[i - 1].inode;
	mark_families(owner, likely, likely_count);
	return 0;
}

bool proc_owner_is_looking(const struct proc_owner *owner)
{
	return owner->wants;
}

bool proc_owner_look(struct proc_owner *owner, int64_t end_ns)
{
	struct proc_owner_want *wants = owner->wants;

	if (!look_on(owner, end_ns))
		return false;
	for (size_t i = 0; i < owner->want_count; i++)
		if (i > 0 && wants[i].inode == wants[i - 1].inode)
			wants[i].owner = wants[i - 1].owner;
		else
			decide(owner, i);
	end_look(owner);
	return true;
}

int proc_owner_check(const char *proc)
{
	enum { DAC_OVERRIDE = 1 << 1, DAC_READ_SEARCH = 1 << 2, SYS_PTRACE = 1 << 19 };
	char path[64], line[256];
	unsigned long long held = 0;
	FILE *status;

	snprintf(path, sizeof(path), "%s/self/status", proc);
	status = fopen(path, "re");
	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, "CapEff:", 7) == 0)
			held = strtoull(line + 7, NULL, 16);
	fclose(status);
	return held & SYS_PTRACE && held & (DAC_OVERRIDE | DAC_READ_SEARCH) ? 0 : -EPERM;
}

/* Two rounds. The first looks at the families of whoever may have made the sockets: processes that
 * had some before, processes younger than the sockets, and the parents of these: a descriptor is
 * inherited by fork from a process that is older than it to one that is younger, so that everybody
 * who shares a socket with a member is a member. If that leaves a socket without owner, the second
 * round looks at all the others, as far as its time reaches. (Descriptors that were passed over
 * AF_UNIX break the rule; then one of the two holders may go unnoticed.) */
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
	LOOK_MS = 100,
};

struct holders {
	const struct proc_stat *at[HOLDERS_MAX];
	size_t count;
};

struct proc_owner {
	const char *proc;
	uint32_t next_pid; /* where the next second round begins */
};

struct look {
	struct proc_owner *owner;
	struct proc_owner_want *wants;
	struct holders *holders;     /* of each want */
	size_t want_count, distinct; /* inodes among them */
	struct proc_list list;
	bool *families; /* of each process of the list */
	int64_t end_ns;
	size_t found;
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

void proc_owner_free(struct proc_owner *owner)
{
	free(owner);
}

static int compare_wants(const void *left, const void *right)
{
	const struct proc_owner_want *a = left, *b = right;

	return (a->inode > b->inode) - (a->inode < b->inode);
}

static struct proc_owner_want *find_want(const struct look *look, uint32_t inode)
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

/* Notes the wants among the process's descriptors in mine (a bit for each want). */
static size_t read_descriptors(const struct look *look, uint32_t pid, size_t *mine, size_t max)
{
	char path[64], link[64];
	const struct dirent *entry;
	size_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%u/fd", look->owner->proc, pid);
	directory = opendir(path);
	if (!directory)
		return 0;
	while (count < max && (entry = readdir(directory))) {
		ssize_t length =
			readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);
		const struct proc_owner_want *want;

		if (length < 0 || strncmp(link, "socket:[", 8) != 0)
			continue;
		link[length] = '\0';
		want = find_want(look, (uint32_t)strtoul(link + 8, NULL, 10));
		if (want)
			mine[count++] = (size_t)(want - look->wants);
	}
	closedir(directory);
	return count;
}

/* The process is the same before and after, or it holds nothing. */
static void look_at(struct look *look, const struct proc_stat *process)
{
	enum { MINE_MAX = 1024 };
	size_t mine[MINE_MAX], count;
	struct proc_stat after;

	count = read_descriptors(look, process->ref.pid, mine, MINE_MAX);
	if (count == 0 || proc_read_stat(look->owner->proc, process->ref.pid, &after) < 0 ||
		!process_ref_equal(&process->ref, &after.ref))
		return;
	for (size_t i = 0; i < count; i++) {
		struct holders *holders = &look->holders[mine[i]];

		/* two descriptors of one socket (dup) follow on one another's heels */
		if (holders->count > 0 && holders->at[holders->count - 1] == process)
			continue;
		look->found += holders->count == 0;
		add_holder(holders, process);
	}
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

static void mark_families(struct look *look, const struct process_ref *likely, size_t likely_count)
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

/* Looks at those that are (not) of the families, from next_pid on and around. False: no time. */
static bool look_round(struct look *look, bool families, uint32_t first_pid)
{
	size_t first = 0;

	while (first < look->list.count && look->list.at[first].ref.pid < first_pid)
		first++;
	for (size_t i = 0; i < look->list.count; i++) {
		size_t at = (first + i) % look->list.count;

		if (look->families[at] != families)
			continue;
		if (clock_boottime_ns() > look->end_ns) {
			look->owner->next_pid = look->list.at[at].ref.pid;
			return false;
		}
		look_at(look, &look->list.at[at]);
	}
	return true;
}

static bool descends(
	const struct look *look, const struct proc_stat *process, const struct proc_stat *from)
{
	for (int i = 0; process && process != from && i < GENERATIONS_MAX; i++)
		process = proc_list_find(&look->list, process->parent_pid);
	return process == from;
}

/* The oldest, if the others descend from it. */
static void decide(const struct look *look, size_t index)
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

static void look_everywhere(struct look *look)
{
	bool families, others = false;

	look->end_ns = clock_boottime_ns() + LOOK_MS * (int64_t)NS_PER_MS;
	families = look_round(look, true, 0);
	if (families && look->found < look->distinct)
		others = look_round(look, false, look->owner->next_pid);
	for (size_t i = 0; families && i < look->want_count; i++) {
		struct proc_owner_want *want = &look->wants[i];

		if (i > 0 && want->inode == want[-1].inode) {
			want->owner = want[-1].owner;
			want->sought = want[-1].sought;
			continue;
		}
		decide(look, i);
		want->sought = look->holders[i].count > 0 || others;
	}
}

int proc_owner_find(struct proc_owner *owner, struct proc_owner_want *wants, size_t want_count,
	const struct process_ref *likely, size_t likely_count)
{
	struct look look = {.owner = owner, .wants = wants, .want_count = want_count};
	int error;

	qsort(wants, want_count, sizeof(*wants), compare_wants);
	for (size_t i = 0; i < want_count; i++)
		look.distinct += i == 0 || wants[i].inode != wants[i - 1].inode;
	error = proc_list_read(owner->proc, &look.list);
	if (error)
		return error;
	look.holders = calloc(want_count + 1, sizeof(*look.holders));
	look.families = calloc(look.list.count + 1, sizeof(bool));
	if (look.holders && look.families) {
		mark_families(&look, likely, likely_count);
		look_everywhere(&look);
	} else {
		error = -ENOMEM;
	}
	free(look.holders);
	free(look.families);
	proc_list_done(&look.list);
	return error;
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

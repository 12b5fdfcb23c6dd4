/* Entries live in a hash by (pid, start, exec id) and in one of two lists, alive or dead, oldest
 * first, for eviction. Strings of an entry are one block with a count of owners, shared by forked
 * children: one allocation for each exec, none for a fork but the entry itself. */
#include "process/process_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/list.h"

struct texts {
	unsigned owners;
	size_t size;                               /* of octets */
	const char *comm, *exe, *cmdline, *cgroup; /* into octets */
	char octets[];
};

struct entry {
	struct list by_age; /* in alive or dead */
	struct entry *next; /* in its bucket */
	struct process_info info;
	struct texts *texts;
	bool stored;
};

struct process_table {
	struct entry **buckets;
	size_t bucket_mask;
	size_t max;
	struct hash_key hash_key;
	struct list alive, dead;
	struct process_table_counters counters;
};

int process_table_new(
	size_t max_processes, struct hash_key hash_key, struct process_table **ret_table)
{
	struct process_table *table = calloc(1, sizeof(*table));
	size_t buckets = hash_buckets_for(max_processes);

	if (!table)
		return -ENOMEM;
	table->buckets = calloc(buckets, sizeof(struct entry *));
	if (!table->buckets) {
		free(table);
		return -ENOMEM;
	}
	table->bucket_mask = buckets - 1;
	table->max = max_processes > 0 ? max_processes : 1;
	table->hash_key = hash_key;
	list_init(&table->alive);
	list_init(&table->dead);
	*ret_table = table;
	return 0;
}

/* By process, not by program run: the runs of one process share a bucket. */
static struct entry **bucket_of(const struct process_table *table, const struct process_ref *ref)
{
	struct {
		uint64_t start_ns, pid;
	} key = {ref->start_ns, ref->pid};

	return &table->buckets[hash_octets(&table->hash_key, &key, sizeof(key)) &
			       table->bucket_mask];
}

static struct entry *find(const struct process_table *table, const struct process_ref *ref)
{
	struct entry *entry = *bucket_of(table, ref);

	while (entry && !process_ref_equal(&entry->info.ref, ref))
		entry = entry->next;
	return entry;
}

static void texts_release(struct process_table *table, struct texts *texts)
{
	if (!texts || --texts->owners > 0)
		return;
	table->counters.text_octets -= texts->size;
	free(texts);
}

static const char *append_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	const char *start = memcpy(*at, text, size);

	*at += size;
	return start;
}

static struct texts *texts_new(struct process_table *table, const struct process_info *info)
{
	size_t size = strlen(info->comm) + strlen(info->exe) + strlen(info->cmdline) +
		      strlen(info->cgroup) + 4;
	struct texts *texts = malloc(sizeof(*texts) + size);
	char *at;

	if (!texts)
		return NULL;
	at = texts->octets;
	texts->owners = 1;
	texts->size = size;
	table->counters.text_octets += size;
	texts->comm = append_text(&at, info->comm);
	texts->exe = append_text(&at, info->exe);
	texts->cmdline = append_text(&at, info->cmdline);
	texts->cgroup = append_text(&at, info->cgroup);
	return texts;
}

static void remove_entry(struct process_table *table, struct entry *entry)
{
	struct entry **at = bucket_of(table, &entry->info.ref);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	list_remove(&entry->by_age);
	texts_release(table, entry->texts);
	free(entry);
	table->counters.count--;
}

static void evict(struct process_table *table)
{
	struct list *from = list_empty(&table->dead) ? &table->alive : &table->dead;

	if (from == &table->alive)
		table->counters.evicted++;
	remove_entry(table, list_entry(from->next, struct entry, by_age));
}

static void make_room(struct process_table *table)
{
	while (table->counters.count > 0 &&
		(table->counters.count >= table->max ||
			table->counters.text_octets > table->max * PROCESS_TABLE_TEXT_OCTETS))
		evict(table);
}

static struct entry *add_entry(struct process_table *table, const struct process_ref *ref)
{
	struct entry **bucket, *entry;

	make_room(table);
	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		table->counters.failed++;
		return NULL;
	}
	bucket = bucket_of(table, ref);
	entry->info.ref = *ref;
	entry->next = *bucket;
	*bucket = entry;
	list_append(&table->alive, &entry->by_age);
	table->counters.count++;
	table->counters.added++;
	return entry;
}

/* What a later record lacks is taken from the one before. */
static void keep_known(struct process_info *info, const struct process_info *before)
{
	if (!info->comm[0])
		info->comm = before->comm;
	if (!info->exe[0])
		info->exe = before->exe;
	if (!info->cmdline[0])
		info->cmdline = before->cmdline;
	if (!info->cgroup[0])
		info->cgroup = before->cgroup;
	if (!info->netns)
		info->netns = before->netns;
	if (!process_ref_known(&info->parent))
		info->parent = before->parent;
	if (info->uid == PROCESS_UID_NONE)
		info->uid = before->uid;
}

static void set_texts(struct process_table *table, struct entry *entry, struct texts *texts)
{
	texts_release(table, entry->texts);
	entry->texts = texts;
	entry->info.comm = texts->comm;
	entry->info.exe = texts->exe;
	entry->info.cmdline = texts->cmdline;
	entry->info.cgroup = texts->cgroup;
}

void process_table_put(struct process_table *table, const struct process_info *info)
{
	struct entry *entry = find(table, &info->ref);
	struct process_info merged = *info;
	struct texts *texts;

	if (entry && entry->texts)
		keep_known(&merged, &entry->info);
	texts = texts_new(table, &merged);
	if (texts && !entry)
		entry = add_entry(table, &info->ref);
	if (!texts || !entry) {
		table->counters.failed++;
		texts_release(table, texts);
		return;
	}
	entry->info = merged;
	set_texts(table, entry, texts);
	entry->stored = false;
}

void process_table_fork(struct process_table *table, const struct process_ref *child,
	const struct process_ref *parent)
{
	struct entry *from = find(table, parent);
	struct texts *texts;
	struct process_info info;
	struct entry *entry;

	if (!from || find(table, child))
		return;
	info = from->info;
	texts = from->texts;
	texts->owners++; /* before room is made: from may be what goes */
	entry = add_entry(table, child);
	if (!entry) {
		texts_release(table, texts);
		return;
	}
	info.ref = *child;
	info.parent = *parent;
	info.inner_pid = 0;
	entry->info = info;
	entry->texts = texts;
}

void process_table_exit(struct process_table *table, const struct process_ref *ref)
{
	for (struct entry *entry = *bucket_of(table, ref); entry; entry = entry->next) {
		if (entry->info.ref.pid != ref->pid || entry->info.ref.start_ns != ref->start_ns)
			continue;
		list_remove(&entry->by_age);
		list_append(&table->dead, &entry->by_age);
	}
}

bool process_table_find(const struct process_table *table, const struct process_ref *ref,
	struct process_info *ret_info)
{
	const struct entry *entry = find(table, ref);

	if (!entry)
		return false;
	*ret_info = entry->info;
	return true;
}

bool process_table_is_stored(const struct process_table *table, const struct process_ref *ref)
{
	const struct entry *entry = find(table, ref);

	return entry && entry->stored;
}

void process_table_set_stored(struct process_table *table, const struct process_ref *ref)
{
	struct entry *entry = find(table, ref);

	if (entry)
		entry->stored = true;
}

static void forget_list(struct list *head)
{
	struct list *node;

	list_for_each (node, head)
		list_entry(node, struct entry, by_age)->stored = false;
}

void process_table_forget_stored(struct process_table *table)
{
	forget_list(&table->alive);
	forget_list(&table->dead);
}

void process_table_counters(
	const struct process_table *table, struct process_table_counters *ret_counters)
{
	*ret_counters = table->counters;
}

void process_table_free(struct process_table *table)
{
	if (!table)
		return;
	while (!list_empty(&table->alive))
		remove_entry(table, list_entry(table->alive.next, struct entry, by_age));
	while (!list_empty(&table->dead))
		remove_entry(table, list_entry(table->dead.next, struct entry, by_age));
	free(table->buckets);
	free(table);
}

/* A hash of listeners by protocol and local port, so that the question "does somebody listen
 * there" is one look. */
#include "process/listener_table.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
	struct entry *next;
	struct flow_key key;
	bool snapshot;
	bool resumed; /* of an earlier run, and not put since */
};

struct listener_table {
	struct entry **buckets;
	size_t bucket_mask;
	size_t max;
	size_t count;
	uint64_t refused;
	struct hash_key hash_key;
};

int listener_table_new(
	size_t max_listeners, struct hash_key hash_key, struct listener_table **ret_table)
{
	struct listener_table *table = calloc(1, sizeof(*table));
	size_t buckets = hash_buckets_for(max_listeners);

	if (!table)
		return -ENOMEM;
	table->buckets = calloc(buckets, sizeof(struct entry *));
	if (!table->buckets) {
		free(table);
		return -ENOMEM;
	}
	table->bucket_mask = buckets - 1;
	table->max = max_listeners;
	table->hash_key = hash_key;
	*ret_table = table;
	return 0;
}

static struct entry **bucket_of(const struct listener_table *table, const struct flow_key *key)
{
	uint32_t where = (uint32_t)key->protocol << 16 | key->local_port;

	return &table->buckets[hash_octets(&table->hash_key, &where, sizeof(where)) &
			       table->bucket_mask];
}

static struct entry **find_socket(const struct listener_table *table, const struct flow_key *key)
{
	struct entry **at = bucket_of(table, key);

	while (*at && (*at)->key.socket_cookie != key->socket_cookie)
		at = &(*at)->next;
	return at;
}

static void remove_at(struct listener_table *table, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	free(entry);
	table->count--;
}

void listener_table_put(struct listener_table *table, const struct listener_record *record)
{
	struct entry **at = find_socket(table, &record->key), *entry;

	if (record->until_us) {
		if (*at)
			(*at)->resumed = false;
		if (*at && !(*at)->snapshot)
			remove_at(table, at);
		return;
	}
	if (*at) {
		(*at)->key = record->key;
		(*at)->resumed = false;
		return;
	}
	entry = table->count < table->max ? calloc(1, sizeof(*entry)) : NULL;
	if (!entry) {
		table->refused++;
		return;
	}
	entry->key = record->key;
	entry->snapshot = record->method == FLOW_METHOD_SNAPSHOT;
	*at = entry;
	table->count++;
}

void listener_table_resume(struct listener_table *table, const struct listener_record *record)
{
	struct entry **at;

	listener_table_put(table, record);
	at = find_socket(table, &record->key);
	if (*at)
		(*at)->resumed = true;
}

void listener_table_end_resumed(struct listener_table *table,
	void (*gone)(void *ctx, const struct flow_key *key), void *ctx)
{
	for (size_t i = 0; i <= table->bucket_mask; i++)
		for (struct entry **at = &table->buckets[i]; *at;) {
			if (!(*at)->resumed) {
				at = &(*at)->next;
				continue;
			}
			gone(ctx, &(*at)->key);
			remove_at(table, at);
		}
}

bool listener_table_accepts(const struct listener_table *table, const struct flow_key *key)
{
	for (const struct entry *entry = *bucket_of(table, key); entry; entry = entry->next) {
		if (entry->key.protocol != key->protocol ||
			entry->key.local_port != key->local_port)
			continue;
		if (entry->key.netns != key->netns)
			continue;
		if (addr_is_unspecified(&entry->key.local) ||
			addr_equal(&entry->key.local, &key->local))
			return true;
	}
	return false;
}

uint64_t listener_table_refused(const struct listener_table *table)
{
	return table->refused;
}

size_t listener_table_count(const struct listener_table *table)
{
	return table->count;
}

void listener_table_free(struct listener_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i <= table->bucket_mask; i++)
		while (table->buckets[i])
			remove_at(table, &table->buckets[i]);
	free(table->buckets);
	free(table);
}

/* Direct mapped: one probe, no lists; a collision costs a question its answer, nothing else. */
#include "decode/query_table.h"

#include <string.h>

void query_table_init(struct query_table *table, struct hash_key hash_key)
{
	memset(table, 0, sizeof(*table));
	table->hash_key = hash_key;
}

static uint64_t slot_of(const struct query_table *table, const struct query_key *key)
{
	return hash_octets(&table->hash_key, key, sizeof(*key)) % QUERY_TABLE_SLOTS;
}

void query_table_put(struct query_table *table, const struct decode_packet *query, uint16_t id,
	bool to_group, int64_t time_ns)
{
	struct query_key key = {
		.client = query->source,
		.client_port = query->source_port,
		.server_port = query->destination_port,
		.id = id,
		.tunnel = (uint8_t)query->tunnel,
		.protocol = query->protocol,
		.netns = query->netns,
	};

	if (!to_group)
		key.server = query->destination;
	table->slots[slot_of(table, &key)] = (struct query_slot){key, time_ns};
}

static bool has(const struct query_table *table, const struct query_key *key, int64_t time_ns)
{
	const struct query_slot *slot = &table->slots[slot_of(table, key)];

	return memcmp(&slot->key, key, sizeof(*key)) == 0 && time_ns >= slot->time_ns &&
	       time_ns - slot->time_ns <= QUERY_TABLE_AGE_NS;
}

bool query_table_asked(const struct query_table *table, const struct decode_packet *answer,
	uint16_t id, int64_t time_ns)
{
	struct query_key key = {
		.client = answer->destination,
		.server = answer->source,
		.client_port = answer->destination_port,
		.server_port = answer->source_port,
		.id = id,
		.tunnel = (uint8_t)answer->tunnel,
		.protocol = answer->protocol,
		.netns = answer->netns,
	};

	if (has(table, &key, time_ns))
		return true;
	memset(&key.server, 0, sizeof(key.server));
	return has(table, &key, time_ns);
}

/* Direct mapped: one probe, no lists; a collision costs a fragment its ports, nothing else. */
#include "decode/fragment_table.h"

#include <string.h>

void fragment_table_init(struct fragment_table *table, struct hash_key hash_key)
{
	memset(table, 0, sizeof(*table));
	table->hash_key = hash_key;
}

/* The protocol is left out: of IPv6's later fragments it may be that of an extension header. */
static struct fragment_slot *slot_of(
	struct fragment_table *table, const struct decode_packet *packet)
{
	uint8_t key[2 * sizeof(struct addr) + sizeof(uint32_t)];
	uint64_t hash;

	memcpy(key, &packet->source, sizeof(struct addr));
	memcpy(key + sizeof(struct addr), &packet->destination, sizeof(struct addr));
	memcpy(key + 2 * sizeof(struct addr), &packet->fragment_id, sizeof(uint32_t));
	hash = hash_octets(&table->hash_key, key, sizeof(key));
	return &table->slots[hash % FRAGMENT_TABLE_SLOTS];
}

static bool is_same(const struct fragment_slot *slot, const struct decode_packet *packet)
{
	return slot->used && slot->id == packet->fragment_id && slot->tunnel == packet->tunnel &&
	       addr_equal(&slot->source, &packet->source) &&
	       addr_equal(&slot->destination, &packet->destination);
}

bool fragment_table_pass(
	struct fragment_table *table, struct decode_packet *packet, int64_t time_ns)
{
	struct fragment_slot *slot = slot_of(table, packet);

	if (packet->fragment == DECODE_FRAGMENT_FIRST) {
		*slot = (struct fragment_slot){
			.source = packet->source,
			.destination = packet->destination,
			.id = packet->fragment_id,
			.source_port = packet->source_port,
			.destination_port = packet->destination_port,
			.protocol = packet->protocol,
			.tunnel = (uint8_t)packet->tunnel,
			.emptied = packet->emptied,
			.used = true,
			.time_ns = time_ns,
		};
		return true;
	}
	if (!is_same(slot, packet) || time_ns < slot->time_ns ||
		time_ns - slot->time_ns > FRAGMENT_TABLE_AGE_NS)
		return false;
	packet->protocol = slot->protocol;
	packet->source_port = slot->source_port;
	packet->destination_port = slot->destination_port;
	if (slot->emptied)
		packet->octets = 0;
	return true;
}

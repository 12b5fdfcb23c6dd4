/* The ports of fragmented packets, told by the first fragment for those that follow it.
 *
 * Limit: FRAGMENT_TABLE_SLOTS packets in flight; a newer one takes the slot of an older one, whose
 * later fragments then have no ports (the caller counts them, as those that came before their first
 * fragment). An entry is believed for FRAGMENT_TABLE_AGE_NS, for identifications come again. */
#ifndef LASTCONN_DECODE_FRAGMENT_TABLE_H
#define LASTCONN_DECODE_FRAGMENT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "util/hash.h"

enum { FRAGMENT_TABLE_SLOTS = 1024 };

#define FRAGMENT_TABLE_AGE_NS 30000000000 /* RFC 1122 3.3.2 asks for 60 s at most */

struct fragment_slot {
	struct addr source, destination;
	uint32_t id;
	uint16_t source_port, destination_port;
	uint8_t protocol;
	bool emptied;
	uint8_t tunnel;
	bool used;
	int64_t time_ns;
};

struct fragment_table {
	struct hash_key hash_key;
	struct fragment_slot slots[FRAGMENT_TABLE_SLOTS];
};

void fragment_table_init(struct fragment_table *table, struct hash_key hash_key);

/* Keeps a first fragment's ports; gives them to a later one. False if it has none to give. */
bool fragment_table_pass(
	struct fragment_table *table, struct decode_packet *packet, int64_t time_ns);

#endif

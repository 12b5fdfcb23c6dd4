/* The questions that clients put to name servers, so that answers count only where somebody asked:
 * who does not see the question has to guess its port and identification.
 *
 * Limit: QUERY_TABLE_SLOTS questions; a newer one takes the slot of an older one, whose answer then
 * counts as unasked. A question is remembered for QUERY_TABLE_AGE_NS, also when it was answered,
 * for packets come twice. */
#ifndef LASTCONN_DECODE_QUERY_TABLE_H
#define LASTCONN_DECODE_QUERY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "util/hash.h"

enum { QUERY_TABLE_SLOTS = 4096 };

#define QUERY_TABLE_AGE_NS 30000000000 /* resolvers give up before that */

struct query_key {
	struct addr client, server; /* server: unspecified if a group was asked */
	uint16_t client_port, server_port;
	uint16_t id;
	uint8_t tunnel;
	uint8_t protocol;
	uint32_t netns;
};

_Static_assert(sizeof(struct query_key) == 44, "no padding: hashed and compared as octets");

struct query_slot {
	struct query_key key; /* server_port is 0 in a free one */
	int64_t time_ns;
};

struct query_table {
	struct hash_key hash_key;
	struct query_slot slots[QUERY_TABLE_SLOTS];
};

void query_table_init(struct query_table *table, struct hash_key hash_key);

/* to_group: whoever of the group may answer, from an address of its own. */
void query_table_put(struct query_table *table, const struct decode_packet *query, uint16_t id,
	bool to_group, int64_t time_ns);

/* Whether the answer's receiver asked its sender, or a group. */
bool query_table_asked(const struct query_table *table, const struct decode_packet *answer,
	uint16_t id, int64_t time_ns);

#endif

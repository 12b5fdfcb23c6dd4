/* Senders of whose octets we still have to see the first ones: a slot for a direction of a TCP
 * connection or for a QUIC client. Pure.
 *
 * Limit: max slots, all memory taken at the start. At the limit the one goes that was silent for
 * longest, one that keeps no octets before one that does. So a flood of SYNs cannot push out a name
 * that is half read. Names so lost are counted in evicted, and those that their own end cut short.
 */
#ifndef LASTCONN_DECODE_STREAM_TABLE_H
#define LASTCONN_DECODE_STREAM_TABLE_H

#include "decode/decode.h"
#include "decode/dissect_quic.h"
#include "decode/reassembly.h"
#include "util/hash.h"
#include "util/list.h"

struct stream_table;

struct stream_key {
	struct addr source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
	uint8_t tunnel;
	uint8_t zero[2]; /* keeps padding defined: hashed and compared as octets */
	uint32_t netns;
};

_Static_assert(sizeof(struct stream_key) == 44, "stream_key has no padding");

enum stream_state {
	STREAM_FRESH,   /* no octets yet */
	STREAM_PARTIAL, /* too few */
	STREAM_DONE,    /* nothing more to learn from this sender */
};

struct stream {
	struct stream_key key;
	struct stream *chain;
	struct list used;
	enum stream_state state;
	uint32_t base;                   /* TCP: sequence number of the first octet */
	struct dissect_quic_secret quic; /* QUIC: opens the client's Initial packets */
	struct reassembly octets;
};

int stream_table_new(
	size_t max, struct hash_key hash_key, struct stream_table **ret_table); /* 0 or -ENOMEM */
void stream_table_free(struct stream_table *table);

/* That of the packet's sender, or NULL. Valid until the next begin or end. */
struct stream *stream_table_find(struct stream_table *table, const struct decode_packet *packet);

/* A fresh one for the packet's sender, whether it had one or not. */
struct stream *stream_table_begin(struct stream_table *table, const struct decode_packet *packet);

void stream_table_set(struct stream_table *table, struct stream *stream, enum stream_state state);
void stream_table_end(struct stream_table *table, struct stream *stream);

uint64_t stream_table_evicted(const struct stream_table *table);

#endif

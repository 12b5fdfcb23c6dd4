/* The listening sockets of this moment. Pure. Limit: max_listeners, beyond it new ones are not
 * kept (their records are still stored) and counted. */
#ifndef LASTCONN_PROCESS_LISTENER_TABLE_H
#define LASTCONN_PROCESS_LISTENER_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "process/listener.h"
#include "util/hash.h"

struct listener_table;

int listener_table_new(size_t max_listeners, struct hash_key hash_key,
	struct listener_table **ret_table); /* 0 or -ENOMEM */
void listener_table_free(struct listener_table *table);

/* Adds the listener, or removes it if until_us is set. Those of a snapshot stay: it is the flows
 * from before the start whose direction has to be asked for, and they often end after their
 * listener. */
void listener_table_put(struct listener_table *table, const struct listener_record *record);

/* Adds a listener that an earlier run left open. */
void listener_table_resume(struct listener_table *table, const struct listener_record *record);

/* Removes those of earlier runs that nobody put since: gone is called for each. */
void listener_table_end_resumed(struct listener_table *table,
	void (*gone)(void *ctx, const struct flow_key *key), void *ctx);

/* Is there a listener for this protocol and local port, on this address or on any? */
bool listener_table_accepts(const struct listener_table *table, const struct flow_key *key);

uint64_t listener_table_refused(const struct listener_table *table); /* table was full */
size_t listener_table_count(const struct listener_table *table);

#endif

/* Which names stand for which addresses, who asked for them, and what flows said of themselves: the
 * memory behind the names of flows. Pure. Fed with evidence and with the flows of name servers'
 * clients; asked for each flow before it is stored.
 *
 * Evidence about one address, of one name, source and asking process, in one tunnel and namespace,
 * is one entry, however often it is seen; what came long before it another. It is told (for the
 * store) when it is new, and again, with a count, a minute after it was seen again; who asked may
 * be known only after the answer, so new evidence waits for it up to NAME_ASKER_WAIT_US.
 *
 * Limits: max_names entries, as many exchanges (flows that said a name, questions to name servers),
 * NAME_TABLE_ADDRESS_MAX entries about one address. At a limit what was used longest ago goes,
 * after it was told; so a stranger can make names forgotten, but no more. */
#ifndef LASTCONN_PROCESS_NAME_TABLE_H
#define LASTCONN_PROCESS_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_name.h"
#include "flow/flow_record.h"
#include "process/name_record.h"
#include "util/hash.h"

struct name_table;

enum { NAME_TABLE_ADDRESS_MAX = 64 };

#define NAME_ASKER_WAIT_US INT64_C(10000000) /* two sweeps of datagram sockets */
#define NAME_REPEAT_US     INT64_C(60000000) /* until repeated evidence is told again */
#define NAME_SKEW_US       INT64_C(1000000)  /* that clocks of two sources may differ by */
#define NAME_GRACE_US      INT64_C(60000000) /* for which answers are used past their TTL */

struct name_table_options {
	size_t max_names;
	struct hash_key hash_key;
	void (*tell)(void *ctx, const struct name_record *record);
	void *ctx;
};

struct name_table_counters {
	uint64_t evidence;                 /* put */
	uint64_t added;                    /* of it new */
	uint64_t evicted;                  /* table full, or too many names for an address */
	uint64_t failed;                   /* out of memory: lost */
	uint64_t named[NAME_SOURCE_COUNT]; /* flows given a name, by source */
	size_t count;
	size_t text_octets;
};

int name_table_new(
	const struct name_table_options *options, struct name_table **ret_table); /* 0 or -ENOMEM */
void name_table_free(struct name_table *table); /* forgets what was not told; NULL is fine */

void name_table_put(struct name_table *table, const struct name_evidence *evidence);

/* A flow and its process: if it is one of a client with its name server, then that process asks the
 * questions in it. */
void name_table_client(struct name_table *table, const struct flow_record *record);

/* The name of a flow as of its start, by the rule in name_rule.c. Returns false if none is known.
 * *ret_name borrows its text until the next call. */
bool name_table_flow(
	struct name_table *table, const struct flow_record *record, struct flow_name *ret_name);

/* Tells what is due. Call about once a second; now_us: wall clock. */
void name_table_tell(struct name_table *table, int64_t now_us);

/* The wall clock was set: all times become those of the new one. */
void name_table_shift(struct name_table *table, int64_t step_us);

/* The sources are over: tells all that was not told. */
void name_table_tell_all(struct name_table *table);

void name_table_counters(const struct name_table *table, struct name_table_counters *ret_counters);

#endif

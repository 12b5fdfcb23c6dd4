/* The inside of the name table, shared by name_table.c and name_rule.c only. */
#ifndef LASTCONN_PROCESS_NAME_ENTRY_H
#define LASTCONN_PROCESS_NAME_ENTRY_H

#include "process/name_exchange.h"
#include "process/name_table.h"

/* In one hash chain by address, in by_use, and in one of the lists of what is to be told, each in
 * the order of due_us; in none of them when there is nothing to tell. */
struct name_entry {
	struct name_entry *chain; /* or the free list */
	struct list by_use;
	struct list due;
	struct addr address;
	struct flow_key key; /* of the first sighting */
	struct process_ref asker;
	struct name_text *text;
	int64_t first_us; /* of the answers of which each came before the one before was too old */
	int64_t before_us, last_us; /* the last two of them */
	int64_t untold_us;          /* the first one not told */
	int64_t due_us;
	uint64_t untold;
	uint32_t ttl_s;
	enum name_source source;
	bool settled; /* who asked is known, or will not be */
	bool ech;
	char alpn[16];
};

struct name_table {
	struct name_table_options options;
	struct name_table_counters counters;
	struct name_exchanges exchanges;
	struct name_entry *entries; /* entries[unused..] were never used */
	struct name_entry **chains;
	struct name_entry *free;
	struct list by_use;   /* oldest first */
	struct list waiting;  /* for who asked */
	struct list fresh;    /* to be told at once */
	struct list repeated; /* to be told in time */
	size_t unused;
	uint64_t mask;
	struct name_text *lent; /* to the caller of name_table_flow */
};

struct name_entry *name_entry_first(const struct name_table *table, const struct addr *address);

/* Who asked, if that is known by now: true. The entry may become one with another, and is gone
 * then.
 */
bool name_entry_settle(struct name_table *table, struct name_entry *entry);

#endif

/* The inside of the flow table, shared by flow_table.c and flow_expire.c only.
 *
 * An entry is in one hash chain, in one of the lists below, and, until it ends, in the list of
 * those that are due for a record. Every list is in the order of time, so that each step costs the
 * same however many flows there are. Clocks of sources may step back: an entry that seems to come
 * from the future is moved up to now once. */
#ifndef LASTCONN_FLOW_FLOW_ENTRY_H
#define LASTCONN_FLOW_FLOW_ENTRY_H

#include "flow/flow_table.h"
#include "flow/flow_tcp.h"
#include "util/clock.h"
#include "util/list.h"

#define FLOW_ENTRY_LINGER_NS (5 * (int64_t)NS_PER_S) /* of TCP flows that ended by FIN or RST */

enum flow_entry_list {
	FLOW_ENTRY_SOCKETS, /* end by word of their source */
	FLOW_ENTRY_PACKETS, /* end by idle timeout */
	FLOW_ENTRY_ENDED,   /* linger */
	FLOW_ENTRY_LISTS,
};

struct flow_entry {
	struct flow_entry *chain; /* hash chain, or the free list */
	struct list recent;       /* in lists[list], oldest first by seen_ns */
	struct list due;          /* in due, oldest first by checked_ns */
	uint64_t hash;
	struct flow_key key;
	struct flow_counters counters;
	struct process_ref user, opener;
	uint64_t serial;
	int64_t start_ns, last_ns; /* as observed */
	int64_t reported_ns;       /* the last record; start_ns if none */
	int64_t seen_ns;           /* order in lists[]: when it was last told of, or the end */
	int64_t checked_ns;        /* order in due */
	struct flow_tcp tcp;       /* flows of TCP packets only */
	uint8_t list;              /* enum flow_entry_list */
	uint8_t direction, method, source;
	uint8_t reported; /* enum flow_outcome: by ICMP; OPEN nothing */
	bool opened;      /* an OPEN record went out */
	bool changed;     /* since the last record */
	bool resumed;     /* of an earlier run, and not seen since */
};

struct flow_table {
	struct flow_table_options options;
	struct flow_table_counters counters;
	struct flow_entry
		*entries; /* entries[unused..] were never used: their memory is untouched */
	struct flow_entry **chains;
	struct flow_entry *free;
	struct list lists[FLOW_ENTRY_LISTS];
	struct list due;
	size_t unused;
	uint64_t mask; /* number of chains less one */
	uint64_t serial;
	int64_t wall_offset_ns;
	int64_t now_ns; /* of the last flow_table_expire() */
};

/* Time is never negative, and never taken as running backwards. */
static inline int64_t flow_entry_elapsed(int64_t now_ns, int64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static inline bool flow_entry_is_tcp(const struct flow_entry *entry)
{
	return entry->list != FLOW_ENTRY_SOCKETS && entry->key.protocol == 6;
}

/* The idle timeout of the list that the entry is in. */
int64_t flow_entry_timeout(const struct flow_table *table, const struct flow_entry *entry);

/* What became of the flow if its source says nothing more; over: end of the source. */
enum flow_outcome flow_entry_outcome(const struct flow_entry *entry, bool over);

/* Puts the entry at the end of a list as of now_ns. */
void flow_entry_move(struct flow_table *table, struct flow_entry *entry, enum flow_entry_list list,
	int64_t now_ns);

/* Puts the entry at the end of those that are due for a record. */
void flow_entry_checked(struct flow_table *table, struct flow_entry *entry, int64_t now_ns);

/* Emits OPEN or UPDATE. */
void flow_entry_report(struct flow_table *table, struct flow_entry *entry, int64_t now_ns);

/* Emits OPEN or UPDATE if the active timeout is over and something changed. */
void flow_entry_report_if_due(struct flow_table *table, struct flow_entry *entry, int64_t now_ns);

/* Emits END and frees the entry. */
void flow_entry_end(
	struct flow_table *table, struct flow_entry *entry, enum flow_outcome outcome, int error);

/* Ends and counts an entry whose timeout is over. */
void flow_entry_expire(struct flow_table *table, struct flow_entry *entry);

/* Makes room for one entry by ending the least useful one. */
void flow_entry_evict(struct flow_table *table);

#endif

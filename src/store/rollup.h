/* The roll-ups: contact_day, contact and flow_hour. Internal to store/.
 *
 * A roll-up has many pages, and a batch that is spread over them writes most of them anew. So under
 * load the sums of many batches are kept in memory and settled together, sorted by remote, each
 * page touched once; and in slices, so that no batch waits long. Nothing is lost with them: the row
 * of rollup_state says which flows the tables count; the others are in the view contact_tail, and
 * the next start counts them. A small batch is settled at once, in its own transaction. Of contact
 * that is the first contact only, unless its day is counted there: see store/retention_fold.h.
 *
 * States: idle (all is counted) -> pending -> settling, while newer flows are pending -> pending or
 * idle. Limit: ROLLUP_PENDING_MAX flows are kept back, for ROLLUP_PENDING_MS. */
#ifndef LASTCONN_STORE_ROLLUP_H
#define LASTCONN_STORE_ROLLUP_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/rollup_list.h"
#include "store/sql_rows.h"

/* Of INSERT INTO contact_day or contact_hour: what is there already is added to. */
#define ROLLUP_ADD_EXCLUDED                                                                  \
	" ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,"                         \
	" failed = failed + excluded.failed, octets_out = octets_out + excluded.octets_out," \
	" octets_in = octets_in + excluded.octets_in, first_us = min(first_us, "             \
	"excluded.first_us),"                                                                \
	" last_us = max(last_us, excluded.last_us), methods = methods | excluded.methods"

enum {
	ROLLUP_PENDING_MAX = 131072,
	ROLLUP_PENDING_MS = 10000,
	ROLLUP_SLICE = 2048, /* keys settled in one transaction, at least */
	ROLLUP_SMALL = 256,  /* flows of a batch that is settled at once */
};

/* As in the table rollup_state. */
struct rollup_state {
	int64_t settled_us, cut_us, cut_remote;
};

struct rollup {
	sqlite3_stmt *put_days, *put_contacts, *put_hour, *put_state, *get_ledger;
	struct sql_rows days, contacts; /* to put */
	struct rollup_list now;         /* settled with this batch, or the slice at hand */
	struct rollup_list pending;     /* ended after state.cut_us */
	struct rollup_list settling;    /* ended up to state.cut_us; sorted, one entry a key */
	struct rollup_list late;        /* belong to settling, but came when it was sorted */
	size_t settled;                 /* of settling */
	size_t slice_end;               /* of settling, if the slice at hand gets committed */
	struct rollup_state state, committed, slice;
	int64_t pending_since_ns; /* CLOCK_BOOTTIME */
	int64_t floor_us; /* the clock is behind: what seems to begin before is no first contact
			   * where the ledger has one; 0 none */
	int64_t hour;     /* the sums of one hour; flows come in the order of their end */
	int64_t hour_flows, hour_failed, hour_octets_out, hour_octets_in, hour_max_duration_us;
};

/* A zeroed rollup; rollup_done also after a failed init. */
int rollup_init(struct rollup *rollup, sqlite3 *db);
void rollup_done(struct rollup *rollup);

/* Begins a batch of so many flows; the latest one of all stored so far ends at latest_us. 0 or
 * -ENOMEM. */
int rollup_begin(struct rollup *rollup, size_t flows, int64_t latest_us);

/* Adds one flow; within the room of rollup_begin. May write a finished hour. */
int rollup_add(struct rollup *rollup, const struct rollup_entry *flow, int64_t duration_us);

int rollup_finish(struct rollup *rollup); /* writes what must be with the batch */
void rollup_committed(struct rollup *rollup);
void rollup_revert(struct rollup *rollup); /* to the last commit */

bool rollup_is_pending(const struct rollup *rollup);
bool rollup_is_due(const struct rollup *rollup, size_t more_flows);  /* time to begin settling */
bool rollup_is_full(const struct rollup *rollup, size_t more_flows); /* settle all of it now */
bool rollup_is_settling(const struct rollup *rollup);

/* What is pending becomes settling. Nothing if it settles already. */
void rollup_settle_begin(struct rollup *rollup, int64_t latest_us);

/* How many keys a batch of so many flows settles: so that all are before as many flows are pending
 * as may be. */
size_t rollup_slice_keys(const struct rollup *rollup, size_t flows);

/* Writes one slice, in a transaction of its own; after its commit call rollup_slice_committed. */
int rollup_settle_slice(struct rollup *rollup, size_t keys);
void rollup_slice_committed(struct rollup *rollup);

/* Counts what a killed run left pending. In a transaction. */
int rollup_recover(sqlite3 *db, int64_t floor_us);

#endif

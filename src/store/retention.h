/* What the history forgets, so that its file stays within its bounds. Internal to store/.
 *
 * A round goes through stages: single flows, of which the hours stay; once a day the ledger counts
 * its days, and what belongs to flows goes, the roll-ups and the ledger; when enough went, or to
 * make room, the dictionaries; last the free pages go back to the file system. By age every hour;
 * by size whenever the file is too large. All of it in slices of some ms, each in a transaction of
 * its own; a round that was interrupted begins anew.
 *
 * By age nothing goes before the clock has been steady for ten minutes: a wrong one would take the
 * history along. */
#ifndef LASTCONN_STORE_RETENTION_H
#define LASTCONN_STORE_RETENTION_H

#include "store/retention_aged.h"
#include "store/retention_flows.h"
#include "store/retention_fold.h"
#include "store/retention_ledger.h"
#include "store/retention_unused.h"
#include "store/rollup.h"
#include "store/store.h"

enum retention_stage {
	RETENTION_IDLE,
	RETENTION_FLOWS,
	RETENTION_FOLD,
	RETENTION_AGED,
	RETENTION_LEDGER,
	RETENTION_UNUSED,
	RETENTION_FREE,
};

struct retention {
	struct store_retention policy;
	struct retention_slice slice;
	struct dictionary *dictionary;
	const struct rollup *rollup;
	struct retention_flows flows;
	struct retention_fold fold;
	struct retention_aged aged;
	struct retention_ledger ledger;
	struct retention_unused unused;
	enum retention_stage stage;
	bool whole, sweeps;        /* this round has more stages than the first one; all of them */
	bool cuts_hours;           /* this round, for want of room */
	int64_t today;             /* the day of the last round that had more; 0 none */
	int64_t contacts;          /* rows of the ledger that it left; 0 not known yet */
	int64_t flows_seen;        /* in all the time of the history, by the ledger */
	int64_t contacts_flows;    /* of these, when contacts were counted */
	bool waits;                /* for processes to be described again */
	int64_t clock_offset_us;   /* wall clock minus CLOCK_BOOTTIME */
	int64_t steady_ns;         /* CLOCK_BOOTTIME since which that is so */
	int64_t next_ns, check_ns; /* of the next round, and of the next look at the size */
	int64_t looks, looks_seen; /* looks for what is in use; the last one that batches know of */
	int failures;              /* in a row */
	uint64_t pressed;          /* octets of the file when its disk was full; 0: it is not */
	bool tight;                /* free pages are kept: the disk has little room */
	int tries;                 /* rounds in a row after which the file was still too large */
};

/* A zeroed retention; retention_done also after a failed init. */
int retention_init(struct retention *retention, sqlite3 *db, struct dictionary *dictionary,
	const struct rollup *rollup);
void retention_done(struct retention *retention);
void retention_set(struct retention *retention, const struct store_retention *policy);
void retention_drop(struct retention *retention); /* a transaction was rolled back */

/* What ended before these goes by age. */
struct retention_horizons {
	int64_t flows_us, hours_us, days_us, contacts_us;
};

struct retention_horizons retention_horizons(const struct store_retention *policy, int64_t now_us);

/* How many of a thousand flows can stay in a file with this limit (0 none). Returns 0 or -1. */
int retention_keep(sqlite3 *db, uint64_t max_octets, int64_t *ret_keep);

/* Is there work? now_us: wall clock, now_ns: CLOCK_BOOTTIME. Returns 1, 0, or -1. */
int retention_is_due(struct retention *retention, int64_t now_us, int64_t now_ns);

/* Was the file still too large after round upon round? */
bool retention_is_stuck(const struct retention *retention);

/* The disk is full: the next round makes room within the file, unless there is some. Returns 0 or
 * -1. */
int retention_press(struct retention *retention);

/* One slice, in a transaction. After its commit tell how long it took. */
int retention_step(struct retention *retention);
void retention_took(struct retention *retention, int64_t took_ns);

#endif

/* The history file. One writer (lastconnd) and any number of readers.
 *
 * All SQLite errors are classed here; nothing below logs or exits. */
#ifndef LASTCONN_STORE_STORE_H
#define LASTCONN_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/batch.h"

struct store;

enum store_class {
	STORE_OK,
	STORE_RETRY,      /* busy or locked, or a passing I/O error: keep the batch, try again */
	STORE_FULL,       /* no space: keep the batch, try again later */
	STORE_CORRUPT,    /* damaged, or not a database */
	STORE_FOREIGN,    /* an SQLite database of something else */
	STORE_NEWER,      /* written by a newer lastconn */
	STORE_MISSING,    /* no such file (readers) */
	STORE_PERMISSION, /* not allowed, or not a regular file */
	STORE_LOCKED,     /* another lastconnd writes it; text names its pid */
	STORE_FATAL,      /* anything else, our own bugs among them */
};

struct store_error {
	enum store_class class;
	char text[512]; /* one line that names the file and the mend */
};

/* A ring buffer that goes on while no lastconnd runs. */
struct store_ring {
	uint64_t id;      /* 0: there is none */
	uint64_t dropped; /* what came before this position may be gone unread */
};

/* How this run is joined to those before it. */
struct store_before {
	bool same_ring;    /* the last run read the same ring: what it stored ends at position */
	uint64_t position; /* of the ring */
	int64_t last_us;   /* of this boot, the last sign of life of an earlier run; 0 none */
	struct clock_bounds bounds;
};

/* For how long what is kept, and how large the file may become; 0: for ever, without limit. */
struct store_retention {
	int64_t flow_age_us;    /* single flows, names, listeners */
	int64_t hour_age_us;    /* the hours of flows that are forgotten */
	int64_t day_age_us;     /* the daily roll-up, coverage, runs */
	int64_t contact_age_us; /* of the ledger, since the last contact */
	uint64_t max_octets;    /* of the file without its WAL */
	uint64_t max_contacts;  /* rows of the ledger */
	bool at_once;           /* all of it, not only when it is time */
	bool trusts_clock; /* no need for it to be steady: that of a benchmark is its traffic's */
};

/* The texts live as long as the store. */
struct store_options {
	const char *path;
	const char *boot_uuid; /* /proc/sys/kernel/random/boot_id; "" when only files are read */
	int64_t boot_start_us; /* wall clock of the boot */
	int64_t built_us;      /* see clock_step.h; 0 when only files are read */
	const char *host_name;
	const char *version; /* of lastconnd, kept with the run */
	bool synchronous_full;
	struct store_ring ring;
	struct store_retention retention;
	bool unattended; /* a damaged file is renamed, so that the next start begins a new one; room
			  * is reserved */
	bool maintenance; /* nothing is recorded: no run begins, what others left open stays so */
};

/* Opens for writing: creates (0640), takes the writer's lock, migrates, closes what runs of earlier
 * boots left open (outcome lost, at the last sighting) and begins a new run. */
int store_open(const struct store_options *options, struct store **ret_store,
	struct store_error *ret_error); /* 0 or -1 */

/* Where store_open put the damaged file that it found, whose damage ret_error then tells; NULL if
 * there was none. */
const char *store_aside(const struct store *store);

const struct store_before *store_before(const struct store *store);

/* Flows and listeners that earlier runs of this boot left open, as this run's: the caller goes on
 * with them under their serials. Before the first store_write. */
int store_resume(struct store *store, struct batch **ret_batch, struct store_error *ret_error);

/* Commits the whole batch in one transaction, or nothing of it. Thread: the writer's only. */
int store_write(struct store *store, const struct batch *batch, struct store_error *ret_error);

/* What was seen up to seen_us is stored; also checkpoints the WAL when it is time. */
int store_heartbeat(struct store *store, int64_t seen_us, struct store_error *ret_error);

void store_set_retention(struct store *store, const struct store_retention *retention);

/* Forgets what is due, as far as one transaction of some ms goes. Returns 1 if there is more to do,
 * 0 if not, -1. */
int store_maintain(struct store *store, int64_t now_us, struct store_error *ret_error);

/* After STORE_FULL: gives up the ballast and forgets the oldest, so that new rows find room within
 * the file. Call it again for as long as it returns 1, there is more to do; 0 or -1. */
int store_make_room(struct store *store, int64_t now_us, struct store_error *ret_error);

/* The run read a capture file with packets of this span. The caller has written its last batch. */
int store_set_file_span(struct store *store, int64_t from_us, int64_t until_us); /* 0 or -1 */

/* Ends the run as of the last heartbeat (its start if there was none), checkpoints, closes, frees.
 * The caller has written its last batch. NULL is fine. */
void store_close(struct store *store);

/* The file has turned out to be damaged: closes and frees, and sets the file aside if the options
 * say so. ret_error->text tells where it is then, or why it is not. Returns 0 or -1. */
int store_close_damaged(struct store *store, struct store_error *ret_error);

struct store_counters {
	uint64_t batches, flows, processes; /* committed */
	uint64_t retries;                   /* failed attempts of store_write */
	int64_t longest_batch_us;
	int64_t recovered_flows;  /* closed at the start for an earlier run */
	int64_t longest_slice_us; /* of what store_maintain forgets at once */
	int64_t looks;  /* for what is in use: who fills batches describes each process anew
			 * when it sees that this has changed, and says so (batch_set_look) */
	bool too_large; /* nothing more can be forgotten, and the file is over its limit */
};

void store_counters(const struct store *store, struct store_counters *ret_counters);

const char *store_sqlite_version(void);

#endif

/* The writer's store, shared by the files of store/ that make it up. */
#ifndef LASTCONN_STORE_STORE_INTERNAL_H
#define LASTCONN_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/checkpointer.h"
#include "store/dictionary.h"
#include "store/flow_writer.h"
#include "store/name_writer.h"
#include "store/retention.h"
#include "store/store.h"
#include "store/store_path.h"
#include "store/store_report.h"

#define STORE_APPLICATION_ID 0x4c434f4e /* "LCON" */

enum { WAL_PAGES_MAX = 24576 }; /* of 2 KB; rewriting them seldom is what saves writes */
enum { WAL_FRAMES_MAX = 3 * WAL_PAGES_MAX }; /* a larger one is not fed with what can wait */

/* What is still to be corrected after a step of the clock, see store_clock.c. */
struct clock_scope {
	int64_t values[7];
	bool any;
};

/* As of the last commit; see also dictionary.boot_start_us, rollup.floor_us and store.to_correct.
 */
struct store_clock {
	int64_t boot_start_us, floor_us;
	struct clock_scope to_correct;
	bool steps; /* since the last run the clock was set, so that its times are to be corrected
		     */
};

struct store {
	sqlite3 *db;
	bool unattended;                   /* as in the options */
	struct checkpointer *checkpointer; /* NULL: the writer does it */
	struct store_file file;
	int64_t boot;
	int64_t run;
	struct dictionary dictionary;
	struct flow_writer flows;
	struct name_writer names;
	struct retention retention;
	sqlite3_stmt *begin, *commit, *rollback, *beat, *set_position;
	sqlite3_stmt *put_listener, *close_listener, *extend_coverage, *add_coverage;
	struct store_counters counters;
	struct store_before before;
	struct store_clock clock;
	struct clock_scope to_correct;
	int64_t clock_slice;           /* flows that are corrected in one transaction */
	int64_t clock_next_ns;         /* CLOCK_BOOTTIME: not before */
	int clock_failures;            /* of the smallest slice, in a row */
	bool clock_left;               /* something is to be corrected, but not by this run */
	bool ages_held;                /* nothing goes by its age */
	struct store_retention policy; /* as it was set, with ages */
	int64_t seen_us;               /* of the last heartbeat, or the start */
	int64_t beat_us;               /* of the last heartbeat that was written */
	int64_t written_ns;            /* CLOCK_BOOTTIME of the last batch */
	int64_t begin_ns;              /* CLOCK_BOOTTIME of its opening */
	int64_t checkpoint_ns;         /* CLOCK_BOOTTIME of the last checkpoint */
	int wal_pages;                 /* as of the last commit; 0 after a checkpoint */
	int slice_pages; /* of these the slices of retention since the last checkpoint */
	int wal_frames;  /* as of the last commit: what a reader keeps from being used again */
};

/* store_report.c */
sqlite3 *store_reader_db(struct store_reader *reader);
const char *store_reader_path(const struct store_reader *reader);

/* store_rebuild.c: makes the roll-ups of a day anew, if no facts of it were forgotten; in a
 * transaction, with nothing pending in them. Returns 0 or -1. */
int store_rebuild_day(sqlite3 *db, int64_t day);

/* store_write.c */
int store_write_prepare(struct store *store); /* 0 or -1 with the error in the connection */
void store_write_finalize(struct store *store);
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);               /* drops the caches too */
int store_settle_some(struct store *store, int slices); /* of what is being settled */
int store_settle_all(struct store *store); /* the pending roll-ups, in transactions of their own */
int store_correct_some(struct store *store); /* what a step of the clock left to do, if anything */
void store_checkpoint(struct store *store);  /* what the WAL has, beside the writer */
void store_checkpoint_rest(struct store *store); /* if that is done: what came meanwhile */

/* store_recover.c, in a transaction: closes what runs of other boots left open, takes over what
 * those of this boot did, and notes since when nobody watched. */
int store_recover(struct store *store, const struct store_options *options, int64_t now_us);

/* Since when nobody watched before that run, which began at start_us. In a transaction. */
int store_note_down(struct store *store, int64_t run, int64_t start_us);

/* A row of open flows, or of flows, whose columns are those of the query in store_recover.c; all
 * but its kind and outcome. */
void store_read_row(sqlite3_stmt *stmt, struct flow_row *row);

/* The words of a kind, in four columns from this one on: direction, method, source, protocol_id. */
void store_read_kind(sqlite3_stmt *stmt, int column, struct flow_record *record);

#endif

/* What the stages of retention share: one slice of work, and the notes of what went. Internal to
 * store/.
 *
 * A stage is begun, then stepped until it says that it is done; each step belongs into a
 * transaction of its own and looks at about slice->rows rows. */
#ifndef LASTCONN_STORE_RETENTION_SLICE_H
#define LASTCONN_STORE_RETENTION_SLICE_H

#include <sqlite3.h>
#include <stdint.h>

#include "store/retention_share.h"

enum retention_step { RETENTION_FAILED = -1, RETENTION_DONE, RETENTION_MORE };

struct retention_slice {
	sqlite3 *db;
	int64_t rows;
	int64_t now_us; /* wall clock */
};

/* Ends of runs of keys that go: each is one DELETE. They come in order, up or down. */
struct retention_runs {
	int64_t (*runs)[2]; /* lowest and greatest key */
	int64_t count, capacity;
	int64_t rows;
	int extends; /* the next key that goes is next to the last one */
};

int retention_runs_begin(struct retention_runs *runs, int64_t rows); /* 0 or -ENOMEM */
void retention_runs_add(struct retention_runs *runs, int64_t key);
void retention_runs_stay(struct retention_runs *runs); /* a key that stays */
void retention_runs_done(struct retention_runs *runs); /* frees */

/* Runs "DELETE FROM ... BETWEEN ?1 AND ?2" for each of them. */
int retention_runs_delete(const struct retention_runs *runs, sqlite3 *db, const char *text);

/* Rows of "SELECT executable, count": ret_shares is the caller's to free. Returns 0 or -1. */
int retention_shares_read(
	sqlite3 *db, const char *text, struct retention_share **ret_shares, size_t *ret_count);

/* Counts rows of table what that went. Nothing that ended before since_us is kept, all that ended
 * after whole_us is; neither ever becomes less. */
int retention_note(const struct retention_slice *slice, const char *what, int64_t pruned,
	int64_t since_us, int64_t whole_us);

#endif

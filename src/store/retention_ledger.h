/* Retention of the ledger (contact): by the age of the last contact, and by its number of rows, of
 * the executables that have most. Internal to store/. */
#ifndef LASTCONN_STORE_RETENTION_LEDGER_H
#define LASTCONN_STORE_RETENTION_LEDGER_H

#include <stdbool.h>

#include "store/retention_fold.h"
#include "store/retention_slice.h"

/* Of a row of contact: its last contact was before that time, also by the days that it does not
 * count yet. */
#define RETENTION_LEDGER_OLD(time) \
	"last_us < " time " AND NOT " RETENTION_FOLD_REST(" AND t.last_us >= " time)

struct retention_ledger {
	int64_t horizon_us;  /* without a contact since then a row goes */
	int64_t max_rows;    /* 0 no limit */
	int64_t part, after; /* that is looked through, and the remote up to which it was */
	int64_t rows;        /* that stay, as far as the looks went; 0 after a cut */
	bool counts;         /* they were counted, or are to be */
	int look;
};

/* known_rows: no more are there; -1: they are to be counted. Returns 0, or -1 with the error in the
 * connection. */
int retention_ledger_begin(struct retention_ledger *ledger, sqlite3 *db, int64_t horizon_us,
	int64_t max_rows, int64_t known_rows);
enum retention_step retention_ledger_step(
	struct retention_ledger *ledger, const struct retention_slice *slice);

/* Is what it does now a fold? */
bool retention_ledger_folds(const struct retention_ledger *ledger);

#endif

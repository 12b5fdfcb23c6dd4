/* Removes rows of the dictionaries that nothing names any more: processes with their command lines,
 * names, hosts, executables. Internal to store/.
 *
 * Looks through all that names them, then through the dictionaries. What is written meanwhile goes
 * through struct dictionary, which marks what it gives out. Kinds are few and stay. */
#ifndef LASTCONN_STORE_RETENTION_UNUSED_H
#define LASTCONN_STORE_RETENTION_UNUSED_H

#include <stdbool.h>

#include "store/dictionary.h"
#include "store/retention_slice.h"

enum { UNUSED_KEYS = 6 };

struct retention_unused {
	struct dictionary *dictionary;
	struct retention_runs runs;
	size_t phase;
	int64_t cursor[UNUSED_KEYS]; /* the last row that was looked at */
	int64_t last_flow_us;        /* of those that were there when the look began */
	bool again;                  /* a process names a later one as its parent */
};

/* Returns 0, or -1 with the error in the connection. */
int retention_unused_begin(
	struct retention_unused *unused, struct dictionary *dictionary, sqlite3 *db);
void retention_unused_done(struct retention_unused *unused); /* also when it is given up */

/* may_sweep: from now on all processes are described again with what names them next, see
 * store_counters.looks; until then nothing is removed. */
enum retention_step retention_unused_step(struct retention_unused *unused,
	const struct retention_slice *slice, bool may_sweep, bool *ret_waits);

#endif

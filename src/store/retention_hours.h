/* Of single flows that go by age their sums by the hour are kept for a while, in contact_hour.
 * Internal to store/.
 *
 * It is written when they are forgotten, not when they are recorded: so it costs nothing then, and
 * no flow is counted twice. What goes for want of room leaves no hours. Each row has one of
 * contact_day, which is kept at least as long. */
#ifndef LASTCONN_STORE_RETENTION_HOURS_H
#define LASTCONN_STORE_RETENTION_HOURS_H

#include "store/retention_slice.h"
#include "store/rollup_list.h"
#include "store/sql_rows.h"

struct retention_hours {
	sqlite3_stmt *walk, *put;
	struct rollup_list list;
	struct sql_rows rows; /* to put */
};

/* Zeroed hours; retention_hours_done also after a failed init. Returns 0 or -1. */
int retention_hours_init(struct retention_hours *hours, sqlite3 *db);
void retention_hours_done(struct retention_hours *hours);

/* Adds the flows that ended after from_us, up to until_us; they are to go in the same transaction.
 * Returns 0, or -1 with the error in the connection. */
int retention_hours_add(struct retention_hours *hours, int64_t from_us, int64_t until_us);

/* For want of room: how far the oldest part of them reaches, 0 if there are none. Returns 0 or -1.
 */
int retention_hours_cut(sqlite3 *db, int64_t *ret_before_us);

#endif

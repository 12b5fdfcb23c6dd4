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

/* What retention_hours_note reads of a row of flow_contact AS t. */
#define RETENTION_HOURS_COLUMNS                                                                    \
	"t.last_us, t.first_us, t.remote, t.actor, t.protocol_id, t.port, t.direction, t.failed, " \
	"t.octets_out, t.octets_in, t.methods"

struct retention_hours {
	sqlite3_stmt *put;
	struct rollup_list list;
	struct sql_rows rows; /* to put */
};

/* Zeroed hours; retention_hours_done also after a failed init. Returns 0 or -1. */
int retention_hours_init(struct retention_hours *hours, sqlite3 *db);
void retention_hours_done(struct retention_hours *hours);

/* For each flow that goes by age, between begin and write; they are to go in the same transaction.
 * The columns are those of the row at hand from first on. 0 or -ENOMEM. */
void retention_hours_begin(struct retention_hours *hours);
int retention_hours_note(struct retention_hours *hours, sqlite3_stmt *stmt, int first);
int retention_hours_write(struct retention_hours *hours); /* 0, -ENOMEM, or -1 as above */

/* For want of room: how far the oldest part of them reaches, 0 if there are none. Returns 0 or -1.
 */
int retention_hours_cut(sqlite3 *db, int64_t *ret_before_us);

#endif

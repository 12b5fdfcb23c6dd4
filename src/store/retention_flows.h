/* Retention of single flows: those that are too old, of which hours are kept, and those for which
 * there is no room, of the executables that have most. Internal to store/. */
#ifndef LASTCONN_STORE_RETENTION_FLOWS_H
#define LASTCONN_STORE_RETENTION_FLOWS_H

#include "store/flow_count.h"
#include "store/retention_hours.h"
#include "store/retention_share.h"
#include "store/retention_slice.h"

struct retention_flows {
	struct flow_count gone;
	struct retention_hours hours;
	struct retention_runs runs;
	struct retention_share *shares; /* NULL: there is room for all */
	size_t share_count;
	int64_t excess;     /* of all executables */
	int64_t horizon_us; /* what ended before goes */
	int64_t hours_us;   /* of what ended since, hours are kept */
	int64_t cursor_us;  /* seen up to here */
};

int retention_flows_init(struct retention_flows *flows, sqlite3 *db);
void retention_flows_done(struct retention_flows *flows);

/* Flows that ended before horizon_us are to go, with hours of those that ended since hours_us, and
 * of the others all but keep_per_mille of a thousand. Returns 0, or -1 with the error in the
 * connection. */
int retention_flows_begin(struct retention_flows *flows, sqlite3 *db, int64_t horizon_us,
	int64_t hours_us, int64_t keep_per_mille);

/* Flows that ended after settled_us are left alone: the roll-ups do not count them yet. */
enum retention_step retention_flows_step(
	struct retention_flows *flows, const struct retention_slice *slice, int64_t settled_us);

#endif

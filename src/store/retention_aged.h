/* Retention by age of all that is not a single flow, nor the ledger: the roll-ups, names,
 * listeners, coverage, runs. Internal to store/. */
#ifndef LASTCONN_STORE_RETENTION_AGED_H
#define LASTCONN_STORE_RETENTION_AGED_H

#include "store/retention_slice.h"

struct retention_aged {
	int64_t flows_us; /* what ended before goes, of what belongs to single flows */
	int64_t hours_us; /* of contact_hour; the begin of an hour */
	int64_t days_us;  /* of what belongs to the daily roll-up; the begin of a day */
	int table;        /* at hand */
	int64_t cursor;   /* in it */
};

struct retention_horizons;

void retention_aged_begin(struct retention_aged *aged, const struct retention_horizons *horizons);
enum retention_step retention_aged_step(
	struct retention_aged *aged, const struct retention_slice *slice);

#endif

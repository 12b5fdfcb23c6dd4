/* The roll-ups of the flows of one transaction: contact_day, contact and flow_hour. Internal to
 * store/. Summed in memory, sorted by key, written once per key, so that each page of the tables is
 * touched once. */
#ifndef LASTCONN_STORE_ROLLUP_H
#define LASTCONN_STORE_ROLLUP_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

/* One flow, or the sum of several. */
struct rollup_entry {
	int64_t remote;
	int64_t process; /* SQL_NULL unknown */
	int64_t first_us, last_us;
	int64_t flows, failed;
	int64_t octets_out, octets_in;
	int32_t actor, executable;
	int32_t day;
	uint32_t hours, methods; /* bitmaps */
	uint16_t port;
	uint8_t protocol, direction;
};

struct rollup {
	struct rollup_entry *entries;
	size_t count, capacity;
	sqlite3_stmt *put_day, *put_contact, *put_hour;
	int64_t hour; /* the sums of one hour; flows come in the order of their end */
	int64_t hour_flows, hour_failed, hour_octets_out, hour_octets_in, hour_max_duration_us;
};

/* A zeroed rollup; rollup_done also after a failed init. */
int rollup_init(struct rollup *rollup, sqlite3 *db);
void rollup_done(struct rollup *rollup);

int rollup_reserve(struct rollup *rollup, size_t flows); /* 0 or -ENOMEM; forgets what was summed */

/* Adds one flow; within the room of rollup_reserve. May write a finished hour. */
int rollup_add(struct rollup *rollup, const struct rollup_entry *flow, int64_t duration_us);

int rollup_write(struct rollup *rollup); /* all that was added, and forgets it */

#endif

/* Sums of flows in memory, before they are added to a roll-up. Internal to store/. */
#ifndef LASTCONN_STORE_ROLLUP_LIST_H
#define LASTCONN_STORE_ROLLUP_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "store/sql_rows.h"

#define ROLLUP_COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* One flow, or the sum of several. */
struct rollup_entry {
	int64_t process; /* of the first flow; SQL_NULL unknown */
	int64_t first_us, last_us;
	int64_t octets_out, octets_in;
	int32_t remote, actor, executable;
	int32_t period; /* of the end: days since 1970, or hours */
	uint32_t flows, failed;
	uint32_t hours; /* bitmap */
	uint16_t port;
	uint8_t methods; /* bitmap */
	uint8_t protocol, direction;
};

struct rollup_list {
	struct rollup_entry *entries;
	size_t count, capacity;
	size_t committed; /* count as of the last commit */
};

/* Room for so many entries more. Returns 0 or -ENOMEM. */
int rollup_list_reserve(struct rollup_list *list, size_t more);
void rollup_list_done(struct rollup_list *list);

/* By protocol, port and direction, the end of the keys of all roll-ups. */
int rollup_compare_service(const struct rollup_entry *a, const struct rollup_entry *b);

/* Sorts by compare, and leaves one entry, the sum, of those that it finds equal. */
void rollup_list_sum(struct rollup_list *list, int (*compare)(const void *, const void *));

/* Runs the statement, which reads rows, with what add makes of each entry. Returns 0, -ENOMEM, or
 * -1 with the error in the connection. */
int rollup_list_write(const struct rollup_list *list, struct sql_rows *rows, sqlite3_stmt *stmt,
	void (*add)(struct sql_rows *rows, const struct rollup_entry *entry));

#endif

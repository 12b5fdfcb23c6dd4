/* Proves that the derived tables (contact_day, flow_hour, executable_flows) are what the facts say
 * (flow, contact_hour), and makes anew what is not. Day by day: memory is that of one day.
 *
 * Days of which facts were forgotten cannot be made anew; they are left alone. */
#ifndef LASTCONN_STORE_STORE_REBUILD_H
#define LASTCONN_STORE_STORE_REBUILD_H

#include "store/store.h"
#include "store/store_report.h"

struct store_rebuild {
	const char *table;
	int64_t from_us;   /* begin of the first day that can be made anew; 0 all can */
	int64_t rows;      /* that the facts give */
	int64_t different; /* rows that were missing, too much, or other ones */
};

enum { STORE_REBUILD_TABLES = 3 };

/* Compares, as of one moment. Returns 0 or -1. */
int store_rebuild_compare(struct store_reader *reader,
	struct store_rebuild ret_tables[static STORE_REBUILD_TABLES],
	struct store_error *ret_error);

/* Compares, and writes what is different, a transaction a day. Of a store that is opened for
 * maintenance. Returns 0 or -1. */
int store_rebuild(struct store *store, struct store_rebuild ret_tables[static STORE_REBUILD_TABLES],
	struct store_error *ret_error);

#endif

/* The SQL function sums(): what GROUP BY, count(DISTINCT) and LIMIT do, in one pass through a hash
 * table, for about a quarter of what SQLite's sorter costs over a day of contacts. Internal to
 * store/.
 *
 *   sums(limit, key, apart, remote, address, flows, failed, open, octets_out, octets_in, first_us,
 *       last_us)
 *
 * is an aggregate. Rows with the same key are summed up, and if apart is true, only those of the
 * same address. Gives a JSON array of
 *
 *   [key, remote, flows, failed, open, octets_out, octets_in, hosts, first_us, last_us]
 *
 * those with most octets first, then with most flows, as many as limit says, all if it is negative.
 * key is an integer or NULL; remote that of the first row; hosts how many different addresses there
 * are. Keys and addresses are told apart by 64 bits of a keyed hash: of a million hosts two are
 * taken for one with a probability of 3e-8. */
#ifndef LASTCONN_STORE_SQL_SUMS_H
#define LASTCONN_STORE_SQL_SUMS_H

#include <sqlite3.h>

int sql_sums_init(sqlite3 *db); /* 0, or -1 with the error in the connection */

#endif

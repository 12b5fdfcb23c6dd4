/* The SQL function sums(): what GROUP BY, count(DISTINCT) and LIMIT do, in one pass through a hash
 * table, for about a quarter of what SQLite's sorter costs over a day of contacts. Internal to
 * store/.
 *
 *   sums(limit, group_of, key, apart, remote, address, flows, failed, open, octets_out, octets_in,
 *       first_us, last_us)
 *
 * is an aggregate; limit, group_of and apart are those of the first row. group_of is SQL: a SELECT
 * that gives the group of the key ?1 as its only column, and is asked once for each, without sums()
 * in it; NULL: the key is the group. Rows of the same group are summed up; those whose key has
 * none, for there is no row, are left out. If apart is true group_of is not asked, and rows of the
 * same key and address are summed up. Gives a JSON array of
 *
 *   [group, remote, flows, failed, open, octets_out, octets_in, hosts, first_us, last_us]
 *
 * those with most octets first, then with most flows, as many as limit says, all if it is negative.
 * remote is that of the first row, hosts how many different addresses there are. Groups and
 * addresses are told apart by 64 bits of a keyed hash: of a million hosts two are taken for one
 * with a probability of 3e-8. */
#ifndef LASTCONN_STORE_SQL_SUMS_H
#define LASTCONN_STORE_SQL_SUMS_H

#include <sqlite3.h>

int sql_sums_init(sqlite3 *db); /* 0, or -1 with the error in the connection */

#endif

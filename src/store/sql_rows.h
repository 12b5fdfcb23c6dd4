/* Rows in memory that SQL reads as a table: one statement writes thousands of them, for about half
 * of what as many statements cost. Internal to store/.
 *
 * Only of integers; SQL_NULL is NULL. An eponymous virtual table, see sqlite.org/vtab.html. */
#ifndef LASTCONN_STORE_SQL_ROWS_H
#define LASTCONN_STORE_SQL_ROWS_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct sql_rows {
	int64_t *values; /* row after row */
	size_t count;    /* of rows */
	size_t columns, capacity;
	const char *declaration;
};

/* Makes zeroed rows a table of the connection, as "CREATE TABLE table (column, ...)" declares it;
 * both texts stay the caller's. Rows must not move while the connection is open. Returns 0, or -1
 * with the error in the connection. */
int sql_rows_init(struct sql_rows *rows, sqlite3 *db, const char *table, const char *declaration);

/* When no statement reads them any more; also after a failed init. */
void sql_rows_done(struct sql_rows *rows);

/* Room for so many rows more. Returns 0 or -ENOMEM. */
int sql_rows_reserve(struct sql_rows *rows, size_t more);

/* One row more, for which there must be room, with a value for each column. */
void sql_rows_add(struct sql_rows *rows, const int64_t *values, size_t count);

/* Runs a statement that reads the rows, if there are any, and empties them. Returns 0 or -1. */
int sql_rows_run(struct sql_rows *rows, sqlite3_stmt *stmt);

#endif

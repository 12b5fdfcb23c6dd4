/* Thin helpers over sqlite3, and the one place where its errors are classed. Internal to store/.
 *
 * What fails returns -1; the reason stays in the connection until its next call, from where
 * sql_describe takes it. */
#ifndef LASTCONN_STORE_SQL_H
#define LASTCONN_STORE_SQL_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define SQL_NULL INT64_MIN /* an integer that stands for NULL in sql_bind_integers */

enum { SQL_TEXT_ISO = 32 };

enum store_class sql_class(int code); /* of an extended result code */

/* Fills *ret_error from the connection: "<path>: <doing>: <reason>; <mend>". Returns -1. */
int sql_describe(sqlite3 *db, const char *path, const char *doing, struct store_error *ret_error);

/* Fills *ret_error by hand, text after "<path>: ". Returns -1. */
int sql_fail(struct store_error *ret_error, enum store_class class, const char *path,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

int sql_exec(sqlite3 *db, const char *text);
int sql_integer(sqlite3 *db, const char *text, int64_t *ret_value); /* first column, first row */

/* For statements that are run once: with parameters 1..count, to the end; or to the first row, of
 * which columns go to ret_row: 1, or 0 if there is none. */
int sql_run_text(sqlite3 *db, const char *text, const int64_t *values, size_t count);
int sql_row_text(sqlite3 *db, const char *text, const int64_t *values, size_t count,
	int64_t *ret_row, size_t columns);

/* For statements that are kept. */
int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_stmt);

/* Parameters first..first+count-1. */
void sql_bind_integers(sqlite3_stmt *stmt, int first, const int64_t *values, size_t count);
void sql_bind_text(
	sqlite3_stmt *stmt, int parameter, const char *text); /* borrowed; NULL is NULL */
void sql_bind_blob(sqlite3_stmt *stmt, int parameter, const void *octets, size_t length);

/* Runs to the end and resets. */
int sql_run(sqlite3_stmt *stmt);

/* One row: 1 with its first count columns in ret_values, 0 if there is none; resets. */
int sql_row(sqlite3_stmt *stmt, int64_t *ret_values, size_t count);

#endif

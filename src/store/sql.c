/* Wrappers that make a statement one line at the place of use. No logging, no policy but the
 * classes of errors. */
#include "store/sql.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum store_class sql_class(int code)
{
	if (code == SQLITE_IOERR_NOMEM)
		return STORE_RETRY;
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_IOERR:
	case SQLITE_NOMEM:
	case SQLITE_PROTOCOL:
	case SQLITE_INTERRUPT:
		return STORE_RETRY;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_CORRUPT;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return STORE_PERMISSION;
	default:
		return STORE_FATAL;
	}
}

static const char *class_mend(enum store_class class)
{
	switch (class) {
	case STORE_RETRY:
		return "will work when the other program is done or the disk recovers";
	case STORE_FULL:
		return "make room on its file system";
	case STORE_CORRUPT:
		return "what is left of it can be read with sqlite3's .recover";
	case STORE_PERMISSION:
		return "check the owner and mode of the file and its directory";
	case STORE_OK:
	case STORE_FOREIGN:
	case STORE_NEWER:
	case STORE_MISSING:
	case STORE_LOCKED:
	case STORE_FATAL:
		break;
	}
	return "please report this";
}

/* SQLITE_FULL is for what write(2) says of the file and its WAL only. */
static bool is_for_want_of_room(sqlite3 *db, int code)
{
	int error = sqlite3_system_errno(db);

	return ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) &&
	       (error == ENOSPC || error == EDQUOT);
}

int sql_describe(sqlite3 *db, const char *path, const char *doing, struct store_error *ret_error)
{
	int code = sqlite3_extended_errcode(db);
	const char *reason = sqlite3_errmsg(db);

	ret_error->class = sql_class(code);
	if (is_for_want_of_room(db, code))
		ret_error->class = STORE_FULL;
	if (ret_error->class == STORE_OK) {
		ret_error->class = STORE_RETRY;
		reason = "out of memory";
	}
	snprintf(ret_error->text, sizeof(ret_error->text), "%.300s: %s: %.100s (%d); %s", path,
		doing, reason, code, class_mend(ret_error->class));
	return -1;
}

int sql_fail(struct store_error *ret_error, enum store_class class, const char *path,
	const char *format, ...)
{
	va_list args;
	int length;

	ret_error->class = class;
	length = snprintf(ret_error->text, sizeof(ret_error->text), "%.300s: ", path);
	va_start(args, format);
	vsnprintf(ret_error->text + length, sizeof(ret_error->text) - (size_t)length, format, args);
	va_end(args);
	return -1;
}

int sql_exec(sqlite3 *db, const char *text)
{
	return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

int sql_integer(sqlite3 *db, const char *text, int64_t *ret_value)
{
	sqlite3_stmt *stmt;
	int64_t value = 0;
	int found;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	found = sql_row(stmt, &value, 1);
	if (sqlite3_finalize(stmt) != SQLITE_OK || found < 0)
		return -1;
	*ret_value = value;
	return 0;
}

int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret_stmt)
{
	int code = sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);

	return code == SQLITE_OK ? 0 : -1;
}

/* Binding fails for a wrong index (our own bug) or for memory, which the step then reports. */
void sql_bind_integers(sqlite3_stmt *stmt, int first, const int64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int code = values[i] == SQL_NULL
				   ? sqlite3_bind_null(stmt, first + (int)i)
				   : sqlite3_bind_int64(stmt, first + (int)i, values[i]);

		assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
		(void)code;
	}
}

void sql_bind_text(sqlite3_stmt *stmt, int parameter, const char *text)
{
	int code = sqlite3_bind_text(stmt, parameter, text, -1, SQLITE_STATIC);

	assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
	(void)code;
}

void sql_bind_blob(sqlite3_stmt *stmt, int parameter, const void *octets, size_t length)
{
	int code = sqlite3_bind_blob(stmt, parameter, octets, (int)length, SQLITE_STATIC);

	assert(code != SQLITE_RANGE && code != SQLITE_MISUSE);
	(void)code;
}

int sql_run(sqlite3_stmt *stmt)
{
	int code;

	do
		code = sqlite3_step(stmt);
	while (code == SQLITE_ROW);
	return sqlite3_reset(stmt) == SQLITE_OK && code == SQLITE_DONE ? 0 : -1;
}

int sql_row(sqlite3_stmt *stmt, int64_t *ret_values, size_t count)
{
	int code = sqlite3_step(stmt);

	if (code == SQLITE_ROW)
		for (size_t i = 0; i < count; i++)
			ret_values[i] = sqlite3_column_type(stmt, (int)i) == SQLITE_NULL
						? SQL_NULL
						: sqlite3_column_int64(stmt, (int)i);
	if (sqlite3_reset(stmt) != SQLITE_OK)
		return -1;
	return code == SQLITE_ROW;
}

int sql_run_text(sqlite3 *db, const char *text, const int64_t *values, size_t count)
{
	sqlite3_stmt *stmt;
	int status;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	sql_bind_integers(stmt, 1, values, count);
	status = sql_run(stmt);
	sqlite3_finalize(stmt);
	return status;
}

int sql_row_text(sqlite3 *db, const char *text, const int64_t *values, size_t count,
	int64_t *ret_row, size_t columns)
{
	sqlite3_stmt *stmt;
	int found;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	sql_bind_integers(stmt, 1, values, count);
	found = sql_row(stmt, ret_row, columns);
	sqlite3_finalize(stmt);
	return found;
}

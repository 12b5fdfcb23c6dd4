/* What a statement costs for each run, to bind, to open and to close its cursors, is what is saved:
 * the cursors stay where they are from row to row, which suits sorted ones. */
#include "store/sql_rows.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/sql.h"

struct rows_table {
	sqlite3_vtab base;
	const struct sql_rows *rows;
};

struct rows_cursor {
	sqlite3_vtab_cursor base;
	size_t row;
};

static const struct sql_rows *rows_of(const sqlite3_vtab_cursor *cursor)
{
	return ((const struct rows_table *)cursor->pVtab)->rows;
}

static int rows_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
	sqlite3_vtab **ret_table, char **ret_error)
{
	const struct sql_rows *rows = context;
	struct rows_table *table;
	int code = sqlite3_declare_vtab(db, rows->declaration);

	(void)argc;
	(void)argv;
	(void)ret_error;
	if (code != SQLITE_OK)
		return code;
	table = sqlite3_malloc(sizeof(*table));
	if (!table)
		return SQLITE_NOMEM;
	*table = (struct rows_table){.rows = rows};
	*ret_table = &table->base;
	return SQLITE_OK;
}

static int rows_disconnect(sqlite3_vtab *table)
{
	sqlite3_free(table);
	return SQLITE_OK;
}

static int rows_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedRows = 1000;
	info->estimatedCost = 1000;
	return SQLITE_OK;
}

static int rows_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
	struct rows_cursor *cursor = sqlite3_malloc(sizeof(*cursor));

	(void)table;
	if (!cursor)
		return SQLITE_NOMEM;
	*cursor = (struct rows_cursor){0};
	*ret_cursor = &cursor->base;
	return SQLITE_OK;
}

static int rows_close(sqlite3_vtab_cursor *cursor)
{
	sqlite3_free(cursor);
	return SQLITE_OK;
}

static int rows_filter(sqlite3_vtab_cursor *cursor, int index, const char *index_text, int argc,
	sqlite3_value **argv)
{
	(void)index;
	(void)index_text;
	(void)argc;
	(void)argv;
	((struct rows_cursor *)cursor)->row = 0;
	return SQLITE_OK;
}

static int rows_next(sqlite3_vtab_cursor *cursor)
{
	((struct rows_cursor *)cursor)->row++;
	return SQLITE_OK;
}

static int rows_eof(sqlite3_vtab_cursor *cursor)
{
	return ((struct rows_cursor *)cursor)->row >= rows_of(cursor)->count;
}

static int rows_column(sqlite3_vtab_cursor *cursor, sqlite3_context *result, int column)
{
	const struct sql_rows *rows = rows_of(cursor);
	int64_t value =
		rows->values[((struct rows_cursor *)cursor)->row * rows->columns + (size_t)column];

	if (value == SQL_NULL)
		sqlite3_result_null(result);
	else
		sqlite3_result_int64(result, value);
	return SQLITE_OK;
}

static int rows_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_rowid)
{
	*ret_rowid = (sqlite3_int64)((struct rows_cursor *)cursor)->row;
	return SQLITE_OK;
}

static const sqlite3_module module = {
	.xConnect = rows_connect,
	.xBestIndex = rows_best_index,
	.xDisconnect = rows_disconnect,
	.xOpen = rows_open,
	.xClose = rows_close,
	.xFilter = rows_filter,
	.xNext = rows_next,
	.xEof = rows_eof,
	.xColumn = rows_column,
	.xRowid = rows_rowid,
};

int sql_rows_init(struct sql_rows *rows, sqlite3 *db, const char *table, const char *declaration)
{
	rows->declaration = declaration;
	rows->columns = 1;
	for (const char *comma = declaration; (comma = strchr(comma, ',')) != NULL; comma++)
		rows->columns++;
	return sqlite3_create_module(db, table, &module, rows) == SQLITE_OK ? 0 : -1;
}

void sql_rows_done(struct sql_rows *rows)
{
	free(rows->values);
	*rows = (struct sql_rows){0};
}

int sql_rows_reserve(struct sql_rows *rows, size_t more)
{
	size_t need = rows->count + more, capacity = rows->capacity ? rows->capacity : 64;
	int64_t *values;

	if (need <= rows->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	values = reallocarray(rows->values, capacity, rows->columns * sizeof(*values));
	if (!values)
		return -ENOMEM;
	rows->values = values;
	rows->capacity = capacity;
	return 0;
}

void sql_rows_add(struct sql_rows *rows, const int64_t *values, size_t count)
{
	assert(count == rows->columns && rows->count < rows->capacity);
	memcpy(rows->values + rows->columns * rows->count++, values, count * sizeof(*values));
}

int sql_rows_run(struct sql_rows *rows, sqlite3_stmt *stmt)
{
	int status = rows->count > 0 ? sql_run(stmt) : 0;

	rows->count = 0;
	return status;
}

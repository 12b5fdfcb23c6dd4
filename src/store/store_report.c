/* The reader. Three fences keep it from writing: the file is opened read-only, query_only is set,
 * and an authorizer lets only SELECT, functions and harmless pragmas pass. The last one also keeps
 * users' SQL away from ATTACH and load_extension.
 *
 * Opening: mode=ro works while lastconnd runs, and else wherever SQLite may make its -shm file. In
 * a directory that we cannot write, after lastconnd ended, only immutable=1 is left; it is used
 * only if there is no WAL with content, which it would not see.
 *
 * The file is not mapped: a report reads pages here and there, of which each would be a page fault
 * that reads some thirty pages around it. */
#include "store/store_report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "store/sql.h"
#include "store/sql_sums.h"
#include "store/store_internal.h"
#include "store/store_migrate.h"
#include "store/store_path.h"

enum {
	BUSY_TIMEOUT_MS = 5000,
	PARAMETER_SIZE = 128, /* of a name with its colon */
};

struct store_reader {
	sqlite3 *db;
	struct store_report *held; /* NULL: each report sees what is there when it begins */
	char path[PATH_MAX];
};

struct store_report {
	struct store_reader *reader;
	sqlite3_stmt *stmt;
};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; name && *names; names++)
		if (strcasecmp(name, *names) == 0)
			return true;
	return false;
}

static bool allows_pragma(const char *name, const char *value)
{
	static const char *const told[] = {"application_id", "user_version", "schema_version",
		"page_count", "page_size", "freelist_count", "journal_mode", "encoding",
		"auto_vacuum", "compile_options", "database_list", "function_list",
		"collation_list", "table_list", "data_version", NULL};
	static const char *const asked[] = {"table_info", "table_xinfo", "table_list", "index_list",
		"index_info", "index_xinfo", NULL};

	return is_one_of(name, value ? asked : told);
}

static int authorize(void *ctx, int action, const char *first, const char *second,
	const char *database, const char *trigger)
{
	static const char *const refused[] = {"load_extension", "fts3_tokenizer", NULL};

	(void)ctx;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return is_one_of(second, refused) ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_UPDATE: /* asked when json_each() declares itself; nothing can be updated */
		return first && strcmp(first, "sqlite_master") == 0 ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_PRAGMA:
		return allows_pragma(first, second) ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

/* "file:" URI with the octets that mean something in one escaped. */
static void format_uri(const char *path, const char *mode, char *uri, size_t size)
{
	size_t used = (size_t)snprintf(uri, size, "file:%s", path[0] == '/' ? "" : "./");

	for (; *path && used + 4 < size; path++)
		used += (size_t)snprintf(
			uri + used, size - used, strchr("%?#", *path) ? "%%%02x" : "%c", *path);
	snprintf(uri + used, size - used, "?%s", mode);
}

static int connect_reader(struct store_reader *reader, const char *mode)
{
	char uri[3 * PATH_MAX];
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
	int64_t objects;

	format_uri(reader->path, mode, uri, sizeof(uri));
	if (sqlite3_open_v2(uri, &reader->db, flags, NULL) != SQLITE_OK)
		return -1;
	sqlite3_extended_result_codes(reader->db, 1);
	sqlite3_busy_timeout(reader->db, BUSY_TIMEOUT_MS);
	return sql_integer(reader->db, "SELECT count(*) FROM sqlite_schema", &objects);
}

static bool has_wal(const char *path)
{
	char wal[PATH_MAX + 8];
	struct stat status;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	return stat(wal, &status) == 0 && status.st_size > 0;
}

/* On failure the connection holds the error. */
static int connect_somehow(struct store_reader *reader)
{
	int code;

	if (connect_reader(reader, "mode=ro") == 0)
		return 0;
	code = sqlite3_errcode(reader->db) & 0xff;
	if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || has_wal(reader->path))
		return -1;
	sqlite3_close(reader->db);
	reader->db = NULL;
	return connect_reader(reader, "immutable=1");
}

static int prepare_reader(struct store_reader *reader, struct store_error *ret_error)
{
	const char *settings = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
			       "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
			       "PRAGMA mmap_size = 0;";
	int version;

	if (connect_somehow(reader) < 0 && (sqlite3_errcode(reader->db) & 0xff) != SQLITE_NOTADB)
		return sql_describe(reader->db, reader->path, "opening", ret_error);
	if (store_migrate_check(reader->db, reader->path, &version, ret_error) < 0)
		return -1;
	if (version == 0)
		return sql_fail(ret_error, STORE_MISSING, reader->path,
			"holds no history yet; start lastconnd on it");
	if (version < store_migrate_newest())
		return sql_fail(ret_error, STORE_NEWER, reader->path,
			"was written by an older lastconn (schema %d, this one reads %d); start "
			"this lastconnd on it once",
			version, store_migrate_newest());
	if (sql_exec(reader->db, settings) < 0 || sql_sums_init(reader->db) < 0)
		return sql_describe(reader->db, reader->path, "opening", ret_error);
	sqlite3_db_config(reader->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_set_authorizer(reader->db, authorize, NULL);
	return 0;
}

/* What sqlite3_config() cannot do now only takes longer. */
void store_reader_setup(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int store_reader_open(
	const char *path, struct store_reader **ret_reader, struct store_error *ret_error)
{
	struct store_reader *reader;

	if (strlen(path) >= PATH_MAX - 8 || !path[0])
		return sql_fail(ret_error, STORE_PERMISSION, path, "is no file name");
	if (store_path_check(path, ret_error) < 0)
		return -1;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return sql_fail(ret_error, STORE_RETRY, path, "out of memory");
	strcpy(reader->path, path);
	if (prepare_reader(reader, ret_error) < 0) {
		store_reader_close(reader);
		return -1;
	}
	*ret_reader = reader;
	return 0;
}

void store_reader_close(struct store_reader *reader)
{
	if (!reader)
		return;
	store_report_free(reader->held);
	sqlite3_close(reader->db);
	free(reader);
}

sqlite3 *store_reader_db(struct store_reader *reader)
{
	return reader->db;
}

const char *store_reader_path(const struct store_reader *reader)
{
	return reader->path;
}

static int fail_sql(const struct store_reader *reader, struct store_error *ret_error)
{
	int code = sqlite3_extended_errcode(reader->db);

	ret_error->class = sql_class(code);
	if (ret_error->class == STORE_RETRY || ret_error->class == STORE_CORRUPT)
		return sql_describe(reader->db, reader->path, "reading", ret_error);
	if (ret_error->class == STORE_PERMISSION)
		snprintf(ret_error->text, sizeof(ret_error->text),
			"SQL: only reading is allowed here: %.200s", sqlite3_errmsg(reader->db));
	else
		snprintf(ret_error->text, sizeof(ret_error->text), "SQL: %.400s",
			sqlite3_errmsg(reader->db));
	return -1;
}

static int fail_text(struct store_error *ret_error, const char *text)
{
	ret_error->class = STORE_FATAL;
	snprintf(ret_error->text, sizeof(ret_error->text), "SQL: %s", text);
	return -1;
}

/* What follows the statement may be blank, comments and semicolons only. */
static int check_tail(struct store_reader *reader, const char *tail, struct store_error *ret_error)
{
	while (*tail) {
		const char *next;
		sqlite3_stmt *stmt = NULL;
		int code = sqlite3_prepare_v2(reader->db, tail, -1, &stmt, &next);

		sqlite3_finalize(stmt);
		if (code != SQLITE_OK || stmt || next == tail)
			return fail_text(ret_error, "one statement at a time");
		tail = next;
	}
	return 0;
}

static int prepare_report(
	struct store_report *report, const char *sql, struct store_error *ret_error)
{
	const char *tail;

	if (sqlite3_prepare_v2(report->reader->db, sql, -1, &report->stmt, &tail) != SQLITE_OK)
		return fail_sql(report->reader, ret_error);
	if (!report->stmt)
		return fail_text(ret_error, "there is no statement");
	if (!sqlite3_stmt_readonly(report->stmt) || sqlite3_column_count(report->stmt) == 0)
		return fail_text(ret_error, "only reading is allowed here");
	return check_tail(report->reader, tail, ret_error);
}

int store_report_new(struct store_reader *reader, const char *sql, struct store_report **ret_report,
	struct store_error *ret_error)
{
	struct store_report *report = calloc(1, sizeof(*report));

	if (!report)
		return fail_text(ret_error, "out of memory");
	report->reader = reader;
	if (prepare_report(report, sql, ret_error) < 0) {
		store_report_free(report);
		return -1;
	}
	*ret_report = report;
	return 0;
}

void store_report_free(struct store_report *report)
{
	if (!report)
		return;
	sqlite3_finalize(report->stmt);
	free(report);
}

/* BEGIN is nothing that the authorizer passes; a statement that is not over holds as well. */
int store_reader_hold(struct store_reader *reader, struct store_error *ret_error)
{
	assert(!reader->held);
	if (store_report_new(reader, "SELECT 1 FROM sqlite_schema", &reader->held, ret_error) < 0)
		return -1;
	return store_report_step(reader->held, ret_error) < 0 ? -1 : 0;
}

const char *store_report_parameter(const struct store_report *report, size_t index)
{
	int count = sqlite3_bind_parameter_count(report->stmt);

	if (index >= (size_t)count)
		return NULL;
	return sqlite3_bind_parameter_name(report->stmt, (int)index + 1);
}

/* The index of ":name", 0 if the report has no such parameter. Starts the report anew. */
static int find_parameter(struct store_report *report, const char *name)
{
	char text[PARAMETER_SIZE];

	if ((size_t)snprintf(text, sizeof(text), ":%s", name) >= sizeof(text))
		return 0;
	sqlite3_reset(report->stmt);
	return sqlite3_bind_parameter_index(report->stmt, text);
}

bool store_report_bind_null(struct store_report *report, const char *name)
{
	int parameter = find_parameter(report, name);

	return parameter && sqlite3_bind_null(report->stmt, parameter) == SQLITE_OK;
}

bool store_report_bind_integer(struct store_report *report, const char *name, int64_t value)
{
	int parameter = find_parameter(report, name);

	return parameter && sqlite3_bind_int64(report->stmt, parameter, value) == SQLITE_OK;
}

bool store_report_bind_text(struct store_report *report, const char *name, const char *text)
{
	int parameter = find_parameter(report, name);

	return parameter &&
	       sqlite3_bind_text(report->stmt, parameter, text, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

bool store_report_bind_blob(
	struct store_report *report, const char *name, const void *octets, size_t length)
{
	int parameter = find_parameter(report, name);

	return parameter && sqlite3_bind_blob64(report->stmt, parameter, octets, length,
				    SQLITE_TRANSIENT) == SQLITE_OK;
}

int store_report_step(struct store_report *report, struct store_error *ret_error)
{
	int code = sqlite3_step(report->stmt);

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return fail_sql(report->reader, ret_error);
}

size_t store_report_columns(const struct store_report *report)
{
	return (size_t)sqlite3_column_count(report->stmt);
}

const char *store_report_column_name(const struct store_report *report, size_t column)
{
	return sqlite3_column_name(report->stmt, (int)column);
}

enum store_type store_report_type(const struct store_report *report, size_t column)
{
	switch (sqlite3_column_type(report->stmt, (int)column)) {
	case SQLITE_INTEGER:
		return STORE_INTEGER;
	case SQLITE_FLOAT:
		return STORE_REAL;
	case SQLITE_TEXT:
		return STORE_TEXT;
	case SQLITE_BLOB:
		return STORE_BLOB;
	default:
		return STORE_NULL;
	}
}

int64_t store_report_integer(const struct store_report *report, size_t column)
{
	return sqlite3_column_int64(report->stmt, (int)column);
}

double store_report_real(const struct store_report *report, size_t column)
{
	return sqlite3_column_double(report->stmt, (int)column);
}

const char *store_report_text(const struct store_report *report, size_t column, size_t *ret_length)
{
	const void *text;

	if (sqlite3_column_type(report->stmt, (int)column) == SQLITE_BLOB)
		text = sqlite3_column_blob(report->stmt, (int)column);
	else
		text = sqlite3_column_text(report->stmt, (int)column);
	*ret_length = (size_t)sqlite3_column_bytes(report->stmt, (int)column);
	return text ? text : "";
}

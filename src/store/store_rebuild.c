/* Both sides of a comparison are read by one statement each day; to compare a whole history as of
 * one moment a statement is left open, which keeps the reader's snapshot. */
#include "store/store_rebuild.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/sql.h"
#include "store/store_internal.h"

#define DAY_US "86400000000"

/* What is only in the roll-up's memory so far is not to be in contact_day. */
#define SETTLED "last_us NOT IN (SELECT last_us FROM contact_tail)"

#define OF_DAY_FLOWS "last_us >= ?1 * " DAY_US " AND last_us < (?1 + 1) * " DAY_US
#define OF_DAY_HOURS "hour >= ?1 * 24 AND hour < (?1 + 1) * 24"

/* Each row of flow_contact has one hour and one method, those of contact_hour several methods. */
#define CONTACT_DAY                                                                              \
	"SELECT day, remote, actor, protocol_id, port, direction, sum(flows), sum(failed),"      \
	" sum(octets_out), sum(octets_in), min(first_us), max(last_us), sum(DISTINCT hours),"    \
	" max(methods & 1) | max(methods & 2) | max(methods & 4) | max(methods & 8)"             \
	" | max(methods & 16) | max(methods & 32) | max(methods & 64)"                           \
	" FROM (SELECT * FROM flow_contact WHERE " OF_DAY_FLOWS " AND " SETTLED                  \
	" UNION ALL SELECT ?1, remote, actor, protocol_id, port, direction, flows, failed,"      \
	" octets_out, octets_in, first_us, last_us, 1 << (hour % 24), methods FROM contact_hour" \
	" WHERE " OF_DAY_HOURS ") GROUP BY 1, 2, 3, 4, 5, 6"

/* How far forgotten flows reached back is in flow_hour only. */
#define OF_DAY_HOURS_OF_C "c.hour >= ?1 * 24 AND c.hour < (?1 + 1) * 24"
#define FLOW_HOUR                                                                             \
	"SELECT hour, sum(flows), sum(failed), sum(octets_out), sum(octets_in), max(longest)" \
	" FROM (SELECT last_us / 3600000000 AS hour, flows, failed, octets_out, octets_in,"   \
	" last_us - first_us AS longest FROM flow_contact WHERE " OF_DAY_FLOWS                \
	" UNION ALL SELECT c.hour, c.flows, c.failed, c.octets_out, c.octets_in,"             \
	" coalesce(h.max_duration_us, c.last_us - c.first_us) FROM contact_hour AS c"         \
	" LEFT JOIN flow_hour AS h ON h.hour = c.hour WHERE " OF_DAY_HOURS_OF_C ") GROUP BY 1"

#define COMPARE(made, kept)                                                       \
	"WITH made AS MATERIALIZED (" made "), kept AS MATERIALIZED (" kept       \
	") SELECT (SELECT count(*) FROM made),"                                   \
	" (SELECT count(*) FROM (SELECT * FROM made EXCEPT SELECT * FROM kept))," \
	" (SELECT count(*) FROM (SELECT * FROM kept EXCEPT SELECT * FROM made))"

/* ?1: the day. */
static const struct {
	const char *name, *compare_text, *delete_text, *insert_text;
} tables[] = {
	{"contact_day", COMPARE(CONTACT_DAY, "SELECT * FROM contact_day WHERE day = ?1"),
		"DELETE FROM contact_day WHERE day = ?1", "INSERT INTO contact_day " CONTACT_DAY},
	/* What forgotten flows need of the old rows is read before they go. */
	{"flow_hour", COMPARE(FLOW_HOUR, "SELECT * FROM flow_hour WHERE " OF_DAY_HOURS),
		"DELETE FROM flow_hour WHERE " OF_DAY_HOURS " AND hour NOT IN (SELECT hour FROM"
		" (" FLOW_HOUR "))",
		"INSERT OR REPLACE INTO flow_hour " FLOW_HOUR},
};

enum { BY_DAY = sizeof(tables) / sizeof(tables[0]), FLOWS = BY_DAY };
_Static_assert(FLOWS + 1 == STORE_REBUILD_TABLES, "one row each");

static const char from_text[] = "SELECT coalesce(max(whole_us) / " DAY_US " + 1, 0) FROM retention"
				" WHERE what IN ('contact_hour', 'contact_day')";

static const char next_text[] =
	"SELECT min(day) FROM (SELECT min(day) AS day FROM contact_day WHERE day >= ?1"
	" UNION ALL SELECT min(end_us) / " DAY_US " FROM flow WHERE end_us >= ?1 * " DAY_US
	" UNION ALL SELECT min(hour) / 24 FROM contact_hour WHERE hour >= ?1 * 24"
	" UNION ALL SELECT min(hour) / 24 FROM flow_hour WHERE hour >= ?1 * 24)";

static const char count_text[] =
	"SELECT a.executable, count(*) FROM flow_contact AS f JOIN actor AS a ON a.id = f.actor"
	" WHERE " OF_DAY_FLOWS " GROUP BY 1";

static const char recount_text[] =
	"DELETE FROM executable_flows; INSERT INTO executable_flows SELECT a.executable, count(*)"
	" FROM flow AS f JOIN actor AS a ON a.id = f.actor GROUP BY 1";

struct rebuild {
	sqlite3 *db;
	struct store *store; /* NULL: compare only */
	struct store_rebuild *results;
	sqlite3_stmt *compares[BY_DAY], *count, *next;
	int64_t *flows;      /* by id of executable */
	int64_t executables; /* the greatest id */
};

static int prepare(struct rebuild *rebuild)
{
	if (sql_integer(rebuild->db, "SELECT coalesce(max(id), 0) FROM executable",
		    &rebuild->executables) < 0)
		return -1;
	rebuild->flows = calloc((size_t)rebuild->executables + 1, sizeof(rebuild->flows[0]));
	if (!rebuild->flows || sql_prepare(rebuild->db, count_text, &rebuild->count) < 0 ||
		sql_prepare(rebuild->db, next_text, &rebuild->next) < 0)
		return -1;
	for (int i = 0; i < BY_DAY; i++)
		if (sql_prepare(rebuild->db, tables[i].compare_text, &rebuild->compares[i]) < 0)
			return -1;
	return 0;
}

static void finish(struct rebuild *rebuild)
{
	for (int i = 0; i < BY_DAY; i++)
		sqlite3_finalize(rebuild->compares[i]);
	sqlite3_finalize(rebuild->count);
	sqlite3_finalize(rebuild->next);
	free(rebuild->flows);
}

static int make_day(sqlite3 *db, int i, int64_t day)
{
	if (sql_run_text(db, tables[i].delete_text, &day, 1) < 0)
		return -1;
	return sql_run_text(db, tables[i].insert_text, &day, 1);
}

int store_rebuild_day(sqlite3 *db, int64_t day)
{
	int64_t from_day;

	if (sql_integer(db, from_text, &from_day) < 0)
		return -1;
	for (int i = 0; i < BY_DAY && day >= from_day; i++)
		if (make_day(db, i, day) < 0)
			return -1;
	return 0;
}

/* Of the transaction at hand. */
static int end_write(struct store *store, int status)
{
	if (status == 0 && store_commit(store) == 0)
		return 0;
	store_rollback(store);
	return -1;
}

static int write_day(const struct rebuild *rebuild, int i, int64_t day)
{
	if (store_begin(rebuild->store) < 0)
		return -1;
	return end_write(rebuild->store, make_day(rebuild->db, i, day));
}

static int look_at_day(struct rebuild *rebuild, int i, int64_t day)
{
	struct store_rebuild *result = &rebuild->results[i];
	int64_t row[3];

	sql_bind_integers(rebuild->compares[i], 1, &day, 1);
	if (sql_row(rebuild->compares[i], row, 3) < 0)
		return -1;
	result->rows += row[0];
	/* A row that is another one is on both sides. */
	result->different += row[1] > row[2] ? row[1] : row[2];
	if (row[1] + row[2] == 0 || !rebuild->store)
		return 0;
	return write_day(rebuild, i, day);
}

static int count_flows(struct rebuild *rebuild, int64_t day)
{
	int code;

	sql_bind_integers(rebuild->count, 1, &day, 1);
	while ((code = sqlite3_step(rebuild->count)) == SQLITE_ROW) {
		int64_t executable = sqlite3_column_int64(rebuild->count, 0);

		if (executable >= 0 && executable <= rebuild->executables)
			rebuild->flows[executable] += sqlite3_column_int64(rebuild->count, 1);
	}
	sqlite3_reset(rebuild->count);
	return code == SQLITE_DONE ? 0 : -1;
}

/* All flows are counted, also those of days that cannot be made anew. */
static int look_at_days(struct rebuild *rebuild, int64_t from_day)
{
	int64_t day = 0;
	int found;

	for (;; day++) {
		sql_bind_integers(rebuild->next, 1, &day, 1);
		found = sql_row(rebuild->next, &day, 1);
		if (found < 0)
			return -1;
		if (found == 0 || day == SQL_NULL)
			return 0;
		if (count_flows(rebuild, day) < 0)
			return -1;
		for (int i = 0; i < BY_DAY && day >= from_day; i++)
			if (look_at_day(rebuild, i, day) < 0)
				return -1;
	}
}

static int recount(const struct rebuild *rebuild)
{
	if (store_begin(rebuild->store) < 0)
		return -1;
	return end_write(rebuild->store, sql_exec(rebuild->db, recount_text));
}

/* What the table has is taken off: what is not 0 then is different. */
static int look_at_flows(struct rebuild *rebuild)
{
	struct store_rebuild *result = &rebuild->results[FLOWS];
	sqlite3_stmt *stmt;
	int code;

	for (int64_t i = 0; i <= rebuild->executables; i++)
		result->rows += rebuild->flows[i] > 0;
	if (sql_prepare(rebuild->db, "SELECT executable, flows FROM executable_flows", &stmt) < 0)
		return -1;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t executable = sqlite3_column_int64(stmt, 0);

		if (executable >= 0 && executable <= rebuild->executables)
			rebuild->flows[executable] -= sqlite3_column_int64(stmt, 1);
		else
			result->different++;
	}
	sqlite3_finalize(stmt);
	if (code != SQLITE_DONE)
		return -1;
	for (int64_t i = 0; i <= rebuild->executables; i++)
		result->different += rebuild->flows[i] != 0;
	return result->different && rebuild->store ? recount(rebuild) : 0;
}

static int look_at_all(struct rebuild *rebuild)
{
	int64_t from_day;

	if (sql_integer(rebuild->db, from_text, &from_day) < 0)
		return -1;
	for (int i = 0; i < STORE_REBUILD_TABLES; i++)
		rebuild->results[i] = (struct store_rebuild){
			.table = i < BY_DAY ? tables[i].name : "executable_flows",
			.from_us = i < BY_DAY ? from_day * INT64_C(86400000000) : 0};
	if (prepare(rebuild) < 0 || look_at_days(rebuild, from_day) < 0)
		return -1;
	return look_at_flows(rebuild);
}

int store_rebuild_compare(struct store_reader *reader,
	struct store_rebuild ret_tables[static STORE_REBUILD_TABLES], struct store_error *ret_error)
{
	struct rebuild rebuild = {.db = store_reader_db(reader), .results = ret_tables};
	sqlite3_stmt *snapshot = NULL;
	int status = -1;

	if (sql_prepare(rebuild.db, "SELECT key FROM meta UNION ALL SELECT 1", &snapshot) == 0 &&
		sqlite3_step(snapshot) == SQLITE_ROW)
		status = look_at_all(&rebuild);
	if (status < 0)
		sql_describe(rebuild.db, store_reader_path(reader), "reading", ret_error);
	finish(&rebuild);
	sqlite3_finalize(snapshot);
	return status;
}

int store_rebuild(struct store *store, struct store_rebuild ret_tables[static STORE_REBUILD_TABLES],
	struct store_error *ret_error)
{
	struct rebuild rebuild = {.db = store->db, .store = store, .results = ret_tables};
	int status = look_at_all(&rebuild);

	if (status < 0)
		sql_describe(store->db, store->file.path, "rebuilding", ret_error);
	finish(&rebuild);
	return status;
}

/* Walks from the oldest flow on until none is to go any more. */
#include "store/retention_flows.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "store/sql.h"

enum { RUNS_TO_PACK = 8 }; /* that a slice makes so many holes */

static const char kept_text[] =
	"CREATE TEMP TABLE IF NOT EXISTS flow_kept AS SELECT * FROM flow WHERE FALSE";

static const char shares_text[] = "SELECT executable, flows FROM executable_flows WHERE flows > 0";

/* What goes by age comes first, and leaves hours. */
#define WALK(columns, table, end)                                                          \
	"SELECT " end ", a.executable" columns " FROM " table                              \
	" AS t CROSS JOIN actor AS a ON a.id = t.actor WHERE " end " > ?1 AND " end " <= " \
	"?2 ORDER BY " end " LIMIT ?3"
static const char walk_aged_text[] =
	WALK(", " RETENTION_HOURS_COLUMNS, "flow_contact", "t.last_us");
static const char walk_text[] = WALK("", "flow", "t.end_us");

enum { HOURS_COLUMN = 2 };

int retention_flows_init(struct retention_flows *flows, sqlite3 *db)
{
	if (sql_exec(db, kept_text) < 0 || retention_hours_init(&flows->hours, db) < 0)
		return -1;
	return flow_count_init(&flows->gone, db);
}

void retention_flows_done(struct retention_flows *flows)
{
	flow_count_done(&flows->gone);
	retention_hours_done(&flows->hours);
	retention_runs_done(&flows->runs);
	free(flows->shares);
}

static int share_out(struct retention_flows *flows, sqlite3 *db, int64_t keep_per_mille)
{
	int64_t sum = 0;

	if (retention_shares_read(db, shares_text, &flows->shares, &flows->share_count) < 0)
		return -1;
	for (size_t i = 0; i < flows->share_count; i++)
		sum += flows->shares[i].flows;
	flows->excess =
		retention_share_out(flows->shares, flows->share_count, sum * keep_per_mille / 1000);
	return 0;
}

int retention_flows_begin(struct retention_flows *flows, sqlite3 *db, int64_t horizon_us,
	int64_t hours_us, int64_t keep_per_mille)
{
	free(flows->shares);
	flows->shares = NULL;
	flows->share_count = 0;
	flows->excess = 0;
	flows->horizon_us = horizon_us;
	flows->hours_us = hours_us;
	flows->cursor_us = INT64_MIN + 1; /* SQL_NULL is none */
	if (keep_per_mille >= 1000)
		return 0;
	return share_out(flows, db, keep_per_mille);
}

static int has_to_go(struct retention_flows *flows, int64_t end_us, int64_t executable)
{
	struct retention_share *share =
		retention_share_find(flows->shares, flows->share_count, executable);

	if (share && share->excess > 0) {
		share->excess--;
		flows->excess--;
		return 1;
	}
	return end_us < flows->horizon_us;
}

static int note(
	struct retention_flows *flows, sqlite3_stmt *stmt, int64_t end_us, int64_t executable)
{
	retention_runs_add(&flows->runs, end_us);
	flow_count_note(&flows->gone, (int32_t)executable);
	if (end_us >= flows->horizon_us || end_us < flows->hours_us)
		return 0;
	return retention_hours_note(&flows->hours, stmt, HOURS_COLUMN);
}

/* Collects what has to go of the next rows. */
static enum retention_step collect(
	struct retention_flows *flows, sqlite3_stmt *stmt, int64_t rows, int64_t *ret_since_us)
{
	int64_t seen = 0;
	int code;

	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t end_us = sqlite3_column_int64(stmt, 0);
		int64_t executable = sqlite3_column_int64(stmt, 1);

		if (end_us >= flows->horizon_us && flows->excess == 0)
			return RETENTION_DONE;
		seen++;
		flows->cursor_us = end_us;
		if (end_us < flows->horizon_us)
			*ret_since_us = end_us + 1;
		if (!has_to_go(flows, end_us, executable))
			retention_runs_stay(&flows->runs);
		else if (note(flows, stmt, end_us, executable) < 0)
			return RETENTION_FAILED;
	}
	if (code != SQLITE_DONE)
		return RETENTION_FAILED;
	return seen == rows ? RETENTION_MORE : RETENTION_DONE;
}

/* Pages that are half empty stay so: SQLite joins them only if more than two thirds of one are
 * free. What is left between the first and the last that went is written anew, closely packed. */
static int pack(const struct retention_runs *runs, sqlite3 *db)
{
	int64_t range[2] = {runs->runs[0][0], runs->runs[runs->count - 1][1]};

	if (runs->count < RUNS_TO_PACK)
		return 0;
	if (sql_run_text(db,
		    "INSERT INTO temp.flow_kept SELECT * FROM flow WHERE end_us BETWEEN ?1 AND ?2",
		    range, 2) < 0 ||
		sql_run_text(db, "DELETE FROM flow WHERE end_us BETWEEN ?1 AND ?2", range, 2) < 0)
		return -1;
	return sql_exec(db, "INSERT INTO flow SELECT * FROM temp.flow_kept ORDER BY end_us;"
			    "DELETE FROM temp.flow_kept");
}

/* Notes of which flows that went there are no hours. */
static int note_hours(
	struct retention_flows *flows, const struct retention_slice *slice, int64_t last_us)
{
	int64_t hours_us = flows->hours_us;

	if (last_us >= flows->horizon_us)
		return retention_note(slice, "contact_hour", 0, 0, last_us);
	if (hours_us > flows->horizon_us)
		hours_us = flows->horizon_us;
	return flows->runs.runs[0][0] < hours_us
		       ? retention_note(slice, "contact_hour", 0, hours_us,
				 hours_us < last_us ? hours_us : last_us)
		       : 0;
}

static int forget(
	struct retention_flows *flows, const struct retention_slice *slice, int64_t since_us)
{
	const struct retention_runs *runs = &flows->runs;
	int64_t last_us;

	if (runs->count == 0)
		return 0;
	last_us = runs->runs[runs->count - 1][1];
	if (retention_hours_write(&flows->hours) < 0 || note_hours(flows, slice, last_us) < 0 ||
		retention_runs_delete(
			runs, slice->db, "DELETE FROM flow WHERE end_us BETWEEN ?1 AND ?2") < 0 ||
		retention_runs_delete(runs, slice->db,
			"DELETE FROM flow_nat WHERE end_us BETWEEN ?1 AND ?2") < 0 ||
		pack(runs, slice->db) < 0 || flow_count_write(&flows->gone, -1) < 0 ||
		sql_exec(slice->db, "DELETE FROM executable_flows WHERE flows <= 0") < 0)
		return -1;
	return retention_note(slice, "flow", runs->rows, since_us, last_us);
}

enum retention_step retention_flows_step(
	struct retention_flows *flows, const struct retention_slice *slice, int64_t settled_us)
{
	int64_t range[3] = {flows->cursor_us, settled_us, slice->rows}, since_us = 0;
	bool aged = flows->cursor_us < flows->horizon_us;
	enum retention_step step;
	sqlite3_stmt *stmt;

	if (retention_runs_begin(&flows->runs, slice->rows) < 0 ||
		flow_count_begin(&flows->gone, (size_t)slice->rows) < 0 ||
		sql_prepare(slice->db, aged ? walk_aged_text : walk_text, &stmt) < 0)
		return RETENTION_FAILED;
	retention_hours_begin(&flows->hours);
	sql_bind_integers(stmt, 1, range, 3);
	step = collect(flows, stmt, slice->rows, &since_us);
	sqlite3_finalize(stmt);
	if (step == RETENTION_FAILED || forget(flows, slice, since_us) < 0)
		return RETENTION_FAILED;
	return step;
}

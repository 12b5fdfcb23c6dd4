/* Table by table, in the order of the keys. Where keys do not follow time, all rows are looked at.
 */
#include "store/retention_aged.h"

#include "store/retention.h"
#include "store/sql.h"
#include "util/clock.h"

/* ?1 .. ?2: the rows of a slice, ?3: the horizon. */
struct aged_table {
	const char *name;
	const char *end_text; /* of a slice after ?1, with ?2 rows; NULL: there is no row */
	const char *delete_text;
	int of_days; /* 1: ends with the roll-up, not with flows */
};

#define BY_ID(table, condition)                              \
	table,                                               \
		"SELECT max(id) FROM (SELECT id FROM " table \
		" WHERE id > ?1 ORDER BY id LIMIT ?2)",      \
		"DELETE FROM " table " WHERE id > ?1 AND id <= ?2 AND " condition

/* A run stays as long as something names it. */
#define RUN_IS_OVER                                                               \
	"coalesce(end_us, heartbeat_us) < ?3 AND id < (SELECT min(id) FROM"       \
	" (SELECT max(id) AS id FROM run UNION ALL SELECT min(run) FROM listener" \
	" UNION ALL SELECT min(run) FROM coverage_interval"                       \
	" UNION ALL SELECT min(run) FROM open_flow))"

static const struct aged_table tables[] = {
	{BY_ID("name_evidence", "max(last_us, until_us) < ?3"), 0},
	{BY_ID("listener", "until_us < ?3"), 0},
	{BY_ID("coverage_interval", "until_us < ?3"), 1},
	{BY_ID("run", RUN_IS_OVER), 1},
};

/* Before the tables come the roll-ups: these numbers are below 0. */
enum { TABLES = sizeof(tables) / sizeof(tables[0]), HOURS = -3, DAYS, HOURS_OF_ALL };

/* A roll-up whose key begins with its period. ?1: the first period that stays. */
struct aged_rollup {
	const char *name;
	const char *end_text; /* of a slice of ?2 rows; no row: there are fewer */
	const char *delete_part_text, *delete_text;
	int64_t period_us;
};

#define ROLLUP_KEY(period) period ", remote, actor, protocol_id, port, direction"
#define BY_PERIOD(table, period)                                                   \
	table,                                                                     \
		"SELECT " ROLLUP_KEY(period) " FROM " table " WHERE " period       \
					     " < ?1 ORDER BY " ROLLUP_KEY(         \
						     period) " LIMIT 1 OFFSET ?2", \
		"DELETE FROM " table                                               \
		" WHERE (" ROLLUP_KEY(period) ") <= (?1, ?2, ?3, ?4, ?5, ?6)",     \
		"DELETE FROM " table " WHERE " period " < ?1"

static const struct aged_rollup hours = {BY_PERIOD("contact_hour", "hour"), US_PER_HOUR};
static const struct aged_rollup days = {BY_PERIOD("contact_day", "day"), US_PER_DAY};

/* Flows are sought through their hours: these stay with them. */
static const char delete_hours_text[] =
	"DELETE FROM flow_hour WHERE hour < min(?1 * 24,"
	" coalesce((SELECT min(end_us) / 3600000000 FROM flow), ?1 * 24))";

void retention_aged_begin(struct retention_aged *aged, const struct retention_horizons *horizons)
{
	*aged = (struct retention_aged){
		horizons->flows_us, horizons->hours_us, horizons->days_us, HOURS, INT64_MIN + 1};
}

static enum retention_step step_rollup(struct retention_aged *aged,
	const struct retention_slice *slice, const struct aged_rollup *rollup, int64_t before_us)
{
	int64_t range[2] = {before_us / rollup->period_us, slice->rows}, key[6];
	int found = sql_row_text(slice->db, rollup->end_text, range, 2, key, 6);
	int64_t pruned, since_us = (found > 0 ? key[0] : range[0]) * rollup->period_us;

	if (found < 0 || (found ? sql_run_text(slice->db, rollup->delete_part_text, key, 6)
				: sql_run_text(slice->db, rollup->delete_text, range, 1)) < 0)
		return RETENTION_FAILED;
	pruned = sqlite3_changes64(slice->db);
	if (pruned > 0 && retention_note(slice, rollup->name, pruned, since_us,
				  range[0] * rollup->period_us) < 0)
		return RETENTION_FAILED;
	if (!found)
		aged->table++;
	return RETENTION_MORE;
}

static enum retention_step step_hours_of_all(
	struct retention_aged *aged, const struct retention_slice *slice)
{
	int64_t day = aged->days_us / US_PER_DAY;

	aged->table = 0;
	return sql_run_text(slice->db, delete_hours_text, &day, 1) < 0 ? RETENTION_FAILED
								       : RETENTION_MORE;
}

static enum retention_step step_table(
	struct retention_aged *aged, const struct retention_slice *slice)
{
	const struct aged_table *table = &tables[aged->table];
	int64_t horizon_us = table->of_days ? aged->days_us : aged->flows_us;
	int64_t range[3] = {aged->cursor, slice->rows, horizon_us}, pruned;

	if (sql_row_text(slice->db, table->end_text, range, 2, &range[1], 1) < 0)
		return RETENTION_FAILED;
	if (range[1] == SQL_NULL) {
		aged->cursor = INT64_MIN + 1;
		aged->table++;
		return aged->table < TABLES ? RETENTION_MORE : RETENTION_DONE;
	}
	aged->cursor = range[1];
	if (sql_run_text(slice->db, table->delete_text, range, 3) < 0)
		return RETENTION_FAILED;
	pruned = sqlite3_changes64(slice->db);
	if (pruned > 0 && retention_note(slice, table->name, pruned, horizon_us, horizon_us) < 0)
		return RETENTION_FAILED;
	return RETENTION_MORE;
}

enum retention_step retention_aged_step(
	struct retention_aged *aged, const struct retention_slice *slice)
{
	switch (aged->table) {
	case HOURS:
		return step_rollup(aged, slice, &hours, aged->hours_us);
	case DAYS:
		return step_rollup(aged, slice, &days, aged->days_us);
	case HOURS_OF_ALL:
		return step_hours_of_all(aged, slice);
	default:
		return step_table(aged, slice);
	}
}

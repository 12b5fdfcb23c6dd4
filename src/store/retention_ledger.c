/* The first look removes what is too old, the second one counts the rest; both go by the time of
 * the first contact. If there are too many rows the last contacts are brought up to today
 * (store/retention_fold.h), and the next look counts by executable and day of the last contact, in
 * a temporary table: each executable with more than its share gets a time before which its rows go,
 * in one more, as if the rows of a day were spread evenly. Slices of these are of whole remotes. */
#include "store/retention_ledger.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/retention_fold.h"
#include "store/retention_share.h"
#include "store/sql.h"
#include "util/clock.h"

#define DAY_US "86400000000"

static const char tables_text[] =
	"CREATE TEMP TABLE IF NOT EXISTS ledger_day (executable INTEGER, day INTEGER,"
	" rows INTEGER, first_us INTEGER, last_us INTEGER, PRIMARY KEY (executable, day))"
	" WITHOUT ROWID;"
	"CREATE TEMP TABLE IF NOT EXISTS ledger_cut (executable INTEGER PRIMARY KEY,"
	" before_us INTEGER)";

static const char empty_text[] = "DELETE FROM temp.ledger_day; DELETE FROM temp.ledger_cut";

/* Nothing that ended after it went. */
static const char whole_text[] = "SELECT coalesce(max(before_us), 0) FROM temp.ledger_cut";

/* Slices by hour, and in the hour by remote, as contact_by_hour has them: after hour ?1 and remote
 * ?2, up to hour ?3 and remote ?4. */
#define HOUR     "first_us / 3600000000"
#define IS_AFTER HOUR " >= ?1 AND (" HOUR " > ?1 OR remote > ?2)"
#define IS_IN    IS_AFTER " AND " HOUR " <= ?3 AND (" HOUR " < ?3 OR remote <= ?4)"

/* The end of a slice that has ?4 rows, none later than hour ?3; no row: there are fewer. */
static const char end_by_hour_text[] =
	"SELECT " HOUR ", remote FROM contact WHERE " IS_AFTER " AND " HOUR " <= ?3"
	" ORDER BY " HOUR ", remote LIMIT 1 OFFSET ?4";
static const char end_by_remote_text[] =
	"SELECT ?3, remote FROM contact WHERE remote > ?2 ORDER BY remote LIMIT 1 OFFSET ?4";

/* What is old began before. */
static const char delete_old_text[] =
	"DELETE FROM contact WHERE " IS_IN " AND " RETENTION_LEDGER_OLD("?5");

static const char rows_text[] = "SELECT count(*) FROM contact WHERE " IS_IN;

static const char count_text[] =
	"INSERT INTO temp.ledger_day SELECT executable, last_us / " DAY_US ", count(*),"
	" min(last_us), max(last_us) FROM contact WHERE remote > ?2 AND remote <= ?4 GROUP BY 1, 2"
	" ON CONFLICT DO UPDATE SET rows = rows + excluded.rows,"
	" first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)";

static const char shares_text[] =
	"SELECT executable, sum(rows) FROM temp.ledger_day GROUP BY executable";

/* The time by which the executable ?1 has given ?2 rows: of the day in which it has, that part. */
static const char cut_text[] =
	"INSERT INTO temp.ledger_cut SELECT ?1, first_us + (last_us - first_us + 1)"
	" * (?2 - gone + rows) / rows FROM (SELECT *, sum(rows) OVER (ORDER BY day) AS gone"
	" FROM temp.ledger_day WHERE executable = ?1) WHERE gone >= ?2 ORDER BY day LIMIT 1";

/* Of one that was used since the days were counted, today or later, the last time is not in it. */
#define CUT_US \
	"(SELECT before_us FROM temp.ledger_cut AS c WHERE c.executable = contact.executable)"
static const char delete_cut_text[] =
	"DELETE FROM contact WHERE remote > ?2 AND remote <= ?4 AND " RETENTION_LEDGER_OLD(CUT_US);

enum { LOOK_AGE, LOOK_ROWS, LOOK_FOLD, LOOK_COUNT, LOOK_CUT };

/* What a slice looks at: the parameters of its statements. */
enum { AFTER_HOUR, AFTER_REMOTE, UNTIL_HOUR, UNTIL_REMOTE, HORIZON, RANGE };

#define BEFORE_ALL (-INT64_MAX)

int retention_ledger_begin(struct retention_ledger *ledger, sqlite3 *db, int64_t horizon_us,
	int64_t max_rows, int64_t known_rows)
{
	*ledger = (struct retention_ledger){.horizon_us = horizon_us,
		.max_rows = max_rows,
		.rows = known_rows < 0 ? 0 : known_rows,
		.counts = known_rows < 0,
		.after = {BEFORE_ALL, BEFORE_ALL}};
	return sql_exec(db, tables_text) < 0 ? -1 : sql_exec(db, empty_text);
}

/* A sixteenth more than must goes, so that this is not to be done anew at once. */
static int find_cuts(const struct retention_ledger *ledger, sqlite3 *db)
{
	struct retention_share *shares;
	size_t count;
	int status = 0;

	if (retention_shares_read(db, shares_text, &shares, &count) < 0)
		return -1;
	retention_share_out(shares, count, ledger->max_rows - ledger->max_rows / 16);
	for (size_t i = 0; i < count && status == 0; i++)
		if (shares[i].excess > 0)
			status = sql_run_text(db, cut_text,
				(int64_t[]){shares[i].executable, shares[i].excess}, 2);
	free(shares);
	return status;
}

static int look_for_age(const struct retention_slice *slice, const int64_t range[RANGE])
{
	int64_t pruned;

	if (sql_run_text(slice->db, delete_old_text, range, RANGE) < 0)
		return -1;
	pruned = sqlite3_changes64(slice->db);
	if (pruned == 0)
		return 0;
	return retention_note(slice, "contact", pruned, range[HORIZON], range[HORIZON]);
}

static int count_rows(struct retention_ledger *ledger, const struct retention_slice *slice,
	const int64_t range[RANGE])
{
	int64_t rows;

	if (sql_row_text(slice->db, rows_text, range, HORIZON, &rows, 1) < 0)
		return -1;
	ledger->rows += rows;
	return 0;
}

static int cut(struct retention_ledger *ledger, const struct retention_slice *slice,
	const int64_t range[RANGE])
{
	int64_t pruned, whole_us;

	if (sql_run_text(slice->db, delete_cut_text, range, HORIZON) < 0)
		return -1;
	pruned = sqlite3_changes64(slice->db);
	if (pruned == 0)
		return 0;
	ledger->rows -= pruned;
	if (sql_integer(slice->db, whole_text, &whole_us) < 0)
		return -1;
	return retention_note(slice, "contact", pruned, 0, whole_us);
}

static int look(struct retention_ledger *ledger, const struct retention_slice *slice,
	const int64_t range[RANGE])
{
	switch (ledger->look) {
	case LOOK_AGE:
		return look_for_age(slice, range);
	case LOOK_ROWS:
		return count_rows(ledger, slice, range);
	case LOOK_COUNT:
		return sql_run_text(slice->db, count_text, range, HORIZON);
	default:
		return cut(ledger, slice, range);
	}
}

static enum retention_step next_look(struct retention_ledger *ledger, sqlite3 *db)
{
	bool fits = ledger->max_rows == 0 || ledger->rows <= ledger->max_rows;
	bool goes_on = !fits || (ledger->look == LOOK_AGE && ledger->counts);

	if (ledger->look == LOOK_CUT || !goes_on)
		return sql_exec(db, empty_text) < 0 ? RETENTION_FAILED : RETENTION_DONE;
	if (ledger->look == LOOK_COUNT && find_cuts(ledger, db) < 0)
		return RETENTION_FAILED;
	if (ledger->look == LOOK_AGE) {
		ledger->counts = true;
		ledger->rows = 0;
	}
	ledger->look++;
	ledger->after[0] = ledger->after[1] = BEFORE_ALL;
	return RETENTION_MORE;
}

/* What ends today from now on is added at once. A day that a wrong clock told is left out. */
static enum retention_step fold(
	struct retention_ledger *ledger, const struct retention_slice *slice)
{
	int64_t tomorrow = slice->now_us / US_PER_DAY + 1;
	struct retention_fold all;
	enum retention_step step;

	if (sql_integer(slice->db, "SELECT coalesce(max(day) + 1, 0) FROM contact_day",
		    &all.until_day) < 0)
		return RETENTION_FAILED;
	if (all.until_day > tomorrow)
		all.until_day = tomorrow;
	step = retention_fold_step(&all, slice);
	return step == RETENTION_DONE ? next_look(ledger, slice->db) : step;
}

static enum retention_step look_further(struct retention_ledger *ledger,
	const struct retention_slice *slice, const char *end_text, int64_t last_hour)
{
	int64_t range[RANGE] = {
		ledger->after[0], ledger->after[1], last_hour, slice->rows, ledger->horizon_us};
	int64_t end[2] = {last_hour, INT64_MAX};
	int found = sql_row_text(slice->db, end_text, range, HORIZON, end, 2);

	range[UNTIL_HOUR] = end[0];
	range[UNTIL_REMOTE] = end[1];
	if (found < 0 || look(ledger, slice, range) < 0)
		return RETENTION_FAILED;
	memcpy(ledger->after, end, sizeof(end));
	return found ? RETENTION_MORE : next_look(ledger, slice->db);
}

enum retention_step retention_ledger_step(
	struct retention_ledger *ledger, const struct retention_slice *slice)
{
	switch (ledger->look) {
	case LOOK_AGE:
		return look_further(
			ledger, slice, end_by_hour_text, ledger->horizon_us / US_PER_HOUR);
	case LOOK_ROWS:
		return look_further(ledger, slice, end_by_hour_text, INT64_MAX);
	case LOOK_FOLD:
		return fold(ledger, slice);
	default:
		return look_further(ledger, slice, end_by_remote_text, INT64_MAX);
	}
}

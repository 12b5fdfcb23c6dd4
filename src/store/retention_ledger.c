/* The first look removes what is too old, the second one counts the rest; both go by the day of the
 * first contact. If there are too many rows the last contacts are brought up to today
 * (store/retention_fold.h), and the next look counts by executable and day of the last contact, in
 * a temporary table: each executable with more than its share gets a time before which its rows go,
 * in one more, as if the rows of a day were spread evenly. Slices are of whole remotes. */
#include "store/retention_ledger.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

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

/* The table is looked through part by part: by the day of the first contact, as contact_by_day has
 * it, or by its own key, young. What a statement looks at is of one part, after a remote. */
#define DAY "first_us / " DAY_US
#define KEY "young"

#define NEXT_PART(part)                                                                      \
	"SELECT " part " FROM contact WHERE " part " > ?1 AND " part " <= ?2 ORDER BY " part \
	" LIMIT 1"
/* The end of a slice of ?3 rows; no row: the part has fewer. */
#define END_OF_SLICE(part)                                               \
	"SELECT remote FROM contact WHERE " part " = ?1 AND remote > ?2" \
	" ORDER BY remote LIMIT 1 OFFSET ?3"
#define IN_SLICE(part) part " = ?1 AND remote > ?2 AND remote <= ?3"
#define IN_DAY_SLICE   IN_SLICE(DAY)
#define IN_KEY_SLICE   IN_SLICE(KEY)

/* What is old began before. */
static const char delete_old_text[] =
	"DELETE FROM contact WHERE " IN_DAY_SLICE " AND " RETENTION_LEDGER_OLD("?4");

static const char rows_text[] = "SELECT count(*) FROM contact WHERE " IN_DAY_SLICE;

static const char count_text[] =
	"INSERT INTO temp.ledger_day SELECT executable, last_us / " DAY_US ", count(*),"
	" min(last_us), max(last_us) FROM contact WHERE " IN_KEY_SLICE " GROUP BY 1, 2"
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
	"DELETE FROM contact WHERE " IN_KEY_SLICE " AND " RETENTION_LEDGER_OLD(CUT_US);

enum { LOOK_AGE, LOOK_ROWS, LOOK_FOLD, LOOK_COUNT, LOOK_CUT };

/* What a slice looks at: the parameters of its statements. */
enum { PART, AFTER, UNTIL, HORIZON, RANGE };

enum { PARTS_MAX = 16 }; /* in one slice, if each has no more than its share of the rows */

struct parts {
	const char *next_text, *end_text;
};

static const struct parts days = {NEXT_PART(DAY), END_OF_SLICE(DAY)};
static const struct parts keys = {NEXT_PART(KEY), END_OF_SLICE(KEY)};

#define BEFORE_ALL (-INT64_MAX)

static void begin_look(struct retention_ledger *ledger, int look)
{
	ledger->look = look;
	ledger->part = BEFORE_ALL; /* is done */
	ledger->after = INT64_MAX;
}

int retention_ledger_begin(struct retention_ledger *ledger, sqlite3 *db, int64_t horizon_us,
	int64_t max_rows, int64_t known_rows)
{
	*ledger = (struct retention_ledger){.horizon_us = horizon_us,
		.max_rows = max_rows,
		.rows = known_rows < 0 ? 0 : known_rows,
		.counts = known_rows < 0};
	begin_look(ledger, LOOK_AGE);
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

static int cut(const struct retention_slice *slice, const int64_t range[RANGE])
{
	int64_t pruned, whole_us;

	if (sql_run_text(slice->db, delete_cut_text, range, HORIZON) < 0)
		return -1;
	pruned = sqlite3_changes64(slice->db);
	if (pruned == 0)
		return 0;
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
		return cut(slice, range);
	}
}

static enum retention_step next_look(struct retention_ledger *ledger, sqlite3 *db)
{
	bool fits = ledger->max_rows == 0 || ledger->rows <= ledger->max_rows;
	bool goes_on = !fits || (ledger->look == LOOK_AGE && ledger->counts);

	if (ledger->look == LOOK_CUT)
		ledger->rows = 0; /* the fold may have made rows anew of what was cut before */
	if (ledger->look == LOOK_CUT || !goes_on)
		return sql_exec(db, empty_text) < 0 ? RETENTION_FAILED : RETENTION_DONE;
	if (ledger->look == LOOK_COUNT && find_cuts(ledger, db) < 0)
		return RETENTION_FAILED;
	if (ledger->look == LOOK_AGE) {
		ledger->counts = true;
		ledger->rows = 0;
	}
	begin_look(ledger, ledger->look + 1);
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

enum found { FOUND_FAILED = -1, FOUND_NONE, FOUND_FEW, FOUND_MANY };

/* Up to the end of the part, or after so many rows. */
static enum found find_end(
	const struct retention_slice *slice, const struct parts *parts, int64_t range[RANGE])
{
	int64_t after[3] = {range[PART], range[AFTER], slice->rows / PARTS_MAX};
	int more;

	range[UNTIL] = INT64_MAX;
	more = sql_row_text(slice->db, parts->end_text, after, 3, &range[UNTIL], 1);
	if (more <= 0)
		return more < 0 ? FOUND_FAILED : FOUND_FEW;
	after[2] = slice->rows;
	range[UNTIL] = INT64_MAX;
	more = sql_row_text(slice->db, parts->end_text, after, 3, &range[UNTIL], 1);
	return more < 0 ? FOUND_FAILED : FOUND_MANY;
}

/* Goes on to the next part if this one is done. */
static enum found find_slice(const struct retention_ledger *ledger,
	const struct retention_slice *slice, const struct parts *parts, int64_t last,
	int64_t range[RANGE])
{
	int found = 1;

	range[PART] = ledger->part;
	range[AFTER] = ledger->after;
	if (range[AFTER] == INT64_MAX) {
		found = sql_row_text(slice->db, parts->next_text, (int64_t[]){range[PART], last}, 2,
			&range[PART], 1);
		range[AFTER] = BEFORE_ALL;
	}
	range[HORIZON] = ledger->horizon_us;
	if (found <= 0)
		return found < 0 ? FOUND_FAILED : FOUND_NONE;
	return find_end(slice, parts, range);
}

/* A part of many rows, or what is left of it, is the last one of a slice. */
static enum retention_step look_further(struct retention_ledger *ledger,
	const struct retention_slice *slice, const struct parts *parts, int64_t last)
{
	enum found found = FOUND_FEW;
	int64_t range[RANGE];

	for (int i = 0; i < PARTS_MAX && found == FOUND_FEW; i++) {
		found = find_slice(ledger, slice, parts, last, range);
		if (found == FOUND_NONE)
			return next_look(ledger, slice->db);
		if (found == FOUND_FAILED || look(ledger, slice, range) < 0)
			return RETENTION_FAILED;
		ledger->part = range[PART];
		ledger->after = range[UNTIL];
	}
	return RETENTION_MORE;
}

bool retention_ledger_folds(const struct retention_ledger *ledger)
{
	return ledger->look == LOOK_FOLD;
}

enum retention_step retention_ledger_step(
	struct retention_ledger *ledger, const struct retention_slice *slice)
{
	switch (ledger->look) {
	case LOOK_AGE:
		return look_further(ledger, slice, &days, ledger->horizon_us / US_PER_DAY);
	case LOOK_ROWS:
		return look_further(ledger, slice, &days, INT64_MAX);
	case LOOK_FOLD:
		return fold(ledger, slice);
	default:
		return look_further(ledger, slice, &keys, INT64_MAX);
	}
}

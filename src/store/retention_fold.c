/* In slices of whole remotes, from the lowest on. */
#include "store/retention_fold.h"

#include "store/sql.h"

/* A fold writes most pages of the ledger. It is worth that when so many flows share it, or when
 * readers would have too many days to look into. */
enum { FOLD_FLOWS = 2 /* for each row of the ledger */, FOLD_DAYS = 30 };

struct fold_state {
	int64_t day, next_day, remote;
};

static const char get_state_text[] =
	"SELECT ledger_day, ledger_next_day, ledger_remote FROM rollup_state";

static const char put_state_text[] = "UPDATE rollup_state SET ledger_day = ?1,"
				     " ledger_next_day = ?2, ledger_remote = ?3";

/* After a clock that was ahead: no flow that is counted ended in the days between. */
static const char back_text[] =
	"UPDATE rollup_state SET (ledger_day, ledger_next_day) = (SELECT coalesce(max(day) + 1, 0),"
	" coalesce(max(day) + 1, 0) FROM contact_day) WHERE ledger_next_day <= ledger_day"
	" AND ledger_day > (SELECT coalesce(max(day) + 1, 0) FROM contact_day)";

static const char flows_text[] =
	"SELECT coalesce(sum(flows), 0) FROM flow_hour WHERE hour >= ?1 * 24 AND hour < ?2 * 24";

/* After so many rows of either kind. */
#define END_OF(young)                                                    \
	"SELECT * FROM (SELECT remote FROM contact WHERE young = " young \
	" AND remote >= ?1 ORDER BY remote LIMIT 1 OFFSET ?2)"
static const char end_text[] = END_OF("0") " UNION ALL " END_OF("1") " ORDER BY remote LIMIT 1";

/* None is there already; if one were, it would be one contact again. */
static const char settle_text[] =
	"INSERT INTO contact SELECT 0, remote, executable, protocol_id, port, direction, first_us,"
	" last_us, flows, process FROM contact WHERE young = 1 AND remote BETWEEN ?1 AND ?2"
	" ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,"
	" first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)";

static const char settled_text[] =
	"DELETE FROM contact WHERE young = 1 AND remote BETWEEN ?1 AND ?2";

/* The rows are there, but for what the history lost: it gets a first contact again. */
static const char fold_text[] =
	"INSERT INTO contact (young, remote, executable, protocol_id, port, direction, first_us,"
	" last_us, flows, process) SELECT 0, d.remote, a.executable, d.protocol_id, d.port,"
	" d.direction, min(d.first_us), max(d.last_us), sum(d.flows), NULL FROM uncounted_day AS u"
	" CROSS JOIN contact_day AS d ON d.day = u.day AND d.remote BETWEEN ?1 AND ?2"
	" CROSS JOIN actor AS a ON a.id = d.actor WHERE u.day < ?3 GROUP BY 2, 3, 4, 5, 6"
	" ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,"
	" last_us = max(last_us, excluded.last_us)";

static int read_state(sqlite3 *db, struct fold_state *state)
{
	int64_t row[3];

	if (sql_row_text(db, get_state_text, NULL, 0, row, 3) <= 0)
		return -1;
	*state = (struct fold_state){row[0], row[1], row[2]};
	return 0;
}

int retention_fold_begin(
	struct retention_fold *fold, sqlite3 *db, int64_t contacts, int64_t today, int64_t must_day)
{
	struct fold_state state;
	int64_t flows, days[2] = {0, today};

	if (sql_exec(db, back_text) < 0 || read_state(db, &state) < 0)
		return -1;
	days[0] = state.day;
	if (sql_row_text(db, flows_text, days, 2, &flows, 1) < 0)
		return -1;
	fold->until_day = must_day;
	if (today > must_day && flows > 0 &&
		((contacts > 0 && flows >= contacts * FOLD_FLOWS) ||
			today - state.day >= FOLD_DAYS))
		fold->until_day = today;
	return 0;
}

static enum retention_step fold_slice(
	const struct retention_slice *slice, const struct fold_state *state)
{
	int64_t range[3] = {state->remote, slice->rows, state->next_day};
	int64_t after[3] = {state->day, state->next_day, 0};
	int found = sql_row_text(slice->db, end_text, range, 2, &range[1], 1);

	if (found < 0)
		return RETENTION_FAILED;
	if (found) {
		after[2] = range[1] + 1;
	} else {
		range[1] = INT64_MAX;
		after[0] = state->next_day;
	}
	if (sql_run_text(slice->db, settle_text, range, 2) < 0 ||
		sql_run_text(slice->db, settled_text, range, 2) < 0 ||
		sql_run_text(slice->db, fold_text, range, 3) < 0 ||
		sql_run_text(slice->db, put_state_text, after, 3) < 0)
		return RETENTION_FAILED;
	return RETENTION_MORE;
}

/* One that was interrupted goes on to the day that was its own. */
enum retention_step retention_fold_step(
	const struct retention_fold *fold, const struct retention_slice *slice)
{
	struct fold_state state;

	if (read_state(slice->db, &state) < 0)
		return RETENTION_FAILED;
	if (state.next_day <= state.day) {
		if (fold->until_day <= state.day)
			return RETENTION_DONE;
		state.next_day = fold->until_day;
		state.remote = 0;
	}
	return fold_slice(slice, &state);
}

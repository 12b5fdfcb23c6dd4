/* Flows are told apart by the time of their end, and the roll-ups are made of times: a flow that is
 * corrected is taken out of both and added anew, as if it had come now. The newest go in the
 * transaction of the step, with all that are no flows; the others in slices, between batches.
 *
 * Which rows were made by the old clock follows from their times, for no other clock of this boot
 * told the same ones. Of other boots they are told apart by their runs, or by their processes;
 * flows and names of nobody known stay as they are if another boot recorded at what was the same
 * time by the clock.
 *
 * What is left to do stands in meta, a row for each boot, and the next run takes it up; if that is
 * one of another boot, or the clock was set again, before it records anything, for the clock may
 * tell the same times. A slice that finds no room on the disk is halved; the smallest one makes no
 * day anew, and is tried again after ever longer pauses.
 *
 * Failure modes: after a step forward that is shorter than the time since the boot, a daemon that
 * is killed between two slices leaves the oldest flows as they are: among their times are then
 * those of flows that were told by the right clock since. After a step backward there is one slice
 * only. Of a day of very many flows, of which few are taken out, and of one for which the disk had
 * no room, first, last and hours in contact_day still cover those, until "lastconn rebuild". What
 * finds no room at all stays as it is, and if it is of another boot, until the next start. */
#include "store/store_clock.h"

#include "store/retention_fold.h"
#include "store/sql.h"
#include "store/store_internal.h"
#include "util/clock.h"

enum {
	REBUILT_FLOWS_MAX = 200000, /* of a day */
	PAUSE_S = 10,               /* the first */
	FAILURES_MAX = 6,           /* the last pause is 640 s */
};

/* The parameters of most texts below. */
enum scope_value {
	BOOT,     /* ?1 */
	LAST_RUN, /* ?2 of the boot, and those before it */
	FROM_US,  /* ?3 times by the old clock, since the boot */
	UNTIL_US, /* ?4 */
	STEP_US,  /* ?5 */
	ALONE,    /* ?6: 1, no other boot recorded at these times */
	SLICE,    /* ?7: flows at most */
	SCOPE_VALUES,
};

_Static_assert(
	sizeof(((struct clock_scope *)0)->values) == SCOPE_VALUES * sizeof(int64_t), "one of each");

#define RUNS      "(SELECT id FROM run WHERE boot = ?1 AND id <= ?2)"
#define BY_OLD(t) t " BETWEEN ?3 AND ?4"
#define MOVED(t)  t " = iif(" BY_OLD(t) ", " t " + ?5, " t ")"

/* Whatever the step was. Intervals of coverage that go on begin at the earlier of both times. */
static const char *const going_on_texts[] = {
	"UPDATE boot SET start_us = start_us + ?5 WHERE id = ?1",
	"UPDATE open_flow SET start_us = start_us + ?5, seen_us = seen_us + ?5 WHERE run IN " RUNS,
	"UPDATE listener SET from_us = from_us + ?5 WHERE until_us IS NULL AND run IN " RUNS,
	"UPDATE coverage_interval SET from_us = min(from_us, from_us + ?5)"
	" WHERE until_us IS NULL AND run IN " RUNS,
};

/* If it corrects; before the ones above. */
static const char *const correct_texts[] = {
	"UPDATE listener SET " MOVED("from_us") ", " MOVED(
		"until_us") " WHERE until_us IS NOT NULL AND run IN " RUNS,
	/* That the clock is wrong. */
	"DELETE FROM coverage_interval WHERE what = 'clock step' AND until_us IS NULL"
	" AND run IN " RUNS,
	/* Those that go on lose here what they get above; others may have begun, or ended, by a
	 * clock that was right. */
	"UPDATE coverage_interval SET from_us = from_us + iif(until_us IS NULL, max(?5, 0), ?5),"
	" until_us = max(from_us + ?5, iif(" BY_OLD(
		"until_us") ", until_us + ?5, until_us)) WHERE " BY_OLD("from_us") " AND run "
										   "IN " RUNS,
	"UPDATE run SET " MOVED("start_us") ", " MOVED("heartbeat_us") ", " MOVED(
		"end_us") " WHERE boot = ?1 AND id <= ?2",
	"UPDATE process SET start_us = start_ns / 1000 +"
	" (SELECT start_us + ?5 FROM boot WHERE id = ?1) WHERE boot = ?1 AND start_ns <> 0",
	"UPDATE name_evidence SET first_us = first_us + ?5, last_us = last_us + ?5,"
	" until_us = until_us + ?5 WHERE " BY_OLD(
		"first_us") " AND coalesce((SELECT boot = ?1 FROM process WHERE id = process), ?6)",
};

/* Before its flows, which may be of an earlier contact than the old clock let them be, see
 * rollup.h; what they add is not to be moved again. */
static const char correct_contact_text[] =
	"UPDATE contact SET " MOVED("first_us") ", " MOVED("last_us") " WHERE (" BY_OLD(
		"first_us") " OR " BY_OLD("last_us") ") AND coalesce((SELECT boot = ?1 FROM process"
						     " WHERE id = process), ?6)";

static const char alone_text[] =
	"SELECT NOT EXISTS (SELECT 1 FROM run JOIN boot ON boot.id = run.boot"
	" WHERE boot.id <> ?1 AND boot_uuid <> '' AND run.start_us <= ?4"
	" AND coalesce(end_us, heartbeat_us) >= ?3)";

/* From the first of the newest flows on. */
static const char first_flow_text[] =
	"SELECT coalesce((SELECT end_us FROM flow WHERE end_us BETWEEN ?3 AND ?4"
	" ORDER BY end_us DESC LIMIT 1 OFFSET ?7 - 1), ?3)";

/* Flows of capture files have the times of other clocks. */
static const char take_flows_text[] =
	"INSERT INTO temp.flow_moved SELECT f.* FROM flow AS f JOIN kind AS k ON k.id = f.kind"
	" LEFT JOIN process AS p ON p.id = f.process WHERE " BY_OLD(
		"f.end_us") " AND k.source <> 'file' AND coalesce(p.boot = ?1, ?6)";

/* The flows that are to be moved, with the columns of contact_day. */
#define MOVED_FLOWS "flow_contact AS t WHERE t.last_us IN (SELECT end_us FROM temp.flow_moved)"

#define LESS                                                                 \
	"flows = c.flows - t.flows, failed = c.failed - t.failed,"           \
	" octets_out = c.octets_out - t.octets_out, octets_in = c.octets_in" \
	" - t.octets_in"

#define SUMS                                                                 \
	"sum(t.flows) AS flows, sum(t.failed) AS failed, sum(t.octets_out) " \
	"AS octets_out, sum(t.octets_in) AS octets_in"

/* Out of all that counts them. The ledger's first contact is never one that an earlier clock told,
 * see rollup.h; its last one was not later by it. */
static const char *const discount_texts[] = {
	"UPDATE contact_day AS c SET " LESS " FROM (SELECT t.day, t.remote, t.actor,"
	" t.protocol_id, t.port, t.direction, " SUMS " FROM " MOVED_FLOWS
	" GROUP BY 1, 2, 3, 4, 5, 6) AS t WHERE c.day = t.day AND c.remote = t.remote"
	" AND c.actor = t.actor AND c.protocol_id = t.protocol_id AND c.port = t.port"
	" AND c.direction = t.direction",
	"DELETE FROM contact_day WHERE flows <= 0"
	" AND (day, remote) IN (SELECT end_us / 86400000000, remote FROM temp.flow_moved)",
	"UPDATE contact AS c SET flows = max(0, c.flows - t.flows) FROM (SELECT t.remote,"
	" a.executable, t.protocol_id, t.port, t.direction, sum(t.flows) AS flows FROM "
	"rollup_state AS s"
	" CROSS JOIN flow_contact AS t JOIN actor AS a ON a.id = t.actor"
	" WHERE t.last_us IN (SELECT end_us FROM temp.flow_moved) AND t.day < " RETENTION_FOLD_DAY
	" GROUP BY 1, 2, 3, 4, 5) AS t"
	" WHERE c.young IN (0, 1) AND c.remote = t.remote AND c.executable = t.executable"
	" AND c.protocol_id = t.protocol_id AND c.port = t.port AND c.direction = t.direction",
	"DELETE FROM contact WHERE young IN (0, 1) AND flows <= 0"
	" AND remote IN (SELECT remote FROM temp.flow_moved)"
	" AND NOT " RETENTION_FOLD_REST(""),
	"UPDATE flow_hour AS c SET " LESS " FROM (SELECT t.last_us / 3600000000 AS hour, " SUMS
	" FROM " MOVED_FLOWS " GROUP BY 1) AS t WHERE c.hour = t.hour",
	"DELETE FROM flow_hour WHERE flows <= 0"
	" AND hour IN (SELECT end_us / 3600000000 FROM temp.flow_moved)",
	"UPDATE executable_flows AS c SET flows = c.flows - t.flows FROM (SELECT a.executable,"
	" count(*) AS flows FROM temp.flow_moved AS m JOIN actor AS a ON a.id = m.actor"
	" GROUP BY 1) AS t WHERE c.executable = t.executable",
};

static const char temp_text[] =
	"CREATE TEMP TABLE IF NOT EXISTS flow_moved AS SELECT * FROM flow WHERE FALSE;"
	"CREATE TEMP TABLE IF NOT EXISTS flow_nat_moved AS SELECT * FROM flow_nat WHERE FALSE;"
	"DELETE FROM temp.flow_moved; DELETE FROM temp.flow_nat_moved";

static const char remove_text[] =
	"INSERT INTO temp.flow_nat_moved SELECT * FROM flow_nat"
	" WHERE end_us IN (SELECT end_us FROM temp.flow_moved);"
	"DELETE FROM flow_nat WHERE end_us IN (SELECT end_us FROM temp.flow_nat_moved);"
	"DELETE FROM flow WHERE end_us IN (SELECT end_us FROM temp.flow_moved)";

/* As store_read_row wants it; what is told of the outcome is whether it counts as a failure. */
static const char moved_text[] =
	"SELECT m.end_us - m.duration_us + ?1, m.end_us + ?1, m.actor, a.executable, m.process,"
	" m.opener, m.remote, m.local, m.remote_port, m.local_port, m.octets_out, m.octets_in,"
	" m.packets_out, m.packets_in, m.retransmits, m.rtt_us, n.local, n.local_port, n.remote,"
	" n.remote_port, k.direction, k.method, k.source, k.protocol_id, k.id,"
	" k.outcome IN ('refused', 'timeout', 'unreachable')"
	" FROM temp.flow_moved AS m JOIN actor AS a ON a.id = m.actor"
	" JOIN kind AS k ON k.id = m.kind"
	" LEFT JOIN temp.flow_nat_moved AS n ON n.end_us = m.end_us ORDER BY m.end_us";

enum { KIND_COLUMN = 24, FAILED_COLUMN = 25 };

/* Of the parameters a text takes the first ones. */
static int prepare(struct store *store, const char *text, const struct clock_scope *scope,
	sqlite3_stmt **ret_stmt)
{
	if (sql_prepare(store->db, text, ret_stmt) < 0)
		return -1;
	sql_bind_integers(
		*ret_stmt, 1, scope->values, (size_t)sqlite3_bind_parameter_count(*ret_stmt));
	return 0;
}

static int run_scoped(struct store *store, const char *text, const struct clock_scope *scope)
{
	sqlite3_stmt *stmt;
	int status;

	if (prepare(store, text, scope, &stmt) < 0)
		return -1;
	status = sql_run(stmt);
	sqlite3_finalize(stmt);
	return status;
}

/* As sql_row_text. */
static int row_scoped(struct store *store, const char *text, const struct clock_scope *scope,
	int64_t *ret_row, size_t columns)
{
	sqlite3_stmt *stmt;
	int found;

	if (prepare(store, text, scope, &stmt) < 0)
		return -1;
	found = sql_row(stmt, ret_row, columns);
	sqlite3_finalize(stmt);
	return found;
}

static int run_all(struct store *store, const char *const *texts, size_t count,
	const struct clock_scope *scope)
{
	for (size_t i = 0; i < count; i++)
		if (run_scoped(store, texts[i], scope) < 0)
			return -1;
	return 0;
}

#define RUN_ALL(store, texts, scope) \
	run_all(store, texts, sizeof(texts) / sizeof((texts)[0]), scope)

/* Up to a small batch of flows, which the roll-ups count at once. 1 if there may be more, 0, -1. */
static int add_some(struct store *store, sqlite3_stmt *stmt)
{
	struct flow_row row;
	int code = SQLITE_ROW;

	if (flow_writer_begin(&store->flows, ROLLUP_SMALL) < 0)
		return -1;
	for (int i = 0; i < ROLLUP_SMALL && (code = sqlite3_step(stmt)) == SQLITE_ROW; i++) {
		store_read_row(stmt, &row);
		row.kind = sqlite3_column_int64(stmt, KIND_COLUMN);
		row.outcome = sqlite3_column_int(stmt, FAILED_COLUMN) ? FLOW_OUTCOME_REFUSED
								      : FLOW_OUTCOME_CLOSED;
		if (flow_writer_add(&store->flows, &row) < 0)
			return -1;
	}
	if (flow_writer_finish(&store->flows) < 0)
		return -1;
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

static int add_moved(struct store *store, int64_t step_us)
{
	sqlite3_stmt *stmt;
	int more;

	if (sql_prepare(store->db, moved_text, &stmt) < 0)
		return -1;
	sql_bind_integers(stmt, 1, &step_us, 1);
	do
		more = add_some(store, stmt);
	while (more > 0);
	sqlite3_finalize(stmt);
	return more;
}

/* Of the days that lost flows, and will lose no more: those that are small enough to be made anew.
 */
static int correct_days(struct store *store, int64_t after_day)
{
	static const char text[] =
		"SELECT min(day) FROM (SELECT DISTINCT end_us / 86400000000 AS day"
		" FROM temp.flow_moved) AS m WHERE day > ?1 AND (SELECT sum(flows) FROM flow_hour"
		" WHERE hour BETWEEN m.day * 24 AND m.day * 24 + 23) BETWEEN 1 AND ?2";
	int64_t after[2] = {after_day, REBUILT_FLOWS_MAX}, day;

	for (;; after[0] = day) {
		if (sql_row_text(store->db, text, after, 2, &day, 1) < 0)
			return -1;
		if (day == SQL_NULL)
			return 0;
		if (store_rebuild_day(store->db, day) < 0)
			return -1;
	}
}

/* What is left of the scope. */
static struct clock_scope scope_after(const struct clock_scope *scope, int64_t first_us)
{
	struct clock_scope after = *scope;

	after.any = first_us > scope->values[FROM_US] && scope->values[STEP_US] > 0;
	after.values[UNTIL_US] = first_us - 1;
	return after;
}

/* No time that the clock has told since the step is one of the scope: what is recorded meanwhile,
 * and by other runs, is none of it. */
static bool can_be_kept(const struct clock_scope *scope)
{
	return scope->values[STEP_US] > scope->values[UNTIL_US] - scope->values[FROM_US];
}

/* For the next run, as long as there is something. */
static int keep(struct store *store, const struct clock_scope *scope)
{
	static const char put[] =
		"REPLACE INTO meta (key, value) VALUES ('clock correction ' || ?1,"
		" json_array(?1, ?2, ?3, ?4, ?5, ?6))";
	static const char drop[] = "DELETE FROM meta WHERE key = 'clock correction ' || ?1";

	if (scope->any && can_be_kept(scope))
		return run_scoped(store, put, scope);
	return run_scoped(store, drop, scope);
}

/* The newest of the scope. */
static int correct_flows(struct store *store, struct clock_scope scope)
{
	struct clock_scope after;
	int64_t first_us = scope.values[FROM_US], whole_day = -1;

	scope.values[SLICE] = store->clock_slice;
	if (scope.values[STEP_US] > 0 &&
		row_scoped(store, first_flow_text, &scope, &first_us, 1) < 0)
		return -1;
	after = scope_after(&scope, first_us);
	scope.values[FROM_US] = first_us;
	if (after.any)
		whole_day = after.values[UNTIL_US] / US_PER_DAY;
	if (store->clock_slice == STORE_CLOCK_SLICE_MIN)
		whole_day = INT64_MAX;
	if (sql_exec(store->db, temp_text) < 0 || run_scoped(store, take_flows_text, &scope) < 0 ||
		RUN_ALL(store, discount_texts, &scope) < 0 ||
		sql_exec(store->db, remove_text) < 0 || correct_days(store, whole_day) < 0 ||
		add_moved(store, scope.values[STEP_US]) < 0 || sql_exec(store->db, temp_text) < 0 ||
		keep(store, &after) < 0)
		return -1;
	store->to_correct = after;
	return 0;
}

bool store_clock_has_more(const struct store *store)
{
	return store->to_correct.any;
}

static bool is_of_another_boot(const struct store *store)
{
	return store->to_correct.values[BOOT] != store->boot;
}

bool store_clock_goes_first(const struct store *store)
{
	return store->to_correct.any && (is_of_another_boot(store) || store->clock.steps);
}

/* The times of another boot are right now, whatever this one's clock tells. */
int store_clock_more(struct store *store)
{
	int64_t floor_us = store->flows.rollup.floor_us;
	int status;

	if (is_of_another_boot(store))
		store->flows.rollup.floor_us = 0;
	status = correct_flows(store, store->to_correct);
	store->flows.rollup.floor_us = floor_us;
	return status;
}

void store_clock_grow(struct store *store)
{
	store->clock_slice *= 2;
	if (store->clock_slice > STORE_CLOCK_SLICE)
		store->clock_slice = STORE_CLOCK_SLICE;
	store->clock_failures = 0;
}

void store_clock_shrink(struct store *store)
{
	store->clock_slice /= 2;
	if (store->clock_slice < STORE_CLOCK_SLICE_MIN)
		store->clock_slice = STORE_CLOCK_SLICE_MIN;
}

void store_clock_fail(struct store *store)
{
	int64_t pause_s = PAUSE_S << store->clock_failures;

	if (store->clock_slice > STORE_CLOCK_SLICE_MIN) {
		store_clock_shrink(store);
		return;
	}
	if (store->clock_failures < FAILURES_MAX)
		store->clock_failures++;
	store->clock_next_ns = clock_boottime_ns() + pause_s * (int64_t)NS_PER_S;
}

bool store_clock_is_stuck(const struct store *store)
{
	return store->clock_failures > 0;
}

bool store_clock_rests(const struct store *store)
{
	return store_clock_is_stuck(store) && clock_boottime_ns() < store->clock_next_ns;
}

/* The first run of this boot, if it began by the old clock: 1, 0, or -1. */
static int find_first(
	struct store *store, const struct clock_scope *scope, int64_t ret_first[static 2])
{
	static const char text[] = "SELECT id, start_us + ?5 FROM run WHERE id ="
				   " (SELECT min(id) FROM run WHERE boot = ?1) AND id <= ?2"
				   " AND " BY_OLD("start_us");

	return row_scoped(store, text, scope, ret_first, 2);
}

/* Since when nobody had watched before that run is known only now. */
static int correct_down(struct store *store, const int64_t first[static 2])
{
	if (sql_run_text(store->db,
		    "DELETE FROM coverage_interval WHERE run = ?1 AND what = 'down'", first, 1) < 0)
		return -1;
	return store_note_down(store, first[0], first[1]);
}

static int correct(struct store *store, struct clock_scope *scope)
{
	while (store->to_correct.any) /* of the step before */
		if (store_clock_more(store) < 0)
			return -1;
	if (row_scoped(store, alone_text, scope, &scope->values[ALONE], 1) < 0 ||
		run_scoped(store, correct_contact_text, scope) < 0 ||
		correct_flows(store, *scope) < 0)
		return -1;
	return RUN_ALL(store, correct_texts, scope);
}

/* last_run: the rows of later ones have the new clock's times already. */
static int step_runs(struct store *store, const struct clock_step *step, int64_t last_run)
{
	struct clock_scope scope = {.values = {
					    [BOOT] = store->boot,
					    [LAST_RUN] = last_run,
					    [FROM_US] = store->clock.boot_start_us,
					    [UNTIL_US] = store->clock.boot_start_us + step->at_us,
					    [STEP_US] = step->us,
				    }};
	int64_t first[2];
	int found = step->corrects ? find_first(store, &scope, first) : 0;

	store->dictionary.boot_start_us = store->clock.boot_start_us + step->us;
	if (found < 0 || (step->corrects && correct(store, &scope) < 0) ||
		RUN_ALL(store, going_on_texts, &scope) < 0)
		return -1;
	return found ? correct_down(store, first) : 0;
}

/* From now_us on, by the clock as it is now. */
static void set_floor(struct store *store, int64_t now_us)
{
	const struct clock_bounds *bounds = &store->before.bounds;
	int64_t floor_us =
		bounds->built_us > bounds->newest_us ? bounds->built_us : bounds->newest_us;

	store->flows.rollup.floor_us = clock_is_behind(bounds, now_us) ? floor_us : 0;
}

int store_clock_step(struct store *store, const struct clock_step *step)
{
	if (step->us == 0)
		return 0;
	set_floor(store, store->clock.boot_start_us + step->us + step->at_us);
	return step_runs(store, step, store->run);
}

#define KEPT "FROM meta WHERE key GLOB 'clock correction *' AND json_valid(value)"

/* Of the boot after that one; this boot is the last. */
int store_clock_next(struct store *store)
{
	static const char text[] =
		"SELECT json_extract(value, '$[0]') AS boot, json_extract(value, '$[1]'),"
		" json_extract(value, '$[2]'), json_extract(value, '$[3]'),"
		" json_extract(value, '$[4]'), json_extract(value, '$[5]') " KEPT
		" AND (boot = ?1, boot) > (?2 = ?1, ?2) ORDER BY boot = ?1, boot LIMIT 1";
	int64_t boots[2] = {store->boot, store->to_correct.values[BOOT]}, alone;
	struct clock_scope scope = {.any = true};
	int found = sql_row_text(store->db, text, boots, 2, scope.values, SLICE);

	store->to_correct.any = false;
	if (found > 0) {
		if (row_scoped(store, alone_text, &scope, &alone, 1) < 0)
			return -1;
		scope.values[ALONE] = scope.values[ALONE] && alone;
		store->to_correct = scope;
		store->clock_slice = STORE_CLOCK_SLICE;
		store->clock_failures = 0;
	}
	store->clock.to_correct = store->to_correct;
	return found < 0 ? -1 : 0;
}

bool store_clock_leave(struct store *store)
{
	return is_of_another_boot(store) && store_clock_next(store) == 0;
}

static struct clock_step step_since(
	const struct store *store, const struct store_options *options, int64_t now_us)
{
	int64_t at_us = now_us - options->boot_start_us;

	return clock_step_of(
		&store->before.bounds, at_us, store->clock.boot_start_us + at_us, now_us);
}

int store_clock_take_up(struct store *store, const struct store_options *options, int64_t now_us)
{
	static const char text[] =
		"SELECT start_us, (SELECT coalesce(max(coalesce(end_us, heartbeat_us)), 0)"
		" FROM run JOIN boot AS b ON b.id = run.boot"
		" WHERE b.id <> ?1 AND b.boot_uuid <> '') FROM boot WHERE id = ?1";
	int64_t row[2];

	if (sql_row_text(store->db, text, &store->boot, 1, row, 2) <= 0)
		return -1;
	store->before.bounds = (struct clock_bounds){options->built_us, row[1]};
	store->clock.boot_start_us = store->dictionary.boot_start_us = row[0];
	store->clock_slice = STORE_CLOCK_SLICE;
	set_floor(store, now_us);
	store_clock_committed(store); /* else nothing of this run is */
	if (!*options->boot_uuid)
		return 0;
	store->clock.steps = step_since(store, options, now_us).corrects;
	return store_clock_next(store);
}

int store_clock_begin(struct store *store, const struct store_options *options, int64_t now_us)
{
	struct clock_step step = step_since(store, options, now_us);

	set_floor(store, now_us);
	if (step.us && *options->boot_uuid && step_runs(store, &step, store->run - 1) < 0)
		return -1;
	store_clock_committed(store);
	return 0;
}

int store_clock_find_left(struct store *store)
{
	static const char text[] = "SELECT count(*) " KEPT " AND key <> 'clock correction ' || ?1";
	int64_t boot = store->to_correct.any ? store->to_correct.values[BOOT] : 0, count;

	if (sql_row_text(store->db, text, &boot, 1, &count, 1) < 0)
		return -1;
	store->clock_left = count > 0;
	return 0;
}

bool store_clock_holds_ages(const struct store *store)
{
	return store->clock_left || store->to_correct.any;
}

int store_clock_is_kept(sqlite3 *db, bool *ret_kept)
{
	int64_t count;

	if (sql_integer(db, "SELECT count(*) " KEPT, &count) < 0)
		return -1;
	*ret_kept = count > 0;
	return 0;
}

void store_clock_committed(struct store *store)
{
	store->clock.boot_start_us = store->dictionary.boot_start_us;
	store->clock.floor_us = store->flows.rollup.floor_us;
	store->clock.to_correct = store->to_correct;
}

void store_clock_revert(struct store *store)
{
	store->dictionary.boot_start_us = store->clock.boot_start_us;
	store->flows.rollup.floor_us = store->clock.floor_us;
	store->to_correct = store->clock.to_correct;
}

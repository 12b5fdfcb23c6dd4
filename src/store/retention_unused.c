/* Mark and sweep, a slice at a time. A dictionary is swept when all that can name its rows has been
 * looked through: first the facts, then dictionaries that name others, from what is left of them.
 * Before a dictionary is swept the caches are emptied: what they hand out from then on they have
 * found in the table, and marked. */
#include "store/retention_unused.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/sql.h"

enum { COLUMNS_MAX = 8, TEXT_SIZE = 512 };

enum phase_kind {
	LOOK,    /* marks what the columns of a table name */
	PARENTS, /* marks the parents of marked processes */
	SWEEP,   /* removes what is not marked; of processes marks the parents of the others */
};

struct phase {
	enum phase_kind kind;
	enum dictionary_table swept;
	const char *table, *keys, *columns;
	enum dictionary_table names[COLUMNS_MAX]; /* by column */
};

#define LOOK_AT(table, keys, columns, ...)     \
	{                                      \
		LOOK, 0, table, keys, columns, \
		{                              \
			__VA_ARGS__            \
		}                              \
	}
#define SWEEP_OF(table, dictionary)                 \
	{                                           \
		SWEEP, dictionary, table, "id", "", \
		{                                   \
			0                           \
		}                                   \
	}

#define ACTOR      DICTIONARY_ACTOR
#define EXECUTABLE DICTIONARY_EXECUTABLE
#define LOCAL      DICTIONARY_LOCAL
#define NAME       DICTIONARY_NAME
#define PROCESS    DICTIONARY_PROCESS
#define REMOTE     DICTIONARY_REMOTE
#define UNIT       DICTIONARY_UNIT

static const struct phase phases[] = {
	LOOK_AT("open_flow", "run, serial",
		"actor, process, opener, remote, local, nat_local, nat_remote", ACTOR, PROCESS,
		PROCESS, REMOTE, LOCAL, LOCAL, REMOTE),
	LOOK_AT("flow", "end_us", "actor, process, opener, remote, local", ACTOR, PROCESS, PROCESS,
		REMOTE, LOCAL),
	LOOK_AT("flow_nat", "end_us", "local, remote", LOCAL, REMOTE),
	/* rows move to a lower key when the ledger counts: not while this look goes on */
	LOOK_AT("contact", "young, remote, executable, protocol_id, port, direction",
		"remote, executable, process", REMOTE, EXECUTABLE, PROCESS),
	LOOK_AT("contact_day", "day, remote, actor, protocol_id, port, direction", "remote, actor",
		REMOTE, ACTOR),
	LOOK_AT("listener", "id", "process, local", PROCESS, LOCAL),
	LOOK_AT("name_evidence", "id", "name, owner, process", NAME, NAME, PROCESS),
	{PARENTS, 0, "process", "id", "parent", {PROCESS}},
	{SWEEP, PROCESS, "process", "id", "parent", {PROCESS}},
	LOOK_AT("process", "id", "actor", ACTOR),
	SWEEP_OF("actor", ACTOR),
	LOOK_AT("actor", "id", "executable, parent_executable, unit", EXECUTABLE, EXECUTABLE, UNIT),
	SWEEP_OF("executable", EXECUTABLE),
	SWEEP_OF("unit", UNIT),
	SWEEP_OF("remote", REMOTE),
	LOOK_AT("remote", "id", "name", NAME),
	SWEEP_OF("name", NAME),
	SWEEP_OF("local", LOCAL),
};

enum { PHASES = sizeof(phases) / sizeof(phases[0]) };

static const char delete_boots_text[] =
	"DELETE FROM boot WHERE NOT EXISTS (SELECT 1 FROM process WHERE process.boot = boot.id)"
	" AND id NOT IN (SELECT boot FROM run)";

static int words(const char *text)
{
	int count = *text != '\0';

	for (; *text; text++)
		count += *text == ',';
	return count;
}

/* Parents mostly come before their children. */
static bool is_downward(const struct phase *phase)
{
	return phase->kind == PARENTS || phase->swept == PROCESS;
}

static void begin_phase(struct retention_unused *unused)
{
	const struct phase *phase = &phases[unused->phase];

	for (int i = 0; i < UNUSED_KEYS; i++)
		unused->cursor[i] = is_downward(phase) ? INT64_MAX : INT64_MIN + 1;
	unused->again = false;
	if (phase->kind == SWEEP)
		dictionary_drop(unused->dictionary);
}

int retention_unused_begin(
	struct retention_unused *unused, struct dictionary *dictionary, sqlite3 *db)
{
	unused->dictionary = dictionary;
	for (size_t i = 0; i < PHASES; i++) {
		char text[TEXT_SIZE];
		int64_t max;

		if (phases[i].kind != SWEEP)
			continue;
		snprintf(
			text, sizeof(text), "SELECT coalesce(max(id), 0) FROM %s", phases[i].table);
		if (sql_integer(db, text, &max) < 0 ||
			used_ids_init(&dictionary->used[phases[i].swept], max) < 0)
			return -1;
	}
	if (sql_integer(db, "SELECT coalesce(max(end_us), 0) FROM flow", &unused->last_flow_us) < 0)
		return -1;
	unused->phase = 0;
	begin_phase(unused);
	return 0;
}

void retention_unused_done(struct retention_unused *unused)
{
	for (int i = 0; unused->dictionary && i < DICTIONARY_COUNT; i++)
		used_ids_done(&unused->dictionary->used[i]);
	unused->dictionary = NULL;
	retention_runs_done(&unused->runs);
}

/* The next rows after the cursor, in the order of the keys; of parents from the last one on. */
static int prepare(const struct phase *phase, const struct retention_unused *unused,
	const struct retention_slice *slice, sqlite3_stmt **ret_stmt)
{
	bool back = is_downward(phase);
	int keys = words(phase->keys);
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text),
		"SELECT %s%s%s FROM %s WHERE (%s) %s (%.*s) ORDER BY %s%s LIMIT ?%d", phase->keys,
		phase->columns[0] ? ", " : "", phase->columns, phase->table, phase->keys,
		back ? "<" : ">", 4 * keys - 2, "?1, ?2, ?3, ?4, ?5, ?6", phase->keys,
		back ? " DESC" : "", keys + 1);
	if (sql_prepare(slice->db, text, ret_stmt) < 0)
		return -1;
	sql_bind_integers(*ret_stmt, 1, unused->cursor, (size_t)keys);
	sql_bind_integers(*ret_stmt, keys + 1, &slice->rows, 1);
	return 0;
}

static void mark(
	struct retention_unused *unused, const struct phase *phase, sqlite3_stmt *stmt, int first)
{
	int columns = words(phase->columns);

	for (int i = 0; i < columns; i++)
		used_ids_mark(&unused->dictionary->used[phase->names[i]],
			sqlite3_column_int64(stmt, first + i));
}

static void mark_parent(struct retention_unused *unused, sqlite3_stmt *stmt)
{
	struct used_ids *used = &unused->dictionary->used[PROCESS];
	int64_t id = sqlite3_column_int64(stmt, 0), parent = sqlite3_column_int64(stmt, 1);

	if (used_ids_has(used, id) && used_ids_mark(used, parent) && parent > id)
		unused->again = true;
}

static void judge(struct retention_unused *unused, const struct phase *phase, sqlite3_stmt *stmt)
{
	int64_t id = sqlite3_column_int64(stmt, 0);

	if (used_ids_has(&unused->dictionary->used[phase->swept], id)) {
		mark(unused, phase, stmt, 1);
		retention_runs_stay(&unused->runs);
	} else {
		retention_runs_add(&unused->runs, id);
	}
}

/* Up to max rows. Returns how many there were, or -1. */
static int64_t walk(
	struct retention_unused *unused, const struct phase *phase, sqlite3_stmt *stmt, int64_t max)
{
	int keys = words(phase->keys), code;
	int64_t rows = 0;

	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		rows++;
		for (int i = 0; i < keys && rows == max; i++)
			unused->cursor[i] = sqlite3_column_int64(stmt, i);
		if (phase->kind == LOOK)
			mark(unused, phase, stmt, keys);
		else if (phase->kind == PARENTS)
			mark_parent(unused, stmt);
		else
			judge(unused, phase, stmt);
	}
	return code == SQLITE_DONE ? rows : -1;
}

static int sweep(const struct retention_unused *unused, const struct phase *phase,
	const struct retention_slice *slice)
{
	char text[TEXT_SIZE];

	if (phase->kind != SWEEP || unused->runs.count == 0)
		return 0;
	snprintf(text, sizeof(text), "DELETE FROM %s WHERE id BETWEEN ?1 AND ?2", phase->table);
	if (retention_runs_delete(&unused->runs, slice->db, text) < 0)
		return -1;
	return retention_note(slice, phase->table, unused->runs.rows, 0, 0);
}

static enum retention_step next_phase(
	struct retention_unused *unused, const struct retention_slice *slice)
{
	if (!unused->again)
		unused->phase++;
	if (unused->phase < PHASES) {
		begin_phase(unused);
		return RETENTION_MORE;
	}
	return sql_exec(slice->db, delete_boots_text) < 0 ? RETENTION_FAILED : RETENTION_DONE;
}

/* Flows that were written since the look began went through the dictionary. */
static bool is_past_flows(const struct retention_unused *unused, const struct phase *phase)
{
	return strcmp(phase->keys, "end_us") == 0 && unused->cursor[0] >= unused->last_flow_us;
}

enum retention_step retention_unused_step(struct retention_unused *unused,
	const struct retention_slice *slice, bool may_sweep, bool *ret_waits)
{
	const struct phase *phase = &phases[unused->phase];
	sqlite3_stmt *stmt;
	int64_t rows;

	*ret_waits = phase->kind == SWEEP && !may_sweep;
	if (*ret_waits)
		return RETENTION_MORE;
	if (retention_runs_begin(&unused->runs, slice->rows) < 0 ||
		prepare(phase, unused, slice, &stmt) < 0)
		return RETENTION_FAILED;
	rows = walk(unused, phase, stmt, slice->rows);
	sqlite3_finalize(stmt);
	if (rows < 0 || sweep(unused, phase, slice) < 0)
		return RETENTION_FAILED;
	return rows == slice->rows && !is_past_flows(unused, phase) ? RETENTION_MORE
								    : next_phase(unused, slice);
}

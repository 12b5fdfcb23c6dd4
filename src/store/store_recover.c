/* What earlier runs left behind. Flows and listeners that they left open end as lost, at their last
 * sighting, unless this is still the same boot: then this run takes them over, for their sockets
 * may live on. Whether the last run was killed or stopped, the time until this start goes into the
 * coverage, unless a ring kept what happened meanwhile. */
#include "flow/flow_names.h"
#include "store/sql.h"
#include "store/store_internal.h"

enum { OPEN_COLUMNS = 20 };

/* Sockets of another boot, or of none (capture files), are gone; those of this one may live on. ?1:
 * this boot, ?2: this run. */
#define THIS_BOOT                                                 \
	"(SELECT run.id FROM run JOIN boot ON boot.id = run.boot" \
	" WHERE run.boot = ?1 AND boot.boot_uuid <> '' AND run.id < ?2)"
#define IS_OVER "(socket = 0 OR run NOT IN " THIS_BOOT ")"

static const char open_flows_text[] =
	"SELECT o.start_us, o.seen_us, o.actor, a.executable, o.process, o.opener, o.remote,"
	" o.local, o.remote_port, o.local_port, o.octets_out, o.octets_in, o.packets_out,"
	" o.packets_in, o.retransmits, o.rtt_us, o.nat_local, o.nat_local_port, o.nat_remote,"
	" o.nat_remote_port, k.direction, k.method, k.source, k.protocol_id, k.error FROM "
	"open_flow AS o JOIN actor AS a ON a.id = o.actor"
	" JOIN kind AS k ON k.id = o.kind WHERE " IS_OVER " ORDER BY o.seen_us";

/* The last sign of life of a run: its end, its heartbeat, or what it wrote last. */
#define LAST_SIGN                            \
	"coalesce(end_us, max(heartbeat_us," \
	" coalesce((SELECT max(seen_us) FROM open_flow WHERE open_flow.run = run.id), 0)))"

static const char close_listeners_text[] =
	"UPDATE listener SET until_us ="
	" max(from_us, (SELECT " LAST_SIGN " FROM run WHERE run.id = listener.run))"
	" WHERE until_us IS NULL AND " IS_OVER;

static const char take_listeners_text[] =
	"UPDATE listener SET run = ?2 WHERE until_us IS NULL AND run IN " THIS_BOOT;

static const char forget_flows_text[] = "DELETE FROM open_flow WHERE " IS_OVER;

static const char take_flows_text[] = "UPDATE open_flow SET run = ?2 WHERE run IN " THIS_BOOT;

static const char last_sign_text[] =
	"SELECT coalesce(max(" LAST_SIGN "), 0) FROM run WHERE id IN " THIS_BOOT;

/* Of the last run that watched this boot, whatever ring it had. */
static const char last_position_text[] =
	"SELECT ring IS ?3, (SELECT coalesce(max(ring_position), 0) FROM run WHERE ring IS ?3)"
	" FROM run WHERE id IN " THIS_BOOT " ORDER BY id DESC LIMIT 1";

static const char close_coverage_text[] =
	"UPDATE coverage_interval SET until_us = max(from_us,"
	" (SELECT coalesce(end_us, heartbeat_us) FROM run WHERE run.id = coverage_interval.run))"
	" WHERE until_us IS NULL";

/* From the end of the last run, or from when on what it saw may not be stored, to this start; over
 * a reboot in two parts. Runs that only read capture files (no boot) watched nothing. */
static const char add_down_text[] =
	"WITH last AS (SELECT boot, iif(end_us IS NULL, 'killed', 'stopped') AS how,"
	"  coalesce(end_us, heartbeat_us) AS last_us FROM run"
	"  WHERE run.id < ?1 AND boot IN (SELECT id FROM boot WHERE boot_uuid <> '')"
	"  ORDER BY run.id DESC LIMIT 1),"
	" this AS (SELECT id AS boot, start_us FROM boot WHERE id = ?5 AND boot_uuid <> ''),"
	" part (from_us, until_us, detail) AS ("
	"  SELECT last_us, ?2, how FROM last JOIN this USING (boot)"
	"  UNION ALL SELECT ?2, last_us, how || '; the clock was set back' FROM last, this"
	"  UNION ALL SELECT last_us, min(start_us, ?2), how || ', then a reboot'"
	"   FROM last JOIN this ON this.boot <> last.boot"
	"  UNION ALL SELECT max(start_us, last_us), ?2, 'not yet started after the boot'"
	"   FROM last JOIN this ON this.boot <> last.boot)"
	" INSERT INTO coverage_interval (run, from_us, until_us, source, what, count, detail)"
	" SELECT ?1, from_us, until_us, ?3, ?4, 0, detail FROM part WHERE from_us < until_us";

/* The value of a stored name, 0 ("unknown") if it is none. */
static int value_of(const char *(*name_of)(int), int count, const unsigned char *text)
{
	for (int value = 0; value < count; value++)
		if (text && sqlite3_stricmp(name_of(value), (const char *)text) == 0)
			return value;
	return 0;
}

static const char *direction_name(int value)
{
	return flow_direction_name((enum flow_direction)value);
}

static const char *method_name(int value)
{
	return flow_method_name((enum flow_method)value);
}

static const char *source_name(int value)
{
	return flow_source_name((enum flow_source)value);
}

static void read_numbers(sqlite3_stmt *stmt, struct flow_row *row)
{
	int64_t *const fields[OPEN_COLUMNS] = {&row->start_us, &row->end_us, &row->actor,
		&row->executable, &row->process, &row->opener, &row->remote, &row->local,
		&row->remote_port, &row->local_port, &row->octets_out, &row->octets_in,
		&row->packets_out, &row->packets_in, &row->retransmits, &row->rtt_us,
		&row->nat.local, &row->nat.local_port, &row->nat.remote, &row->nat.remote_port};

	for (int i = 0; i < OPEN_COLUMNS; i++)
		*fields[i] = sqlite3_column_type(stmt, i) == SQLITE_NULL
				     ? SQL_NULL
				     : sqlite3_column_int64(stmt, i);
}

void store_read_kind(sqlite3_stmt *stmt, int column, struct flow_record *record)
{
	record->direction = (enum flow_direction)value_of(
		direction_name, FLOW_DIRECTION_COUNT, sqlite3_column_text(stmt, column));
	record->method = (enum flow_method)value_of(
		method_name, FLOW_METHOD_COUNT, sqlite3_column_text(stmt, column + 1));
	record->source = (enum flow_source)value_of(
		source_name, FLOW_SOURCE_COUNT, sqlite3_column_text(stmt, column + 2));
	record->key.protocol = (uint8_t)sqlite3_column_int(stmt, column + 3);
}

/* The port of the service follows from the words of the kind. */
void store_read_row(sqlite3_stmt *stmt, struct flow_row *row)
{
	struct flow_record kind = {0};

	read_numbers(stmt, row);
	store_read_kind(stmt, OPEN_COLUMNS, &kind);
	kind.key.remote_port = (uint16_t)row->remote_port;
	kind.key.local_port = (uint16_t)row->local_port;
	row->service_port = flow_key_service_port(&kind.key, kind.direction);
	row->protocol = kind.key.protocol;
	row->direction = kind.direction;
	row->method = kind.method;
}

/* The new kind is the old one with another outcome. */
static int lose_row(struct store *store, sqlite3_stmt *stmt, struct flow_row *row)
{
	struct flow_record lost = {.outcome = FLOW_OUTCOME_LOST};

	store_read_kind(stmt, OPEN_COLUMNS, &lost);
	lost.error = sqlite3_column_int(stmt, OPEN_COLUMNS + 4);
	row->outcome = lost.outcome;
	return dictionary_kind(&store->dictionary, &lost, &row->kind);
}

static int end_open_flows(struct store *store, sqlite3_stmt *stmt)
{
	struct flow_row row;
	int64_t open;
	int code;

	if (sql_integer(store->db, "SELECT count(*) FROM open_flow", &open) < 0 ||
		flow_writer_begin(&store->flows, (size_t)open) < 0)
		return -1;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		store_read_row(stmt, &row);
		if (lose_row(store, stmt, &row) < 0 || flow_writer_add(&store->flows, &row) < 0)
			return -1;
		store->counters.recovered_flows++;
	}
	return code == SQLITE_DONE ? flow_writer_finish(&store->flows) : -1;
}

static void bind_run(const struct store *store, sqlite3_stmt *stmt)
{
	int64_t ids[2] = {store->boot, store->run};

	sql_bind_integers(stmt, 1, ids, 2);
}

static int run_text(struct store *store, const char *text)
{
	return sql_run_text(store->db, text, (int64_t[]){store->boot, store->run}, 2);
}

static int recover_flows(struct store *store)
{
	sqlite3_stmt *stmt;
	int status;

	if (sql_prepare(store->db, open_flows_text, &stmt) < 0)
		return -1;
	bind_run(store, stmt);
	status = end_open_flows(store, stmt);
	sqlite3_finalize(stmt);
	return status;
}

int store_note_down(struct store *store, int64_t run, int64_t start_us)
{
	int64_t values[2] = {run, start_us};
	sqlite3_stmt *stmt;
	int status;

	if (sql_prepare(store->db, add_down_text, &stmt) < 0)
		return -1;
	sql_bind_integers(stmt, 1, values, 2);
	sql_bind_text(stmt, 3, flow_source_name(FLOW_SOURCE_EBPF));
	sql_bind_text(stmt, 4, coverage_what_name(COVERAGE_DOWN));
	sql_bind_integers(stmt, 5, &store->boot, 1);
	status = sql_run(stmt);
	sqlite3_finalize(stmt);
	return status;
}

/* Reads how the last run ended, before anything of it is changed. Returns 1 if the ring had all
 * that came since, 0 if not, or -1. */
static int find_before(struct store *store, const struct store_ring *ring)
{
	int64_t ids[3] = {store->boot, store->run, (int64_t)ring->id}, last[2] = {0}, sign = 0;

	if (sql_row_text(store->db, last_sign_text, ids, 2, &sign, 1) < 0 ||
		sql_row_text(store->db, last_position_text, ids, 3, last, 2) < 0)
		return -1;
	store->before.same_ring = ring->id && last[0];
	store->before.position = (uint64_t)last[1];
	store->before.last_us = sign;
	return store->before.same_ring && ring->dropped <= store->before.position;
}

int store_recover(struct store *store, const struct store_options *options, int64_t now_us)
{
	int whole = find_before(store, &options->ring);

	if (whole < 0 || (!whole && store_note_down(store, store->run, now_us) < 0) ||
		run_text(store, close_listeners_text) < 0 ||
		sql_exec(store->db, close_coverage_text) < 0 || recover_flows(store) < 0 ||
		run_text(store, forget_flows_text) < 0 || run_text(store, take_flows_text) < 0)
		return -1;
	return run_text(store, take_listeners_text);
}

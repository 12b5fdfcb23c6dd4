/* One batch, one transaction: all of it or nothing.
 *
 * When anything fails the transaction is rolled back, and with it go all cached ids and known keys,
 * because rows that they name may be gone. The caller keeps the batch and tries again. */
#include <errno.h>

#include "flow/flow_names.h"
#include "store/sql.h"
#include "store/store_clock.h"
#include "store/store_internal.h"
#include "store/store_room.h"
#include "util/clock.h"

enum { CHECKPOINT_WAIT_MS = 50 }; /* of one batch */

/* What a snapshot tells of a listener does not replace what an earlier run saw for itself. */
static const char put_listener_text[] =
	"INSERT INTO listener (run, socket, process, local, local_port, protocol_id, protocol,"
	" method, from_us, until_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
	" ON CONFLICT (run, socket) WHERE until_us IS NULL DO UPDATE SET local = ?4,"
	" local_port = ?5, from_us = min(from_us, ?9),"
	" process = iif(?8 = 'snapshot', coalesce(process, ?3), ?3),"
	" method = iif(?8 = 'snapshot' AND process IS NOT NULL, method, ?8)";

static const char close_listener_text[] = "UPDATE listener SET until_us = max(from_us, ?3)"
					  " WHERE run = ?1 AND socket = ?2 AND until_us IS NULL";

/* An interval goes on if the next of its kind begins within this slack: a minute, and one more for
 * every hundred intervals of what the run has already. So n intervals take at least n^2/200
 * minutes, and whatever goes wrong for years takes some ten thousand rows. */
#define COVERAGE_SLACK_US                                         \
	"60000000 * (1 + (SELECT count(*) FROM coverage_interval" \
	" WHERE run = ?1 AND what = ?6) / 100)"

static const char extend_coverage_text[] =
	"UPDATE coverage_interval SET from_us = min(from_us, ?2), count = count + ?4,"
	" until_us = iif(?3 IS NULL, NULL, max(coalesce(until_us, 0), ?3)) WHERE id ="
	" (SELECT max(id) FROM coverage_interval WHERE run = ?1 AND source = ?5 AND what = ?6"
	"  AND detail = ?7 AND (until_us IS NULL OR until_us >= ?2 - " COVERAGE_SLACK_US "))";

static const char add_coverage_text[] =
	"INSERT INTO coverage_interval (run, from_us, until_us, count, source, what, detail)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

int store_write_prepare(struct store *store)
{
	sqlite3 *db = store->db;

	if (sql_prepare(db, "BEGIN IMMEDIATE", &store->begin) < 0 ||
		sql_prepare(db, "COMMIT", &store->commit) < 0 ||
		sql_prepare(db, "ROLLBACK", &store->rollback) < 0 ||
		sql_prepare(db, "UPDATE run SET heartbeat_us = ?1 WHERE id = ?2", &store->beat) <
			0 ||
		sql_prepare(db, "UPDATE run SET ring_position = ?1 WHERE id = ?2",
			&store->set_position) < 0 ||
		sql_prepare(db, put_listener_text, &store->put_listener) < 0 ||
		sql_prepare(db, close_listener_text, &store->close_listener) < 0)
		return -1;
	if (sql_prepare(db, extend_coverage_text, &store->extend_coverage) < 0 ||
		name_writer_init(&store->names, db, &store->dictionary) < 0)
		return -1;
	return sql_prepare(db, add_coverage_text, &store->add_coverage);
}

void store_write_finalize(struct store *store)
{
	sqlite3_finalize(store->begin);
	sqlite3_finalize(store->commit);
	sqlite3_finalize(store->rollback);
	sqlite3_finalize(store->beat);
	sqlite3_finalize(store->set_position);
	sqlite3_finalize(store->put_listener);
	sqlite3_finalize(store->close_listener);
	sqlite3_finalize(store->extend_coverage);
	sqlite3_finalize(store->add_coverage);
	name_writer_done(&store->names);
}

/* Without memory even a rollback may fail; what it left open is not to be added to. */
int store_begin(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db) && sql_run(store->rollback) < 0)
		return -1;
	return sql_run(store->begin);
}

int store_commit(struct store *store)
{
	return sql_run(store->commit);
}

void store_rollback(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		sql_run(store->rollback); /* if it fails, store_begin tries again */
	dictionary_drop(&store->dictionary);
	flow_writer_drop(&store->flows);
	retention_drop(&store->retention);
	store_clock_revert(store);
}

static int settle_slice(struct store *store, size_t keys)
{
	struct rollup *rollup = &store->flows.rollup;

	if (store_begin(store) < 0 || rollup_settle_slice(rollup, keys) < 0 ||
		store_commit(store) < 0)
		return -1;
	rollup_slice_committed(rollup);
	return 0;
}

int store_settle_some(struct store *store, int slices)
{
	for (; slices > 0 && rollup_is_settling(&store->flows.rollup); slices--)
		if (settle_slice(store, ROLLUP_SLICE) < 0)
			return -1;
	return 0;
}

int store_settle_all(struct store *store)
{
	struct rollup *rollup = &store->flows.rollup;

	while (rollup_is_pending(rollup)) {
		rollup_settle_begin(rollup, store->flows.latest_us);
		if (settle_slice(store, ROLLUP_SLICE) < 0)
			return -1;
	}
	return 0;
}

/* Room for the flows of a batch, or time to settle: begins, or does a slice of the work, so that no
 * batch waits for all of it. */
static int settle_before(struct store *store, size_t flows, bool all)
{
	struct rollup *rollup = &store->flows.rollup;

	if (all || rollup_is_full(rollup, flows))
		return store_settle_all(store);
	if (rollup_is_due(rollup, flows))
		rollup_settle_begin(rollup, store->flows.latest_us);
	else if (rollup_is_settling(rollup))
		return settle_slice(store, rollup_slice_keys(rollup, flows));
	return 0;
}

int store_correct_some(struct store *store)
{
	if (!store_clock_has_more(store))
		return 0;
	if (store_settle_all(store) < 0 || store_begin(store) < 0 || store_clock_more(store) < 0 ||
		store_commit(store) < 0) {
		store_clock_fail(store);
		return -1;
	}
	store_clock_grow(store);
	store_clock_committed(store);
	return 0;
}

/* What readers hold back, or a full disk, is left for the next time. */
static void checkpoint_now(struct store *store)
{
	sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* Where there is little room the WAL is not to grow meanwhile. */
static bool ask_thread(struct store *store)
{
	return !store_room_is_tight(&store->file) && checkpointer_ask(store->checkpointer);
}

void store_checkpoint(struct store *store)
{
	if (!ask_thread(store))
		checkpoint_now(store);
	store->wal_pages = store->slice_pages = 0;
	store->checkpoint_ns = clock_boottime_ns();
}

/* When the thread is done: was it asked to go on? */
static bool ask_for_rest(struct store *store)
{
	int moved = checkpointer_ended(store->checkpointer);

	if (moved < 0)
		return false;
	store->wal_pages = 0;
	if (moved >= store->wal_frames)
		return false;
	if (store->wal_frames <= WAL_FRAMES_MAX && ask_thread(store))
		return true;
	checkpoint_now(store);
	return false;
}

/* The WAL begins anew only if all of it was moved: what came meanwhile is next, again and again.
 * Who writes faster than the thread moves waits for it, a little with each batch. Nothing comes
 * meanwhile, so twice is enough: what is left then, a reader holds back. */
void store_checkpoint_rest(struct store *store)
{
	bool waits = store->wal_frames > WAL_PAGES_MAX + WAL_PAGES_MAX / 2;
	int64_t begin_ns = clock_boottime_ns(), took_ms;

	if (waits)
		checkpointer_wait(store->checkpointer, CHECKPOINT_WAIT_MS);
	if (!ask_for_rest(store) || !waits)
		return;
	took_ms = (clock_boottime_ns() - begin_ns) / NS_PER_MS;
	if (took_ms < CHECKPOINT_WAIT_MS)
		checkpointer_wait(store->checkpointer, CHECKPOINT_WAIT_MS - took_ms);
	ask_for_rest(store);
}

static int write_processes(struct store *store, const struct batch *batch)
{
	const struct process_info *info;

	for (size_t i = 0; (info = batch_process(batch, i)) != NULL; i++)
		if (dictionary_put_process(&store->dictionary, info) < 0)
			return -1;
	return 0;
}

static int put_listener(struct store *store, const struct listener_record *record)
{
	const struct flow_key *key = &record->key;
	sqlite3_stmt *put = store->put_listener;
	struct id_value owner;
	int64_t local;
	char name[FLOW_PROTOCOL_NAME_SIZE];

	if (dictionary_process(&store->dictionary, &record->owner, &owner) < 0 ||
		dictionary_local(&store->dictionary, key, &local) < 0)
		return -1;

	int64_t ids[6] = {store->run, (int64_t)key->socket_cookie, owner.id, local, key->local_port,
		key->protocol};
	int64_t times[2] = {record->from_us, record->until_us ? record->until_us : SQL_NULL};

	sql_bind_integers(put, 1, ids, 6);
	sql_bind_text(put, 7, flow_protocol_name(key->protocol, name));
	sql_bind_text(put, 8, flow_method_name(record->method));
	sql_bind_integers(put, 9, times, 2);
	return sql_run(put);
}

static int write_listener(struct store *store, const struct listener_record *record)
{
	int64_t key[3] = {store->run, (int64_t)record->key.socket_cookie, record->until_us};

	if (record->until_us) {
		sql_bind_integers(store->close_listener, 1, key, 3);
		if (sql_run(store->close_listener) < 0)
			return -1;
		if (sqlite3_changes(store->db) > 0)
			return 0;
	}
	return put_listener(store, record);
}

static int write_listeners(struct store *store, const struct batch *batch)
{
	const struct listener_record *record;

	for (size_t i = 0; (record = batch_listener(batch, i)) != NULL; i++)
		if (write_listener(store, record) < 0)
			return -1;
	return 0;
}

static int put_coverage(
	struct store *store, sqlite3_stmt *put, const struct coverage_record *record)
{
	int64_t values[4] = {store->run, record->from_us,
		record->until_us ? record->until_us : SQL_NULL, (int64_t)record->count};

	sql_bind_integers(put, 1, values, 4);
	sql_bind_text(put, 5, flow_source_name(record->source));
	sql_bind_text(put, 6, coverage_what_name(record->what));
	sql_bind_text(put, 7, record->detail);
	return sql_run(put);
}

static int write_coverage(struct store *store, const struct batch *batch)
{
	const struct coverage_record *record;

	for (size_t i = 0; (record = batch_coverage(batch, i)) != NULL; i++) {
		if (put_coverage(store, store->extend_coverage, record) < 0)
			return -1;
		if (sqlite3_changes(store->db) == 0 &&
			put_coverage(store, store->add_coverage, record) < 0)
			return -1;
	}
	return 0;
}

static int write_position(struct store *store, const struct batch *batch)
{
	int64_t values[2] = {(int64_t)batch_position(batch), store->run};

	if (values[0] == 0)
		return 0;
	sql_bind_integers(store->set_position, 1, values, 2);
	return sql_run(store->set_position);
}

static void count_batch(struct store *store, const struct batch *batch, int64_t begin_ns)
{
	int64_t now_ns = clock_boottime_ns(), took_us = (now_ns - begin_ns) / NS_PER_US;

	if (batch_step(batch)->corrects) { /* the row of this run was */
		store->seen_us += batch_step(batch)->us;
		store->beat_us += batch_step(batch)->us;
	}
	store->written_ns = now_ns;
	store->counters.batches++;
	store->counters.flows += batch_flows(batch);
	store->counters.processes += batch_processes(batch);
	if (took_us > store->counters.longest_batch_us)
		store->counters.longest_batch_us = took_us;
}

int store_write(struct store *store, const struct batch *batch, struct store_error *ret_error)
{
	int64_t begin_ns = clock_boottime_ns();

	bool settling = rollup_is_settling(&store->flows.rollup);

	/* no batch waits for what never fits; the heartbeat tells */
	if ((!store_clock_is_stuck(store) || batch_step(batch)->corrects) &&
		store_correct_some(store) < 0)
		store_rollback(store);
	if (settle_before(store, batch_flows(batch), batch_step(batch)->corrects) < 0 ||
		store_begin(store) < 0 || store_clock_step(store, batch_step(batch)) < 0 ||
		write_processes(store, batch) < 0 || write_listeners(store, batch) < 0 ||
		flow_writer_batch(&store->flows, batch) < 0 ||
		name_writer_batch(&store->names, batch) < 0 || write_coverage(store, batch) < 0 ||
		write_position(store, batch) < 0 || store_commit(store) < 0) {
		sql_describe(store->db, store->file.path, "writing", ret_error);
		store_rollback(store);
		if (batch_step(batch)->corrects)
			store_clock_shrink(store);
		store->counters.retries++;
		return -1;
	}
	rollup_committed(&store->flows.rollup);
	store_clock_committed(store);
	store->retention.looks_seen = batch_look(batch);
	store_checkpoint_rest(store);
	if (store->wal_pages >= store_room_wal_pages(&store->file) &&
		(!settling || store->wal_pages < WAL_PAGES_MAX))
		store_checkpoint(store);
	count_batch(store, batch, begin_ns);
	return 0;
}

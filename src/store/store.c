/* Opens, keeps and closes the writer's connection.
 *
 * States: claimed (path checked, locked), opened (SQLite, WAL), migrated, recovered, running. Any
 * step that fails undoes the ones before it. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sql.h"
#include "store/store_clock.h"
#include "store/store_internal.h"
#include "store/store_migrate.h"
#include "store/store_room.h"
#include "util/clock.h"

enum {
	CORRECT_SECONDS = 10,
	BUSY_TIMEOUT_MS = 500,
	CHECKPOINT_SECONDS = 60,
	IDLE_MS = 200,
	HEARTBEAT_SLICES = 8,   /* of pending roll-ups */
	HEARTBEAT_SECONDS = 10, /* a heartbeat dirties a page: not more often than this, */
	HEARTBEAT_PART = 2,     /* or, of a run that has just begun, once in this part of it */
};

/* Only in a new file. A batch changes a few rows on each of many pages, and the WAL takes whole
 * pages: small ones halve what is written, for 5 % more CPU. */
static const char layout[] = "PRAGMA page_size = 2048;"
			     "PRAGMA auto_vacuum = INCREMENTAL;"
			     "PRAGMA journal_mode = WAL;";

/* Page cache of the writer, and how far back a WAL that grew is cut. secure_delete is on in
 * Debian's build: it makes deletes write, and the file is mode 0640 anyway. */
static const char settings[] = "PRAGMA secure_delete = OFF;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA cache_size = -16384;"
			       "PRAGMA trusted_schema = OFF;"
			       "PRAGMA wal_autocheckpoint = 0;"
			       "PRAGMA journal_size_limit = 67108864;";

static int note_wal_pages(void *ctx, sqlite3 *db, const char *schema, int pages)
{
	struct store *store = ctx;

	(void)db;
	(void)schema;
	store->wal_pages = store->wal_frames = pages;
	return SQLITE_OK;
}

static int connect_database(
	struct store *store, bool synchronous_full, struct store_error *ret_error)
{
	const char *path = store->file.path;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
	int version;

	if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK)
		return sql_describe(store->db, path, "opening", ret_error);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	if (store_path_is_same(&store->file, ret_error) < 0 ||
		store_migrate_check(store->db, path, &version, ret_error) < 0)
		return -1;
	if (sql_exec(store->db, layout) < 0 || sql_exec(store->db, settings) < 0 ||
		sql_exec(store->db, synchronous_full ? "PRAGMA synchronous = FULL"
						     : "PRAGMA synchronous = NORMAL") < 0)
		return sql_describe(store->db, path, "opening", ret_error);
	sqlite3_wal_hook(store->db, note_wal_pages, store);
	return 0;
}

static int begin_boot(struct store *store, const struct store_options *options)
{
	sqlite3_stmt *stmt = NULL;
	int found = -1;

	if (sql_prepare(store->db,
		    "INSERT INTO boot (boot_uuid, start_us) VALUES (?1, ?2)"
		    " ON CONFLICT DO UPDATE SET boot_uuid = boot_uuid RETURNING id",
		    &stmt) == 0) {
		sql_bind_text(stmt, 1, options->boot_uuid);
		sql_bind_integers(stmt, 2, &options->boot_start_us, 1);
		found = sql_row(stmt, &store->boot, 1);
	}
	sqlite3_finalize(stmt);
	return found > 0 ? 0 : -1;
}

static int begin_run(struct store *store, const struct store_options *options, int64_t now_us)
{
	int64_t numbers[4] = {store->boot, getpid(), now_us, now_us};
	int64_t ring = options->ring.id ? (int64_t)options->ring.id : SQL_NULL;
	sqlite3_stmt *stmt = NULL;
	int status = -1;

	if (sql_prepare(store->db,
		    "INSERT INTO run (boot, pid, start_us, heartbeat_us, host, version, ring)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    &stmt) == 0) {
		sql_bind_integers(stmt, 1, numbers, 4);
		sql_bind_text(stmt, 5, options->host_name);
		sql_bind_text(stmt, 6, options->version);
		sql_bind_integers(stmt, 7, &ring, 1);
		status = sql_run(stmt);
	}
	sqlite3_finalize(stmt);
	store->run = sqlite3_last_insert_rowid(store->db);
	store->seen_us = store->beat_us = now_us;
	return status;
}

static int begin_recording(struct store *store, const struct store_options *options)
{
	int64_t now_us = clock_realtime_us();

	if (begin_run(store, options, now_us) < 0)
		return -1;
	store->flows.run = store->run;
	if (store_clock_begin(store, options, now_us) < 0)
		return -1;
	return store_recover(store, options, now_us);
}

/* In a transaction: all that does not need a run. */
static int prepare(struct store *store, const struct store_options *options)
{
	if (!options->maintenance && begin_boot(store, options) < 0)
		return -1;
	if (dictionary_init(&store->dictionary, store->db, store->boot, options->boot_start_us) <
			0 ||
		flow_writer_init(&store->flows, store->db, &store->dictionary, 0) < 0 ||
		retention_init(&store->retention, store->db, &store->dictionary,
			&store->flows.rollup) < 0 ||
		rollup_recover(store->db, options->built_us) < 0)
		return -1;
	return options->maintenance ? 0 : store_clock_take_up(store, options, clock_realtime_us());
}

/* A slice. Returns whether to go on. */
static bool correct_slice(struct store *store)
{
	if (store_correct_some(store) < 0) {
		store_rollback(store);
		if (store_clock_is_stuck(store))
			return store_clock_leave(store);
	} else if (!store_clock_has_more(store)) {
		return store_clock_next(store) == 0;
	}
	if (store->wal_pages >= store_room_wal_pages(&store->file))
		store_checkpoint(store);
	return true;
}

/* What earlier runs left and cannot wait, outside of the transaction. */
static int correct_first(struct store *store)
{
	if (!store_clock_goes_first(store))
		return 0;
	if (store_commit(store) < 0)
		return -1;
	rollup_committed(&store->flows.rollup);
	while (store_clock_goes_first(store) && correct_slice(store))
		;
	return store_begin(store);
}

/* The new run, and the end of what earlier ones left open, in one transaction. */
static int begin(
	struct store *store, const struct store_options *options, struct store_error *ret_error)
{
	if (store_write_prepare(store) == 0 && store_begin(store) == 0 &&
		prepare(store, options) == 0 && correct_first(store) == 0 &&
		(options->maintenance || begin_recording(store, options) == 0) &&
		store_clock_find_left(store) == 0 && store_commit(store) == 0) {
		rollup_committed(&store->flows.rollup);
		return 0;
	}
	sql_describe(store->db, store->file.path, "beginning a run", ret_error);
	return -1;
}

/* All but the claim of the file. */
static void disconnect(struct store *store)
{
	checkpointer_free(store->checkpointer);
	retention_done(&store->retention);
	flow_writer_done(&store->flows);
	dictionary_done(&store->dictionary);
	store_write_finalize(store);
	sqlite3_close(store->db); /* rolls back what is open */
	free(store);
}

static int open_claimed(const struct store_options *options, const struct store_file *file,
	struct store **ret_store, struct store_error *ret_error)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return sql_fail(ret_error, STORE_RETRY, options->path, "out of memory");
	store->unattended = options->unattended;
	store->file = *file;
	if (connect_database(store, options->synchronous_full, ret_error) < 0 ||
		store_migrate(store->db, store->file.path, ret_error) < 0 ||
		begin(store, options, ret_error) < 0) {
		disconnect(store);
		return -1;
	}
	store->begin_ns = store->checkpoint_ns = clock_boottime_ns();
	store_set_retention(store, &options->retention);
	if (options->unattended) {
		store_room_reserve(&store->file);
		store->checkpointer = checkpointer_new(store->file.path);
	}
	*ret_store = store;
	return 0;
}

/* With an empty file in place of the damaged one. */
static int open_anew(const struct store_options *options, struct store_file *file,
	struct store **ret_store, struct store_error *ret_error)
{
	struct store_error error;

	if (store_path_set_aside(file, ret_error) < 0)
		return -1;
	if (open_claimed(options, file, ret_store, &error) == 0 ||
		(error.class == STORE_FULL && store_room_drop_ballast(file) &&
			open_claimed(options, file, ret_store, &error) == 0))
		return 0;
	sql_fail(ret_error, error.class, file->path, "was damaged and is now %.200s; %.200s",
		file->aside, error.text);
	return -1;
}

int store_open(const struct store_options *options, struct store **ret_store,
	struct store_error *ret_error)
{
	struct store_error second;
	struct store_file file;

	if (store_path_claim(options->path, &file, ret_error) < 0)
		return -1;
	if (open_claimed(options, &file, ret_store, ret_error) == 0)
		return 0;
	if (ret_error->class == STORE_FULL && options->unattended &&
		store_room_drop_ballast(&file) &&
		open_claimed(options, &file, ret_store, ret_error) == 0)
		return 0;
	if (ret_error->class == STORE_CORRUPT && options->unattended && file.known) {
		if (open_anew(options, &file, ret_store, &second) == 0)
			return 0;
		*ret_error = second;
	}
	store_path_release(&file);
	return -1;
}

const char *store_aside(const struct store *store)
{
	return store->file.aside[0] ? store->file.aside : NULL;
}

/* Between batches that follow close on one another store_write settles, a slice a batch. */
static int settle_when_idle(struct store *store)
{
	if (clock_boottime_ns() - store->written_ns < IDLE_MS * INT64_C(1000000))
		return 0;
	if (rollup_is_due(&store->flows.rollup, 0))
		rollup_settle_begin(&store->flows.rollup, store->flows.latest_us);
	return store_settle_some(store, HEARTBEAT_SLICES);
}

/* The first page may be in the file before the last one is: a reader, or a full disk, kept that one
 * in the WAL. Only after a checkpoint that moved all a short file is a damaged one. */
static int look_whole(struct store *store, struct store_error *ret_error)
{
	int frames = 0, moved = 0, code;

	if (store_path_is_whole(&store->file, ret_error) == 0)
		return 0;
	code = sqlite3_wal_checkpoint_v2(
		store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	if ((code & 0xff) != SQLITE_CORRUPT && (code != SQLITE_OK || frames != moved))
		return 0;
	return store_path_is_whole(&store->file, ret_error);
}

/* The ages of what has wrong times are not known. */
static void set_policy(struct store *store)
{
	struct store_retention policy = store->policy;

	store->ages_held = store_clock_holds_ages(store);
	if (store->ages_held)
		policy.flow_age_us = policy.hour_age_us = policy.day_age_us =
			policy.contact_age_us = 0;
	retention_set(&store->retention, &policy);
}

void store_set_retention(struct store *store, const struct store_retention *retention)
{
	store->policy = *retention;
	set_policy(store);
}

/* A slice that could not be written is tried again as a smaller one, and told when there is none.
 */
static int correct_between(struct store *store, struct store_error *ret_error)
{
	int status = 0;

	if (!store_clock_rests(store) && store_correct_some(store) < 0) {
		sql_describe(store->db, store->file.path, "correcting times", ret_error);
		store_rollback(store);
		status = store_clock_is_stuck(store) ? -1 : 0;
	}
	if (store->ages_held != store_clock_holds_ages(store))
		set_policy(store);
	return status;
}

static bool is_time_to_beat(const struct store *store, int64_t seen_us)
{
	int64_t since_us = seen_us - store->beat_us;
	int64_t run_us = (clock_boottime_ns() - store->begin_ns) / NS_PER_US;

	return since_us < 0 || since_us >= HEARTBEAT_SECONDS * INT64_C(1000000) ||
	       since_us >= run_us / HEARTBEAT_PART;
}

int store_heartbeat(struct store *store, int64_t seen_us, struct store_error *ret_error)
{
	int corrected;
	int64_t values[2] = {seen_us, store->run};

	store->seen_us = seen_us;
	store_checkpoint_rest(store);
	if (store_path_is_same(&store->file, ret_error) < 0 || look_whole(store, ret_error) < 0)
		return -1;
	if (clock_boottime_ns() - store->checkpoint_ns >=
		CHECKPOINT_SECONDS * INT64_C(1000000000)) {
		store_checkpoint(store);
		if (store->unattended)
			store_room_reserve(&store->file);
	}
	corrected = correct_between(store, ret_error);
	if (settle_when_idle(store) < 0) {
		sql_describe(store->db, store->file.path, "writing", ret_error);
		store_rollback(store);
		return -1;
	}
	if (!is_time_to_beat(store, seen_us))
		return corrected;
	sql_bind_integers(store->beat, 1, values, 2);
	if (sql_run(store->beat) < 0)
		return sql_describe(store->db, store->file.path, "writing", ret_error);
	store->beat_us = seen_us;
	return corrected;
}

/* What the roll-ups do not count yet is not forgotten. */
static int forget_slice(struct store *store)
{
	if (store->retention.policy.at_once && store_settle_all(store) < 0)
		return -1;
	if (store_begin(store) < 0 || retention_step(&store->retention) < 0)
		return -1;
	return store_commit(store);
}

/* What is forgotten lies all over the file: the WAL is moved before that takes long. frames: of the
 * WAL before the slice; it may have begun anew with it. */
static bool checkpoint_is_due(struct store *store, int frames)
{
	store->slice_pages += store->wal_frames - (store->wal_frames < frames ? 0 : frames);
	return store->slice_pages >= WAL_PAGES_MAX / 4 ||
	       store->wal_pages >= store_room_wal_pages(&store->file);
}

static void count_slice(struct store *store, int64_t begin_ns)
{
	struct retention *retention = &store->retention;
	int64_t took_ns = clock_boottime_ns() - begin_ns;

	retention_took(retention, took_ns);
	if (took_ns / NS_PER_US > store->counters.longest_slice_us)
		store->counters.longest_slice_us = took_ns / NS_PER_US;
	store->counters.looks = retention->looks;
	store->counters.too_large = retention_is_stuck(retention);
}

int store_maintain(struct store *store, int64_t now_us, struct store_error *ret_error)
{
	struct retention *retention = &store->retention;
	int64_t begin_ns = clock_boottime_ns();
	int due, frames = store->wal_frames;

	/* the times of what is oldest are wrong */
	if (store_clock_has_more(store) && !store_clock_is_stuck(store))
		return 0;
	due = retention_is_due(retention, now_us, begin_ns);
	if (due == 0 || store->wal_frames > WAL_FRAMES_MAX)
		return 0;
	retention->tight = store_room_is_tight(&store->file);
	if (due < 0 || forget_slice(store) < 0) {
		sql_describe(store->db, store->file.path, "forgetting what is due", ret_error);
		store_rollback(store);
		return -1;
	}
	count_slice(store, begin_ns);
	store_checkpoint_rest(store);
	if (checkpoint_is_due(store, frames))
		store_checkpoint(store);
	return 1;
}

int store_set_file_span(struct store *store, int64_t from_us, int64_t until_us)
{
	return sql_run_text(store->db,
		"UPDATE run SET file_from_us = ?1, file_until_us = ?2 WHERE id = ?3",
		(int64_t[]){from_us, until_us, store->run}, 3);
}

/* If it fails, the next start takes the run for killed. */
static void end_run(struct store *store)
{
	sql_run_text(store->db, "UPDATE run SET end_us = ?1, heartbeat_us = ?1 WHERE id = ?2",
		(int64_t[]){store->seen_us, store->run}, 2);
}

/* What a step of the clock left to do, as far as it goes in a short time. */
static void correct_rest(struct store *store)
{
	int64_t until_ns = clock_boottime_ns() + CORRECT_SECONDS * INT64_C(1000000000);

	while (store_clock_has_more(store) && clock_boottime_ns() < until_ns)
		if (store_correct_some(store) < 0) {
			store_rollback(store);
			return;
		}
}

void store_close(struct store *store)
{
	struct store_file file;

	if (!store)
		return;
	file = store->file;
	correct_rest(store);
	if (store_settle_all(store) < 0)
		store_rollback(store); /* the next start settles */
	end_run(store);
	checkpointer_free(store->checkpointer);
	store->checkpointer = NULL;
	sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	disconnect(store);
	store_path_release(&file);
}

int store_close_damaged(struct store *store, struct store_error *ret_error)
{
	bool unattended = store->unattended;
	struct store_file file = store->file;
	int status;

	disconnect(store);
	if (unattended)
		status = store_path_set_aside(&file, ret_error);
	else
		status = sql_fail(ret_error, STORE_CORRUPT, file.path, "is damaged");
	if (status == 0)
		sql_fail(ret_error, STORE_OK, file.path,
			"is now %.400s; the next start begins a new history", file.aside);
	store_path_release(&file);
	return status;
}

const struct store_before *store_before(const struct store *store)
{
	return &store->before;
}

void store_counters(const struct store *store, struct store_counters *ret_counters)
{
	*ret_counters = store->counters;
}

const char *store_sqlite_version(void)
{
	return sqlite3_libversion();
}

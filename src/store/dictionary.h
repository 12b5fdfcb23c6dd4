/* What repeats: executables, units, actors, names, remotes, locals, kinds, processes. Gives the id
 * of a row, making the row if it is new. Internal to store/.
 *
 * Ids are cached; dictionary_drop must be called whenever a transaction rolled back. Functions
 * return 0, or -1 with the error in the connection. */
#ifndef LASTCONN_STORE_DICTIONARY_H
#define LASTCONN_STORE_DICTIONARY_H

#include <sqlite3.h>

#include "flow/flow_name.h"
#include "flow/flow_record.h"
#include "process/process.h"
#include "store/id_cache.h"
#include "store/used_ids.h"

enum dictionary_table {
	DICTIONARY_EXECUTABLE,
	DICTIONARY_UNIT,
	DICTIONARY_ACTOR,
	DICTIONARY_NAME,
	DICTIONARY_REMOTE,
	DICTIONARY_LOCAL,
	DICTIONARY_KIND,
	DICTIONARY_PROCESS,
	DICTIONARY_COUNT,
};

struct dictionary {
	sqlite3 *db;
	int64_t boot;
	int64_t boot_start_us;
	struct id_cache caches[DICTIONARY_COUNT];
	sqlite3_stmt *find[DICTIONARY_COUNT]; /* same parameters as add up to the key's end */
	sqlite3_stmt *add[DICTIONARY_COUNT];
	sqlite3_stmt *find_process_before; /* an earlier program of the same process */
	sqlite3_stmt *update_process;
	struct used_ids
		used[DICTIONARY_COUNT]; /* marks what is given out, see retention_unused.h */
};

/* A zeroed dictionary; dictionary_done also after a failed init. */
int dictionary_init(
	struct dictionary *dictionary, sqlite3 *db, int64_t boot, int64_t boot_start_us);
void dictionary_done(struct dictionary *dictionary);
void dictionary_drop(struct dictionary *dictionary);

int dictionary_name(
	struct dictionary *dictionary, const char *name, int64_t *ret_id); /* ""  is 0 */
int dictionary_remote(struct dictionary *dictionary, const struct addr *address,
	const struct flow_name *name, int64_t *ret_id);
int dictionary_local(struct dictionary *dictionary, const struct flow_key *end, int64_t *ret_id);
int dictionary_kind(
	struct dictionary *dictionary, const struct flow_record *record, int64_t *ret_id);

/* Adds the process, or brings its row up to date. */
int dictionary_put_process(struct dictionary *dictionary, const struct process_info *info);

/* The row of ref. One that was never described gets a row with nothing but its identity, so that
 * the pid is not lost. A ref without pid has id SQL_NULL and actor 0. */
int dictionary_process(
	struct dictionary *dictionary, const struct process_ref *ref, struct id_value *ret_value);

#endif

/* The embedded files of schema/: NNNN_name.sql is run where user_version is below NNNN; views.sql
 * is run when its text is another than the one that made the views of this file. */
#include "store/store_migrate.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sql.h"
#include "store/store_internal.h"
#include "util/embedded.h"
#include "util/hash.h"

static const char views_name[] = "views.sql";

/* The number of a migration, 0 for another file. */
static int number_of(const struct embedded_file *file)
{
	return (int)strtol(file->name, NULL, 10);
}

int store_migrate_newest(void)
{
	int newest = 0;

	for (const struct embedded_file *file = embedded_schema; file->name; file++)
		if (number_of(file) > newest)
			newest = number_of(file);
	return newest;
}

int store_migrate_check(
	sqlite3 *db, const char *path, int *ret_version, struct store_error *ret_error)
{
	int64_t application, version, objects;

	if (sql_integer(db, "SELECT count(*) FROM sqlite_schema", &objects) < 0 ||
		sql_integer(db, "PRAGMA application_id", &application) < 0 ||
		sql_integer(db, "PRAGMA user_version", &version) < 0) {
		sql_describe(db, path, "reading", ret_error);
		if (ret_error->class == STORE_CORRUPT)
			sql_fail(ret_error, STORE_CORRUPT, path,
				"is not a database, or is damaged: %s; move it away or name "
				"another "
				"file with --db",
				sqlite3_errmsg(db));
		return -1;
	}
	if (application != STORE_APPLICATION_ID && (objects > 0 || application || version))
		return sql_fail(ret_error, STORE_FOREIGN, path,
			"is the database of another program; name another file with --db");
	if (version > store_migrate_newest())
		return sql_fail(ret_error, STORE_NEWER, path,
			"was written by a newer lastconn (schema %d, this one knows %d); upgrade "
			"this one",
			(int)version, store_migrate_newest());
	*ret_version = (int)version;
	return 0;
}

static int migrate_one(sqlite3 *db, const struct embedded_file *file)
{
	char version[96];

	snprintf(version, sizeof(version), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		STORE_APPLICATION_ID, number_of(file));
	if (sql_exec(db, "BEGIN IMMEDIATE") < 0)
		return -1;
	if (sql_exec(db, file->text) < 0 || sql_exec(db, version) < 0)
		return -1;
	return sql_exec(db, "COMMIT");
}

/* What stands for the text of the views; not a secret, so the key is fixed. */
static void views_fingerprint(const struct embedded_file *file, char ret_text[static 24])
{
	const struct hash_key key = {0x6c617374636f6e6e, 0x7669657773};

	snprintf(ret_text, 24, "%016llx",
		(unsigned long long)hash_octets(&key, file->text, file->length));
}

static int views_are_fresh(sqlite3 *db, const char *fingerprint, bool *ret_fresh)
{
	sqlite3_stmt *stmt;
	int64_t one;
	int found;

	if (sqlite3_prepare_v2(db, "SELECT 1 FROM meta WHERE key = 'views' AND value = ?1", -1,
		    &stmt, NULL) != SQLITE_OK)
		return -1;
	sql_bind_text(stmt, 1, fingerprint);
	found = sql_row(stmt, &one, 1);
	sqlite3_finalize(stmt);
	*ret_fresh = found > 0;
	return found < 0 ? -1 : 0;
}

static int refresh_views(sqlite3 *db, bool migrated)
{
	const struct embedded_file *file = embedded_schema;
	char fingerprint[24], remember[96];
	bool fresh;

	while (file->name && strcmp(file->name, views_name) != 0)
		file++;
	assert(file->name);
	views_fingerprint(file, fingerprint);
	if (views_are_fresh(db, fingerprint, &fresh) < 0)
		return -1;
	if (fresh && !migrated)
		return 0;
	snprintf(remember, sizeof(remember),
		"REPLACE INTO meta (key, value) VALUES ('views', '%s')", fingerprint);
	if (sql_exec(db, "BEGIN IMMEDIATE") < 0 || sql_exec(db, file->text) < 0 ||
		sql_exec(db, remember) < 0)
		return -1;
	return sql_exec(db, "COMMIT");
}

static int run_migrations(sqlite3 *db, int version, bool *ret_migrated)
{
	for (const struct embedded_file *file = embedded_schema; file->name; file++) {
		if (number_of(file) <= version)
			continue;
		if (migrate_one(db, file) < 0)
			return -1;
		*ret_migrated = true;
	}
	return 0;
}

int store_migrate(sqlite3 *db, const char *path, struct store_error *ret_error)
{
	bool migrated = false;
	int version = 0; /* for clang-tidy, which does not see into sql_fail */

	if (store_migrate_check(db, path, &version, ret_error) < 0)
		return -1;
	if (run_migrations(db, version, &migrated) == 0 && refresh_views(db, migrated) == 0)
		return 0;
	sql_describe(db, path, "migrating", ret_error);
	if (!sqlite3_get_autocommit(db))
		sql_exec(db, "ROLLBACK");
	return -1;
}

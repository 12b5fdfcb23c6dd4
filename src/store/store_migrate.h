/* Brings the tables and views of a database to what this program knows. Internal to store/. */
#ifndef LASTCONN_STORE_STORE_MIGRATE_H
#define LASTCONN_STORE_STORE_MIGRATE_H

#include <sqlite3.h>

#include "store/store.h"

int store_migrate_newest(void); /* the user_version that this program writes */

/* Is it ours, and not newer? An empty database counts as ours, with *ret_version 0. */
int store_migrate_check(sqlite3 *db, const char *path, int *ret_version,
	struct store_error *ret_error); /* 0 or -1 */

/* Runs the migrations that are missing, each in one transaction, and refreshes the views. */
int store_migrate(sqlite3 *db, const char *path, struct store_error *ret_error); /* 0 or -1 */

#endif

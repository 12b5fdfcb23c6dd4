/* A database in a temporary directory, and a second connection that reads and locks it. */
#ifndef LASTCONN_TESTS_HISTORY_TEMP_H
#define LASTCONN_TESTS_HISTORY_TEMP_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"

struct history_temp {
	char directory[64];
	char path[96];
	struct store *store;
	sqlite3 *other; /* second connection */
};

static inline int history_temp_open(struct history_temp *history)
{
	struct store_options options = {
		.path = history->path,
		.boot_uuid = "7d1a3a0c-3c43-4a0e-9a31-0b7b7d6f9a11",
		.boot_start_us = 1,
		.host_name = "host",
		.version = "test",
	};
	struct store_error error;

	snprintf(history->directory, sizeof(history->directory), "/tmp/lastconn-test.XXXXXX");
	if (!mkdtemp(history->directory))
		return -1;
	snprintf(history->path, sizeof(history->path), "%s/history.db", history->directory);
	if (store_open(&options, &history->store, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	return sqlite3_open(history->path, &history->other) == SQLITE_OK ? 0 : -1;
}

static inline void history_temp_remove(struct history_temp *history)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	char path[112];

	sqlite3_close(history->other);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", history->path, ends[i]);
		unlink(path);
	}
	rmdir(history->directory);
}

static inline int history_temp_exec(struct history_temp *history, const char *sql)
{
	return sqlite3_exec(history->other, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* The first column of the first row; -1 if there is none. */
static inline long long history_temp_number(struct history_temp *history, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	long long number = -1;

	if (sqlite3_prepare_v2(history->other, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

#endif

/* Neighbours that go together go as a range: one statement for thousands of rows. */
#include "store/retention_slice.h"

#include <errno.h>
#include <stdlib.h>

#include "store/sql.h"

static const char note_text[] =
	"INSERT INTO retention (what, pruned, since_us, whole_us, at_us) VALUES (?5, ?1, ?2, ?3, "
	"?4)"
	" ON CONFLICT DO UPDATE SET pruned = pruned + ?1, since_us = max(since_us, ?2),"
	" whole_us = max(whole_us, ?3), at_us = ?4";

int retention_runs_begin(struct retention_runs *runs, int64_t rows)
{
	int64_t(*grown)[2];

	runs->count = runs->rows = 0;
	runs->extends = 0;
	if (rows <= runs->capacity)
		return 0;
	grown = realloc(runs->runs, (size_t)rows * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	runs->runs = grown;
	runs->capacity = rows;
	return 0;
}

void retention_runs_add(struct retention_runs *runs, int64_t key)
{
	int64_t *last;

	runs->rows++;
	if (!runs->extends)
		runs->runs[runs->count++][0] = key;
	last = runs->runs[runs->count - 1];
	if (!runs->extends || key > last[1])
		last[1] = key;
	else
		last[0] = key;
	runs->extends = 1;
}

void retention_runs_stay(struct retention_runs *runs)
{
	runs->extends = 0;
}

void retention_runs_done(struct retention_runs *runs)
{
	free(runs->runs);
	*runs = (struct retention_runs){0};
}

int retention_runs_delete(const struct retention_runs *runs, sqlite3 *db, const char *text)
{
	sqlite3_stmt *stmt;
	int status = 0;

	if (runs->count == 0)
		return 0;
	if (sql_prepare(db, text, &stmt) < 0)
		return -1;
	for (int64_t i = 0; i < runs->count && status == 0; i++) {
		sql_bind_integers(stmt, 1, runs->runs[i], 2);
		status = sql_run(stmt);
	}
	sqlite3_finalize(stmt);
	return status;
}

static int read_shares(sqlite3_stmt *stmt, struct retention_share **shares, size_t *ret_count)
{
	size_t count = 0, capacity = 0;
	int code;

	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (count == capacity) {
			struct retention_share *grown;

			capacity = capacity ? 2 * capacity : 256;
			grown = reallocarray(*shares, capacity, sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			*shares = grown;
		}
		(*shares)[count++] = (struct retention_share){
			.executable = sqlite3_column_int64(stmt, 0),
			.flows = sqlite3_column_int64(stmt, 1),
		};
	}
	*ret_count = count;
	return code == SQLITE_DONE ? 0 : -1;
}

int retention_shares_read(
	sqlite3 *db, const char *text, struct retention_share **ret_shares, size_t *ret_count)
{
	struct retention_share *shares = NULL;
	sqlite3_stmt *stmt;
	int status;

	if (sql_prepare(db, text, &stmt) < 0)
		return -1;
	status = read_shares(stmt, &shares, ret_count);
	sqlite3_finalize(stmt);
	if (status < 0) {
		free(shares);
		return -1;
	}
	*ret_shares = shares;
	return 0;
}

int retention_note(const struct retention_slice *slice, const char *what, int64_t pruned,
	int64_t since_us, int64_t whole_us)
{
	int64_t values[4] = {pruned, since_us, whole_us, slice->now_us};
	sqlite3_stmt *stmt;
	int status;

	if (sql_prepare(slice->db, note_text, &stmt) < 0)
		return -1;
	sql_bind_integers(stmt, 1, values, 4);
	sql_bind_text(stmt, 5, what);
	status = sql_run(stmt);
	sqlite3_finalize(stmt);
	return status;
}

/* Counts by the same horizons and shares as retention.c; what the dictionaries lose is not known
 * before the rest is gone, nor what days and contacts give for room. Of that it tells what the
 * first round takes: hours, or flows if there are none. */
#include "store/store_preview.h"

#include "store/retention.h"
#include "store/retention_hours.h"
#include "store/sql.h"
#include "store/store_clock.h"
#include "store/store_internal.h"

static const struct {
	const char *what;
	const char *count_text; /* ?1: the horizon */
	size_t horizon;         /* of struct retention_horizons */
} aged[] = {
	{"flow", "SELECT count(*) FILTER (WHERE end_us < ?1), count(*) FROM flow",
		offsetof(struct retention_horizons, flows_us)},
	{"name_evidence",
		"SELECT count(*) FILTER (WHERE max(last_us, until_us) < ?1), count(*) FROM"
		" name_evidence",
		offsetof(struct retention_horizons, flows_us)},
	{"listener", "SELECT count(*) FILTER (WHERE until_us < ?1), count(*) FROM listener",
		offsetof(struct retention_horizons, flows_us)},
	{"contact_hour",
		"SELECT count(*) FILTER (WHERE hour < ?1 / 3600000000), count(*) FROM contact_hour",
		offsetof(struct retention_horizons, hours_us)},
	{"contact_day",
		"SELECT count(*) FILTER (WHERE day < ?1 / 86400000000), count(*) FROM contact_day",
		offsetof(struct retention_horizons, days_us)},
	{"coverage_interval",
		"SELECT count(*) FILTER (WHERE until_us < ?1), count(*) FROM coverage_interval",
		offsetof(struct retention_horizons, days_us)},
	{"contact",
		"SELECT count(*) FILTER (WHERE " RETENTION_LEDGER_OLD(
			"?1") "), count(*) FROM contact",
		offsetof(struct retention_horizons, contacts_us)},
};

struct preview {
	sqlite3 *db;
	const struct store_retention *policy;
	struct retention_horizons horizons;
	void (*row)(void *ctx, const struct store_preview *preview);
	void *ctx;
};

/* The text counts those that go, and all. */
static int tell(const struct preview *preview, const char *text, const int64_t *values,
	size_t count, struct store_preview row)
{
	int64_t counts[2];

	if (sql_row_text(preview->db, text, values, count, counts, 2) < 0)
		return -1;
	row.rows = counts[0];
	row.total = counts[1];
	if (row.rows > 0)
		preview->row(preview->ctx, &row);
	return 0;
}

static int preview_aged(const struct preview *preview)
{
	for (size_t i = 0; i < sizeof(aged) / sizeof(aged[0]); i++) {
		int64_t horizon_us =
			*(const int64_t *)((const char *)&preview->horizons + aged[i].horizon);
		struct store_preview row = {.what = aged[i].what, .before_us = horizon_us};

		if (horizon_us && tell(preview, aged[i].count_text, &horizon_us, 1, row) < 0)
			return -1;
	}
	return 0;
}

static int preview_contacts(const struct preview *preview)
{
	int64_t max = (int64_t)preview->policy->max_contacts, rows;
	struct store_preview row = {.what = "contact"};

	if (sql_integer(preview->db, "SELECT count(*) FROM contact", &rows) < 0)
		return -1;
	if (max == 0 || rows <= max)
		return 0;
	row.rows = rows - max + max / 16;
	row.total = rows;
	preview->row(preview->ctx, &row);
	return 0;
}

static int preview_program(const struct preview *preview, const struct retention_share *share)
{
	struct store_preview row = {.what = "flow", .rows = share->excess, .total = share->flows};
	sqlite3_stmt *stmt;
	int code;

	if (share->excess == 0)
		return 0;
	if (sql_prepare(preview->db, "SELECT path FROM executable WHERE id = ?1", &stmt) < 0)
		return -1;
	sql_bind_integers(stmt, 1, &share->executable, 1);
	code = sqlite3_step(stmt);
	row.program = code == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : "";
	preview->row(preview->ctx, &row);
	return sqlite3_finalize(stmt) == SQLITE_OK ? 0 : -1;
}

/* Beside those that are too old. */
static int preview_hours(const struct preview *preview, int64_t before_us)
{
	static const char text[] = "SELECT count(*) FILTER (WHERE hour >= ?1 / 3600000000"
				   " AND hour < ?2 / 3600000000), count(*) FROM contact_hour";
	int64_t range[2] = {preview->horizons.hours_us, before_us};

	return tell(preview, text, range, 2, (struct store_preview){.what = "contact_hour"});
}

static int preview_shares(const struct preview *preview, int64_t keep)
{
	struct retention_flows flows = {0};
	int status;

	status = retention_flows_begin(&flows, preview->db, INT64_MIN + 1, 0, keep);
	for (size_t i = 0; i < flows.share_count && status == 0; i++)
		status = preview_program(preview, &flows.shares[i]);
	retention_flows_done(&flows);
	return status;
}

static int preview_room(const struct preview *preview)
{
	int64_t keep, hours_us;

	if (retention_keep(preview->db, preview->policy->max_octets, &keep) < 0)
		return -1;
	if (keep >= 1000)
		return 0;
	if (retention_hours_cut(preview->db, &hours_us) < 0)
		return -1;
	return hours_us ? preview_hours(preview, hours_us) : preview_shares(preview, keep);
}

int store_preview(struct store_reader *reader, const struct store_retention *policy, int64_t now_us,
	void (*row)(void *ctx, const struct store_preview *preview), void *ctx,
	struct store_error *ret_error)
{
	struct preview preview = {
		store_reader_db(reader), policy, retention_horizons(policy, now_us), row, ctx};
	bool kept = false;

	if (store_clock_is_kept(preview.db, &kept) == 0 && kept)
		preview.horizons = (struct retention_horizons){0};
	if (preview_aged(&preview) < 0 || preview_contacts(&preview) < 0 ||
		preview_room(&preview) < 0)
		return sql_describe(preview.db, store_reader_path(reader), "reading", ret_error);
	return 0;
}

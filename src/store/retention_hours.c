/* Sums first, then one upsert a key, in their order. SQL could sum them, too, for three times the
 * CPU. */
#include "store/retention_hours.h"

#include <errno.h>

#include "store/rollup.h"
#include "store/sql.h"
#include "util/clock.h"

enum {
	PARTS = 4,            /* one of them goes at a time */
	HOURS_LEFT = 30 * 24, /* fewer go at once */
};

#define HOUR_COLUMNS                                                                      \
	"(hour, remote, actor, protocol_id, port, direction, flows, failed, octets_out, " \
	"octets_in,"                                                                      \
	" first_us, last_us, methods)"

static const char new_hour_table[] = "CREATE TABLE new_hour " HOUR_COLUMNS;

static const char put_text[] = "INSERT INTO contact_hour " HOUR_COLUMNS
			       " SELECT * FROM new_hour WHERE TRUE" ROLLUP_ADD_EXCLUDED;

int retention_hours_init(struct retention_hours *hours, sqlite3 *db)
{
	if (sql_rows_init(&hours->rows, db, "new_hour", new_hour_table) < 0)
		return -1;
	return sql_prepare(db, put_text, &hours->put);
}

void retention_hours_done(struct retention_hours *hours)
{
	sqlite3_finalize(hours->put);
	rollup_list_done(&hours->list);
	sql_rows_done(&hours->rows);
}

static int compare_hour(const void *left, const void *right)
{
	const struct rollup_entry *a = left, *b = right;
	int order = ROLLUP_COMPARE(a->period, b->period);

	if (!order)
		order = ROLLUP_COMPARE(a->remote, b->remote);
	if (!order)
		order = ROLLUP_COMPARE(a->actor, b->actor);
	return order ? order : rollup_compare_service(a, b);
}

void retention_hours_begin(struct retention_hours *hours)
{
	hours->list.count = 0;
}

int retention_hours_note(struct retention_hours *hours, sqlite3_stmt *stmt, int first)
{
	int64_t last_us = sqlite3_column_int64(stmt, first);

	if (rollup_list_reserve(&hours->list, 1) < 0)
		return -ENOMEM;
	hours->list.entries[hours->list.count++] = (struct rollup_entry){
		.last_us = last_us,
		.period = (int32_t)(last_us / US_PER_HOUR),
		.first_us = sqlite3_column_int64(stmt, first + 1),
		.remote = sqlite3_column_int(stmt, first + 2),
		.actor = sqlite3_column_int(stmt, first + 3),
		.protocol = (uint8_t)sqlite3_column_int(stmt, first + 4),
		.port = (uint16_t)sqlite3_column_int(stmt, first + 5),
		.direction = (uint8_t)sqlite3_column_int(stmt, first + 6),
		.flows = 1,
		.failed = (uint32_t)sqlite3_column_int(stmt, first + 7),
		.octets_out = sqlite3_column_int64(stmt, first + 8),
		.octets_in = sqlite3_column_int64(stmt, first + 9),
		.methods = (uint8_t)sqlite3_column_int(stmt, first + 10),
	};
	return 0;
}

static void add_hour(struct sql_rows *rows, const struct rollup_entry *entry)
{
	int64_t row[13] = {entry->period, entry->remote, entry->actor, entry->protocol, entry->port,
		entry->direction, entry->flows, entry->failed, entry->octets_out, entry->octets_in,
		entry->first_us, entry->last_us, entry->methods};

	sql_rows_add(rows, row, 13);
}

int retention_hours_write(struct retention_hours *hours)
{
	rollup_list_sum(&hours->list, compare_hour);
	return rollup_list_write(&hours->list, &hours->rows, hours->put, add_hour);
}

int retention_hours_cut(sqlite3 *db, int64_t *ret_before_us)
{
	int64_t hours[2];

	*ret_before_us = 0;
	if (sql_row_text(db,
		    "SELECT (SELECT min(hour) FROM contact_hour),"
		    " (SELECT max(hour) FROM contact_hour)",
		    NULL, 0, hours, 2) < 0)
		return -1;
	if (hours[0] == SQL_NULL)
		return 0;
	if (hours[1] - hours[0] >= HOURS_LEFT)
		hours[1] = hours[0] + (hours[1] - hours[0]) / PARTS;
	*ret_before_us = (hours[1] + 1) * US_PER_HOUR;
	return 0;
}

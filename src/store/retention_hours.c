/* Sums first, then one upsert a key, in their order. */
#include "store/retention_hours.h"

#include "store/rollup.h"
#include "store/sql.h"
#include "util/clock.h"

enum {
	PARTS = 4,            /* one of them goes at a time */
	HOURS_LEFT = 30 * 24, /* fewer go at once */
};

/* Each flow has one method: the sum of the different ones has the bits of all. */
static const char add_text[] =
	"INSERT INTO contact_hour SELECT last_us / 3600000000 AS hour, remote, actor, protocol_id,"
	" port, direction, sum(flows), sum(failed), sum(octets_out), sum(octets_in), min(first_us),"
	" max(last_us), sum(DISTINCT methods) FROM flow_contact"
	" WHERE last_us > ?1 AND last_us <= ?2 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, "
	"6" ROLLUP_ADD_EXCLUDED;

int retention_hours_add(const struct retention_slice *slice, int64_t from_us, int64_t until_us)
{
	int64_t range[2] = {from_us, until_us};

	return from_us < until_us ? sql_run_text(slice->db, add_text, range, 2) : 0;
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

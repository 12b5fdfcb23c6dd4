/* Sums by sorting: the entries of a batch fit the CPU's cache, and sorted upserts are what SQLite
 * does fastest. */
#include "store/rollup.h"

#include <errno.h>
#include <stdlib.h>

#include "store/sql.h"

#define HOUR_US (3600 * INT64_C(1000000))

static const char put_day_text[] =
	"INSERT INTO contact_day (day, remote, actor, protocol_id, port, direction, flows, failed,"
	" octets_out, octets_in, first_us, last_us, hours, methods)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
	" ON CONFLICT DO UPDATE SET flows = flows + ?7, failed = failed + ?8,"
	" octets_out = octets_out + ?9, octets_in = octets_in + ?10,"
	" first_us = min(first_us, ?11), last_us = max(last_us, ?12),"
	" hours = hours | ?13, methods = methods | ?14";

static const char put_contact_text[] =
	"INSERT INTO contact (remote, executable, protocol_id, port, direction, first_us, last_us,"
	" flows, process) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
	" ON CONFLICT DO UPDATE SET flows = flows + ?8, last_us = max(last_us, ?7),"
	" process = iif(?6 < first_us, ?9, process), first_us = min(first_us, ?6)";

static const char put_hour_text[] =
	"INSERT INTO flow_hour (hour, flows, failed, octets_out, octets_in, max_duration_us)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
	" ON CONFLICT DO UPDATE SET flows = flows + ?2, failed = failed + ?3,"
	" octets_out = octets_out + ?4, octets_in = octets_in + ?5,"
	" max_duration_us = max(max_duration_us, ?6)";

int rollup_init(struct rollup *rollup, sqlite3 *db)
{
	if (sql_prepare(db, put_day_text, &rollup->put_day) < 0 ||
		sql_prepare(db, put_contact_text, &rollup->put_contact) < 0)
		return -1;
	return sql_prepare(db, put_hour_text, &rollup->put_hour);
}

void rollup_done(struct rollup *rollup)
{
	sqlite3_finalize(rollup->put_day);
	sqlite3_finalize(rollup->put_contact);
	sqlite3_finalize(rollup->put_hour);
	free(rollup->entries);
}

int rollup_reserve(struct rollup *rollup, size_t flows)
{
	struct rollup_entry *entries;

	rollup->count = 0;
	rollup->hour_flows = 0;
	if (flows <= rollup->capacity)
		return 0;
	entries = realloc(rollup->entries, flows * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	rollup->entries = entries;
	rollup->capacity = flows;
	return 0;
}

static int write_hour(struct rollup *rollup)
{
	int64_t row[6] = {rollup->hour, rollup->hour_flows, rollup->hour_failed,
		rollup->hour_octets_out, rollup->hour_octets_in, rollup->hour_max_duration_us};

	if (rollup->hour_flows == 0)
		return 0;
	sql_bind_integers(rollup->put_hour, 1, row, 6);
	rollup->hour_flows = rollup->hour_failed = 0;
	rollup->hour_octets_out = rollup->hour_octets_in = rollup->hour_max_duration_us = 0;
	return sql_run(rollup->put_hour);
}

int rollup_add(struct rollup *rollup, const struct rollup_entry *flow, int64_t duration_us)
{
	int64_t hour = flow->last_us / HOUR_US;
	struct rollup_entry *entry = &rollup->entries[rollup->count++];

	*entry = *flow;
	entry->day = (int32_t)(hour / 24);
	entry->hours = 1u << (hour % 24);
	if (hour != rollup->hour && write_hour(rollup) < 0)
		return -1;
	rollup->hour = hour;
	rollup->hour_flows += flow->flows;
	rollup->hour_failed += flow->failed;
	rollup->hour_octets_out += flow->octets_out;
	rollup->hour_octets_in += flow->octets_in;
	if (duration_us > rollup->hour_max_duration_us)
		rollup->hour_max_duration_us = duration_us;
	return 0;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* By what follows the owner in both keys. */
static int compare_service(const struct rollup_entry *a, const struct rollup_entry *b)
{
	int order = COMPARE(a->protocol, b->protocol);

	if (!order)
		order = COMPARE(a->port, b->port);
	return order ? order : COMPARE(a->direction, b->direction);
}

static int compare_day(const void *left, const void *right)
{
	const struct rollup_entry *a = left, *b = right;
	int order = COMPARE(a->day, b->day);

	if (!order)
		order = COMPARE(a->remote, b->remote);
	if (!order)
		order = COMPARE(a->actor, b->actor);
	return order ? order : compare_service(a, b);
}

static int compare_contact(const void *left, const void *right)
{
	const struct rollup_entry *a = left, *b = right;
	int order = COMPARE(a->remote, b->remote);

	if (!order)
		order = COMPARE(a->executable, b->executable);
	return order ? order : compare_service(a, b);
}

static void merge_into(struct rollup_entry *sum, const struct rollup_entry *entry)
{
	sum->flows += entry->flows;
	sum->failed += entry->failed;
	sum->octets_out += entry->octets_out;
	sum->octets_in += entry->octets_in;
	sum->hours |= entry->hours;
	sum->methods |= entry->methods;
	if (entry->last_us > sum->last_us)
		sum->last_us = entry->last_us;
	if (entry->first_us < sum->first_us) {
		sum->first_us = entry->first_us;
		sum->process = entry->process;
	}
}

/* Sorts, and leaves one entry a key. */
static void sort_and_merge(struct rollup *rollup, int (*compare)(const void *, const void *))
{
	size_t kept = 0;

	if (rollup->count == 0)
		return;
	qsort(rollup->entries, rollup->count, sizeof(rollup->entries[0]), compare);
	for (size_t i = 1; i < rollup->count; i++) {
		if (compare(&rollup->entries[kept], &rollup->entries[i]) == 0)
			merge_into(&rollup->entries[kept], &rollup->entries[i]);
		else
			rollup->entries[++kept] = rollup->entries[i];
	}
	rollup->count = kept + 1;
}

static int write_day(struct rollup *rollup, const struct rollup_entry *entry)
{
	int64_t row[14] = {entry->day, entry->remote, entry->actor, entry->protocol, entry->port,
		entry->direction, entry->flows, entry->failed, entry->octets_out, entry->octets_in,
		entry->first_us, entry->last_us, entry->hours, entry->methods};

	sql_bind_integers(rollup->put_day, 1, row, 14);
	return sql_run(rollup->put_day);
}

static int write_contact(struct rollup *rollup, const struct rollup_entry *entry)
{
	int64_t row[9] = {entry->remote, entry->executable, entry->protocol, entry->port,
		entry->direction, entry->first_us, entry->last_us, entry->flows, entry->process};

	sql_bind_integers(rollup->put_contact, 1, row, 9);
	return sql_run(rollup->put_contact);
}

int rollup_write(struct rollup *rollup)
{
	if (write_hour(rollup) < 0)
		return -1;
	sort_and_merge(rollup, compare_day);
	for (size_t i = 0; i < rollup->count; i++)
		if (write_day(rollup, &rollup->entries[i]) < 0)
			return -1;
	sort_and_merge(rollup, compare_contact);
	for (size_t i = 0; i < rollup->count; i++)
		if (write_contact(rollup, &rollup->entries[i]) < 0)
			return -1;
	rollup->count = 0;
	return 0;
}

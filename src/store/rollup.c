/* Sorted upserts are what SQLite does fastest. */
#include "store/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/retention_fold.h"
#include "store/sql.h"
#include "util/clock.h"

#define DAY_COLUMNS                                                                                \
	"(day, remote, actor, protocol_id, port, direction, flows, failed, octets_out, octets_in," \
	" first_us, last_us, hours, methods)"

static const char new_day_table[] = "CREATE TABLE new_day " DAY_COLUMNS;

static const char put_days_text[] =
	"INSERT INTO contact_day " DAY_COLUMNS
	" SELECT * FROM new_day WHERE TRUE" ROLLUP_ADD_EXCLUDED ", hours = hours | excluded.hours";

#define CONTACT_COLUMNS \
	"remote, executable, protocol_id, port, direction, first_us, last_us, flows, process"

static const char new_contact_table[] = "CREATE TABLE new_contact (" CONTACT_COLUMNS ")";

/* n: what comes. c: the row that is there, which is left alone but for an earlier contact, and for
 * flows of days that the ledger has counted: of the others the flows are 0. So most go no further
 * than the look-up. ?1: the floor, see struct rollup. */
#define JOIN_CONTACT                                                               \
	" LEFT JOIN contact AS c ON c.young IN (0, 1) AND c.remote = n.remote"     \
	" AND c.executable = n.executable AND c.protocol_id = n.protocol_id"       \
	" AND c.port = n.port AND c.direction = n.direction WHERE c.young IS NULL" \
	" OR n.flows > 0 OR n.first_us BETWEEN ?1 AND c.first_us - 1"
#define IS_FIRST "excluded.first_us BETWEEN ?1 AND first_us - 1"
#define ADD_CONTACT                                                   \
	" ON CONFLICT DO UPDATE SET flows = flows + excluded.flows,"  \
	" process = iif(" IS_FIRST ", excluded.process, process),"    \
	" first_us = iif(" IS_FIRST ", excluded.first_us, first_us)," \
	" last_us = max(last_us, excluded.last_us)"

static const char put_contacts_text[] =
	"INSERT INTO contact (young, " CONTACT_COLUMNS ") SELECT coalesce(c.young, 1), n.*"
	" FROM new_contact AS n" JOIN_CONTACT ADD_CONTACT;

static const char put_hour_text[] =
	"INSERT INTO flow_hour (hour, flows, failed, octets_out, octets_in, max_duration_us)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
	" ON CONFLICT DO UPDATE SET flows = flows + ?2, failed = failed + ?3,"
	" octets_out = octets_out + ?4, octets_in = octets_in + ?5,"
	" max_duration_us = max(max_duration_us, ?6)";

static const char put_state_text[] = "UPDATE rollup_state SET settled_us = ?1, cut_us = ?2,"
				     " cut_remote = ?3";

static const char recover_days_text[] =
	"INSERT INTO contact_day SELECT * FROM contact_tail WHERE TRUE" ROLLUP_ADD_EXCLUDED
	", hours = hours | excluded.hours";

/* last_us of a row of contact_tail is the key of its flow. */
static const char recover_contacts_text[] =
	"INSERT INTO contact (young, " CONTACT_COLUMNS ") SELECT coalesce(c.young, 1), n.*"
	" FROM (SELECT t.remote, a.executable, t.protocol_id, t.port, t.direction, t.first_us,"
	" t.last_us, iif(t.day < " RETENTION_FOLD_DAY ", t.flows, 0) AS flows, f.process"
	" FROM rollup_state AS s CROSS JOIN contact_tail AS t JOIN flow AS f"
	" ON f.end_us = t.last_us JOIN actor AS a ON a.id = t.actor) AS n" JOIN_CONTACT ADD_CONTACT;

static const char recover_state_text[] = "UPDATE rollup_state SET settled_us = 9223372036854775807"
					 " WHERE settled_us <> 9223372036854775807";

static const char get_ledger_text[] =
	"SELECT ledger_day, ledger_next_day, ledger_remote FROM rollup_state";

static const struct rollup_state state_idle = {.settled_us = INT64_MAX};

int rollup_init(struct rollup *rollup, sqlite3 *db)
{
	rollup->state = rollup->committed = state_idle;
	if (sql_rows_init(&rollup->days, db, "new_day", new_day_table) < 0 ||
		sql_rows_init(&rollup->contacts, db, "new_contact", new_contact_table) < 0 ||
		sql_prepare(db, put_days_text, &rollup->put_days) < 0 ||
		sql_prepare(db, put_contacts_text, &rollup->put_contacts) < 0 ||
		sql_prepare(db, put_state_text, &rollup->put_state) < 0 ||
		sql_prepare(db, get_ledger_text, &rollup->get_ledger) < 0)
		return -1;
	return sql_prepare(db, put_hour_text, &rollup->put_hour);
}

void rollup_done(struct rollup *rollup)
{
	sqlite3_finalize(rollup->put_days);
	sqlite3_finalize(rollup->put_contacts);
	sqlite3_finalize(rollup->put_hour);
	sqlite3_finalize(rollup->put_state);
	sqlite3_finalize(rollup->get_ledger);
	sql_rows_done(&rollup->days);
	sql_rows_done(&rollup->contacts);
	rollup_list_done(&rollup->now);
	rollup_list_done(&rollup->pending);
	rollup_list_done(&rollup->settling);
	rollup_list_done(&rollup->late);
}

int rollup_begin(struct rollup *rollup, size_t flows, int64_t latest_us)
{
	rollup->now.count = 0;
	rollup->hour_flows = rollup->hour_failed = 0;
	rollup->hour_octets_out = rollup->hour_octets_in = rollup->hour_max_duration_us = 0;
	if (rollup_list_reserve(&rollup->now, flows) < 0)
		return -ENOMEM;
	if (!rollup_is_pending(rollup) && flows <= ROLLUP_SMALL)
		return 0;
	if (rollup_list_reserve(&rollup->pending, flows) < 0 ||
		(rollup_is_settling(rollup) && rollup_list_reserve(&rollup->late, flows) < 0))
		return -ENOMEM;
	if (!rollup_is_pending(rollup))
		rollup->state = (struct rollup_state){latest_us, latest_us, 0};
	if (rollup->pending.count == 0)
		rollup->pending_since_ns = clock_boottime_ns();
	return 0;
}

/* Where a flow goes that ended at last_us. */
static struct rollup_list *list_of(struct rollup *rollup, int64_t last_us, int64_t remote)
{
	if (last_us <= rollup->state.settled_us)
		return &rollup->now;
	if (last_us > rollup->state.cut_us)
		return &rollup->pending;
	return remote < rollup->state.cut_remote ? &rollup->now : &rollup->late;
}

static void list_committed(struct rollup_list *list)
{
	list->committed = list->count;
}

void rollup_committed(struct rollup *rollup)
{
	list_committed(&rollup->pending);
	list_committed(&rollup->late);
	rollup->committed = rollup->state;
}

void rollup_revert(struct rollup *rollup)
{
	rollup->pending.count = rollup->pending.committed;
	rollup->late.count = rollup->late.committed;
	rollup->state = rollup->committed;
}

bool rollup_is_pending(const struct rollup *rollup)
{
	return rollup->state.settled_us != INT64_MAX;
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
	int64_t hour = flow->last_us / US_PER_HOUR;
	struct rollup_list *list = list_of(rollup, flow->last_us, flow->remote);
	struct rollup_entry *entry = &list->entries[list->count++];

	*entry = *flow;
	entry->period = (int32_t)(hour / 24);
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

/* The remote first, though the table has the day first: slices are cut by remote, and the flows of
 * one settlement are of one day, or two. */
static int compare_day(const void *left, const void *right)
{
	const struct rollup_entry *a = left, *b = right;
	int order = ROLLUP_COMPARE(a->remote, b->remote);

	if (!order)
		order = ROLLUP_COMPARE(a->period, b->period);
	if (!order)
		order = ROLLUP_COMPARE(a->actor, b->actor);
	return order ? order : rollup_compare_service(a, b);
}

static int compare_contact(const void *left, const void *right)
{
	const struct rollup_entry *a = left, *b = right;
	int order = ROLLUP_COMPARE(a->remote, b->remote);

	if (!order)
		order = ROLLUP_COMPARE(a->executable, b->executable);
	return order ? order : rollup_compare_service(a, b);
}

static void add_day(struct sql_rows *rows, const struct rollup_entry *entry)
{
	int64_t row[14] = {entry->period, entry->remote, entry->actor, entry->protocol, entry->port,
		entry->direction, entry->flows, entry->failed, entry->octets_out, entry->octets_in,
		entry->first_us, entry->last_us, entry->hours, entry->methods};

	sql_rows_add(rows, row, 14);
}

static void add_contact(struct sql_rows *rows, const struct rollup_entry *entry)
{
	int64_t row[9] = {entry->remote, entry->executable, entry->protocol, entry->port,
		entry->direction, entry->first_us, entry->last_us, entry->flows, entry->process};

	sql_rows_add(rows, row, 9);
}

static int write_state(struct rollup *rollup, const struct rollup_state *state)
{
	int64_t row[3] = {state->settled_us, state->cut_us, state->cut_remote};

	sql_bind_integers(rollup->put_state, 1, row, 3);
	return sql_run(rollup->put_state);
}

/* The ledger counts flows when it counts their day. */
static int leave_to_fold(struct rollup *rollup)
{
	int64_t ledger[3]; /* day, next day, and the remote from which on the former holds */

	if (sql_row(rollup->get_ledger, ledger, 3) <= 0)
		return -1;
	for (size_t i = 0; i < rollup->now.count; i++) {
		struct rollup_entry *entry = &rollup->now.entries[i];

		if (entry->period >= (entry->remote < ledger[2] ? ledger[1] : ledger[0]))
			entry->flows = 0;
	}
	return 0;
}

/* Counts the entries of now in both tables. contact is keyed by less: it comes second. */
static int write_now(struct rollup *rollup)
{
	struct rollup_list *now = &rollup->now;

	if (now->count == 0)
		return 0;
	rollup_list_sum(now, compare_day);
	if (rollup_list_write(now, &rollup->days, rollup->put_days, add_day) < 0)
		return -1;
	if (leave_to_fold(rollup) < 0)
		return -1;
	rollup_list_sum(now, compare_contact);
	sql_bind_integers(rollup->put_contacts, 1, &rollup->floor_us, 1);
	return rollup_list_write(now, &rollup->contacts, rollup->put_contacts, add_contact);
}

int rollup_finish(struct rollup *rollup)
{
	if (write_hour(rollup) < 0 || write_now(rollup) < 0)
		return -1;
	if (rollup->state.settled_us == rollup->committed.settled_us)
		return 0;
	return write_state(rollup, &rollup->state);
}

bool rollup_is_due(const struct rollup *rollup, size_t more_flows)
{
	int64_t age_ns = clock_boottime_ns() - rollup->pending_since_ns;

	if (rollup->pending.count == 0 || rollup_is_settling(rollup))
		return false;
	return rollup->pending.count + more_flows > ROLLUP_PENDING_MAX ||
	       age_ns >= ROLLUP_PENDING_MS * INT64_C(1000000);
}

bool rollup_is_full(const struct rollup *rollup, size_t more_flows)
{
	return rollup_is_settling(rollup) &&
	       rollup->pending.count + more_flows > ROLLUP_PENDING_MAX;
}

bool rollup_is_settling(const struct rollup *rollup)
{
	return rollup->settling.count > 0;
}

void rollup_settle_begin(struct rollup *rollup, int64_t latest_us)
{
	struct rollup_list pending = rollup->pending;

	if (rollup_is_settling(rollup))
		return;
	rollup_list_sum(&pending, compare_day);
	rollup->pending = rollup->settling;
	rollup->settling = pending;
	rollup->settled = 0;
	rollup->state.cut_us = latest_us;
	rollup->state.cut_remote = 0;
	rollup_committed(rollup);
}

size_t rollup_slice_keys(const struct rollup *rollup, size_t flows)
{
	size_t batches = (ROLLUP_PENDING_MAX - rollup->pending.count) / (flows ? flows : 1);
	size_t keys = (rollup->settling.count - rollup->settled) / (batches ? batches : 1) + 1;

	return keys > ROLLUP_SLICE ? keys : ROLLUP_SLICE;
}

/* The end of a slice: after so many keys, where another remote begins. */
static size_t find_slice_end(const struct rollup *rollup, size_t keys)
{
	const struct rollup_list *list = &rollup->settling;
	size_t end = rollup->settled + keys;

	while (end < list->count && list->entries[end].remote == list->entries[end - 1].remote)
		end++;
	return end < list->count ? end : list->count;
}

/* The state after the slice that ends at slice_end. */
static struct rollup_state state_after_slice(const struct rollup *rollup)
{
	struct rollup_state state = rollup->state;

	if (rollup->slice_end < rollup->settling.count)
		state.cut_remote = rollup->settling.entries[rollup->slice_end].remote;
	else if (rollup->pending.count > 0)
		state = (struct rollup_state){state.cut_us, state.cut_us, 0};
	else
		state = state_idle;
	return state;
}

static bool is_in_slice(const struct rollup *rollup, const struct rollup_entry *late)
{
	return rollup->slice_end == rollup->settling.count ||
	       late->remote < rollup->settling.entries[rollup->slice_end].remote;
}

static int copy_slice(struct rollup *rollup)
{
	struct rollup_list *now = &rollup->now;
	size_t count = rollup->slice_end - rollup->settled;

	now->count = 0;
	if (rollup_list_reserve(now, count + rollup->late.count) < 0)
		return -1;
	if (count > 0)
		memcpy(now->entries, rollup->settling.entries + rollup->settled,
			count * sizeof(*now->entries));
	now->count = count;
	for (size_t i = 0; i < rollup->late.count; i++)
		if (is_in_slice(rollup, &rollup->late.entries[i]))
			now->entries[now->count++] = rollup->late.entries[i];
	return 0;
}

/* Works on a copy: the transaction may fail and be tried again. */
int rollup_settle_slice(struct rollup *rollup, size_t keys)
{
	rollup->slice_end = find_slice_end(rollup, keys);
	rollup->slice = state_after_slice(rollup);
	if (copy_slice(rollup) < 0 || write_now(rollup) < 0)
		return -1;
	return write_state(rollup, &rollup->slice);
}

void rollup_slice_committed(struct rollup *rollup)
{
	size_t kept = 0;

	for (size_t i = 0; i < rollup->late.count; i++)
		if (!is_in_slice(rollup, &rollup->late.entries[i]))
			rollup->late.entries[kept++] = rollup->late.entries[i];
	rollup->late.count = kept;
	rollup->settled = rollup->slice_end;
	if (rollup->settled == rollup->settling.count)
		rollup->settling.count = 0;
	rollup->state = rollup->slice;
	rollup_committed(rollup);
}

int rollup_recover(sqlite3 *db, int64_t floor_us)
{
	if (sql_exec(db, recover_days_text) < 0 ||
		sql_run_text(db, recover_contacts_text, &floor_us, 1) < 0)
		return -1;
	return sql_exec(db, recover_state_text);
}

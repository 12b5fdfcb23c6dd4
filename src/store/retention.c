/* The size of a slice follows what the last one took: this disk, this cache, this load. */
#include "store/retention.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/retention_hours.h"
#include "store/sql.h"
#include "util/clock.h"

#define US_OF_S(s) ((s)*INT64_C(1000000))

enum {
	ROUND_S = 3600,
	STEADY_S = 600,
	STEADY_SLACK_S = 60,
	CHECK_S = 2,
	ROWS_MIN = 64,
	ROWS_FIRST = 1024,
	ROWS_MAX = 16384,
	ROWS_MAX_FOLD = 3072, /* of contacts: each may have many rows of many days */
	SLICE_MS = 12,        /* aimed at: the rows of the next one may cost some times as much */
	FLOW_OCTETS = 48,
	ROWS_A_PAGE = 32, /* as much work */
	SWEEP_DAYS = 30,  /* so often a look at everything is made, if anything went */
	SWEEP_PART = 2,   /* of the flows: when one went it is made, too */
	TRIES_MAX = 8,
	FAILURES_MAX = 8, /* the last pause is 512 s */
	KEEP_MIN = 500,   /* per mille, in one round */
};

struct file_size {
	int64_t page_octets, pages, free;
};

static int read_size(sqlite3 *db, struct file_size *size)
{
	if (sql_integer(db, "PRAGMA page_size", &size->page_octets) < 0 ||
		sql_integer(db, "PRAGMA page_count", &size->pages) < 0)
		return -1;
	return sql_integer(db, "PRAGMA freelist_count", &size->free);
}

static int64_t used_octets(const struct file_size *size)
{
	return (size->pages - size->free) * size->page_octets;
}

/* The file may grow into the last sixteenth of its limit, and is then cut down by another one. */
static int64_t high_octets(uint64_t max_octets)
{
	return max_octets ? (int64_t)(max_octets - max_octets / 16) : INT64_MAX;
}

static int64_t keep_of(uint64_t max_octets, int64_t used)
{
	int64_t high = high_octets(max_octets), keep = 1000;

	if (used > high)
		keep = (high - (int64_t)max_octets / 16) * 1000 / used;
	return keep < KEEP_MIN ? KEEP_MIN : keep;
}

int retention_keep(sqlite3 *db, uint64_t max_octets, int64_t *ret_keep)
{
	struct file_size size;

	if (read_size(db, &size) < 0)
		return -1;
	*ret_keep = keep_of(max_octets, used_octets(&size));
	return 0;
}

static uint64_t limit_octets(const struct retention *retention)
{
	uint64_t max = retention->policy.max_octets;

	return retention->pressed && (max == 0 || retention->pressed < max) ? retention->pressed
									    : max;
}

int retention_press(struct retention *retention)
{
	struct file_size size;

	if (read_size(retention->slice.db, &size) < 0)
		return -1;
	if (retention->pressed || size.free > size.pages / 16)
		return 0;
	retention->pressed = (uint64_t)used_octets(&size);
	retention->tries = 0;
	retention->check_ns = 0;
	return 0;
}

int retention_init(struct retention *retention, sqlite3 *db, struct dictionary *dictionary,
	const struct rollup *rollup)
{
	retention->slice = (struct retention_slice){.db = db, .rows = ROWS_FIRST};
	retention->dictionary = dictionary;
	retention->rollup = rollup;
	return retention_flows_init(&retention->flows, db);
}

void retention_done(struct retention *retention)
{
	retention_flows_done(&retention->flows);
	retention_unused_done(&retention->unused);
}

/* At once, or when the clock has been steady for long enough. */
static int64_t first_round_ns(const struct retention *retention)
{
	bool waits = !retention->policy.at_once && !retention->policy.trusts_clock;

	return retention->steady_ns + (waits ? STEADY_S * (int64_t)NS_PER_S : 0);
}

void retention_set(struct retention *retention, const struct store_retention *policy)
{
	retention->policy = *policy;
	retention->tries = 0;
	retention->today = 0;
	retention->next_ns = first_round_ns(retention);
}

/* The longer the more often it failed in a row. */
void retention_drop(struct retention *retention)
{
	int64_t pause_s = CHECK_S << retention->failures;

	if (retention->failures < FAILURES_MAX)
		retention->failures++;
	retention_unused_done(&retention->unused);
	retention->stage = RETENTION_IDLE;
	retention->waits = false;
	retention->pressed = 0;
	retention->today = 0;    /* what was left undone is done then */
	retention->contacts = 0; /* some may be there again */
	retention->check_ns = retention->next_ns =
		clock_boottime_ns() + pause_s * (int64_t)NS_PER_S;
}

static void watch_clock(struct retention *retention, int64_t now_us, int64_t now_ns)
{
	int64_t offset_us = now_us - now_ns / NS_PER_US;

	if (retention->steady_ns &&
		llabs(offset_us - retention->clock_offset_us) <= US_OF_S(STEADY_SLACK_S))
		return;
	retention->clock_offset_us = offset_us;
	retention->steady_ns = now_ns;
	retention->next_ns = first_round_ns(retention);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t horizon_us(int64_t now_us, int64_t age_us)
{
	return age_us && age_us < now_us ? now_us - age_us : 0;
}

struct retention_horizons retention_horizons(const struct store_retention *policy, int64_t now_us)
{
	int64_t flows_us = horizon_us(now_us, policy->flow_age_us);
	int64_t hours_us = horizon_us(now_us, policy->hour_age_us) / US_PER_HOUR * US_PER_HOUR;
	int64_t days_us = horizon_us(now_us, policy->day_age_us);
	int64_t contacts_us = horizon_us(now_us, policy->contact_age_us);

	/* Flows are found by days, and days by contacts; hours do not outlive days. */
	days_us = least(days_us, flows_us) / US_PER_DAY * US_PER_DAY;
	contacts_us = least(contacts_us, days_us);
	if (hours_us < days_us)
		hours_us = days_us;
	if (hours_us > flows_us) /* there are none of flows that are kept */
		hours_us = (flows_us + US_PER_HOUR - 1) / US_PER_HOUR * US_PER_HOUR;
	return (struct retention_horizons){flows_us, hours_us, days_us, contacts_us};
}

static bool is_steady(const struct retention *retention)
{
	return clock_boottime_ns() >= first_round_ns(retention);
}

/* Rows that nothing names take room, but do no harm: they are sought when half of the flows went,
 * or after a month in which anything did. How many flows had gone by then is the count of "sweep".
 * What is forgotten first of all begins the month. */
static int find_sweep(struct retention *retention, const int64_t row[5])
{
	int64_t days = (retention->slice.now_us - row[2]) / US_PER_DAY;
	bool never = row[2] == 0, forgot = row[4] > row[2];
	bool is_much = row[0] - row[1] > row[3] / SWEEP_PART;

	retention->sweeps = retention->policy.at_once || days < 0 ||
			    (!never && days >= SWEEP_DAYS && forgot) ||
			    ((never || days > 0) && is_much);
	return never && forgot && !retention->sweeps
		       ? retention_note(&retention->slice, "sweep", 0, 0, 0)
		       : 0;
}

/* How much of this round there is. */
static int find_extent(struct retention *retention)
{
	static const char text[] =
		"SELECT coalesce((SELECT pruned FROM retention WHERE what = 'flow'), 0),"
		" coalesce((SELECT pruned FROM retention WHERE what = 'sweep'), 0),"
		" coalesce((SELECT at_us FROM retention WHERE what = 'sweep'), 0),"
		" coalesce((SELECT sum(flows) FROM executable_flows), 0),"
		" coalesce((SELECT max(at_us) FROM retention WHERE what NOT IN ('sweep', 'next')),"
		" -1)";
	const struct rollup *rollup = retention->rollup;
	int64_t row[5], today = retention->slice.now_us / US_PER_DAY;

	if (sql_row_text(retention->slice.db, text, NULL, 0, row, 5) < 0)
		return -1;
	if (find_sweep(retention, row) < 0)
		return -1;
	retention->whole = retention->sweeps || retention->today != today;
	retention->today = today;
	retention->flows_seen = row[0] + row[3] - (int64_t)rollup->pending.count -
				(int64_t)rollup->settling.count - (int64_t)rollup->late.count;
	return 0;
}

/* Of the look that begins. */
static int note_sweep(const struct retention *retention)
{
	int64_t unswept;

	if (sql_integer(retention->slice.db,
		    "SELECT coalesce((SELECT pruned FROM retention WHERE what = 'flow'), 0)"
		    " - coalesce((SELECT pruned FROM retention WHERE what = 'sweep'), 0)",
		    &unswept) < 0)
		return -1;
	return retention_note(&retention->slice, "sweep", unswept, 0, 0);
}

/* If flows are not what takes the room, days of the roll-up go too, and then rows of the ledger. */
static int cut_days(struct retention *retention, int64_t used, int64_t keep, int64_t *days_us,
	int64_t *contacts)
{
	sqlite3 *db = retention->slice.db;
	int64_t flows, first, last, rows;

	if (sql_integer(db, "SELECT coalesce(sum(flows), 0) FROM executable_flows", &flows) < 0 ||
		sql_integer(db, "SELECT coalesce(min(day), 0) FROM contact_day", &first) < 0 ||
		sql_integer(db, "SELECT coalesce(max(day), 0) FROM contact_day", &last) < 0)
		return -1;
	if (flows * FLOW_OCTETS > used / 4)
		return 0;
	first += 1 + (last - first) * (1000 - keep) / 1000;
	if (first <= last) {
		if (first * US_PER_DAY > *days_us)
			*days_us = first * US_PER_DAY;
		return 0;
	}
	if (sql_integer(db, "SELECT count(*) FROM contact", &rows) < 0)
		return -1;
	retention->contacts = rows;
	retention->contacts_flows = retention->flows_seen;
	rows = 1 + rows * keep / 1000;
	if (*contacts == 0 || rows < *contacts)
		*contacts = rows;
	return 0;
}

/* For want of room hours go first: flows tell more, and days stay. */
static int cut_more(struct retention *retention, int64_t used, int64_t *keep,
	struct retention_horizons *horizons, int64_t *contacts)
{
	int64_t hours_us;

	retention->whole = retention->sweeps = true;
	if (retention_hours_cut(retention->slice.db, &hours_us) < 0)
		return -1;
	retention->cuts_hours = hours_us > 0;
	if (retention->cuts_hours) {
		*keep = 1000;
		if (horizons->hours_us < hours_us)
			horizons->hours_us = hours_us;
		return 0;
	}
	if (cut_days(retention, used, *keep, &horizons->days_us, contacts) < 0)
		return -1;
	if (horizons->flows_us < horizons->days_us)
		horizons->flows_us = horizons->days_us;
	if (horizons->hours_us < horizons->days_us)
		horizons->hours_us = horizons->days_us;
	return 0;
}

/* A flow that came late, while a round went on, may have lost its day in it: neither has it hours
 * then, though days are to be kept for longer now. */
static int leave_lost_days(sqlite3 *db, struct retention_horizons *horizons)
{
	int64_t since_us;

	if (sql_integer(db,
		    "SELECT coalesce(max(since_us), 0) FROM retention WHERE what = 'contact_day'",
		    &since_us) < 0)
		return -1;
	if (horizons->hours_us < since_us)
		horizons->hours_us = since_us;
	return 0;
}

/* Days that go must have been counted. */
static int begin_fold(struct retention *retention, int64_t days_us)
{
	int64_t today = is_steady(retention) ? retention->slice.now_us / US_PER_DAY : 0;

	return retention_fold_begin(&retention->fold, retention->slice.db, retention->contacts,
		today, days_us / US_PER_DAY);
}

/* Each flow is one contact at most: far from its limit the ledger is counted when it may have
 * doubled. */
static int begin_ledger(struct retention *retention, int64_t horizon_us, int64_t max)
{
	int64_t more = retention->flows_seen - retention->contacts_flows;
	int64_t most = retention->contacts + more;
	bool is_known = more >= 0 && more < retention->contacts;

	return retention_ledger_begin(
		&retention->ledger, retention->slice.db, horizon_us, max, is_known ? most : -1);
}

static int begin_round(struct retention *retention)
{
	sqlite3 *db = retention->slice.db;
	struct retention_horizons horizons = {0};
	int64_t contacts = (int64_t)retention->policy.max_contacts, keep;
	struct file_size size;

	if (is_steady(retention))
		horizons = retention_horizons(&retention->policy, retention->slice.now_us);
	if (read_size(db, &size) < 0 || find_extent(retention) < 0)
		return -1;
	keep = keep_of(limit_octets(retention), used_octets(&size));
	retention->cuts_hours = false;
	if (keep < 1000 && cut_more(retention, used_octets(&size), &keep, &horizons, &contacts) < 0)
		return -1;
	if (leave_lost_days(db, &horizons) < 0 || begin_fold(retention, horizons.days_us) < 0)
		return -1;
	retention_aged_begin(&retention->aged, &horizons);
	if (begin_ledger(retention, horizons.contacts_us, contacts) < 0)
		return -1;
	return retention_flows_begin(
		&retention->flows, db, horizons.flows_us, horizons.hours_us, keep);
}

static bool is_to_free(const struct retention *retention, const struct file_size *size)
{
	return (size->free > size->pages / 16 && !retention->tight) ||
	       (size->free > 0 &&
		       size->pages * size->page_octets > high_octets(retention->policy.max_octets));
}

static int end_round(struct retention *retention)
{
	struct retention_slice next = retention->slice;
	struct file_size size;

	if (read_size(retention->slice.db, &size) < 0)
		return -1;
	next.now_us += US_OF_S(ROUND_S);
	if (retention_note(&next, "next", 0, 0, 0) < 0)
		return -1;
	retention->stage = RETENTION_IDLE;
	retention->check_ns = 0;
	retention->failures = 0;
	retention->pressed = 0;
	if (used_octets(&size) <= high_octets(retention->policy.max_octets))
		retention->tries = 0;
	else if (!retention->cuts_hours)
		retention->tries++;
	retention->next_ns = clock_boottime_ns() + ROUND_S * (int64_t)NS_PER_S;
	return 0;
}

static void expect_dearer_rows(struct retention *retention)
{
	retention->slice.rows = least(retention->slice.rows, ROWS_FIRST);
}

static int begin_stage(struct retention *retention, enum retention_stage stage)
{
	if (!retention->whole && stage == RETENTION_FOLD)
		stage = RETENTION_FREE;
	if (!retention->sweeps && stage == RETENTION_UNUSED)
		stage = RETENTION_FREE;
	retention->stage = stage;
	expect_dearer_rows(retention);
	if (stage != RETENTION_UNUSED)
		return 0;
	retention->looks++;
	if (note_sweep(retention) < 0)
		return -1;
	return retention_unused_begin(
		&retention->unused, retention->dictionary, retention->slice.db);
}

int retention_is_due(struct retention *retention, int64_t now_us, int64_t now_ns)
{
	struct file_size size;
	bool over = false;

	watch_clock(retention, now_us, now_ns);
	if (retention->stage != RETENTION_IDLE)
		return !retention->waits || retention->looks_seen == retention->looks;
	if (now_ns >= retention->check_ns) {
		retention->check_ns = now_ns + CHECK_S * (int64_t)NS_PER_S;
		if (read_size(retention->slice.db, &size) < 0)
			return -1;
		over = used_octets(&size) > high_octets(limit_octets(retention)) &&
		       retention->tries < TRIES_MAX;
	}
	if (!over && now_ns < retention->next_ns)
		return 0;
	retention->slice.now_us = now_us;
	return 1;
}

bool retention_is_stuck(const struct retention *retention)
{
	return retention->tries >= TRIES_MAX;
}

static enum retention_step step_free(struct retention *retention)
{
	struct file_size size;
	char text[64];

	if (read_size(retention->slice.db, &size) < 0)
		return RETENTION_FAILED;
	if (!is_to_free(retention, &size))
		return RETENTION_DONE;
	snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%lld)",
		(long long)retention->slice.rows / ROWS_A_PAGE);
	return sql_exec(retention->slice.db, text) < 0 ? RETENTION_FAILED : RETENTION_MORE;
}

/* To remove rows is dearer than to look at them. */
static enum retention_step step_unused(struct retention *retention)
{
	bool may_sweep = retention->policy.at_once || retention->looks_seen == retention->looks;
	size_t phase = retention->unused.phase;
	enum retention_step step = retention_unused_step(
		&retention->unused, &retention->slice, may_sweep, &retention->waits);

	if (retention->unused.phase != phase)
		expect_dearer_rows(retention);
	return step;
}

/* To fold, and to remove rows of the ledger, is dearer than to count them. */
static enum retention_step step_ledger(struct retention *retention)
{
	int look = retention->ledger.look;
	enum retention_step step = retention_ledger_step(&retention->ledger, &retention->slice);

	if (retention->ledger.look != look)
		expect_dearer_rows(retention);
	return step;
}

static bool folds(const struct retention *retention)
{
	return retention->stage == RETENTION_FOLD ||
	       (retention->stage == RETENTION_LEDGER && retention_ledger_folds(&retention->ledger));
}

static enum retention_step step_stage(struct retention *retention)
{
	const struct retention_slice *slice = &retention->slice;
	int64_t settled_us = retention->rollup->committed.settled_us;

	switch (retention->stage) {
	case RETENTION_IDLE:
		return begin_round(retention) < 0 ? RETENTION_FAILED : RETENTION_DONE;
	case RETENTION_FLOWS:
		return retention_flows_step(&retention->flows, slice, settled_us);
	case RETENTION_FOLD:
		return retention_fold_step(&retention->fold, slice);
	case RETENTION_AGED:
		return retention_aged_step(&retention->aged, slice);
	case RETENTION_LEDGER:
		return step_ledger(retention);
	case RETENTION_UNUSED:
		return step_unused(retention);
	case RETENTION_FREE:
		return step_free(retention);
	}
	return RETENTION_FAILED;
}

int retention_step(struct retention *retention)
{
	enum retention_step step = step_stage(retention);

	if (step != RETENTION_DONE)
		return step == RETENTION_FAILED ? -1 : 0;
	if (retention->stage == RETENTION_UNUSED)
		retention_unused_done(&retention->unused);
	if (retention->stage == RETENTION_LEDGER && retention->ledger.counts) {
		retention->contacts = retention->ledger.rows;
		retention->contacts_flows = retention->flows_seen;
	}
	if (retention->stage == RETENTION_FREE)
		return end_round(retention);
	return begin_stage(retention, retention->stage + 1);
}

void retention_took(struct retention *retention, int64_t took_ns)
{
	int64_t rows = retention->slice.rows;
	int64_t most = folds(retention) ? ROWS_MAX_FOLD : ROWS_MAX;
	int64_t next = took_ns > 0 ? rows * (SLICE_MS * (int64_t)NS_PER_MS) / took_ns : most;

	next = least(next, least(2 * rows, most));
	retention->slice.rows = next > ROWS_MIN ? next : ROWS_MIN;
}

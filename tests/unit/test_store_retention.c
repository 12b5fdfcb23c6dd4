/* What the history forgets and what it keeps: by age, by size, by what nothing names any more. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_preview.h"
#include "support/store_fixture.h"

#define S_US   INT64_C(1000000)
#define DAY_US (86400 * S_US)
#define NOW_US (FIXTURE_START_US + 400 * DAY_US)

enum { SLICES_MAX = 100000 };

static void forget(struct store_fixture *fixture, int64_t now_us)
{
	int more = 1;

	for (int i = 0; more > 0; i++) {
		assert_true(i < SLICES_MAX);
		more = store_maintain(fixture->store, now_us, &fixture->error);
		if (more < 0)
			fail_msg("%s", fixture->error.text);
		if (store_fixture_number(fixture, "SELECT 1") != 1)
			fail();
	}
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA integrity_check"), "ok");
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT executable, flows FROM executable_flows EXCEPT SELECT executable,"
			" count(*) FROM flow JOIN actor AS a ON a.id = actor GROUP BY 1"),
		"");
}

/* A round though the last one was less than an hour ago, with a batch that knows of its look. */
static void forget_anew(struct store_fixture *fixture, int64_t now_us)
{
	struct store_counters counters;

	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, now_us);
	store_counters(fixture->store, &counters);
	batch_set_look(fixture->batch, counters.looks);
	store_fixture_write(fixture);
	forget(fixture, now_us);
}

static void add_flow(
	struct store_fixture *fixture, uint32_t pid, const char *remote, int64_t end_us)
{
	struct flow_record flow = store_fixture_flow(pid, remote, end_us);

	if (batch_count(fixture->batch) > 4000)
		store_fixture_write(fixture);
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
}

static void add_process(struct store_fixture *fixture, uint32_t pid, const char *exe)
{
	struct process_info process = store_fixture_process(pid, exe);

	assert_int_equal(batch_add_process(fixture->batch, &process), 0);
}

static void add_name(struct store_fixture *fixture, uint32_t pid, const char *name, int64_t at_us)
{
	struct name_record record = {.name = name,
		.owner = "",
		.asker = {pid * UINT64_C(1000000000), pid, 1},
		.first_us = at_us,
		.last_us = at_us,
		.count = 1,
		.source = NAME_SOURCE_DNS};

	assert_int_equal(addr_parse("192.0.2.7", &record.address), 0);
	assert_int_equal(batch_add_name(fixture->batch, &record), 0);
}

static void add_listener(struct store_fixture *fixture, uint32_t pid, int64_t until_us)
{
	struct listener_record record = {
		.key = {.netns = 7, .local_port = 80, .protocol = 6, .socket_cookie = pid},
		.owner = {pid * UINT64_C(1000000000), pid, 1},
		.from_us = FIXTURE_START_US,
		.until_us = until_us,
		.method = FLOW_METHOD_EXACT};

	assert_int_equal(addr_parse("192.0.2.1", &record.key.local), 0);
	assert_int_equal(batch_add_listener(fixture->batch, &record), 0);
}

static void add_coverage(struct store_fixture *fixture, int64_t until_us)
{
	struct coverage_record record = {.from_us = until_us - S_US,
		.until_us = until_us,
		.count = 1,
		.what = COVERAGE_RING_FULL,
		.source = FLOW_SOURCE_EBPF};

	assert_int_equal(batch_add_coverage(fixture->batch, &record), 0);
}

static void open_history(struct store_fixture *fixture, struct store_retention policy)
{
	policy.at_once = true;
	fixture->options.retention = policy;
	store_fixture_open(fixture);
}

/* A year of flows, one a day, of a process each, and all that belongs to them. */
static void write_year(struct store_fixture *fixture)
{
	for (uint32_t day = 1; day <= 400; day++) {
		int64_t at_us = FIXTURE_START_US + day * DAY_US - S_US;
		char text[64];

		snprintf(text, sizeof(text), "/bin/of-%u", day);
		add_process(fixture, day, text);
		snprintf(text, sizeof(text), "198.51.%u.%u", 100 + day / 256, day % 256);
		add_flow(fixture, day, text, at_us);
		snprintf(text, sizeof(text), "of-%u.example", day);
		add_name(fixture, day, text, at_us);
		add_listener(fixture, day, at_us);
		add_coverage(fixture, at_us);
	}
	store_fixture_write(fixture);
}

static void old_flows_go_and_the_rollup_stays(void **state)
{
	struct store_fixture *fixture = *state;

	open_history(fixture, (struct store_retention){.flow_age_us = 90 * DAY_US});
	write_year(fixture);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 90);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM name_evidence"), 90);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM listener"), 90);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_day"), 400);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact"), 400);
	/* The ledger names the process of the first contact. */
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 400);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM name WHERE id <> 0"), 90);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT pruned, since_us <= (SELECT min(end_us) FROM flow),"
				    " whole_us < (SELECT min(end_us) FROM flow) FROM retention"
				    " WHERE what = 'flow'"),
		"310|1|1");
}

static int64_t octets_of(struct store_fixture *fixture)
{
	return store_fixture_number(
		fixture, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
}

/* Days in which what is kept of single flows and their hours is not what the roll-up says. */
static const char uneven_text[] =
	"SELECT count(*) FROM contact_day AS d WHERE (flows, octets_out, first_us, last_us, "
	"methods)"
	" IS NOT (SELECT sum(flows), sum(octets_out), min(first_us), max(last_us), max(methods)"
	" FROM (SELECT hour / 24 AS day, remote, flows, octets_out, first_us, last_us, methods"
	" FROM contact_hour UNION ALL SELECT day, remote, flows, octets_out, first_us, last_us,"
	" methods FROM flow_contact) AS h WHERE h.day = d.day AND h.remote = d.remote)";

static void of_old_flows_the_hours_stay(void **state)
{
	struct store_fixture *fixture = *state;

	open_history(fixture,
		(struct store_retention){.flow_age_us = 90 * DAY_US, .hour_age_us = 200 * DAY_US});
	write_year(fixture);
	write_year(fixture); /* two flows an hour */
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 180);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_hour"), 111);
	assert_int_equal(store_fixture_number(fixture, uneven_text), 199);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT (SELECT min(hour) FROM contact_hour) * 3600000000 >="
				 " (SELECT whole_us FROM retention WHERE what = 'contact_hour')"),
		1);
	/* What is forgotten later joins them. */
	fixture->options.retention.flow_age_us = 80 * DAY_US;
	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_hour"), 121);
	assert_int_equal(store_fixture_number(fixture, uneven_text), 199);
}

/* Flows of one hour that go in several slices, and in between a restart. */
static void an_hour_is_summed_up_in_parts(void **state)
{
	struct store_fixture *fixture = *state;
	enum { FLOWS = 5000 };

	open_history(fixture, (struct store_retention){0});
	add_process(fixture, 1, "/bin/x");
	for (int i = 0; i < FLOWS; i++)
		add_flow(fixture, 1, "198.51.100.1", FIXTURE_START_US + i * 100000);
	store_fixture_write(fixture);
	fixture->options.retention.flow_age_us = 1;
	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, FIXTURE_START_US + FLOWS / 3 * INT64_C(100000));
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM flow"), FLOWS / 2,
		FLOWS * 3 / 4);
	assert_int_equal(store_fixture_number(fixture, uneven_text), 0);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 0);
	assert_int_equal(store_fixture_number(fixture, uneven_text), 0);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT sum(flows) FROM contact_hour"), FLOWS);
}

static void expect_hours(void *ctx, const struct store_preview *preview)
{
	assert_string_equal(preview->what, "contact_hour");
	assert_int_equal(preview->before_us, 0);
	*(int64_t *)ctx += preview->rows;
}

/* Of hours only, for want of room. */
static int64_t previewed_hours(struct store_fixture *fixture)
{
	struct store_retention policy = {.max_octets = fixture->options.retention.max_octets};
	struct store_reader *reader;
	int64_t rows = 0;

	assert_int_equal(store_reader_open(fixture->path, &reader, &fixture->error), 0);
	assert_int_equal(
		store_preview(reader, &policy, NOW_US, expect_hours, &rows, &fixture->error), 0);
	store_reader_close(reader);
	return rows;
}

static void for_room_hours_go_before_flows(void **state)
{
	struct store_fixture *fixture = *state;
	enum { FLOWS = 20000, DAYS = 100 };
	int64_t octets, hours, previewed;

	open_history(fixture, (struct store_retention){.flow_age_us = DAYS / 2 * DAY_US});
	add_process(fixture, 1, "/bin/x");
	for (int i = 0; i < FLOWS; i++)
		add_flow(fixture, 1, "198.51.100.1",
			NOW_US - DAYS * DAY_US + i * (DAYS * DAY_US / FLOWS));
	store_fixture_write(fixture);
	forget(fixture, NOW_US);
	octets = octets_of(fixture);
	fixture->options.retention.max_octets = (uint64_t)octets * 105 / 100;
	hours = store_fixture_number(fixture, "SELECT count(*) FROM contact_hour");
	previewed = previewed_hours(fixture);
	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_hour"),
		hours - previewed);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM flow"), FLOWS / 2 - 1,
		FLOWS / 2);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM contact_hour"), 24,
		DAYS / 2 * 24 * 4 / 5);
	fixture->options.retention.max_octets = (uint64_t)octets * 8 / 10;
	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_hour"), 0);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM flow"), FLOWS / 4,
		FLOWS / 2 - 100);
	/* Of flows that went for want of room there are none, and no report may think so. */
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT (SELECT whole_us FROM retention WHERE what = 'flow') ="
				 " (SELECT whole_us FROM retention WHERE what = 'contact_hour')"),
		1);
}

static void everything_has_its_age(void **state)
{
	struct store_fixture *fixture = *state;

	open_history(fixture, (struct store_retention){.flow_age_us = 30 * DAY_US,
				      .day_age_us = 100 * DAY_US,
				      .contact_age_us = 200 * DAY_US});
	write_year(fixture);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 30);
	assert_in_range(
		store_fixture_number(fixture, "SELECT count(*) FROM contact_day"), 100, 101);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM flow_hour"), 100, 101);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact"), 200);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 200);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM executable WHERE id <> 0"),
		200);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM remote"), 200);
	assert_in_range(
		store_fixture_number(fixture, "SELECT count(*) FROM coverage_interval"), 100, 101);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM run"), 1);
}

static void nothing_goes_without_limits(void **state)
{
	struct store_fixture *fixture = *state;

	open_history(fixture, (struct store_retention){0});
	write_year(fixture);
	forget(fixture, NOW_US + 10000 * DAY_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 400);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 400);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT what FROM retention"), "next\nsweep");
}

static const char names_text[] = "SELECT count(*) FROM name WHERE id <> 0";

/* Nothing can be left over then, and a look at everything takes long. */
static void what_lost_nothing_is_not_looked_through(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.retention = (struct store_retention){.trusts_clock = true};
	store_fixture_open(fixture);
	write_year(fixture);
	store_fixture_close(fixture); /* settles */
	store_fixture_open(fixture);
	forget(fixture, NOW_US + 40 * DAY_US);
	assert_string_equal(store_fixture_sql(fixture, "SELECT what FROM retention"), "next");
	fixture->options.retention.flow_age_us = 400 * DAY_US;
	forget_anew(fixture, NOW_US + 40 * DAY_US);
	forget_anew(fixture, NOW_US + 41 * DAY_US);
	forget_anew(fixture, NOW_US + 70 * DAY_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 330);
	assert_int_equal(store_fixture_number(fixture, names_text), 400);
	forget_anew(fixture, NOW_US + 72 * DAY_US);
	assert_int_equal(store_fixture_number(fixture, names_text), 328);
}

static void what_lost_half_is_looked_through_soon(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.retention =
		(struct store_retention){.trusts_clock = true, .flow_age_us = 90 * DAY_US};
	store_fixture_open(fixture);
	write_year(fixture);
	store_fixture_close(fixture); /* settles */
	store_fixture_open(fixture);
	forget_anew(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, names_text), 400);
	forget_anew(fixture, NOW_US + 1);
	assert_int_equal(store_fixture_number(fixture, names_text), 90);
}

/* A clock that is a year ahead when the machine starts would take the history along. */
static void no_age_before_the_clock_is_steady(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_retention policy = {.flow_age_us = 30 * DAY_US};

	fixture->options.retention = policy;
	store_fixture_open(fixture);
	write_year(fixture);
	assert_int_equal(store_maintain(fixture->store, NOW_US, &fixture->error), 0);
	assert_int_equal(store_maintain(fixture->store, NOW_US + 365 * DAY_US, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 400);
}

static void who_is_noisy_does_not_evict_who_is_rare(void **state)
{
	struct store_fixture *fixture = *state;
	enum { NOISY = 40000, RARE = 100, LIMIT = 1 << 20 };

	open_history(fixture, (struct store_retention){.max_octets = LIMIT});
	add_process(fixture, 1, "/bin/noisy");
	add_process(fixture, 2, "/bin/rare");
	for (int i = 0; i < NOISY; i++) {
		int64_t at_us = FIXTURE_START_US + i * S_US;

		add_flow(fixture, 1, "198.51.100.1", at_us);
		if (i % (NOISY / RARE) == 0)
			add_flow(fixture, 2, "198.51.100.2", at_us + 1);
	}
	store_fixture_write(fixture);
	assert_true(octets_of(fixture) > LIMIT);
	forget(fixture, NOW_US);
	assert_true(octets_of(fixture) <= LIMIT);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT flows FROM executable_flows JOIN executable AS e"
				 " ON e.id = executable WHERE path = '/bin/rare'"),
		RARE);
	/* Of the noisy one the newest are there. */
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT count(*) > 10000, max(end_us) - min(end_us) < count(*) *"
			" 1000001 FROM flows WHERE exe = '/bin/noisy'"),
		"1|1");
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT since_us, whole_us = (SELECT min(end_us) - 1000000 FROM"
				    " flows WHERE exe = '/bin/noisy') FROM retention WHERE what ="
				    " 'flow'"),
		"0|1");
	/* What was forgotten is counted still. */
	assert_int_equal(
		store_fixture_number(fixture, "SELECT sum(flows) FROM contact_day"), NOISY + RARE);
}

static int64_t pages_of(struct store_fixture *fixture)
{
	return store_fixture_number(fixture,
		"SELECT page_count - freelist_count FROM pragma_page_count,"
		" pragma_freelist_count");
}

/* Of pages from which every second flow goes something must be left over. */
static void room_is_made_where_flows_are_mixed(void **state)
{
	struct store_fixture *fixture = *state;
	enum { FLOWS = 60000, PROGRAMS = 10 };
	int64_t before, flows;
	char text[64];

	open_history(fixture, (struct store_retention){0});
	for (uint32_t pid = 1; pid <= PROGRAMS + 1; pid++) {
		snprintf(text, sizeof(text), "/bin/program-%u", pid);
		add_process(fixture, pid, text);
	}
	for (int i = 0; i < FLOWS; i++)
		add_flow(fixture, i % 2 ? 1 : 2 + (uint32_t)i / 2 % PROGRAMS, "198.51.100.1",
			FIXTURE_START_US + i * S_US);
	store_fixture_write(fixture);
	forget(fixture, NOW_US);
	before = pages_of(fixture);
	fixture->options.retention.max_octets = (uint64_t)(before * 2048 * 102 / 100);
	store_set_retention(fixture->store, &fixture->options.retention);
	forget(fixture, NOW_US);
	flows = store_fixture_number(fixture, "SELECT count(*) FROM flow");
	assert_in_range(flows, FLOWS * 80 / 100, FLOWS * 97 / 100);
	assert_true((before - pages_of(fixture)) * 2 * FLOWS > (FLOWS - flows) * before);
}

/* Where flows are few the roll-up gives way, and then the ledger. */
static void size_holds_without_flows(void **state)
{
	struct store_fixture *fixture = *state;
	enum { REMOTES = 6000, DAYS = 4, LIMIT = 1 << 20 };

	open_history(fixture, (struct store_retention){.flow_age_us = 1, .max_octets = LIMIT});
	add_process(fixture, 1, "/bin/scan");
	for (int i = 0; i < DAYS * REMOTES; i++) {
		char remote[32];

		snprintf(remote, sizeof(remote), "10.0.%d.%d", i % REMOTES / 256, i % 256);
		add_flow(fixture, 1, remote, FIXTURE_START_US + i * (DAY_US / REMOTES));
	}
	store_fixture_write(fixture);
	forget(fixture, NOW_US);
	assert_true(octets_of(fixture) <= LIMIT);
	assert_true(store_fixture_number(fixture, "SELECT count(*) FROM contact_day") > 0);
	assert_true(store_fixture_number(fixture, "SELECT count(*) FROM contact") > 0);
}

/* A host a minute. */
static void scan(struct store_fixture *fixture, int from, int until)
{
	add_process(fixture, 1000, "/bin/scan");
	for (int i = from; i < until; i++) {
		char remote[32];

		snprintf(remote, sizeof(remote), "10.0.%d.%d", i / 256, i % 256);
		add_flow(fixture, 1000, remote, FIXTURE_START_US + i * 60 * S_US);
	}
	store_fixture_write(fixture);
}

static int64_t contacts(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT count(*) FROM contact");
}

/* How many there are is known from the time before, and how many flows came since. */
static void the_ledger_is_counted_again_before_it_is_too_large(void **state)
{
	struct store_fixture *fixture = *state;
	enum { LIMIT = 1000 };

	open_history(fixture, (struct store_retention){.max_contacts = LIMIT});
	scan(fixture, 0, 800);
	forget(fixture, NOW_US);
	assert_int_equal(contacts(fixture), 800);
	scan(fixture, 800, 900);
	forget(fixture, NOW_US + DAY_US);
	assert_int_equal(contacts(fixture), 900);
	scan(fixture, 900, 1050);
	forget(fixture, NOW_US + 2 * DAY_US);
	assert_in_range(contacts(fixture), LIMIT / 2, LIMIT);
}

static void the_ledger_has_a_limit_of_its_own(void **state)
{
	struct store_fixture *fixture = *state;
	enum { SCAN = 5000, LIMIT = 1000 };

	open_history(fixture, (struct store_retention){.max_contacts = LIMIT});
	write_year(fixture);
	scan(fixture, 0, SCAN);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT count(*) FROM contacts WHERE exe GLOB '/bin/of-*'"),
		400);
	assert_in_range(store_fixture_number(
				fixture, "SELECT count(*) FROM contacts WHERE exe = '/bin/scan'"),
		400, LIMIT - 400);
}

static int64_t processes_named(struct store_fixture *fixture, const char *comm)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM processes WHERE exe = '%s'", comm);
	return store_fixture_number(fixture, sql);
}

/* As the pipeline describes it: the parent first. */
static void add_child(struct store_fixture *fixture)
{
	struct process_info parent = store_fixture_process(3, "/bin/parent"), child;

	assert_int_equal(batch_add_process(fixture->batch, &parent), 0);
	child = store_fixture_process(1, "/bin/alive");
	child.parent = parent.ref;
	assert_int_equal(batch_add_process(fixture->batch, &child), 0);
}

/* Makes all that the process 1 named go; it lives on. */
static struct store_fixture *begin_look(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.retention = (struct store_retention){
		.flow_age_us = DAY_US, .contact_age_us = DAY_US, .day_age_us = DAY_US};
	fixture->options.retention.at_once = true;
	store_fixture_open(fixture);
	add_child(fixture);
	add_process(fixture, 2, "/bin/gone");
	add_flow(fixture, 1, "198.51.100.1", FIXTURE_START_US);
	add_flow(fixture, 2, "198.51.100.2", FIXTURE_START_US);
	store_fixture_write(fixture);
	return fixture;
}

static int64_t looks(const struct store_fixture *fixture)
{
	struct store_counters counters;

	store_counters(fixture->store, &counters);
	return counters.looks;
}

/* What is written while the dictionaries are looked through keeps what it names, at every moment.
 */
static void what_is_named_meanwhile_stays(void **state)
{
	for (int slices = 1;; slices++) {
		struct store_fixture *fixture = begin_look(state);
		int more = 1;

		for (int i = 0; i < slices && more > 0; i++)
			more = store_maintain(fixture->store, NOW_US, &fixture->error);
		add_flow(fixture, 1, "198.51.100.1", NOW_US);
		if (more == 0 || looks(fixture) > 0)
			add_child(fixture); /* as the pipeline does then */
		store_fixture_write(fixture);
		forget(fixture, NOW_US);
		assert_string_equal(store_fixture_sql(fixture,
					    "SELECT exe, remote_ip, protocol, local_ip FROM flows"),
			"/bin/alive|198.51.100.1|tcp|192.0.2.1");
		assert_int_equal(processes_named(fixture, "/bin/gone"), 0);
		assert_int_equal(processes_named(fixture, "/bin/parent"), 1);
		assert_string_equal(store_fixture_sql(fixture,
					    "SELECT count(*) FROM process WHERE parent NOT IN"
					    " (SELECT id FROM process)"),
			"0");
		store_fixture_close(fixture);
		assert_int_equal(remove(fixture->path), 0);
		if (more == 0)
			return;
	}
}

static void free_pages_go_back(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t before;

	open_history(fixture, (struct store_retention){.flow_age_us = DAY_US});
	add_process(fixture, 1, "/bin/x");
	for (int i = 0; i < 50000; i++)
		add_flow(fixture, 1, "198.51.100.1", FIXTURE_START_US + i * 100);
	store_fixture_write(fixture);
	before = octets_of(fixture);
	forget(fixture, NOW_US);
	assert_true(octets_of(fixture) < before / 4);
}

/* What it keeps in the WAL is not moved: that is no reason to wait. */
static void a_reader_does_not_stop_it(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3 *reader;

	open_history(fixture, (struct store_retention){.max_octets = 4 << 20});
	assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(reader, "BEGIN; SELECT * FROM flow", NULL, NULL, NULL), SQLITE_OK);
	add_process(fixture, 1, "/bin/x");
	for (int i = 0; i < 300000; i++)
		add_flow(fixture, 1, "198.51.100.1", FIXTURE_START_US + i * 100);
	for (int i = 0; i < 50; i++) {
		add_flow(fixture, 1, "198.51.100.1", NOW_US + i);
		store_fixture_write(fixture);
		assert_int_equal(store_maintain(fixture->store, NOW_US, &fixture->error), 1);
	}
	assert_int_equal(sqlite3_close(reader), SQLITE_OK);
	assert_true(store_fixture_number(
			    fixture, "SELECT pruned FROM retention WHERE what = 'flow'") > 10000);
}

/* It came when the round was past its flows, and was in no day after it. */
static void a_late_flow_without_a_day_gets_no_hours(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_retention policy = {.flow_age_us = 5 * DAY_US, .day_age_us = 5 * DAY_US};
	int64_t end_us = NOW_US - 200 * DAY_US;

	open_history(fixture, policy);
	write_year(fixture);
	for (int i = 0; store_fixture_number(fixture, "SELECT count(*) FROM flow") > 6; i++) {
		assert_true(i < SLICES_MAX);
		assert_int_equal(store_maintain(fixture->store, NOW_US, &fixture->error), 1);
	}
	add_process(fixture, 900, "/bin/late");
	add_flow(fixture, 900, "198.51.100.200", end_us);
	store_fixture_write(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_day"), 401);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 6);

	policy = (struct store_retention){.flow_age_us = 100 * DAY_US,
		.hour_age_us = 300 * DAY_US,
		.day_age_us = 300 * DAY_US,
		.at_once = true};
	store_set_retention(fixture->store, &policy);
	forget(fixture, NOW_US);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 5);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT count(*) FROM contact_hour AS h WHERE NOT EXISTS (SELECT 1"
				 " FROM contact_day AS d WHERE d.day = h.hour / 24"
				 " AND d.remote = h.remote AND d.actor = h.actor)"),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)
		TEST(old_flows_go_and_the_rollup_stays),
		TEST(of_old_flows_the_hours_stay),
		TEST(an_hour_is_summed_up_in_parts),
		TEST(for_room_hours_go_before_flows),
		TEST(everything_has_its_age),
		TEST(nothing_goes_without_limits),
		TEST(what_lost_nothing_is_not_looked_through),
		TEST(what_lost_half_is_looked_through_soon),
		TEST(no_age_before_the_clock_is_steady),
		TEST(who_is_noisy_does_not_evict_who_is_rare),
		TEST(room_is_made_where_flows_are_mixed),
		TEST(size_holds_without_flows),
		TEST(the_ledger_is_counted_again_before_it_is_too_large),
		TEST(the_ledger_has_a_limit_of_its_own),
		TEST(what_is_named_meanwhile_stays),
		TEST(free_pages_go_back),
		TEST(a_reader_does_not_stop_it),
		TEST(a_late_flow_without_a_day_gets_no_hours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The ledger: what it counts, with the days that it does not count yet, is what the days say, at
 * every moment, however both are written, interrupted, corrected or forgotten. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/store_internal.h"
#include "support/store_fixture.h"
#include "util/clock.h"

enum { PROGRAMS = 3, REMOTES = 3000 };

/* The first moment of a day. */
#define DAY_0 (FIXTURE_START_US / US_PER_DAY * US_PER_DAY)

static const char contacts_that_differ[] =
	"SELECT count(*) FROM (SELECT remote, executable, protocol_id, port, direction,"
	" min(first_us) AS first_us, max(last_us) AS last_us, sum(flows) AS flows"
	" FROM contact_day JOIN actor ON actor.id = actor GROUP BY 1, 2, 3, 4, 5) AS d"
	" LEFT JOIN ledger AS c USING (remote, executable, protocol_id, port, direction)"
	" WHERE c.first_us IS NOT d.first_us OR c.last_us IS NOT d.last_us"
	" OR c.flows IS NOT d.flows OR c.process IS NULL";

static void add_programs(struct store_fixture *fixture)
{
	for (uint32_t pid = 1; pid <= PROGRAMS; pid++) {
		char text[32];
		struct process_info info;

		snprintf(text, sizeof(text), "/bin/of-%u", pid);
		info = store_fixture_process(pid, text);
		assert_int_equal(batch_add_process(fixture->batch, &info), 0);
	}
}

static void add_flow(struct store_fixture *fixture, uint32_t remote, int64_t end_us)
{
	struct flow_record flow;
	char text[32];

	snprintf(text, sizeof(text), "10.0.%u.%u", remote / 256, remote % 256);
	flow = store_fixture_flow(1 + remote % PROGRAMS, text, end_us);
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
}

/* One flow with each remote within a day. */
static void write_day(struct store_fixture *fixture, int day, uint32_t remotes)
{
	add_programs(fixture);
	for (uint32_t i = 0; i < remotes; i++)
		add_flow(fixture, i, DAY_0 + day * US_PER_DAY + i * (US_PER_DAY / 2 / remotes));
	store_fixture_write(fixture);
}

static int64_t ledger_day(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT ledger_day FROM rollup_state") -
	       DAY_0 / US_PER_DAY;
}

static int64_t counted(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT sum(flows) FROM contact");
}

/* Contacts that are both young and not. */
static const char contacts_twice[] =
	"SELECT count(*) FROM contact AS y JOIN contact AS c USING (remote, executable,"
	" protocol_id, port, direction) WHERE y.young = 1 AND c.young = 0";

static int64_t young(struct store_fixture *fixture)
{
	return store_fixture_number(fixture, "SELECT count(*) FROM contact WHERE young = 1");
}

static void expect_right(struct store_fixture *fixture)
{
	assert_int_equal(store_fixture_number(fixture, contacts_twice), 0);
	assert_int_equal(store_fixture_number(fixture, contacts_that_differ), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT (SELECT sum(flows) FROM ledger) ="
						       " (SELECT sum(flows) FROM contact_day)"),
		1);
}

/* A round, with a look after each slice; whether the ledger was seen half counted. */
static bool maintain_once(struct store_fixture *fixture, int64_t now_us, bool looks)
{
	bool half = false;
	int more;

	fixture->options.retention.at_once = true;
	store_set_retention(fixture->store, &fixture->options.retention);
	while ((more = store_maintain(fixture->store, now_us, &fixture->error)) > 0) {
		if (!looks)
			continue;
		half |= store_fixture_number(fixture, "SELECT ledger_remote FROM rollup_state") > 0;
		expect_right(fixture);
	}
	assert_int_equal(more, 0);
	return half;
}

/* The first round after a start does not know how many rows there are. */
static bool maintain(struct store_fixture *fixture, int64_t now_us, bool looks)
{
	bool half = maintain_once(fixture, now_us, looks);

	return half | maintain_once(fixture, now_us, looks);
}

static void a_contact_is_counted_with_its_day(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	write_day(fixture, 1, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY + US_PER_HOUR, false);
	assert_int_equal(ledger_day(fixture), 1);
	assert_int_equal(counted(fixture), REMOTES);
	expect_right(fixture);
	write_day(fixture, 2, REMOTES);
	assert_true(maintain(fixture, DAY_0 + 3 * US_PER_DAY, true));
	assert_int_equal(ledger_day(fixture), 3);
	assert_int_equal(counted(fixture), 3 * REMOTES);
}

/* The pages of the ledger are written for twice as many flows as it has rows, or once a month. */
static void days_wait_until_they_are_worth_it(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 1);
	write_day(fixture, 1, REMOTES);
	maintain(fixture, DAY_0 + 2 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 1);
	write_day(fixture, 2, REMOTES);
	maintain(fixture, DAY_0 + 3 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 3);
	write_day(fixture, 3, 1);
	maintain(fixture, DAY_0 + 32 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 3);
	maintain_once(fixture, DAY_0 + 33 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 33);
	expect_right(fixture);
}

static void flows_of_counted_days_are_counted_at_once(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	add_flow(fixture, 1, DAY_0 + US_PER_DAY - 1);
	add_flow(fixture, REMOTES, DAY_0 + US_PER_DAY - 2);
	add_flow(fixture, 2, DAY_0 + US_PER_DAY);
	store_fixture_write(fixture);
	assert_int_equal(counted(fixture), REMOTES + 2);
	expect_right(fixture);
}

static void settle(struct store_fixture *fixture)
{
	store_fixture_close(fixture);
	store_fixture_open(fixture);
}

static void new_contacts_are_young_until_the_ledger_counts(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	settle(fixture);
	assert_int_equal(young(fixture), REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, true);
	assert_int_equal(young(fixture), 0);
	write_day(fixture, 1, REMOTES + 100);
	settle(fixture);
	assert_int_equal(young(fixture), 100);
	expect_right(fixture);
	/* earlier than the first contact that is known: of one that is young, and of one that is
	 * not */
	add_flow(fixture, REMOTES + 50, DAY_0 + US_PER_DAY - 1);
	add_flow(fixture, 50, DAY_0 - US_PER_DAY);
	store_fixture_write(fixture);
	assert_int_equal(young(fixture), 100);
	expect_right(fixture);
	write_day(fixture, 2, REMOTES + 200);
	write_day(fixture, 3, REMOTES + 200);
	maintain(fixture, DAY_0 + 4 * US_PER_DAY, true);
	assert_int_equal(young(fixture), 0);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM contact"), REMOTES + 200);
}

/* A contact that is made every day is not old, whatever the ledger counts. */
static void who_is_there_every_day_stays(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.retention.flow_age_us = fixture->options.retention.day_age_us =
		fixture->options.retention.contact_age_us = 5 * US_PER_DAY;
	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	for (int day = 1; day < 8; day++)
		write_day(fixture, day, 10);
	maintain_once(fixture, DAY_0 + 8 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 3);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact"), 10);
}

/* What the limit takes is what was used longest ago. */
static void the_limit_knows_of_today(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	write_day(fixture, 1, 100); /* the lowest remotes */
	fixture->options.retention.max_contacts = 300;
	maintain(fixture, DAY_0 + US_PER_DAY + US_PER_HOUR, false);
	assert_int_equal(ledger_day(fixture), 2);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM contact"), 200, 300);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact AS c"
						       " JOIN contact_day AS d USING (remote)"
						       " WHERE d.day = c.last_us / 86400000000"
						       " AND c.last_us >= 86400000000 *"
						       " (SELECT max(day) FROM contact_day)"),
		100);
}

/* Days that go are counted first. */
static void days_are_forgotten_when_they_are_counted(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.retention.flow_age_us = fixture->options.retention.day_age_us =
		2 * US_PER_DAY;
	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	write_day(fixture, 1, 10);
	write_day(fixture, 4, 10);
	maintain(fixture, DAY_0 + 4 * US_PER_DAY + US_PER_HOUR, false);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(DISTINCT day) FROM contact_day"), 1);
	assert_int_equal(ledger_day(fixture), 2);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT sum(flows) FROM ledger"), REMOTES + 20);
}

static void what_was_interrupted_goes_on(void **state)
{
	struct store_fixture *fixture = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		fixture->options.retention.at_once = true;
		store_fixture_open(fixture);
		write_day(fixture, 0, REMOTES);
		while (store_fixture_number(fixture, "SELECT ledger_remote FROM rollup_state") == 0)
			store_maintain(
				fixture->store, DAY_0 + US_PER_DAY + US_PER_HOUR, &fixture->error);
		write_day(fixture, 1, REMOTES); /* not settled */
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(store_fixture_number(fixture, "SELECT ledger_remote FROM rollup_state") > 0);
	store_fixture_open(fixture);
	expect_right(fixture);
	maintain(fixture, DAY_0 + 2 * US_PER_DAY, true);
	assert_int_equal(counted(fixture), 2 * REMOTES);
}

static int64_t random_us(int64_t most)
{
	return ((int64_t)rand() << 31 | rand()) % most;
}

static void a_start_alone_is_no_reason(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	for (int day = 1; day < 4; day++) {
		write_day(fixture, day, 10);
		store_fixture_close(fixture);
		store_fixture_open(fixture);
		maintain(fixture, DAY_0 + (day + 1) * US_PER_DAY, false);
		assert_int_equal(ledger_day(fixture), 1);
	}
}

/* Between the count and the cut a day begins, and old contacts are made again. */
static void the_limit_spares_what_is_used_meanwhile(void **state)
{
	struct store_fixture *fixture = *state;
	int slices = 0, more = 1;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	add_programs(fixture);
	add_flow(fixture, REMOTES - 1, DAY_0 + US_PER_DAY + 5);
	store_fixture_write(fixture);
	fixture->options.retention.max_contacts = REMOTES / 2;
	store_set_retention(fixture->store, &fixture->options.retention);
	while (more > 0) {
		more = store_maintain(
			fixture->store, DAY_0 + 2 * US_PER_DAY - 1000, &fixture->error);
		slices += ledger_day(fixture) == 2;
		if (slices == 3)
			write_day(fixture, 2, 100);
	}
	assert_true(slices > 3);
	assert_in_range(store_fixture_number(fixture, "SELECT count(*) FROM contact"), 100,
		REMOTES / 2 + 100);
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM contact_day"
					      " JOIN contact USING (remote)"
					      " WHERE day = (SELECT max(day) FROM contact_day)"),
		100);
}

/* Rows that are only counted are cheap: that many would take too long to be folded or removed. */
static void each_look_of_the_ledger_begins_with_few_rows(void **state)
{
	struct store_fixture *fixture = *state;
	const struct retention *retention;
	int look = 0, looks = 0, more = 1;

	store_fixture_open(fixture);
	retention = &fixture->store->retention;
	write_day(fixture, 0, REMOTES);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	add_programs(fixture);
	store_fixture_write(fixture);
	fixture->options.retention.max_contacts = REMOTES / 2;
	store_set_retention(fixture->store, &fixture->options.retention);
	while (more > 0) {
		more = store_maintain(
			fixture->store, DAY_0 + 2 * US_PER_DAY - 1000, &fixture->error);
		if (retention->stage != RETENTION_LEDGER || retention->ledger.look == look)
			continue;
		look = retention->ledger.look;
		looks++;
		assert_in_range(retention->slice.rows, 64, 2 * 1024);
	}
	assert_int_equal(more, 0);
	assert_true(looks >= 4);
}

/* Else each flow until that day would be counted at once. */
static void a_day_that_is_ahead_is_taken_back(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	write_day(fixture, 0, REMOTES);
	maintain_once(fixture, DAY_0 + 365 * US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 365);
	maintain(fixture, DAY_0 + US_PER_DAY, false);
	assert_int_equal(ledger_day(fixture), 1);
	expect_right(fixture);
}

/* Flows of the last days: most of the last hour. */
static void add_some(struct store_fixture *fixture, int64_t now_us)
{
	int flows = rand() % 4 ? rand() % 200 : 2000;

	add_programs(fixture);
	for (int i = 0; i < flows; i++)
		add_flow(fixture, (uint32_t)rand() % REMOTES,
			now_us - random_us(rand() % 4 ? US_PER_HOUR : 5 * US_PER_DAY));
	store_fixture_write(fixture);
}

/* Some slices of a round, or up to where the ledger is half counted. */
static bool maintain_some(struct store_fixture *fixture, int64_t now_us)
{
	fixture->options.retention.at_once = true;
	store_set_retention(fixture->store, &fixture->options.retention);
	for (int i = rand() % 40; i > 0; i--) {
		assert_true(store_maintain(fixture->store, now_us, &fixture->error) >= 0);
		if (store_fixture_number(fixture, "SELECT ledger_remote FROM rollup_state") > 0)
			return true;
	}
	return false;
}

static void whatever_comes_the_sums_are_right(void **state)
{
	struct store_fixture *fixture = *state;
	uint64_t rounds = store_fixture_setting("LASTCONN_FOLD_ROUNDS", 60);
	int64_t now_us = DAY_0 + US_PER_DAY;
	int halves = 0;

	srand((unsigned int)store_fixture_setting("LASTCONN_SEED", 1));
	store_fixture_open(fixture);
	for (uint64_t round = 0; round < rounds; round++) {
		now_us += random_us(US_PER_DAY);
		add_some(fixture, now_us);
		if (rand() % 2)
			halves += maintain_some(fixture, now_us);
		if (rand() % 10 == 0) {
			store_fixture_close(fixture);
			store_fixture_open(fixture);
		}
		expect_right(fixture);
	}
	assert_true(halves > 1);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_contact_is_counted_with_its_day),
		TEST(days_wait_until_they_are_worth_it),
		TEST(flows_of_counted_days_are_counted_at_once),
		TEST(new_contacts_are_young_until_the_ledger_counts),
		TEST(who_is_there_every_day_stays),
		TEST(the_limit_knows_of_today),
		TEST(days_are_forgotten_when_they_are_counted),
		TEST(what_was_interrupted_goes_on),
		TEST(a_start_alone_is_no_reason),
		TEST(the_limit_spares_what_is_used_meanwhile),
		TEST(each_look_of_the_ledger_begins_with_few_rows),
		TEST(a_day_that_is_ahead_is_taken_back),
		TEST(whatever_comes_the_sums_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Batches into rows: what the views show of them, and that a batch is written once or not at all.
 */
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "support/store_fixture.h"
#include "util/clock.h"

#define NOW FIXTURE_START_US

static void add_process(struct store_fixture *fixture, uint32_t pid, const char *exe)
{
	struct process_info info = store_fixture_process(pid, exe);

	assert_int_equal(batch_add_process(fixture->batch, &info), 0);
}

static void add_flow(struct store_fixture *fixture, const struct flow_record *flow)
{
	assert_int_equal(batch_add_flow(fixture->batch, flow), 0);
}

static void a_flow_shows_all_that_is_known_of_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info parent = store_fixture_process(9, "/bin/bash");
	struct process_info child = store_fixture_process(10, "/usr/bin/curl");
	struct flow_record flow = store_fixture_flow(10, "2001:db8::1", NOW);

	child.parent = parent.ref;
	child.loginuid = 1001;
	child.cmdline = "curl http://example.com";
	flow.opener = parent.ref;
	flow.counters.retransmits = 3;
	store_fixture_open(fixture);
	parent.cmdline = "bash";
	batch_add_process(fixture->batch, &parent);
	batch_add_process(fixture->batch, &child);
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture, "SELECT * FROM flows"),
		"1700000100000000|1700000099000000|1700000100000000|2023-11-14T22:14:59.000000Z|"
		"2023-11-14T22:15:00.000000Z|1000000|0|tcp|out|closed|192.0.2.1|40000|2001:db8::1|"
		"443|-|-|100|2000|5|6|3|300|10|1700000010000000|comm|/usr/bin/curl|"
		"curl http://example.com|1000|1001|9|/bin/bash|test.service|-|7|9|/bin/bash|exact|"
		"ebpf|-|-|-|10|0|-|-|-|-|-");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT c.pid, c.exe, c.parent_exe, c.ppid, p.exe,"
					   " c.start_time, c.netns, c.inner_pid, c.cgroup"
					   " FROM processes AS c JOIN processes AS p"
					   " ON p.process_id = c.parent_id"),
		"10|/usr/bin/curl|/bin/bash|9|/bin/bash|2023-11-14T22:13:30.000000Z|7|10|"
		"/system.slice/test.service");
}

static void a_cgroup_tells_units_container_and_pod(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info info = store_fixture_process(10, "/usr/bin/curl");

	info.cgroup = "/user.slice/user-1000.slice/user@1000.service/user.slice/"
		      "user-libpod_pod_0123456789abcdef0123456789abcdef0123456789abcdef"
		      "0123456789abcdef.slice/libpod-abcdefabcdefabcdefabcdefabcdefabcdef"
		      "abcdefabcdefabcdefabcdefabcd.scope/container";
	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &info);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT unit, user_unit, container_runtime, container,"
					   " pod FROM processes"),
		"user@1000.service|libpod-abcdefabcdefabcdefabcdefabcdefabcdef"
		"abcdefabcdefabcdefabcdefabcd.scope|podman|abcdefabcdefabcdefabcdefabcdefabcdef"
		"abcdefabcdefabcdefabcdefabcd|"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
}

static void a_flow_of_nobody_has_no_process(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT pid, process_start_us, exe, uid, unit, parent_exe,"
				    " opener_pid, method FROM flows"),
		"-|-|-|-|-|-|-|unknown");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 0);
}

static void flows_in_tunnels_show_which(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	add_flow(fixture, &flow);
	flow.key.tunnel = FLOW_TUNNEL_VXLAN;
	for (flow.key.tunnel_id = 1; flow.key.tunnel_id <= 3; flow.key.tunnel_id++)
		add_flow(fixture, &flow);
	flow.key.tunnel = FLOW_TUNNEL_4IN4;
	flow.key.tunnel_id = 0;
	add_flow(fixture, &flow);
	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT open, tunnel, local_ip FROM flows ORDER BY 1, 2"),
		"0|-|192.0.2.1\n0|ipip|192.0.2.1\n0|vxlan:1|192.0.2.1\n0|vxlan:2|192.0.2.1\n"
		"0|vxlan:3|192.0.2.1\n1|ipip|192.0.2.1");
}

static void a_process_that_nobody_described_keeps_its_pid(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", NOW);
	struct flow_record bare = store_fixture_flow(0, "198.51.100.1", NOW + 10);

	bare.user = bare.opener = (struct process_ref){.pid = 77};
	store_fixture_open(fixture);
	add_flow(fixture, &flow);
	add_flow(fixture, &bare);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT pid, process_start_us, exe, comm, uid FROM flows"),
		"10|1700000010000000|-|-|-\n77|-|-|-|-");

	add_process(fixture, 10, "/usr/bin/curl");
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT pid, exe, uid FROM processes WHERE pid = 10"),
		"10|/usr/bin/curl|1000");
}

static void a_reused_pid_and_an_exec_are_processes_of_their_own(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info info = store_fixture_process(10, "/bin/a");

	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &info);
	info.ref.exec_id++;
	info.exe = "/bin/b";
	batch_add_process(fixture->batch, &info);
	info.ref.start_ns++;
	info.exe = "/bin/c";
	batch_add_process(fixture->batch, &info);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture, "SELECT exe FROM processes ORDER BY exe"),
		"/bin/a\n/bin/b\n/bin/c");
}

static void a_process_that_changes_its_user_keeps_its_older_flows_as_they_were(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info info = store_fixture_process(10, "/usr/sbin/daemon");
	struct flow_record before = store_fixture_flow(10, "198.51.100.1", NOW);
	struct flow_record after = store_fixture_flow(10, "198.51.100.1", NOW + 1000000);

	store_fixture_open(fixture);
	info.uid = 0;
	batch_add_process(fixture->batch, &info);
	add_flow(fixture, &before);
	store_fixture_write(fixture);
	info.uid = 33;
	info.exe = info.comm = info.cmdline = "";
	batch_add_process(fixture->batch, &info);
	add_flow(fixture, &after);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT uid, exe, comm FROM flows ORDER BY end_us"),
		"0|/usr/sbin/daemon|comm\n33|/usr/sbin/daemon|comm");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 1);
}

static void a_parent_is_found_by_an_earlier_program_of_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info parent = store_fixture_process(9, "/bin/bash");
	struct process_info child = store_fixture_process(10, "/usr/bin/curl");

	child.parent = parent.ref;
	child.parent.exec_id += 2;
	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &parent);
	batch_add_process(fixture->batch, &child);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT parent_exe, ppid FROM processes WHERE pid = 10"),
		"/bin/bash|9");
}

static void an_open_flow_grows_and_then_is_one_row(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	add_process(fixture, 10, "/usr/bin/curl");
	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT open, outcome, octets_in, exe, start_us FROM flows"),
		"1|open|2000|/usr/bin/curl|1700000099000000");

	flow.kind = FLOW_RECORD_UPDATE;
	flow.counters.octets_in = 5000;
	flow.end_us += 60000000;
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, octets_in, duration_us FROM flows"),
		"1|5000|61000000");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM contact_day"), 0);

	flow.kind = FLOW_RECORD_END;
	flow.was_open = true;
	flow.outcome = FLOW_OUTCOME_RESET;
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT open, outcome, octets_in, duration_us FROM flows"),
		"0|reset|5000|61000000");
}

static void an_update_without_an_opening_opens(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	flow.kind = FLOW_RECORD_UPDATE;
	flow.outcome = FLOW_OUTCOME_OPEN;
	store_fixture_open(fixture);
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flows WHERE open"), 1);
}

static void a_flow_that_opens_and_ends_in_one_batch_is_one_row(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	flow.kind = FLOW_RECORD_OPEN;
	add_flow(fixture, &flow);
	flow.kind = FLOW_RECORD_END;
	flow.was_open = true;
	add_flow(fixture, &flow);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT count(*), sum(open) FROM flows"), "1|0");
}

static void flows_that_end_in_the_same_microsecond_all_stay_and_keep_their_start(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	for (int batch = 0; batch < 4; batch++) {
		for (int i = 0; i < 1000; i++) {
			flow.end_us = NOW + (i % 2) * 500;
			flow.start_us = NOW - 1000000;
			add_flow(fixture, &flow);
		}
		if (batch == 2) { /* known runs are forgotten in between */
			store_fixture_close(fixture);
			store_fixture_open(fixture);
		}
		store_fixture_write(fixture);
	}
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT count(*), min(start_us), max(start_us),"
					   " min(end_us), max(end_us) FROM flows"),
		"4000|1700000099000000|1700000099000000|1700000100000000|1700000100003999");
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT sum(flows) FROM contact_day"), 4000);
}

/* By one statement where all keys are free, one by one where some are taken. */
static void late_flows_come_among_new_ones(void **state)
{
	struct store_fixture *fixture = *state;
	uint32_t number = 0;

	store_fixture_open(fixture);
	for (uint32_t batch = 0; batch < 20; batch++) {
		for (uint32_t i = 0; i < 100; i++) {
			struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

			flow.key.local_port = (uint16_t)(10000 + number++);
			flow.end_us = NOW + batch * 60 + (number * 7919) % 200;
			flow.start_us = NOW - number;
			add_flow(fixture, &flow);
		}
		store_fixture_write(fixture);
	}
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT count(*), count(DISTINCT local_port),"
				    " sum(start_us = 1700000100000000 - (local_port - 9999)),"
				    " sum(end_us < 1700000100000000), max(end_us) < "
				    "1700000100004000 FROM flows"),
		"2000|2000|2000|0|1");
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT sum(flows) FROM contact_day"), 2000);
}

static void refused_and_unreachable_count_as_failed(void **state)
{
	static const enum flow_outcome outcomes[] = {FLOW_OUTCOME_CLOSED, FLOW_OUTCOME_REFUSED,
		FLOW_OUTCOME_TIMEOUT, FLOW_OUTCOME_UNREACHABLE, FLOW_OUTCOME_RESET};
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", NOW);

	store_fixture_open(fixture);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		flow.outcome = outcomes[i];
		flow.error = i == 1 ? ECONNREFUSED : 0;
		add_flow(fixture, &flow);
	}
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT flows, failed FROM contact_day"), "5|3");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT flows, failed FROM flow_hour"), "5|3");
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM kind WHERE error = 111"), 1);
}

static void listeners_open_and_close(void **state)
{
	struct store_fixture *fixture = *state;
	struct listener_record listener = {.from_us = NOW, .method = FLOW_METHOD_EXACT};

	listener.key = store_fixture_flow(0, "0.0.0.0", NOW).key;
	listener.key.local_port = 22;
	listener.owner = store_fixture_process(10, "").ref;
	store_fixture_open(fixture);
	add_process(fixture, 10, "/usr/sbin/sshd");
	batch_add_listener(fixture->batch, &listener);
	batch_add_listener(fixture->batch, &listener);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT open, protocol, local_ip, local_port, exe, method, from_us,"
			" until_us FROM listeners"),
		"1|tcp|192.0.2.1|22|/usr/sbin/sshd|exact|1700000100000000|-");
	listener.until_us = NOW + 5;
	batch_add_listener(fixture->batch, &listener);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, from_us, until_time FROM listeners"),
		"0|1700000100000000|2023-11-14T22:15:00.000005Z");
	listener.until_us = 0;
	batch_add_listener(fixture->batch, &listener); /* the cookie again, a new interval */
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT count(*), sum(open) FROM listeners"), "2|1");
}

static void gaps_are_kept_with_their_words(void **state)
{
	struct store_fixture *fixture = *state;
	struct coverage_record gap = {.from_us = NOW,
		.until_us = NOW + 2000000,
		.count = 12,
		.what = COVERAGE_RING_FULL,
		.source = FLOW_SOURCE_EBPF,
		.detail = "12 events"};

	store_fixture_open(fixture);
	batch_add_coverage(fixture->batch, &gap);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture, "SELECT * FROM coverage"),
		"1700000100000000|1700000102000000|2023-11-14T22:15:00.000000Z|"
		"2023-11-14T22:15:02.000000Z|ebpf|ring full|12|12 events|some|0");
}

static void put_gap(struct store_fixture *fixture, int64_t from_s, int64_t until_s)
{
	struct coverage_record gap = {.from_us = NOW + from_s * US_PER_S,
		.until_us = until_s ? NOW + until_s * US_PER_S : 0,
		.count = 1,
		.what = COVERAGE_MAP_FULL,
		.source = FLOW_SOURCE_EBPF};

	batch_add_coverage(fixture->batch, &gap);
	store_fixture_write(fixture);
}

static const char *gaps(struct store_fixture *fixture)
{
	return store_fixture_sql(fixture,
		"SELECT (from_us - 1700000100000000) / 1000000, (until_us - 1700000100000000) / "
		"1000000, count FROM coverage_interval WHERE what = 'map full' ORDER BY id");
}

static void gaps_of_one_kind_that_follow_on_one_another_are_one(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	put_gap(fixture, 0, 10);
	put_gap(fixture, 10, 20);
	put_gap(fixture, 80, 90); /* a minute later */
	assert_string_equal(gaps(fixture), "0|90|3");
	put_gap(fixture, 151, 152);
	assert_string_equal(gaps(fixture), "0|90|3\n151|152|1");
	store_fixture_close(fixture);
	store_fixture_open(fixture); /* the next run has its own */
	put_gap(fixture, 153, 154);
	assert_string_equal(gaps(fixture), "0|90|3\n151|152|1\n153|154|1");
}

static void a_gap_without_end_lasts_as_long_as_its_run_or_until_it_is_closed(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	put_gap(fixture, 0, 0);
	put_gap(fixture, 300, 0);
	assert_string_equal(gaps(fixture), "0|-|2");
	assert_int_equal(store_heartbeat(fixture->store, NOW + 900 * US_PER_S, &fixture->error), 0);
	put_gap(fixture, 500, 600);
	put_gap(fixture, 800, 0);
	assert_string_equal(gaps(fixture), "0|600|3\n800|-|1");
	store_fixture_close(fixture);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT max(c.until_us) = r.end_us FROM coverage AS c, run AS r"),
		1);
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture,
				 "SELECT count(*) FROM coverage_interval WHERE until_us IS NULL"),
		0);
}

static void gaps_that_come_for_years_take_few_rows(void **state)
{
	enum { GAPS = 3000, APART_S = 61 }; /* each too late to be joined, at first */
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	for (int64_t i = 1; i <= GAPS; i++) {
		struct coverage_record gap = {.from_us = NOW + i * APART_S * US_PER_S,
			.until_us = NOW + i * APART_S * US_PER_S,
			.count = 1,
			.what = COVERAGE_MAP_FULL};

		batch_add_coverage(fixture->batch, &gap);
		if (i % 1000 == 0)
			store_fixture_write(fixture);
	}
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT count(*), sum(count),"
				    " min(from_us) = 1700000161000000 FROM coverage_interval"),
		"100|3000|1");
}

static void the_ledger_keeps_the_first_contact(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record late = store_fixture_flow(10, "198.51.100.1", NOW);
	struct flow_record early = store_fixture_flow(11, "198.51.100.1", NOW - 90000000000);

	store_fixture_open(fixture);
	add_process(fixture, 10, "/usr/bin/curl");
	add_process(fixture, 11, "/usr/bin/curl");
	add_flow(fixture, &late);
	store_fixture_write(fixture);
	add_flow(fixture, &early);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT remote_ip, exe, protocol, port, direction, first_us, last_us,"
			" flows, first_pid FROM contacts"),
		"198.51.100.1|/usr/bin/curl|tcp|443|out|1699910099000000|1700000100000000|2|11");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT day, hours FROM contact_day ORDER BY day"),
		"19674|2097152\n19675|4194304");
}

/* Another connection that holds the write lock. */
static sqlite3 *lock_out(struct store_fixture *fixture)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void a_locked_database_keeps_the_batch_for_another_try(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", NOW);
	struct store_counters counters;
	sqlite3 *other;

	store_fixture_open(fixture);
	other = lock_out(fixture);
	add_process(fixture, 10, "/usr/bin/curl");
	add_flow(fixture, &flow);
	assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
	assert_int_equal(fixture->error.class, STORE_RETRY);
	assert_non_null(strstr(fixture->error.text, fixture->path));
	sqlite3_close(other);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT exe, pid FROM flows"), "/usr/bin/curl|10");
	store_counters(fixture->store, &counters);
	assert_int_equal(counters.retries, 1);
	assert_int_equal(counters.batches, 1);
	assert_int_equal(counters.flows, 1);
	assert_int_equal(counters.processes, 1);
}

/* The picosnitch bug: ids of rows that the rollback took away given to others afterwards. */
static void ids_do_not_survive_a_rollback(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record first = store_fixture_flow(10, "198.51.100.1", NOW);
	struct flow_record second = store_fixture_flow(11, "198.51.100.2", NOW);
	const char *expected = "10|/bin/right|198.51.100.1|1700000100000001\n"
			       "11|/bin/wrong|198.51.100.2|1700000100000000";

	store_fixture_open(fixture);
	store_fixture_sql(fixture, "CREATE TRIGGER stop BEFORE INSERT ON coverage_interval"
				   " BEGIN SELECT raise(ABORT, 'stopped by the test'); END");
	struct coverage_record gap = {.what = COVERAGE_DOWN};

	add_process(fixture, 10, "/bin/right");
	add_flow(fixture, &first);
	batch_add_coverage(fixture->batch, &gap);
	assert_int_equal(store_write(fixture->store, fixture->batch, &fixture->error), -1);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM process"), 0);
	store_fixture_sql(fixture, "DROP TRIGGER stop");

	batch_clear(fixture->batch);
	add_process(fixture, 11, "/bin/wrong");
	add_flow(fixture, &second);
	store_fixture_write(fixture);
	add_process(fixture, 10, "/bin/right");
	add_flow(fixture, &first);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT pid, exe, remote_ip, end_us FROM flows ORDER BY pid"),
		expected);
}

static void more_of_everything_than_the_caches_hold_stays_right(void **state)
{
	struct store_fixture *fixture = *state;
	char exe[64], remote[64];

	store_fixture_open(fixture);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 1; i <= 12000; i++) {
			struct flow_record flow;

			snprintf(exe, sizeof(exe), "/opt/%u", i);
			snprintf(remote, sizeof(remote), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
				i & 255);
			flow = store_fixture_flow(i, remote, NOW + i * 1000 + round);
			if (round == 0)
				add_process(fixture, i, exe);
			add_flow(fixture, &flow);
			if (i % 2000 == 0)
				store_fixture_write(fixture);
		}
	}
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT count(*), sum(exe = '/opt/' || pid) FROM flows"),
		"24000|24000");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM executable"), 12001);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM remote"), 12000);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flow_shows_all_that_is_known_of_it),
		TEST(a_cgroup_tells_units_container_and_pod),
		TEST(a_flow_of_nobody_has_no_process),
		TEST(flows_in_tunnels_show_which),
		TEST(a_process_that_nobody_described_keeps_its_pid),
		TEST(a_reused_pid_and_an_exec_are_processes_of_their_own),
		TEST(a_process_that_changes_its_user_keeps_its_older_flows_as_they_were),
		TEST(a_parent_is_found_by_an_earlier_program_of_it),
		TEST(an_open_flow_grows_and_then_is_one_row),
		TEST(an_update_without_an_opening_opens),
		TEST(a_flow_that_opens_and_ends_in_one_batch_is_one_row),
		TEST(flows_that_end_in_the_same_microsecond_all_stay_and_keep_their_start),
		TEST(late_flows_come_among_new_ones),
		TEST(refused_and_unreachable_count_as_failed),
		TEST(listeners_open_and_close),
		TEST(gaps_are_kept_with_their_words),
		TEST(gaps_of_one_kind_that_follow_on_one_another_are_one),
		TEST(a_gap_without_end_lasts_as_long_as_its_run_or_until_it_is_closed),
		TEST(gaps_that_come_for_years_take_few_rows),
		TEST(the_ledger_keeps_the_first_contact),
		TEST(a_locked_database_keeps_the_batch_for_another_try),
		TEST(ids_do_not_survive_a_rollback),
		TEST(more_of_everything_than_the_caches_hold_stays_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

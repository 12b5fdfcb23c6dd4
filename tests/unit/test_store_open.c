/* Which files the store takes, which it refuses and in which words, and what a killed run leaves.
 */
#include "store/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "support/store_fixture.h"
#include "util/clock.h"
#include "util/embedded.h"

static void expect_refused(struct store_fixture *fixture, enum store_class class, const char *words)
{
	assert_int_equal(store_open(&fixture->options, &fixture->store, &fixture->error), -1);
	if (fixture->error.class != class || !strstr(fixture->error.text, words))
		fail_msg("class %d: %s", fixture->error.class, fixture->error.text);
	assert_non_null(strstr(fixture->error.text, fixture->options.path));
	assert_null(strchr(fixture->error.text, '\n'));
	assert_null(fixture->store);
}

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_new_file_is_made_for_owner_and_group_only(void **state)
{
	struct store_fixture *fixture = *state;
	mode_t mask = umask(022);
	struct stat status;

	store_fixture_open(fixture);
	umask(mask);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA journal_mode"), "wal");
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA auto_vacuum"), "2");
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA user_version"), "9");
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA application_id"), "1279479630");
}

static void opening_again_keeps_what_is_there(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);

	store_fixture_open(fixture);
	batch_add_flow(fixture->batch, &flow);
	store_fixture_write(fixture);
	store_fixture_close(fixture);
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 1);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT count(*), sum(end_us IS NOT NULL) FROM run"),
		"2|1");
	assert_string_equal(store_fixture_sql(fixture, "SELECT boot_uuid, start_us FROM boot"),
		"boot-1|1700000000000000");
}

static void views_are_made_anew_when_their_text_changed(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	store_fixture_close(fixture);
	run_sql(fixture->path,
		"DROP VIEW flows; UPDATE meta SET value = 'older' WHERE key = 'views'");
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flows"), 0);
}

static void a_directory_is_refused(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.path = fixture->dir;
	expect_refused(fixture, STORE_PERMISSION, "is a directory");
}

static void a_text_file_is_refused_and_left_alone(void **state)
{
	struct store_fixture *fixture = *state;
	char text[64] = "";
	FILE *file;

	put_file(fixture->path, "dear diary\n");
	expect_refused(fixture, STORE_CORRUPT, "is not a database");
	file = fopen(fixture->path, "re");
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "dear diary\n");
}

static void a_fifo_is_refused_without_waiting(void **state)
{
	struct store_fixture *fixture = *state;

	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	expect_refused(fixture, STORE_PERMISSION, "is not a regular file");
}

static void a_database_of_another_program_is_refused(void **state)
{
	struct store_fixture *fixture = *state;

	run_sql(fixture->path, "CREATE TABLE bookmarks (url)");
	expect_refused(fixture, STORE_FOREIGN, "another program");
	unlink(fixture->path);
	run_sql(fixture->path, "PRAGMA application_id = 7; PRAGMA user_version = 1");
	expect_refused(fixture, STORE_FOREIGN, "another program");
}

static void an_older_schema_is_brought_up_to_date(void **state)
{
	struct store_fixture *fixture = *state;

	assert_string_equal(embedded_schema[0].name, "0001_base.sql");
	run_sql(fixture->path, embedded_schema[0].text);
	run_sql(fixture->path,
		"PRAGMA application_id = 1279479630; PRAGMA user_version = 1;"
		"INSERT INTO unit (cgroup, unit) VALUES ('/a.service', 'a.service')");
	store_fixture_open(fixture);
	assert_string_equal(store_fixture_sql(fixture, "PRAGMA user_version"), "9");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT unit, user_unit, runtime, pod FROM unit"
					   " WHERE cgroup = '/a.service'"),
		"a.service|-|-|-");
}

static void a_newer_schema_is_refused(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	store_fixture_close(fixture);
	run_sql(fixture->path, "PRAGMA user_version = 99");
	expect_refused(fixture, STORE_NEWER, "newer lastconn (schema 99, this one knows 9)");
}

static void a_missing_directory_is_named(void **state)
{
	struct store_fixture *fixture = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/none/history.db", fixture->dir);
	fixture->options.path = path;
	expect_refused(fixture, STORE_PERMISSION, "directory does not exist");
}

static void a_link_is_followed_only_in_a_directory_of_our_own(void **state)
{
	struct store_fixture *fixture = *state;
	char link_path[128];

	snprintf(link_path, sizeof(link_path), "%s/link.db", fixture->dir);
	put_file(fixture->path, "");
	assert_int_equal(symlink(fixture->path, link_path), 0);
	fixture->options.path = link_path;
	assert_int_equal(chmod(fixture->dir, 0777), 0);
	expect_refused(fixture, STORE_PERMISSION, "symbolic link");
	assert_int_equal(chmod(fixture->dir, 0755), 0);
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM run"), 1);
}

static void a_strangers_file_in_a_public_directory_is_refused(void **state)
{
	struct store_fixture *fixture = *state;

	if (geteuid() != 0)
		skip();
	put_file(fixture->path, "");
	assert_int_equal(chown(fixture->path, 65534, 65534), 0);
	assert_int_equal(chmod(fixture->dir, 01777), 0);
	expect_refused(fixture, STORE_PERMISSION, "belongs to user 65534");
}

/* Runs what needs to be another user than root in a process of its own. */
static void expect_refused_as_user(struct store_fixture *fixture, const char *words)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
			_exit(2);
		if (store_open(&fixture->options, &fixture->store, &fixture->error) == 0)
			_exit(3);
		if (fixture->error.class != STORE_PERMISSION || !strstr(fixture->error.text, words))
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_file_without_permission_is_refused(void **state)
{
	struct store_fixture *fixture = *state;

	chmod(fixture->dir, 0755);
	expect_refused_as_user(fixture, geteuid() ? "" : "Permission denied");
	if (geteuid() != 0)
		skip();
	put_file(fixture->path, "");
	chmod(fixture->path, 0444);
	expect_refused_as_user(fixture, "cannot be opened for writing");
}

/* Opens in a child that reports the error through a pipe. */
static void open_in_child(struct store_fixture *fixture, struct store_error *ret_error)
{
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct store *store = NULL;
		struct store_error error = {.class = STORE_OK};

		store_open(&fixture->options, &store, &error);
		if (write(ends[1], &error, sizeof(error)) != (ssize_t)sizeof(error))
			_exit(2);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], ret_error, sizeof(*ret_error)), sizeof(*ret_error));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_second_writer_is_refused_and_told_the_pid(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_error error;
	char pid[32], other[128];

	store_fixture_open(fixture);
	snprintf(pid, sizeof(pid), "pid %ld;", (long)getpid());
	open_in_child(fixture, &error);
	assert_int_equal(error.class, STORE_LOCKED);
	assert_non_null(strstr(error.text, pid));

	snprintf(other, sizeof(other), "%s/../%s/./history.db", fixture->dir,
		strrchr(fixture->dir, '/') + 1);
	fixture->options.path = other;
	open_in_child(fixture, &error);
	assert_int_equal(error.class, STORE_LOCKED);
	assert_non_null(strstr(error.text, pid));

	snprintf(other, sizeof(other), "%s/hard.db", fixture->dir);
	assert_int_equal(link(fixture->path, other), 0);
	open_in_child(fixture, &error);
	assert_int_equal(error.class, STORE_LOCKED);
}

/* Writes and dies without a word. */
static void die_with(struct store_fixture *fixture)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		store_fixture_open(fixture);
		_exit(store_write(fixture->store, fixture->batch, &fixture->error) ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	batch_clear(fixture->batch);
}

/* An open flow and a listener of sockets of this boot, in the hands of a run that dies. */
static void leave_open(struct store_fixture *fixture)
{
	struct process_info process = store_fixture_process(10, "/usr/bin/curl");
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", FIXTURE_START_US);
	struct listener_record listener = {.key = flow.key,
		.owner = flow.user,
		.from_us = FIXTURE_START_US - 5000000,
		.method = FLOW_METHOD_EXACT};

	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	flow.serial = 9;
	flow.key.socket_cookie = 77;
	listener.key.socket_cookie = 78;
	batch_add_process(fixture->batch, &process);
	batch_add_flow(fixture->batch, &flow);
	batch_add_listener(fixture->batch, &listener);
	batch_set_position(fixture->batch, 4096);
	die_with(fixture);
}

static void sockets_of_the_same_boot_are_handed_to_the_next_run(void **state)
{
	struct store_fixture *fixture = *state;
	struct batch *before;
	const struct flow_record *flow;
	struct flow_record ended;

	leave_open(fixture);
	store_fixture_open(fixture);
	assert_int_equal(store_resume(fixture->store, &before, &fixture->error), 0);
	flow = batch_flow(before, 0);
	assert_non_null(flow);
	assert_null(batch_flow(before, 1));
	assert_int_equal(flow->serial, 9);
	assert_int_equal(flow->key.socket_cookie, 77);
	assert_int_equal(flow->end_us, FIXTURE_START_US);
	assert_int_equal(flow->counters.octets_in, 2000);
	assert_int_equal(flow->user.pid, 10);
	assert_int_equal(flow->method, FLOW_METHOD_EXACT);
	assert_int_equal(flow->direction, FLOW_DIRECTION_OUT);
	assert_non_null(batch_listener(before, 0));
	assert_int_equal(batch_listener(before, 0)->key.socket_cookie, 78);
	ended = *flow;
	batch_free(before);
	ended.kind = FLOW_RECORD_END;
	ended.was_open = true;
	ended.end_us += 1000000;
	batch_add_flow(fixture->batch, &ended);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture, "SELECT open, duration_us, pid FROM flows"),
		"0|2000000|10");
}

static void a_ring_that_went_on_leaves_no_hole(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.ring.id = 5;
	leave_open(fixture);
	store_fixture_open(fixture);
	assert_true(store_before(fixture->store)->same_ring);
	assert_int_equal(store_before(fixture->store)->position, 4096);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM coverage"), 0);
	store_fixture_close(fixture);

	fixture->options.ring.dropped = 4104;
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM coverage"), 1);
	store_fixture_close(fixture);

	fixture->options.ring = (struct store_ring){.id = 6};
	store_fixture_open(fixture);
	assert_false(store_before(fixture->store)->same_ring);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM coverage"), 2);
}

static void sockets_of_another_boot_are_lost(void **state)
{
	struct store_fixture *fixture = *state;
	struct batch *before;

	leave_open(fixture);
	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	assert_int_equal(store_resume(fixture->store, &before, &fixture->error), 0);
	assert_int_equal(batch_count(before), 0);
	batch_free(before);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, outcome FROM flows"), "0|lost");
	assert_int_equal(
		store_fixture_number(fixture, "SELECT count(*) FROM listener WHERE until_us > 0"),
		1);
}

static void what_a_killed_run_left_open_ends_as_lost_at_its_last_sighting(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info process = store_fixture_process(10, "/usr/bin/curl");
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", FIXTURE_START_US);
	struct listener_record listener = {.key = flow.key,
		.owner = flow.user,
		.from_us = FIXTURE_START_US - 5000000,
		.method = FLOW_METHOD_SNAPSHOT};
	struct store_counters counters;

	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	batch_add_process(fixture->batch, &process);
	batch_add_flow(fixture->batch, &flow);
	batch_add_listener(fixture->batch, &listener);
	die_with(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, outcome FROM flows"), "1|open");

	fixture->options.boot_uuid = "boot-2";
	store_fixture_open(fixture);
	store_counters(fixture->store, &counters);
	assert_int_equal(counters.recovered_flows, 1);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, outcome, end_us, duration_us, exe, pid,"
					   " octets_in, method, direction FROM flows"),
		"0|lost|1700000100000000|1000000|/usr/bin/curl|10|2000|exact|out");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM open_flow"), 0);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT flows, octets_out, port FROM contact_day"),
		"1|100|443");
	assert_int_equal(store_fixture_number(fixture, "SELECT flows FROM flow_hour"), 1);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT open, until_us = (SELECT heartbeat_us"
					   " FROM run WHERE id = 1) FROM listeners"),
		"0|1");
}

static void the_time_in_which_nobody_watched_is_in_the_coverage(void **state)
{
	struct store_fixture *fixture = *state;

	die_with(fixture);
	store_fixture_open(fixture);
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT what, detail, from_us = (SELECT heartbeat_us FROM run WHERE id = "
			"1),"
			" until_us = (SELECT start_us FROM run WHERE id = 2) FROM coverage"),
		"down|killed|1|1");
}

static void over_a_reboot_nobody_watched_before_and_after_it(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	store_fixture_close(fixture);
	fixture->options.boot_uuid = "boot-2";
	fixture->options.boot_start_us = clock_realtime_us();
	store_fixture_open(fixture);
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT detail, from_us = (SELECT end_us FROM run WHERE id = 1),"
			" from_us = (SELECT start_us FROM boot WHERE id = 2),"
			" until_us = (SELECT start_us FROM boot WHERE id = 2),"
			" until_us = (SELECT start_us FROM run WHERE id = 2) FROM coverage"
			" ORDER BY from_us"),
		"stopped, then a reboot|1|0|1|0\nnot yet started after the boot|0|1|0|1");
}

/* Who has just started lastconnd asks at once. */
static void the_first_heartbeats_are_stored(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t seen_us = clock_realtime_us() + US_PER_S;

	store_fixture_open(fixture);
	assert_int_equal(store_heartbeat(fixture->store, seen_us, &fixture->error), 0);
	assert_true(store_fixture_number(fixture, "SELECT heartbeat_us FROM run") == seen_us);
}

static void a_clock_that_was_set_back_while_nobody_watched_leaves_a_gap(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_us = clock_realtime_us() + 3600 * INT64_C(1000000);

	store_fixture_open(fixture);
	assert_int_equal(store_heartbeat(fixture->store, later_us, &fixture->error), 0);
	store_fixture_close(fixture);
	store_fixture_open(fixture);
	assert_string_equal(
		store_fixture_sql(fixture,
			"SELECT detail, from_us = (SELECT start_us FROM run WHERE id = 2),"
			" until_us = (SELECT end_us FROM run WHERE id = 1) FROM coverage"),
		"stopped; the clock was set back|1|1");
}

static void after_the_clock_was_set_back_the_gap_begins_by_the_new_clock(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now_us = clock_realtime_us(), minute_us = 60 * INT64_C(1000000);

	store_fixture_open(fixture);
	assert_int_equal(
		store_heartbeat(fixture->store, now_us + 60 * minute_us, &fixture->error), 0);
	assert_int_equal(store_heartbeat(fixture->store, now_us - minute_us, &fixture->error), 0);
	store_fixture_close(fixture);
	store_fixture_open(fixture);
	assert_true(now_us - minute_us ==
		    store_fixture_number(fixture, "SELECT from_us FROM coverage"));
	assert_string_equal(store_fixture_sql(fixture,
				    "SELECT what, detail, until_us = (SELECT start_us FROM run"
				    " WHERE id = 2) FROM coverage"),
		"down|stopped|1");
}

static void reading_capture_files_watches_nothing(void **state)
{
	struct store_fixture *fixture = *state;

	fixture->options.boot_uuid = "";
	store_fixture_open(fixture);
	store_fixture_close(fixture);
	fixture->options.boot_uuid = "boot-1";
	store_fixture_open(fixture);
	store_fixture_close(fixture);
	fixture->options.boot_uuid = "";
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM coverage"), 0);
}

static void a_lock_file_left_behind_is_no_obstacle(void **state)
{
	struct store_fixture *fixture = *state;
	char lock[128];

	die_with(fixture);
	snprintf(lock, sizeof(lock), "%s.lock", fixture->path);
	assert_int_equal(access(lock, F_OK), 0);
	store_fixture_open(fixture);
}

static void heartbeats_are_kept(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_us = clock_realtime_us() + 3600 * INT64_C(1000000);

	store_fixture_open(fixture);
	assert_int_equal(store_heartbeat(fixture->store, later_us, &fixture->error), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT heartbeat_us FROM run"), later_us);
}

static void a_file_that_lost_its_name_is_noticed(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(store_heartbeat(fixture->store, clock_realtime_us(), &fixture->error), -1);
	assert_int_equal(fixture->error.class, STORE_PERMISSION);
	assert_non_null(strstr(fixture->error.text, "was removed"));
	put_file(fixture->path, "");
	assert_int_equal(store_heartbeat(fixture->store, clock_realtime_us(), &fixture->error), -1);
}

static void overwrite_head(const char *path)
{
	char zeros[2048] = "";
	FILE *file = fopen(path, "r+be");

	assert_non_null(file);
	assert_int_equal(fwrite(zeros, sizeof(zeros), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static void a_damaged_file_is_set_aside_where_nobody_looks(void **state)
{
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	assert_null(store_aside(fixture->store));
	store_fixture_close(fixture);
	overwrite_head(fixture->path);
	expect_refused(fixture, STORE_CORRUPT, "damaged");
	fixture->options.unattended = true;
	store_fixture_open(fixture);
	assert_non_null(strstr(fixture->error.text, "damaged"));
	assert_int_equal(access(store_aside(fixture->store), F_OK), 0);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM run"), 1);
}

static void a_file_that_was_never_ours_is_not_set_aside(void **state)
{
	struct store_fixture *fixture = *state;

	put_file(fixture->path, "dear diary\n");
	fixture->options.unattended = true;
	expect_refused(fixture, STORE_CORRUPT, "is not a database");
}

static void a_file_that_is_cut_off_while_it_is_open_is_set_aside(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);

	fixture->options.unattended = true;
	store_fixture_open(fixture);
	assert_int_equal(batch_add_flow(fixture->batch, &flow), 0);
	store_fixture_write(fixture);
	assert_int_equal(store_heartbeat(fixture->store, 1, &fixture->error), 0);
	store_fixture_sql(fixture, "PRAGMA wal_checkpoint"); /* else it would mend itself */
	assert_int_equal(truncate(fixture->path, 100), 0);
	assert_int_equal(store_heartbeat(fixture->store, 2, &fixture->error), 0);
	assert_int_equal(store_heartbeat(fixture->store, 3, &fixture->error), -1);
	assert_int_equal(fixture->error.class, STORE_CORRUPT);
	assert_int_equal(store_close_damaged(fixture->store, &fixture->error), 0);
	assert_non_null(strstr(fixture->error.text, ".damaged-"));
	store_fixture_open(fixture);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow"), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_file_is_made_for_owner_and_group_only),
		TEST(opening_again_keeps_what_is_there),
		TEST(views_are_made_anew_when_their_text_changed),
		TEST(a_directory_is_refused),
		TEST(a_text_file_is_refused_and_left_alone),
		TEST(a_fifo_is_refused_without_waiting),
		TEST(a_database_of_another_program_is_refused),
		TEST(an_older_schema_is_brought_up_to_date),
		TEST(a_newer_schema_is_refused),
		TEST(a_missing_directory_is_named),
		TEST(a_link_is_followed_only_in_a_directory_of_our_own),
		TEST(a_strangers_file_in_a_public_directory_is_refused),
		TEST(a_file_without_permission_is_refused),
		TEST(a_second_writer_is_refused_and_told_the_pid),
		TEST(sockets_of_the_same_boot_are_handed_to_the_next_run),
		TEST(a_ring_that_went_on_leaves_no_hole),
		TEST(sockets_of_another_boot_are_lost),
		TEST(what_a_killed_run_left_open_ends_as_lost_at_its_last_sighting),
		TEST(the_time_in_which_nobody_watched_is_in_the_coverage),
		TEST(over_a_reboot_nobody_watched_before_and_after_it),
		TEST(the_first_heartbeats_are_stored),
		TEST(a_clock_that_was_set_back_while_nobody_watched_leaves_a_gap),
		TEST(after_the_clock_was_set_back_the_gap_begins_by_the_new_clock),
		TEST(reading_capture_files_watches_nothing),
		TEST(a_lock_file_left_behind_is_no_obstacle),
		TEST(heartbeats_are_kept),
		TEST(a_file_that_lost_its_name_is_noticed),
		TEST(a_damaged_file_is_set_aside_where_nobody_looks),
		TEST(a_file_that_was_never_ours_is_not_set_aside),
		TEST(a_file_that_is_cut_off_while_it_is_open_is_set_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

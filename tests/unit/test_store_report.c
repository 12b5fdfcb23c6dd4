/* The reader: what it opens, and that nothing but reading passes. */
#include "store/store_report.h"

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

static struct store_reader *open_reader(struct store_fixture *fixture)
{
	struct store_reader *reader = NULL;

	if (store_reader_open(fixture->path, &reader, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	return reader;
}

static void write_one_flow(struct store_fixture *fixture)
{
	struct process_info process = store_fixture_process(10, "/usr/bin/curl");
	struct flow_record flow = store_fixture_flow(10, "198.51.100.1", FIXTURE_START_US);

	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &process);
	batch_add_flow(fixture->batch, &flow);
	store_fixture_write(fixture);
}

static int64_t count_flows(struct store_reader *reader)
{
	struct store_report *report;
	struct store_error error;
	int64_t count;

	assert_int_equal(
		store_report_new(reader, "SELECT count(*) FROM flows", &report, &error), 0);
	assert_int_equal(store_report_step(report, &error), 1);
	count = store_report_integer(report, 0);
	store_report_free(report);
	return count;
}

static void a_report_runs_while_the_daemon_writes(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_reader *reader;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.2", FIXTURE_START_US);

	write_one_flow(fixture);
	reader = open_reader(fixture);
	assert_int_equal(count_flows(reader), 1);
	batch_add_flow(fixture->batch, &flow);
	store_fixture_write(fixture);
	assert_int_equal(count_flows(reader), 2);
	store_reader_close(reader);
}

static void a_held_reader_sees_what_was_there_until_it_is_closed(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_reader *reader;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.2", FIXTURE_START_US);

	write_one_flow(fixture);
	reader = open_reader(fixture);
	assert_int_equal(store_reader_hold(reader, &fixture->error), 0);
	batch_add_flow(fixture->batch, &flow);
	store_fixture_write(fixture);
	assert_int_equal(count_flows(reader), 1);
	assert_int_equal(count_flows(reader), 1);
	store_reader_close(reader);
	reader = open_reader(fixture);
	assert_int_equal(count_flows(reader), 2);
	store_reader_close(reader);
}

static void a_report_runs_after_the_daemon_ended(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_reader *reader;

	write_one_flow(fixture);
	store_fixture_close(fixture);
	reader = open_reader(fixture);
	assert_int_equal(count_flows(reader), 1);
	store_reader_close(reader);
}

static void parameters_are_bound_by_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_report *report;
	struct store_reader *reader;
	size_t length;

	write_one_flow(fixture);
	reader = open_reader(fixture);
	assert_int_equal(
		store_report_new(reader,
			"SELECT :text || '!' AS t, :number + 1, :octets, :none, 2.5, exe FROM"
			" flows -- one\n ; /* more */ ;",
			&report, &fixture->error),
		0);
	assert_string_equal(store_report_parameter(report, 0), ":text");
	assert_string_equal(store_report_parameter(report, 3), ":none");
	assert_null(store_report_parameter(report, 4));
	assert_true(store_report_bind_text(report, "text", "a'b"));
	assert_true(store_report_bind_integer(report, "number", 41));
	assert_true(store_report_bind_blob(report, "octets", "\0\1", 2));
	assert_true(store_report_bind_null(report, "none"));
	assert_false(store_report_bind_text(report, "unknown", ""));
	assert_int_equal(store_report_step(report, &fixture->error), 1);
	assert_int_equal(store_report_columns(report), 6);
	assert_string_equal(store_report_column_name(report, 0), "t");
	assert_int_equal(store_report_type(report, 0), STORE_TEXT);
	assert_string_equal(store_report_text(report, 0, &length), "a'b!");
	assert_int_equal(length, 4);
	assert_int_equal(store_report_type(report, 1), STORE_INTEGER);
	assert_int_equal(store_report_integer(report, 1), 42);
	assert_int_equal(store_report_type(report, 2), STORE_BLOB);
	assert_memory_equal(store_report_text(report, 2, &length), "\0\1", 2);
	assert_int_equal(length, 2);
	assert_int_equal(store_report_type(report, 3), STORE_NULL);
	assert_string_equal(store_report_text(report, 3, &length), "");
	assert_int_equal(store_report_type(report, 4), STORE_REAL);
	assert_true(store_report_real(report, 4) == 2.5);
	assert_string_equal(store_report_text(report, 5, &length), "/usr/bin/curl");
	assert_int_equal(store_report_step(report, &fixture->error), 0);
	store_report_free(report);
	store_reader_close(reader);
}

static void everything_but_reading_is_refused(void **state)
{
	static const char *const statements[] = {
		"DELETE FROM flow",
		"INSERT INTO meta VALUES ('a', 'b')",
		"UPDATE meta SET value = ''",
		"DROP TABLE flow",
		"CREATE TABLE t (a)",
		"CREATE TEMP TABLE t (a)",
		"ATTACH '/tmp/other.db' AS other",
		"DETACH main",
		"PRAGMA query_only = OFF",
		"PRAGMA journal_mode = DELETE",
		"PRAGMA user_version = 3",
		"PRAGMA wal_checkpoint",
		"PRAGMA writable_schema = ON",
		"VACUUM",
		"VACUUM INTO '/tmp/other.db'",
		"REINDEX",
		"ANALYZE",
		"BEGIN",
		"SAVEPOINT a",
		"SELECT load_extension('x')",
		"SELECT 1; SELECT 2",
		"SELECT 1; DELETE FROM flow",
		"SELECT 1; nonsense",
		"SELEC 1",
		"",
		" -- nothing\n",
	};
	struct store_fixture *fixture = *state;
	struct store_reader *reader;
	struct store_report *report = NULL;

	write_one_flow(fixture);
	reader = open_reader(fixture);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		fixture->error.text[0] = '\0';
		if (store_report_new(reader, statements[i], &report, &fixture->error) == 0)
			fail_msg("taken: %s", statements[i]);
		assert_true(strlen(fixture->error.text) > 5);
		assert_null(report);
	}
	assert_int_equal(count_flows(reader), 1);
	store_reader_close(reader);
}

static void harmless_questions_about_the_file_are_allowed(void **state)
{
	static const char *const statements[] = {
		"PRAGMA table_info(flow)",
		"SELECT name FROM pragma_table_info('flows')",
		"PRAGMA page_count",
		"PRAGMA user_version",
		"SELECT sql FROM sqlite_schema",
		"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT 1",
		"SELECT json_group_array(pid) FROM flows",
		"SELECT value FROM json_each('[1,2]')",
		"EXPLAIN QUERY PLAN SELECT * FROM flows",
		"VALUES (1), (2)",
	};
	struct store_fixture *fixture = *state;
	struct store_reader *reader;
	struct store_report *report;

	write_one_flow(fixture);
	reader = open_reader(fixture);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (store_report_new(reader, statements[i], &report, &fixture->error) < 0 ||
			store_report_step(report, &fixture->error) < 0)
			fail_msg("%s: %s", statements[i], fixture->error.text);
		store_report_free(report);
	}
	store_reader_close(reader);
}

static void newest_flows_are_read_from_the_end_of_the_table(void **state)
{
	struct store_fixture *fixture = *state;

	write_one_flow(fixture);
	assert_null(
		strstr(store_fixture_sql(fixture, "EXPLAIN QUERY PLAN SELECT end_us, exe, remote_ip"
						  " FROM flows WHERE exe = '/bin/x'"
						  " ORDER BY end_us DESC LIMIT 5"),
			"CO-ROUTINE"));
	assert_non_null(strstr(store_fixture_sql(fixture, "EXPLAIN QUERY PLAN SELECT * FROM flows"
							  " WHERE end_us > 5 AND end_us < 9"),
		"SEARCH f USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"));
}

static void expect_refused(
	struct store_fixture *fixture, const char *path, enum store_class class, const char *words)
{
	struct store_reader *reader = NULL;

	assert_int_equal(store_reader_open(path, &reader, &fixture->error), -1);
	if (fixture->error.class != class || !strstr(fixture->error.text, words))
		fail_msg("class %d: %s", fixture->error.class, fixture->error.text);
	assert_non_null(strstr(fixture->error.text, path));
	assert_null(reader);
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

static void what_is_no_history_is_refused_in_words(void **state)
{
	struct store_fixture *fixture = *state;
	char other[128];

	expect_refused(fixture, fixture->path, STORE_MISSING, "no such file");
	assert_int_equal(access(fixture->path, F_OK), -1);
	expect_refused(fixture, fixture->dir, STORE_PERMISSION, "is a directory");
	put_file(fixture->path, "");
	expect_refused(fixture, fixture->path, STORE_MISSING, "holds no history yet");
	put_file(fixture->path,
		"dear diary, today I wrote a text that is longer than a header of one"
		" hundred octets, because short files are something else");
	expect_refused(fixture, fixture->path, STORE_CORRUPT, "is not a database");
	snprintf(other, sizeof(other), "%s/other.db", fixture->dir);
	run_sql(other, "CREATE TABLE bookmarks (url)");
	expect_refused(fixture, other, STORE_FOREIGN, "another program");
	unlink(fixture->path);
	write_one_flow(fixture);
	store_fixture_close(fixture);
	run_sql(fixture->path, "PRAGMA user_version = 99");
	expect_refused(fixture, fixture->path, STORE_NEWER, "newer lastconn");
}

static void a_path_with_signs_that_mean_something_in_a_uri_is_fine(void **state)
{
	struct store_fixture *fixture = *state;

	snprintf(fixture->path, sizeof(fixture->path), "%s/a?b#c%%41 d.db", fixture->dir);
	write_one_flow(fixture);
	store_fixture_close(fixture);
	struct store_reader *reader = open_reader(fixture);

	assert_int_equal(count_flows(reader), 1);
	store_reader_close(reader);
}

/* This program again, without what it has open, as a user who may write nothing. */
static int count_as_stranger(struct store_fixture *fixture)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(100);
		execl("/proc/self/exe", "test_store_report", fixture->path, (char *)NULL);
		_exit(101);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static int count_and_exit(const char *path)
{
	struct store_reader *reader;
	struct store_error error;
	int64_t flows;

	if (store_reader_open(path, &reader, &error) < 0)
		return 110 + (int)error.class;
	flows = count_flows(reader);
	store_reader_close(reader);
	return (int)flows;
}

static void a_reader_needs_no_right_to_write(void **state)
{
	struct store_fixture *fixture = *state;
	char name[128];

	if (geteuid() != 0)
		skip();
	chmod(fixture->dir, 0755);
	write_one_flow(fixture);
	assert_int_equal(count_as_stranger(fixture), 110 + STORE_PERMISSION);
	chmod(fixture->path, 0644);
	snprintf(name, sizeof(name), "%s-wal", fixture->path);
	chmod(name, 0644);
	snprintf(name, sizeof(name), "%s-shm", fixture->path);
	chmod(name, 0644);
	assert_int_equal(count_as_stranger(fixture), 1);
	store_fixture_close(fixture);
	assert_int_equal(count_as_stranger(fixture), 1);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(int argc, char **argv)
{
	if (argc > 1)
		return count_and_exit(argv[1]);

	const struct CMUnitTest tests[] = {
		TEST(a_report_runs_while_the_daemon_writes),
		TEST(a_held_reader_sees_what_was_there_until_it_is_closed),
		TEST(a_report_runs_after_the_daemon_ended),
		TEST(parameters_are_bound_by_name),
		TEST(everything_but_reading_is_refused),
		TEST(harmless_questions_about_the_file_are_allowed),
		TEST(newest_flows_are_read_from_the_end_of_the_table),
		TEST(what_is_no_history_is_refused_in_words),
		TEST(a_path_with_signs_that_mean_something_in_a_uri_is_fine),
		TEST(a_reader_needs_no_right_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

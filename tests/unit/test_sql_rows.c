/* Rows in memory as a table: what is put in is what SQL reads. */
#include "store/sql_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/sql.h"

struct fixture {
	sqlite3 *db;
	struct sql_rows rows;
	sqlite3_stmt *put;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){0};
	*state = &fixture;
	assert_int_equal(sqlite3_open(":memory:", &fixture.db), SQLITE_OK);
	assert_int_equal(
		sql_exec(fixture.db, "CREATE TABLE kept (a INTEGER PRIMARY KEY, b, c)"), 0);
	assert_int_equal(
		sql_rows_init(&fixture.rows, fixture.db, "new", "CREATE TABLE new (a, b, c)"), 0);
	assert_int_equal(sql_prepare(fixture.db,
				 "INSERT INTO kept SELECT a, b, c FROM new WHERE TRUE"
				 " ON CONFLICT DO UPDATE SET b = b + excluded.b, c = excluded.c",
				 &fixture.put),
		0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	sqlite3_finalize(fixture->put);
	sql_rows_done(&fixture->rows);
	assert_int_equal(sqlite3_close(fixture->db), SQLITE_OK);
	return 0;
}

static void add(struct fixture *fixture, int64_t a, int64_t b, int64_t c)
{
	int64_t row[3] = {a, b, c};

	assert_int_equal(sql_rows_reserve(&fixture->rows, 1), 0);
	sql_rows_add(&fixture->rows, row, 3);
}

static int64_t number(struct fixture *fixture, const char *text)
{
	int64_t value;

	assert_int_equal(sql_integer(fixture->db, text, &value), 0);
	return value;
}

static void rows_are_written_once(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t i = 0; i < 1000; i++)
		add(fixture, i, INT64_MAX - i, i % 2 ? SQL_NULL : -i);
	assert_int_equal(sql_rows_run(&fixture->rows, fixture->put), 0);
	assert_int_equal(number(fixture, "SELECT count(*) FROM kept"
					 " WHERE b = 9223372036854775807 - a"
					 " AND c IS iif(a % 2, NULL, -a)"),
		1000);
	assert_int_equal(sql_rows_run(&fixture->rows, fixture->put), 0); /* none */
	assert_int_equal(number(fixture, "SELECT count(*) FROM new"), 0);
	add(fixture, 1000, 1, 2);
	assert_int_equal(sql_rows_run(&fixture->rows, fixture->put), 0);
	assert_int_equal(number(fixture, "SELECT count(*) FROM kept"), 1001);
}

static void equal_keys_are_added_up(void **state)
{
	struct fixture *fixture = *state;

	for (int64_t i = 0; i < 10; i++)
		add(fixture, i % 3, i, i);
	assert_int_equal(sql_rows_run(&fixture->rows, fixture->put), 0);
	assert_int_equal(number(fixture, "SELECT b FROM kept WHERE a = 0"), 0 + 3 + 6 + 9);
	assert_int_equal(number(fixture, "SELECT c FROM kept WHERE a = 1"), 7);
}

static void what_fails_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(
		sql_exec(fixture->db, "CREATE TRIGGER no BEFORE INSERT ON kept"
				      " WHEN NEW.a = 7 BEGIN SELECT raise(ABORT, 'no'); END"),
		0);
	for (int64_t i = 0; i < 10; i++)
		add(fixture, i, 0, 0);
	assert_int_equal(sql_rows_run(&fixture->rows, fixture->put), -1);
	assert_int_equal(number(fixture, "SELECT count(*) FROM kept"), 0);
	assert_int_equal(number(fixture, "SELECT count(*) FROM new"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_are_written_once),
		TEST(equal_keys_are_added_up),
		TEST(what_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sums() gives what GROUP BY and count(DISTINCT) give. */
#include "store/sql_sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/sql.h"

#define COLUMNS "flows, failed, open, octets_out, octets_in, first_us, last_us"

static int set_up(void **state)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sql_sums_init(db), 0);
	assert_int_equal(sql_exec(db, "CREATE TABLE part (key, remote, address, " COLUMNS ")"), 0);
	*state = db;
	return 0;
}

static int tear_down(void **state)
{
	assert_int_equal(sqlite3_close(*state), SQLITE_OK);
	return 0;
}

static void assert_text(sqlite3 *db, const char *sql, const char *expected)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sql_prepare(db, sql, &stmt), 0);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), expected);
	sqlite3_finalize(stmt);
}

static void assert_error(sqlite3 *db, const char *sql, const char *expected)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sql_prepare(db, sql, &stmt), 0);
	assert_int_not_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal(sqlite3_errmsg(db), expected);
	sqlite3_finalize(stmt);
}

static void test_rows_are_summed_by_key(void **state)
{
	assert_int_equal(sql_exec(*state, "INSERT INTO part VALUES"
					  " (7, 1, x'7f000001', 1, 0, 0, 10, 20, 500, 600),"
					  " (7, 2, x'7f000002', 2, 1, 0, 10, 20, 400, 450),"
					  " (7, 3, x'7f000001', 3, 0, 1, 10, 20, 450, 700),"
					  " (-7, 4, x'7f000001', 1, 0, 0, 0, 100, -5, -1),"
					  " (0, 4, x'7f000001', 1, 0, 0, 0, 1, 1, 1)"),
		0);
	assert_text(*state, "SELECT sums(-1, NULL, key, 0, remote, address, " COLUMNS ") FROM part",
		"[[-7,4,1,0,0,0,100,1,-5,-1],[7,1,6,1,1,30,60,2,400,700],[0,4,1,0,0,0,1,1,1,1]]");
}

static void test_keys_are_looked_up_once(void **state)
{
	assert_int_equal(sql_exec(*state, "INSERT INTO part VALUES"
					  " (1, 1, x'01', 1, 0, 0, 0, 1, 1, 9),"
					  " (2, 2, x'01', 2, 0, 0, 0, 2, 2, 2),"
					  " (3, 3, x'02', 3, 0, 0, 0, 30, 3, 3),"
					  " (4, 4, x'03', 4, 0, 0, 0, 4, 4, 4),"
					  " (5, 5, x'03', 5, 0, 0, 0, 50, 5, 5),"
					  " (1, 6, x'04', 6, 0, 0, 0, 6, 0, 6);"
					  "CREATE TABLE meaning (id INTEGER PRIMARY KEY, text);"
					  "INSERT INTO meaning VALUES (1, 'a\"b'), (2, 'a\"b'),"
					  " (3, NULL), (5, '')"),
		0);
	assert_text(*state,
		"SELECT sums(-1, 'SELECT text FROM meaning WHERE id = ?1', key, 0, remote,"
		" address, " COLUMNS ") FROM part",
		"[[\"\",5,5,0,0,0,50,1,5,5],[null,3,3,0,0,0,30,1,3,3],"
		"[\"a\\\"b\",1,9,0,0,0,9,2,0,9]]");
}

static void test_a_look_up_that_is_no_sql_is_an_error(void **state)
{
	assert_error(*state,
		"SELECT sums(-1, 'SELECT lacking', 1, 0, 1, x'01', 0, 0, 0, 0, 0, 0, 0)",
		"no such column: lacking");
}

static void test_a_look_up_is_one_select_of_one_column(void **state)
{
	static const char *const texts[][2] = {
		{"", "near \")\": syntax error"},
		{"SELECT 1; SELECT 2", "near \";\": syntax error"},
		{"SELECT 1, 2", "table named has 2 values for 1 columns"},
		{"DELETE FROM part", "near \"DELETE\": syntax error"},
		{"PRAGMA page_count", "near \"PRAGMA\": syntax error"},
		{"EXPLAIN SELECT 1", "near \"EXPLAIN\": syntax error"},
		{"SELECT abs(-9223372036854775807 - 1)", "integer overflow"},
		{"SELECT x''01''", "JSON cannot hold BLOB values"},
	};
	char sql[256];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		snprintf(sql, sizeof(sql),
			"SELECT sums(-1, '%s', 1, 0, 1, x'01', 0, 0, 0, 0, 0, 0, 0)", texts[i][0]);
		assert_error(*state, sql, texts[i][1]);
	}
	assert_text(*state,
		"SELECT sums(-1, 'SELECT ?1 + 1 -- next', 1, 0, 1, x'01', 0, 0, 0, 0, 0, 0, 0)",
		"[[2,1,0,0,0,0,0,1,0,0]]");
}

/* One that asked itself would use up the stack. */
static void test_a_look_up_does_not_sum_up(void **state)
{
	const char *const within = "sums() within a look-up of sums()";

	assert_error(*state,
		"WITH again (text) AS (VALUES ('SELECT sums(-1, replace($, char(36), quote($)), 1,"
		" 0, 1, 1, 1, 0, 0, 1, 1, 1, 1)'))"
		" SELECT sums(-1, replace(text, char(36), quote(text)), 1, 0, 1, 1, 1, 0, 0, 1, 1,"
		" 1, 1) FROM again",
		within);
	assert_text(*state,
		"SELECT sums(-1, 'SELECT 1', 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1)"
		" || sums(-1, 'SELECT 2', 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1)",
		"[[1,1,1,0,0,1,1,1,1,1]][[2,1,1,0,0,1,1,1,1,1]]");
}

static void test_a_look_up_that_gives_nothing_later_gives_null(void **state)
{
	sqlite3_stmt *stmt;
	char sql[] = "SELECT json_valid(sums(-1, 'SELECT ?1 WHERE random() % 2', value, 0, 1, 1,"
		     " 1, 0, 0, 1, 1, 1, 1)) FROM json_each(?1)";

	assert_int_equal(sql_prepare(*state, sql, &stmt), 0);
	sql_bind_text(stmt, 1, "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]");
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), 1);
	sqlite3_finalize(stmt);
}

static void test_rows_of_one_address_are_apart(void **state)
{
	assert_int_equal(
		sql_exec(*state,
			"INSERT INTO part VALUES (7, 1, x'01', 1, 0, 0, 5, 0, 1, 1),"
			" (7, 2, x'02', 1, 0, 0, 1, 0, 1, 1), (7, 3, x'01', 1, 0, 0, 1, 0, 1, 1),"
			" (8, 4, x'01', 1, 0, 0, 2, 0, 1, 1)"),
		0);
	assert_text(*state, "SELECT sums(2, NULL, key, 1, remote, address, " COLUMNS ") FROM part",
		"[[7,1,2,0,0,6,0,1,1,1],[8,4,1,0,0,2,0,1,1,1]]");
	assert_text(*state,
		"SELECT sums(1, 'SELECT ?1 WHERE FALSE', key, 1, remote, address, " COLUMNS
		") FROM part",
		"[[7,1,2,0,0,6,0,1,1,1]]");
}

static void test_no_address_is_one_address(void **state)
{
	assert_text(*state,
		"SELECT sums(-1, NULL, 9223372036854775807, 1, NULL, column1, 1, 0, 0, 1, 1, 1, 1)"
		" FROM (VALUES (NULL), (NULL), (x''), (x'00'))",
		"[[9223372036854775807,0,3,0,0,3,3,1,1,1],[9223372036854775807,0,1,0,0,1,1,1,1,1]"
		"]");
}

static void test_nothing_is_an_empty_list(void **state)
{
	assert_text(*state, "SELECT sums(-1, NULL, key, 0, remote, address, " COLUMNS ") FROM part",
		"[]");
}

static void test_a_sum_that_is_too_large_is_an_error(void **state)
{
	assert_error(*state,
		"SELECT sums(-1, NULL, 1, 0, 1, x'01', 0, 0, 0, value, 0, 0, 0)"
		" FROM json_each('[9223372036854775807, 1]')",
		"integer overflow");
}

/* The tables grow on the way. */
static void test_many_are_as_group_by_has_them(void **state)
{
	const char *const many =
		"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
		" INSERT INTO part SELECT i * 31 % 3001 - 1500,"
		" i * 17 % 9001, CAST(i * 17 % 4001 AS BLOB), i % 3, i % 2, 0, i * i, i * 7919 % "
		"65536,"
		" -i, i FROM n";

	assert_int_equal(sql_exec(*state, many), 0);
	assert_text(*state,
		"WITH given AS (SELECT json_extract(value, '$[0]') AS key,"
		"  json_remove(value, '$[1]') AS rest FROM json_each((SELECT sums(-1, NULL, key, 0,"
		"  remote, address, " COLUMNS ") FROM part))),"
		" wanted AS (SELECT key, json_array(key, sum(flows), sum(failed), sum(open),"
		"  sum(octets_out), sum(octets_in), count(DISTINCT address), min(first_us),"
		"  max(last_us)) AS rest FROM part GROUP BY key)"
		" SELECT count(*) || ' ' || (SELECT count(*) FROM given)"
		"  || ' ' || sum(g.rest = w.rest) FROM given AS g JOIN wanted AS w ON w.key IS "
		"g.key",
		"3001 3001 3001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_are_summed_by_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keys_are_looked_up_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_look_up_that_is_no_sql_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_look_up_is_one_select_of_one_column, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_look_up_does_not_sum_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_look_up_that_gives_nothing_later_gives_null, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_rows_of_one_address_are_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_address_is_one_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_an_empty_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_sum_that_is_too_large_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_many_are_as_group_by_has_them, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

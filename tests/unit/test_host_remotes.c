/* What names of hosts stand for, in a history of a few rows. */
#include "query/host_remotes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/store_fixture.h"

static const char *const rows[] = {
	"INSERT INTO name (id, name, reversed) VALUES (1, 'www.example', 'example.www'),"
	" (2, 'alias.example', 'example.alias'), (3, 'other.test', 'test.other'),"
	" (4, 'examples', 'examples')",
	/* by its name; without; by another name that is sure; by one that is not; loopback */
	"INSERT INTO remote (id, address, ip, name, name_source) VALUES"
	" (10, x'c6336401', '198.51.100.1', 1, 'sni'), (11, x'c6336402', '198.51.100.2', 0, ''),"
	" (12, x'c6336402', '198.51.100.2', 3, 'sni'), (13, x'c6336402', '198.51.100.2', 3, "
	"'dns-any'),"
	" (14, x'7f000001', '127.0.0.1', 0, ''), (15, x'c6336403', '198.51.100.3', 0, '')",
	"INSERT INTO name_evidence (name, owner, address, ip, source, first_us, last_us, until_us,"
	" times, ttl_s, ech, alpn) VALUES"
	" (1, 2, x'c6336402', '198.51.100.2', 'dns', 5000000, 6000000, 7000000, 1, 1, 0, ''),"
	" (1, 0, x'7f000001', '127.0.0.1', 'dns', 5000000, 6000000, 7000000, 1, 1, 0, ''),"
	" (1, 0, x'c6336403', '198.51.100.3', 'getaddrinfo', 1, 2, 3, 1, 1, 0, '')",
};

static void write_rows(struct store_fixture *fixture)
{
	store_fixture_open(fixture);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		store_fixture_sql(fixture, rows[i]);
}

/* sql: of a report that takes a host "at". */
static void find(struct store_fixture *fixture, const char *sql, struct report_args *args)
{
	char text[256];
	struct report_error report_error;
	struct store_reader *reader;
	struct report *report;

	snprintf(text, sizeof(text), "-- A.\n-- param at: h [host]\n%s\n", sql);
	assert_int_equal(report_new("test", "file", text, &report, &report_error), 0);
	assert_int_equal(store_reader_open(fixture->path, &reader, &fixture->error), 0);
	if (host_remotes_set(reader, report, args, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	store_reader_close(reader);
	report_free(report);
}

static void expect(struct store_fixture *fixture, const char *part, const char *value,
	const char *remotes, const char *loose)
{
	struct report_args args = {0};

	report_args_text(&args, part, value);
	find(fixture, "SELECT :at_remotes, :at_loose", &args);
	assert_string_equal(report_args_find(&args, "at_remotes")->text, remotes);
	if (loose)
		assert_string_equal(report_args_find(&args, "at_loose")->text, loose);
	else
		assert_false(report_args_given(&args, "at_loose"));
	report_args_done(&args);
}

static void a_name_stands_for_its_hosts_and_those_of_its_evidence(void **state)
{
	write_rows(*state);
	expect(*state, "at_name", "example.www", "[10,11,13]",
		"[[11,\"www.example\",4000000,67000000],[13,\"www.example\",4000000,67000000]]");
	expect(*state, "at_name", "example.alias", "[11,13]",
		"[[11,\"alias.example\",4000000,67000000],[13,\"alias.example\",4000000,67000000]"
		"]");
	expect(*state, "at_name", "test.other", "[12,13]", NULL);
	expect(*state, "at_name", "test.none", "[]", NULL);
}

static void a_suffix_stands_for_all_names_below_it(void **state)
{
	write_rows(*state);
	expect(*state, "at_suffix", "test.", "[12,13]", NULL);
	expect(*state, "at_suffix", "example.www.", "[]", NULL);
	expect(*state, "at_suffix", "exampl.", "[]", NULL);
	expect(*state, "at_suffix", "example.", "[10,11,13]",
		"[[11,\"alias.example\",4000000,67000000],"
		"[13,\"alias.example\",4000000,67000000],"
		"[11,\"www.example\",4000000,67000000],"
		"[13,\"www.example\",4000000,67000000]]");
}

static void addresses_of_the_resolver_count_at_any_time(void **state)
{
	struct report_args args = {0};

	write_rows(*state);
	report_args_text(&args, "at_name", "example.www");
	report_args_text(&args, "at_ips", "[\"198.51.100.2\",\"198.51.100.9\"]");
	find(*state, "SELECT :at_remotes", &args);
	assert_string_equal(report_args_find(&args, "at_remotes")->text, "[10,11,12,13]");
	assert_false(report_args_given(&args, "at_loose"));
	report_args_done(&args);
}

static void what_was_found_before_is_found_anew(void **state)
{
	struct store_fixture *fixture = *state;
	struct report_args args = {0};

	write_rows(fixture);
	report_args_text(&args, "at_name", "example.www");
	find(fixture, "SELECT :at_remotes", &args);
	assert_true(report_args_given(&args, "at_loose"));
	store_fixture_sql(fixture, "DELETE FROM name_evidence");
	find(fixture, "SELECT :at_remotes", &args);
	assert_string_equal(report_args_find(&args, "at_remotes")->text, "[10]");
	assert_false(report_args_given(&args, "at_loose"));
	report_args_done(&args);
}

static void nothing_is_sought_for_addresses_or_reports_that_do_not_ask(void **state)
{
	struct report_args args = {0};

	write_rows(*state);
	report_args_blob(&args, "at_first", "\xc6\x33\x64\x01", 4);
	report_args_blob(&args, "at_last", "\xc6\x33\x64\x01", 4);
	find(*state, "SELECT :at_remotes", &args);
	assert_int_equal(args.count, 2);
	report_args_done(&args);
	report_args_text(&args, "at_name", "example.www");
	find(*state, "SELECT :at_name", &args);
	assert_int_equal(args.count, 1);
	report_args_done(&args);
}

static void a_damaged_history_is_an_error(void **state)
{
	struct store_fixture *fixture = *state;
	struct report_args args = {0};
	struct report_error report_error;
	struct store_reader *reader;
	struct report *report;

	write_rows(fixture);
	store_fixture_sql(fixture, "DROP TABLE name_evidence");
	assert_int_equal(report_new("test", "file",
				 "-- A.\n-- param at: h [host]\n"
				 "SELECT :at_remotes\n",
				 &report, &report_error),
		0);
	report_args_text(&args, "at_name", "example.www");
	assert_int_equal(store_reader_open(fixture->path, &reader, &fixture->error), 0);
	assert_int_equal(host_remotes_set(reader, report, &args, &fixture->error), -1);
	assert_non_null(strstr(fixture->error.text, "name_evidence"));
	assert_int_equal(args.count, 1);
	store_reader_close(reader);
	report_args_done(&args);
	report_free(report);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_stands_for_its_hosts_and_those_of_its_evidence),
		TEST(a_suffix_stands_for_all_names_below_it),
		TEST(addresses_of_the_resolver_count_at_any_time),
		TEST(what_was_found_before_is_found_anew),
		TEST(nothing_is_sought_for_addresses_or_reports_that_do_not_ask),
		TEST(a_damaged_history_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

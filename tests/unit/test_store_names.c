/* Names of flows, and the evidence for them, as rows. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/store_fixture.h"
#include "util/clock.h"

static const char flows_text[] =
	"SELECT remote_ip, remote_name, name_source FROM flows ORDER BY end_us";
static const char names_text[] = "SELECT name, owner_name, ip, name_source, times,"
				 " (last_us - first_us) / 1000000, exe FROM names"
				 " ORDER BY first_us, name";

static void add_flow(struct store_fixture *fixture, const struct flow_record *flow,
	const char *text, enum name_source source, enum name_asker asker)
{
	const struct flow_name name = {text, source, asker};
	size_t index = 0;

	assert_int_equal(batch_add_flow(fixture->batch, flow), 0);
	while (batch_flow(fixture->batch, index + 1))
		index++;
	if (text)
		assert_int_equal(batch_name_flow(fixture->batch, index, &name), 0);
}

static struct name_record record_of(const char *name, const char *address, int64_t first_s)
{
	struct name_record record = {
		.name = name,
		.owner = "",
		.first_us = FIXTURE_START_US + first_s * US_PER_S,
		.last_us = FIXTURE_START_US + first_s * US_PER_S,
		.count = 1,
		.ttl_s = 60,
		.source = NAME_SOURCE_DNS,
	};

	assert_int_equal(addr_parse(address, &record.address), 0);
	return record;
}

static void add_name(struct store_fixture *fixture, const struct name_record *record)
{
	assert_int_equal(batch_add_name(fixture->batch, record), 0);
	store_fixture_write(fixture);
}

static void flows_keep_their_names_and_where_these_are_from(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);

	store_fixture_open(fixture);
	add_flow(fixture, &flow, "www.example", NAME_SOURCE_SNI, NAME_ASKER_SELF);
	flow.end_us++;
	add_flow(fixture, &flow, "www.example", NAME_SOURCE_DNS, NAME_ASKER_OTHER);
	flow.end_us++;
	add_flow(fixture, &flow, "www.example", NAME_SOURCE_MDNS, NAME_ASKER_UNKNOWN);
	flow.end_us++;
	add_flow(fixture, &flow, NULL, NAME_SOURCE_NONE, NAME_ASKER_SELF);
	flow.end_us++;
	add_flow(fixture, &flow, "www.example", NAME_SOURCE_SNI, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	assert_string_equal(store_fixture_sql(fixture, flows_text),
		"198.51.100.1|www.example|sni\n198.51.100.1|www.example|dns-other\n"
		"198.51.100.1|www.example|mdns-any\n198.51.100.1|-|-\n"
		"198.51.100.1|www.example|sni");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT name, reversed FROM name WHERE id > 0"),
		"www.example|example.www");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM remote"), 4);
}

/* An open flow, then its update and its end, each with a name of its own. */
static const char *name_in_the_end(struct store_fixture *fixture, enum name_source open,
	enum name_source update, enum name_source end)
{
	static const char *const names[NAME_SOURCE_COUNT] = {[NAME_SOURCE_DNS] = "asked.example",
		[NAME_SOURCE_SNI] = "said.example",
		[NAME_SOURCE_HTTP] = "later.example"};
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);
	static char text[512];

	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	add_flow(fixture, &flow, names[open], open, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	flow.kind = FLOW_RECORD_UPDATE;
	add_flow(fixture, &flow, names[update], update, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	strcpy(text, store_fixture_sql(fixture, "SELECT remote_name FROM flows WHERE open"));
	strcat(text, " ");
	flow.kind = FLOW_RECORD_END;
	flow.was_open = true;
	add_flow(fixture, &flow, names[end], end, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	return strcat(text, store_fixture_sql(fixture,
				    "SELECT remote_name FROM flows ORDER BY end_us DESC LIMIT 1"));
}

static void an_open_flow_keeps_its_name_unless_it_says_one(void **state)
{
	const enum name_source none = NAME_SOURCE_NONE, dns = NAME_SOURCE_DNS,
			       sni = NAME_SOURCE_SNI, http = NAME_SOURCE_HTTP;
	struct store_fixture *fixture = *state;

	store_fixture_open(fixture);
	assert_string_equal(name_in_the_end(fixture, none, none, none), "- -");
	assert_string_equal(
		name_in_the_end(fixture, dns, none, none), "asked.example asked.example");
	assert_string_equal(
		name_in_the_end(fixture, none, dns, none), "asked.example asked.example");
	assert_string_equal(name_in_the_end(fixture, dns, sni, dns), "said.example said.example");
	assert_string_equal(name_in_the_end(fixture, sni, dns, http), "said.example said.example");
	assert_string_equal(name_in_the_end(fixture, dns, dns, sni), "asked.example said.example");
	assert_string_equal(name_in_the_end(fixture, none, none, sni), "- said.example");
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM open_flow"), 0);
}

static void a_flow_that_a_run_left_open_keeps_its_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);

	flow.kind = FLOW_RECORD_OPEN;
	flow.outcome = FLOW_OUTCOME_OPEN;
	store_fixture_open(fixture);
	add_flow(fixture, &flow, "said.example", NAME_SOURCE_QUIC, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	store_fixture_close(fixture);
	store_fixture_open(fixture); /* the same boot: it goes on */
	flow.kind = FLOW_RECORD_END;
	flow.was_open = true;
	add_flow(fixture, &flow, NULL, NAME_SOURCE_NONE, NAME_ASKER_SELF);
	store_fixture_write(fixture);
	assert_string_equal(
		store_fixture_sql(fixture, flows_text), "198.51.100.1|said.example|quic");
}

static void evidence_within_its_ttl_takes_one_row(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");
	struct name_record record = record_of("www.example", "198.51.100.1", 0);

	record.asker = curl.ref;
	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &curl);
	add_name(fixture, &record);
	record = record_of("www.example", "198.51.100.1", 600); /* ten minutes at least */
	record.asker = curl.ref;
	record.count = 5;
	add_name(fixture, &record);
	record = record_of("www.example", "198.51.100.1", 1201);
	record.asker = curl.ref;
	add_name(fixture, &record);
	assert_string_equal(store_fixture_sql(fixture, names_text),
		"www.example|-|198.51.100.1|dns|6|600|/usr/bin/curl\n"
		"www.example|-|198.51.100.1|dns|1|0|/usr/bin/curl");
}

static void older_evidence_is_held_to_the_same_pause(void **state)
{
	struct store_fixture *fixture = *state;
	struct name_record record = record_of("www.example", "198.51.100.1", 5000);

	store_fixture_open(fixture);
	record.ttl_s = 30;
	record.ech = true;
	add_name(fixture, &record);
	record = record_of("www.example", "198.51.100.1", 4400); /* ten minutes before */
	add_name(fixture, &record);
	record = record_of("www.example", "198.51.100.1", 3799);
	add_name(fixture, &record);
	record = record_of("www.example", "198.51.100.1", 0);
	record.ttl_s = 86400; /* it may be kept until then */
	add_name(fixture, &record);
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT times, (last_us - first_us) / 1000000,"
					   " (until_us - last_us) / 1000000, ttl_s, ech FROM names"
					   " ORDER BY first_us, last_us"),
		"2|3799|82601|60|0\n2|600|30|30|1");
}

static void what_differs_takes_rows_of_its_own(void **state)
{
	struct store_fixture *fixture = *state;
	struct process_info curl = store_fixture_process(10, "/usr/bin/curl");
	struct name_record record = record_of("a.example", "198.51.100.1", 0);

	store_fixture_open(fixture);
	batch_add_process(fixture->batch, &curl);
	add_name(fixture, &record);
	record.asker = curl.ref;
	add_name(fixture, &record);
	record = record_of("b.example", "198.51.100.1", 1);
	record.owner = "cdn.example";
	add_name(fixture, &record);
	record = record_of("c.example", "2001:db8::1", 2);
	record.source = NAME_SOURCE_SNI;
	add_name(fixture, &record);
	record = record_of("d.example", "::", 3);
	record.source = NAME_SOURCE_HTTP;
	add_name(fixture, &record);
	assert_string_equal(store_fixture_sql(fixture, names_text),
		"a.example|-|198.51.100.1|dns|1|0|-\n"
		"a.example|-|198.51.100.1|dns|1|0|/usr/bin/curl\n"
		"b.example|cdn.example|198.51.100.1|dns|1|0|-\n"
		"c.example|-|2001:db8::1|sni|1|0|-\n"
		"d.example|-|-|http|1|0|-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flows_keep_their_names_and_where_these_are_from,
			store_fixture_set_up, store_fixture_tear_down),
		cmocka_unit_test_setup_teardown(an_open_flow_keeps_its_name_unless_it_says_one,
			store_fixture_set_up, store_fixture_tear_down),
		cmocka_unit_test_setup_teardown(a_flow_that_a_run_left_open_keeps_its_name,
			store_fixture_set_up, store_fixture_tear_down),
		cmocka_unit_test_setup_teardown(evidence_within_its_ttl_takes_one_row,
			store_fixture_set_up, store_fixture_tear_down),
		cmocka_unit_test_setup_teardown(older_evidence_is_held_to_the_same_pause,
			store_fixture_set_up, store_fixture_tear_down),
		cmocka_unit_test_setup_teardown(what_differs_takes_rows_of_its_own,
			store_fixture_set_up, store_fixture_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

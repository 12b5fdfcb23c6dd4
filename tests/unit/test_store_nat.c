/* The ends of flows beyond a NAT, as rows. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/store_fixture.h"
#include "util/clock.h"

static const char ends_text[] =
	"SELECT open, local_ip, local_port, translated_local_ip, translated_local_port, remote_ip,"
	" remote_port, translated_remote_ip, translated_remote_port FROM flows ORDER BY end_us";

static struct nat_ends ends_of(
	const char *local, uint16_t local_port, const char *remote, uint16_t remote_port)
{
	struct nat_ends ends = {.local_port = local_port, .remote_port = remote_port};

	assert_int_equal(addr_parse(local, &ends.local), 0);
	assert_int_equal(addr_parse(remote, &ends.remote), 0);
	return ends;
}

/* Of a batch of its own. */
static void write_flow(
	struct store_fixture *fixture, const struct flow_record *flow, const struct nat_ends *ends)
{
	assert_int_equal(batch_add_flow(fixture->batch, flow), 0);
	if (ends)
		assert_int_equal(batch_translate_flow(fixture->batch, 0, ends), 0);
	store_fixture_write(fixture);
}

static void only_ends_that_are_changed_are_stored(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);
	struct nat_ends ends = ends_of("203.0.113.5", 50000, "198.51.100.1", 443);

	store_fixture_open(fixture);
	write_flow(fixture, &flow, &ends);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"0|192.0.2.1|40000|203.0.113.5|50000|198.51.100.1|443|-|-");
	assert_string_equal(
		store_fixture_sql(fixture, "SELECT remote, remote_port FROM flow_nat"), "-|-");
	flow.end_us += 10;
	write_flow(fixture, &flow, NULL);
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flow_nat"), 1);
	flow.end_us += 10;
	ends = ends_of("192.0.2.1", 40000, "198.51.100.1", 8443);
	write_flow(fixture, &flow, &ends);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"0|192.0.2.1|40000|203.0.113.5|50000|198.51.100.1|443|-|-\n"
		"0|192.0.2.1|40000|-|-|198.51.100.1|443|-|-\n"
		"0|192.0.2.1|40000|-|-|198.51.100.1|443|198.51.100.1|8443");
}

static void flows_of_the_same_microsecond_keep_their_own(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);

	store_fixture_open(fixture);
	for (uint16_t port = 1; port <= 3; port++) {
		struct nat_ends ends = ends_of("203.0.113.5", port, "198.51.100.1", 443);

		flow.key.local_port = port;
		write_flow(fixture, &flow, &ends);
	}
	assert_int_equal(store_fixture_number(fixture, "SELECT count(*) FROM flows"
						       " WHERE translated_local_port = local_port"),
		3);
}

static void an_open_flow_keeps_them_to_its_end(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);
	struct nat_ends ends = ends_of("203.0.113.5", 50000, "10.0.0.7", 6443);

	store_fixture_open(fixture);
	flow.kind = FLOW_RECORD_OPEN;
	flow.serial = 1;
	write_flow(fixture, &flow, NULL);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"1|192.0.2.1|40000|-|-|198.51.100.1|443|-|-");
	flow.kind = FLOW_RECORD_UPDATE; /* the word of them may come late */
	write_flow(fixture, &flow, &ends);
	write_flow(fixture, &flow, NULL);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"1|192.0.2.1|40000|203.0.113.5|50000|198.51.100.1|443|10.0.0.7|6443");
	flow.kind = FLOW_RECORD_END;
	flow.was_open = true;
	write_flow(fixture, &flow, NULL);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"0|192.0.2.1|40000|203.0.113.5|50000|198.51.100.1|443|10.0.0.7|6443");
}

static void what_another_boot_left_open_keeps_them(void **state)
{
	struct store_fixture *fixture = *state;
	struct flow_record flow = store_fixture_flow(0, "198.51.100.1", FIXTURE_START_US);
	struct nat_ends ends = ends_of("203.0.113.5", 50000, "198.51.100.1", 443);

	store_fixture_open(fixture);
	flow.kind = FLOW_RECORD_OPEN;
	flow.serial = 1;
	write_flow(fixture, &flow, &ends);
	store_fixture_close(fixture);
	fixture->options.boot_uuid = "another boot";
	store_fixture_open(fixture);
	assert_string_equal(store_fixture_sql(fixture, ends_text),
		"0|192.0.2.1|40000|203.0.113.5|50000|198.51.100.1|443|-|-");
	assert_string_equal(store_fixture_sql(fixture, "SELECT outcome FROM flows"), "lost");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_ends_that_are_changed_are_stored),
		TEST(flows_of_the_same_microsecond_keep_their_own),
		TEST(an_open_flow_keeps_them_to_its_end),
		TEST(what_another_boot_left_open_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who asked gets an answer, from whom it asked, and in time. */
#include "decode/query_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ID = 0x1234, DNS = 53, LLMNR = 5355 };

static struct query_table table;

static int set_up(void **state)
{
	(void)state;
	query_table_init(&table, (struct hash_key){1, 2});
	return 0;
}

static struct decode_packet query_to(uint16_t port)
{
	return (struct decode_packet){
		.source = addr_from_v4("\xc0\x00\x02\x01"),
		.destination = addr_from_v4("\xc6\x33\x64\x07"),
		.source_port = 4000,
		.destination_port = port,
		.protocol = 17,
	};
}

static struct decode_packet answer_to(const struct decode_packet *query)
{
	struct decode_packet answer = *query;

	answer.source = query->destination;
	answer.destination = query->source;
	answer.source_port = query->destination_port;
	answer.destination_port = query->source_port;
	return answer;
}

static void an_answer_comes_from_whom_was_asked(void **state)
{
	struct decode_packet query = query_to(DNS), answer = answer_to(&query), other;

	(void)state;
	assert_false(query_table_asked(&table, &answer, ID, 0));
	query_table_put(&table, &query, ID, false, 0);
	assert_true(query_table_asked(&table, &answer, ID, 0));
	assert_true(query_table_asked(&table, &answer, ID, 1)); /* may come twice */
	assert_false(query_table_asked(&table, &query, ID, 0));
	assert_false(query_table_asked(&table, &answer, ID + 1, 0));
	other = answer;
	other.source = addr_from_v4("\xc6\x33\x64\x08");
	assert_false(query_table_asked(&table, &other, ID, 0));
	other = answer;
	other.destination_port++;
	assert_false(query_table_asked(&table, &other, ID, 0));
	other = answer;
	other.source_port = LLMNR;
	assert_false(query_table_asked(&table, &other, ID, 0));
	other = answer;
	other.tunnel = FLOW_TUNNEL_GRE;
	assert_false(query_table_asked(&table, &other, ID, 0));
	other = answer;
	other.protocol = 6;
	assert_false(query_table_asked(&table, &other, ID, 0));
}

static void of_a_group_anybody_may_answer(void **state)
{
	struct decode_packet query = query_to(LLMNR), answer = answer_to(&query);

	(void)state;
	query_table_put(&table, &query, ID, true, 0);
	answer.source = addr_from_v4("\xc0\x00\x02\x63");
	assert_true(query_table_asked(&table, &answer, ID, 0));
	assert_false(query_table_asked(&table, &answer, ID + 1, 0));
	answer.destination = addr_from_v4("\xc0\x00\x02\x02");
	assert_false(query_table_asked(&table, &answer, ID, 0));
}

static void a_question_is_forgotten(void **state)
{
	struct decode_packet query = query_to(DNS), answer = answer_to(&query);

	(void)state;
	query_table_put(&table, &query, ID, false, 7);
	assert_false(query_table_asked(&table, &answer, ID, 6));
	assert_true(query_table_asked(&table, &answer, ID, 7 + QUERY_TABLE_AGE_NS));
	assert_false(query_table_asked(&table, &answer, ID, 8 + QUERY_TABLE_AGE_NS));
	query_table_put(&table, &query, ID, false, 8);
	assert_true(query_table_asked(&table, &answer, ID, 8 + QUERY_TABLE_AGE_NS));
}

static void a_flood_of_questions_costs_answers_only(void **state)
{
	struct decode_packet query = query_to(DNS), answer = answer_to(&query);
	unsigned known = 0;

	(void)state;
	for (unsigned id = 0; id < 2 * QUERY_TABLE_SLOTS; id++)
		query_table_put(&table, &query, (uint16_t)id, false, 0);
	for (unsigned id = 0; id < 2 * QUERY_TABLE_SLOTS; id++)
		known += query_table_asked(&table, &answer, (uint16_t)id, 0);
	assert_in_range(known, QUERY_TABLE_SLOTS / 2, QUERY_TABLE_SLOTS);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_comes_from_whom_was_asked),
		TEST(of_a_group_anybody_may_answer),
		TEST(a_question_is_forgotten),
		TEST(a_flood_of_questions_costs_answers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The vocabularies: every value has a word, and protocols are read back. */
#include "flow/flow_names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flow/coverage.h"

static void every_value_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < FLOW_DIRECTION_COUNT; i++)
		assert_true(strlen(flow_direction_name(i)) > 0);
	for (int i = 0; i < FLOW_OUTCOME_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(flow_outcome_name(i), flow_outcome_name(j));
	for (int i = 0; i < FLOW_METHOD_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(flow_method_name(i), flow_method_name(j));
	for (int i = 0; i < FLOW_SOURCE_COUNT; i++)
		assert_true(strlen(flow_source_name(i)) > 0);
	for (int i = 0; i < COVERAGE_COUNT; i++)
		assert_true(strlen(coverage_what_name(i)) > 0);
	for (int i = 0; i < NAME_SOURCE_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name_source_name(i), name_source_name(j));
}

static void the_words_are_those_of_the_public_views(void **state)
{
	(void)state;
	assert_string_equal(flow_direction_name(FLOW_DIRECTION_OUT), "out");
	assert_string_equal(flow_outcome_name(FLOW_OUTCOME_REFUSED), "refused");
	assert_string_equal(flow_outcome_name(FLOW_OUTCOME_LOST), "lost");
	assert_string_equal(flow_method_name(FLOW_METHOD_EXACT), "exact");
	assert_string_equal(flow_source_name(FLOW_SOURCE_FILE), "file");
	assert_string_equal(coverage_what_name(COVERAGE_SLOT_MISSING), "slot missing");
	assert_string_equal(name_source_name(NAME_SOURCE_NONE), "");
	assert_string_equal(name_source_name(NAME_SOURCE_GETADDRINFO), "getaddrinfo");
}

static void a_tunnel_is_named_with_its_id(void **state)
{
	static const char *const names[] = {
		"", "ipip", "6in4", "4in6", "6in6", "gre:4294967295", "vxlan:0", "geneve:42"};
	char buf[FLOW_TUNNEL_TEXT_SIZE];

	(void)state;
	for (int i = 0; i < FLOW_TUNNEL_COUNT; i++)
		assert_string_equal(flow_tunnel_format(i,
					    i == FLOW_TUNNEL_GRE      ? UINT32_MAX
					    : i == FLOW_TUNNEL_GENEVE ? 42
								      : 0,
					    buf),
			names[i]);
	assert_string_equal(flow_tunnel_format(FLOW_TUNNEL_GRE, 0, buf), "gre");
}

static void protocols_are_named_and_read_back(void **state)
{
	char buf[FLOW_PROTOCOL_NAME_SIZE];

	(void)state;
	for (int number = 0; number < 256; number++) {
		const char *name = flow_protocol_name((uint8_t)number, buf);

		assert_int_equal(flow_protocol_parse(name), number);
	}
	assert_string_equal(flow_protocol_name(6, buf), "tcp");
	assert_string_equal(flow_protocol_name(253, buf), "253");
}

static void what_is_no_protocol_is_refused(void **state)
{
	(void)state;
	assert_int_equal(flow_protocol_parse("256"), -EINVAL);
	assert_int_equal(flow_protocol_parse("-1"), -EINVAL);
	assert_int_equal(flow_protocol_parse("6x"), -EINVAL);
	assert_int_equal(flow_protocol_parse(""), -EINVAL);
	assert_int_equal(flow_protocol_parse("nonsense"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_has_a_word_of_its_own),
		cmocka_unit_test(the_words_are_those_of_the_public_views),
		cmocka_unit_test(a_tunnel_is_named_with_its_id),
		cmocka_unit_test(protocols_are_named_and_read_back),
		cmocka_unit_test(what_is_no_protocol_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

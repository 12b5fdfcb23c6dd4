/* The flow table when memory runs out: it is refused while it is made, whichever part is missing,
 * and needs none afterwards, however many flows come. */
#include "flow/flow_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fault_alloc.h"
#include "util/clock.h"

enum { MAX_FLOWS = 64, SOCKETS = 1000 };

static void count_record(void *ctx, const struct flow_record *record)
{
	(void)record;
	++*(uint64_t *)ctx;
}

static struct flow_table_options options_of(uint64_t *records)
{
	return (struct flow_table_options){
		.max_flows = MAX_FLOWS,
		.active_timeout_ns = 60 * (int64_t)NS_PER_S,
		.idle_timeout_ns = 120 * (int64_t)NS_PER_S,
		.lost_timeout_ns = 30 * (int64_t)NS_PER_S,
		.hash_key = {1, 2},
		.emit = count_record,
		.ctx = records,
	};
}

static void a_table_without_memory_is_not_made(void **state)
{
	uint64_t records = 0, calls;
	struct flow_table_options options = options_of(&records);
	struct flow_table *table = NULL;

	(void)state;
	fault_alloc_fail(0, 0);
	assert_int_equal(flow_table_new(&options, &table), 0);
	calls = fault_alloc_calls();
	flow_table_free(table);
	assert_true(calls > 1);
	for (uint64_t nth = 1; nth <= calls; nth++) {
		table = NULL;
		fault_alloc_fail(nth, 1);
		assert_int_equal(flow_table_new(&options, &table), -ENOMEM);
		assert_null(table);
	}
	fault_alloc_fail(0, 0);
}

static void a_table_that_is_made_needs_no_more(void **state)
{
	uint64_t records = 0;
	struct flow_table_options options = options_of(&records);
	struct flow_table_counters counters;
	struct flow_table *table;
	struct observation sighting = {
		.kind = OBSERVATION_SIGHTING,
		.key.protocol = 17,
		.key.remote_port = 53,
		.direction = FLOW_DIRECTION_OUT,
		.source = FLOW_SOURCE_EBPF,
	};

	(void)state;
	assert_int_equal(flow_table_new(&options, &table), 0);
	fault_alloc_fail(1, UINT64_MAX);
	for (uint16_t i = 1; i <= SOCKETS; i++) {
		sighting.time_ns = i * (int64_t)NS_PER_MS;
		sighting.key.socket_cookie = sighting.key.local_port = i;
		flow_table_observe(table, &sighting);
	}
	flow_table_expire(table, 300 * (int64_t)NS_PER_S);
	flow_table_end_all(table);
	assert_int_equal(fault_alloc_calls(), 0);
	fault_alloc_fail(0, 0);
	flow_table_counters(table, &counters);
	assert_int_equal(counters.evicted, SOCKETS - MAX_FLOWS);
	assert_int_equal(records, 2 * SOCKETS);
	flow_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_without_memory_is_not_made),
		cmocka_unit_test(a_table_that_is_made_needs_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

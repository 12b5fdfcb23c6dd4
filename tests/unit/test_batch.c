/* Batches: what goes in comes out, in order, and limits hold. */
#include "store/batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void records_come_out_in_the_order_they_went_in(void **state)
{
	struct batch *batch;
	char exe[32];

	(void)state;
	assert_int_equal(batch_new(4000, &batch), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct process_info info = {.ref = {.pid = i + 1}, .comm = "c", .exe = exe};
		struct flow_record flow = {
			.serial = i, .kind = i % 2 ? FLOW_RECORD_END : FLOW_RECORD_OPEN};

		snprintf(exe, sizeof(exe), "/bin/%u", i);
		info.cmdline = i % 3 ? "" : exe;
		info.cgroup = "/";
		assert_int_equal(batch_add_process(batch, &info), 0);
		assert_int_equal(batch_add_flow(batch, &flow), 0);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		const struct process_info *info = batch_process(batch, i);

		snprintf(exe, sizeof(exe), "/bin/%u", i);
		assert_int_equal(info->ref.pid, i + 1);
		assert_string_equal(info->exe, exe);
		assert_string_equal(info->cmdline, i % 3 ? "" : exe);
		assert_string_equal(info->comm, "c");
		assert_string_equal(info->cgroup, "/");
		assert_int_equal(batch_flow(batch, i)->serial, i);
	}
	assert_null(batch_process(batch, 1000));
	assert_null(batch_flow(batch, 1000));
	assert_int_equal(batch_count(batch), 2000);
	assert_int_equal(batch_flows(batch), 500);
	assert_int_equal(batch_processes(batch), 1000);
	batch_free(batch);
}

static void some_flows_have_ends_beyond_a_nat(void **state)
{
	struct flow_record flow = {.serial = 1};
	struct batch *batch;

	(void)state;
	assert_int_equal(batch_new(4000, &batch), 0);
	for (size_t i = 0; i < 1000; i++) {
		struct nat_ends ends = {.local_port = (uint16_t)i};

		assert_int_equal(batch_add_flow(batch, &flow), 0);
		if (i % 3 == 0)
			assert_int_equal(batch_translate_flow(batch, i, &ends), 0);
	}
	for (size_t i = 0; i < 1000; i++) {
		const struct nat_ends *ends = batch_flow_nat(batch, i);

		if (i % 3 == 0)
			assert_int_equal(ends->local_port, i);
		else
			assert_null(ends);
	}
	assert_null(batch_flow_nat(batch, 1000));
	batch_clear(batch);
	assert_int_equal(batch_add_flow(batch, &flow), 0);
	assert_null(batch_flow_nat(batch, 0));
	batch_free(batch);
}

static void a_full_batch_refuses_every_kind_of_record(void **state)
{
	struct process_info info = {.comm = "", .exe = "", .cmdline = "", .cgroup = ""};
	struct listener_record listener = {.until_us = 0};
	struct coverage_record coverage = {.count = 0};
	struct flow_record flow = {.serial = 1};
	struct batch *batch;

	(void)state;
	assert_int_equal(batch_new(4, &batch), 0);
	assert_int_equal(batch_add_process(batch, &info), 0);
	assert_int_equal(batch_add_flow(batch, &flow), 0);
	assert_int_equal(batch_add_listener(batch, &listener), 0);
	assert_int_equal(batch_add_coverage(batch, &coverage), 0);
	assert_int_equal(batch_add_process(batch, &info), -ENOSPC);
	assert_int_equal(batch_add_flow(batch, &flow), -ENOSPC);
	assert_int_equal(batch_add_listener(batch, &listener), -ENOSPC);
	assert_int_equal(batch_add_coverage(batch, &coverage), -ENOSPC);
	assert_int_equal(batch_count(batch), 4);
	batch_free(batch);
}

static void clearing_gives_back_what_grew_far_beyond_use(void **state)
{
	static char cmdline[PROCESS_CMDLINE_MAX];
	struct process_info info = {.comm = "", .exe = "", .cmdline = cmdline, .cgroup = ""};
	struct batch *batch;
	size_t grown;

	(void)state;
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	assert_int_equal(batch_new(5000, &batch), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(batch_add_process(batch, &info), 0);
	grown = batch_octets(batch);
	assert_true(grown > 5000 * sizeof(cmdline));
	batch_clear(batch);
	assert_int_equal(batch_count(batch), 0);
	assert_int_equal(batch_flows(batch), 0);
	assert_null(batch_process(batch, 0));
	assert_true(batch_octets(batch) < grown / 4);
	assert_int_equal(batch_add_process(batch, &info), 0);
	assert_string_equal(batch_process(batch, 0)->cmdline, cmdline);
	batch_free(batch);
}

static void freeing_nothing_is_fine(void **state)
{
	(void)state;
	batch_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_in_the_order_they_went_in),
		cmocka_unit_test(some_flows_have_ends_beyond_a_nat),
		cmocka_unit_test(a_full_batch_refuses_every_kind_of_record),
		cmocka_unit_test(clearing_gives_back_what_grew_far_beyond_use),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

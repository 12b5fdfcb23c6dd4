/* A capability stays only for a feature that is on. */
#include "daemon/privilege_need.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BIT(capability) (UINT64_C(1) << (capability))

static const struct source_slot served_resolve = {
	.name = "resolve", .rungs = {{.name = "uprobe"}}, .rung_count = 1, .serving = 0};
static const struct source_slot refused_resolve = {
	.name = "resolve", .rungs = {{.name = "uprobe"}}, .rung_count = 1, .serving = -1};

static void the_kernel_source_alone_asks_conntrack_and_nothing_else(void **state)
{
	unsigned needs = privilege_need_of(FLOW_SOURCE_EBPF, &refused_resolve, 1);

	(void)state;
	assert_int_equal(privilege_need_set(needs), BIT(CAP_NET_ADMIN));
	assert_int_equal(privilege_need_threads(needs, PRIVILEGE_WANTS_BPF), 0);
}

static void libraries_are_the_need_of_a_thread_of_its_own(void **state)
{
	unsigned needs = privilege_need_of(FLOW_SOURCE_EBPF, &served_resolve, 1);
	unsigned threads = privilege_need_threads(needs, PRIVILEGE_WANTS_PERFMON);

	(void)state;
	assert_int_equal(privilege_need_set(threads),
		BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_PERFMON));
	assert_int_equal(privilege_need_set(needs & ~(unsigned)PRIVILEGE_NEED_LIBRARIES),
		BIT(CAP_NET_ADMIN));
}

static void names_from_a_capture_keep_the_right_to_capture(void **state)
{
	struct source_slot names = {
		.name = "names",
		.rungs = {{.name = "cgroup", .error = 1}, {.name = "capture"}},
		.rung_count = 2,
		.serving = 1,
	};

	(void)state;
	assert_int_equal(privilege_need_set(privilege_need_of(FLOW_SOURCE_EBPF, &names, 1)),
		BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW));
	names.serving = 0;
	assert_int_equal(privilege_need_set(privilege_need_of(FLOW_SOURCE_EBPF, &names, 1)),
		BIT(CAP_NET_ADMIN));
}

static void polling_looks_into_processes_and_enters_namespaces_if_it_may(void **state)
{
	struct source_slot namespaces = {
		.name = "namespaces", .rungs = {{.name = "setns"}}, .rung_count = 1, .serving = 0};
	uint64_t set = BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH);

	(void)state;
	assert_int_equal(privilege_need_set(privilege_need_of(FLOW_SOURCE_PROCFS, &namespaces, 1)),
		set | BIT(CAP_SYS_ADMIN));
	namespaces.serving = -1;
	assert_int_equal(
		privilege_need_set(privilege_need_of(FLOW_SOURCE_PROCFS, &namespaces, 1)), set);
	assert_int_equal(privilege_need_set(privilege_need_of(FLOW_SOURCE_PCAP, &namespaces, 1)),
		set | BIT(CAP_NET_RAW));
}

static void to_read_files_needs_nothing(void **state)
{
	(void)state;
	assert_int_equal(privilege_need_set(0), 0);
	assert_int_equal(privilege_need_set(PRIVILEGE_NEED_BPF), 0);
}

static void each_row_has_a_name_and_gives_its_reason_to_those_who_need_it_only(void **state)
{
	const char *name, *why;
	int capability;
	size_t i;

	(void)state;
	for (i = 0; privilege_need_at(i, UINT32_MAX, &capability, &name, &why); i++) {
		assert_int_equal(strncmp(name, "CAP_", 4), 0);
		assert_non_null(why);
		assert_true(privilege_need_at(i, 0, &capability, &name, &why));
		assert_null(why);
	}
	assert_true(i > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_source_alone_asks_conntrack_and_nothing_else),
		cmocka_unit_test(libraries_are_the_need_of_a_thread_of_its_own),
		cmocka_unit_test(names_from_a_capture_keep_the_right_to_capture),
		cmocka_unit_test(polling_looks_into_processes_and_enters_namespaces_if_it_may),
		cmocka_unit_test(to_read_files_needs_nothing),
		cmocka_unit_test(
			each_row_has_a_name_and_gives_its_reason_to_those_who_need_it_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

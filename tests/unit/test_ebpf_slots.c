/* The table of slots against itself and against the programs that there are. */
#include "source/ebpf_slots.h"

#include <bpf/libbpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "flow.skel.h"

/* How many rungs of all slots want this program. */
static int uses(const char *program)
{
	int count = 0;

	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		for (size_t j = 0; j < SOURCE_RUNGS_MAX; j++)
			count += ebpf_slots_has_program(&ebpf_slots_at(i)->rungs[j], program);
	return count;
}

static void each_slot_has_a_name_of_its_own_rungs_and_words_for_its_loss(void **state)
{
	(void)state;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++) {
		const struct ebpf_slot *slot = ebpf_slots_at(i);
		struct source_slot public = ebpf_slots_public(slot);

		assert_true(public.rung_count > 0);
		assert_int_equal(public.serving, -1);
		assert_true(strlen(slot->loss) > 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(slot->name, ebpf_slots_at(j)->name);
	}
}

static void a_rung_below_another_says_what_it_costs_or_nothing_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++) {
		const struct ebpf_rung *rungs = ebpf_slots_at(i)->rungs;

		assert_null(rungs[0].loss);
		for (size_t j = 0; j < SOURCE_RUNGS_MAX && rungs[j].name; j++) {
			assert_true(rungs[j].programs[0] || i == EBPF_SLOT_NAMES);
			if (rungs[j].loss)
				assert_true(strlen(rungs[j].loss) > 0);
		}
	}
}

static void each_program_has_its_rung_and_each_rung_its_programs(void **state)
{
	struct flow_bpf *object = flow_bpf__open();
	struct bpf_program *program;

	(void)state;
	assert_non_null(object);
	bpf_object__for_each_program(program, object->obj)
		assert_int_equal(uses(bpf_program__name(program)), 1);
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		for (size_t j = 0; j < SOURCE_RUNGS_MAX; j++) {
			const struct ebpf_rung *rung = &ebpf_slots_at(i)->rungs[j];

			for (size_t k = 0; k < EBPF_RUNG_PROGRAMS_MAX && rung->programs[k]; k++)
				assert_non_null(bpf_object__find_program_by_name(
					object->obj, ebpf_slots_program(rung, k)));
		}
	flow_bpf__destroy(object);
}

static void a_list_names_slots_or_programs_that_there_are(void **state)
{
	(void)state;
	assert_true(ebpf_slots_are_slots(NULL));
	assert_true(ebpf_slots_are_slots("tcp"));
	assert_true(ebpf_slots_are_slots("use,tcp"));
	assert_false(ebpf_slots_are_slots("tcp,tc"));
	assert_false(ebpf_slots_are_slots("tcp_state"));
	assert_true(ebpf_slots_are_programs(NULL));
	assert_true(ebpf_slots_are_programs("tcp_state,inet6_send"));
	assert_false(ebpf_slots_are_programs("?inet6_send"));
	assert_false(ebpf_slots_are_programs("tcp"));
	assert_true(ebpf_slots_listed("a,bc", "bc"));
	assert_false(ebpf_slots_listed("a,bc", "b"));
	assert_false(ebpf_slots_listed(NULL, "b"));
}

static void a_program_may_be_missing_where_the_table_says_so(void **state)
{
	const struct ebpf_rung rung = {.name = "fexit", .programs = {"inet_send", "?inet6_send"}};

	(void)state;
	assert_false(ebpf_slots_is_optional(&rung, 0));
	assert_string_equal(ebpf_slots_program(&rung, 0), "inet_send");
	assert_true(ebpf_slots_is_optional(&rung, 1));
	assert_string_equal(ebpf_slots_program(&rung, 1), "inet6_send");
	assert_true(ebpf_slots_has_program(&rung, "tcp_state,inet6_send"));
	assert_false(ebpf_slots_has_program(&rung, "tcp_state"));
	assert_false(ebpf_slots_has_program(&rung, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_slot_has_a_name_of_its_own_rungs_and_words_for_its_loss),
		cmocka_unit_test(a_rung_below_another_says_what_it_costs_or_nothing_at_all),
		cmocka_unit_test(each_program_has_its_rung_and_each_rung_its_programs),
		cmocka_unit_test(a_list_names_slots_or_programs_that_there_are),
		cmocka_unit_test(a_program_may_be_missing_where_the_table_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

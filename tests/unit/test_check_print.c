/* What lastconnd --check says of made-up kernels. */
#include "daemon/check_print.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct source_slot slots[] = {
	{
		.name = "tcp",
		.loss = "no TCP at all",
		.rungs = {{.name = "tp_btf"}},
		.rung_count = 1,
	},
	{
		.name = "use",
		.loss = "users are not known",
		.rungs = {{.name = "tp_btf", .error = ESRCH}, {.name = "fentry", .error = EPERM},
			{.name = "kprobe", .loss = "threads are guessed"}},
		.rung_count = 3,
		.serving = 2,
	},
	{
		.name = "datagram",
		.loss = "no \"UDP\"",
		.rungs = {{.name = "cgroup", .error = ENOENT}},
		.rung_count = 1,
		.serving = -1,
	},
};

static const struct ignore_rule rules[] = {{.text = "port=123"}, {.text = "exe=/\033"}};

static const struct check_result degraded = {
	.status = CHECK_DEGRADED,
	.source = "ebpf",
	.slots = slots,
	.slot_count = 3,
	.facts = {{.name = "cgroup v2", .value = "none\033[2J", .advice = "mount it"}},
	.fact_count = 1,
	.cmdline = CMDLINE_MASKED,
	.ignore = rules,
	.ignore_count = 2,
	.privileges = {.lines = {{"capabilities", "CAP_NET_ADMIN", "for NAT"},
			       {"capabilities", "no others", ""}, {"seccomp", "on", "no \033"}},
		.count = 3},
};

static void assert_has(const struct strbuf *out, const char *text)
{
	if (!strstr(strbuf_text(out), text))
		fail_msg("no '%s' in:\n%s", text, strbuf_text(out));
}

static void a_rung_that_does_not_fit_is_neither_refused_nor_a_cost(void **state)
{
	static const struct source_slot slot = {
		.name = "sweep",
		.rungs = {{.name = "iter", .error = EPERM},
			{.name = "hash", .loss = "some owners", .unfit = true},
			{.name = "files", .loss = "some flows"}},
		.rung_count = 3,
		.serving = 2,
	};
	const struct check_result result = {
		.status = CHECK_DEGRADED, .source = "ebpf", .slots = &slot, .slot_count = 1};
	struct strbuf out = {0};

	(void)state;
	check_print_text(&out, &result);
	assert_has(&out,
		"refused: iter (Operation not permitted)\n               costs: some flows\n");
	strbuf_clear(&out);
	check_print_json(&out, &result);
	assert_has(&out, "\"costs\":[\"some flows\"]}");
	assert_null(strstr(strbuf_text(&out), "hash"));
	strbuf_done(&out);
}

static void each_hook_tells_what_serves_it_what_was_refused_and_what_that_costs(void **state)
{
	struct strbuf out = {0};

	(void)state;
	check_print_text(&out, &degraded);
	assert_has(&out, ": degraded\n");
	assert_has(&out, "  tcp          tp_btf\n  use          kprobe\n");
	assert_has(&out, "refused: tp_btf (this kernel does not have it)\n");
	assert_has(&out, "refused: fentry (Operation not permitted)\n");
	assert_has(&out, "costs: threads are guessed\n  datagram     nothing serves it\n");
	assert_has(&out, "refused: cgroup (cgroup v2 is not mounted)\n");
	assert_has(&out, "costs: no \"UDP\"\n");
	assert_has(&out, "none\\x1b[2J\n");
	assert_has(&out, "CONFIG_CGROUP_BPF\n");
	assert_has(&out, "\n  command lines      masked: with ***");
	assert_has(&out, "\n  ignored flows      port=123\n                     exe=/\\x1b\n");
	assert_null(strstr(strbuf_text(&out), "no TCP"));
	strbuf_done(&out);
}

static void the_json_answer_holds_the_same(void **state)
{
	struct strbuf out = {0};

	(void)state;
	check_print_json(&out, &degraded);
	assert_has(&out, "\"status\":\"degraded\",\"source\":\"ebpf\",\"error\":null,\"hooks\":["
			 "{\"hook\":\"tcp\",\"serving\":\"tp_btf\",\"refused\":[],\"costs\":[]},");
	assert_has(&out, "{\"hook\":\"datagram\",\"serving\":null,\"refused\":[{\"program\":"
			 "\"cgroup\",\"errno\":2,");
	assert_has(&out, "\"costs\":[\"no \\\"UDP\\\"\"]}]");
	assert_has(&out, "\"value\":\"none\\u001b[2J\"");
	assert_has(&out, ",\"ignore\":[\"port=123\",\"exe=/\\u001b\"],");
	strbuf_done(&out);
}

static void without_any_source_the_reason_is_told(void **state)
{
	static const struct check_result none = {.status = CHECK_NONE, .error = "it refuses"};
	struct strbuf out = {0};

	(void)state;
	check_print_text(&out, &none);
	assert_has(&out, ": none\nit refuses\n");
	strbuf_clear(&out);
	check_print_json(&out, &none);
	assert_has(&out, "\"source\":null,\"error\":\"it "
			 "refuses\",\"hooks\":[],\"system\":[],\"cmdline\":\"full\",\"ignore\":[],"
			 "\"privileges\":[]}");
	strbuf_done(&out);
}

static void each_stage_tells_what_is_kept_and_why(void **state)
{
	struct strbuf out = {0};

	(void)state;
	check_print_text(&out, &degraded);
	assert_has(&out, "\n  capabilities       CAP_NET_ADMIN\n                     for NAT\n"
			 "                     no others\n  seccomp            on\n");
	assert_null(strchr(strbuf_text(&out), '\033'));
	strbuf_clear(&out);
	check_print_json(&out, &degraded);
	assert_has(&out, "{\"stage\":\"capabilities\",\"what\":\"no others\",\"why\":null}");
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stage_tells_what_is_kept_and_why),
		cmocka_unit_test(
			each_hook_tells_what_serves_it_what_was_refused_and_what_that_costs),
		cmocka_unit_test(a_rung_that_does_not_fit_is_neither_refused_nor_a_cost),
		cmocka_unit_test(the_json_answer_holds_the_same),
		cmocka_unit_test(without_any_source_the_reason_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

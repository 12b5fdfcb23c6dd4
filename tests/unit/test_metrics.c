/* What Prometheus reads: each counter is there once, under a name that says what it is. */
#include "daemon/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct pipeline_counters some_counters = {
	.flows = {.observations = 7, .created = 6, .ended = 5, .evicted = 4, .open = 1},
	.processes = {.count = 12, .evicted = 13},
	.names = {.evidence = 21, .named = {[NAME_SOURCE_DNS] = 2, [NAME_SOURCE_SNI] = 3}},
	.lost = {[COVERAGE_RING_FULL] = 99, [COVERAGE_QUEUE_FULL] = 98},
};
static const struct writer_counters some_writer = {
	.store = {.batches = 31, .longest_batch_us = 1500250},
	.queue_octets = 18446744073709551615u,
	.state = WRITER_RETRYING,
};

static void expect_line(const struct strbuf *text, const char *line)
{
	const char *found = strstr(strbuf_text(text), line);

	if (!found || (found != text->text && found[-1] != '\n') || found[strlen(line)] != '\n')
		fail_msg("no line '%s' in:\n%s", line, strbuf_text(text));
	assert_null(strstr(found + 1, line));
}

static void every_value_has_a_line(void **state)
{
	struct strbuf text = {0};

	(void)state;
	metrics_text(&text, &some_counters, &some_writer, 1764000000000001);
	expect_line(&text, "lastconn_build_info{version=\"" LASTCONN_VERSION "\"} 1");
	expect_line(&text, "lastconn_start_time_seconds 1764000000.000001");
	expect_line(&text, "lastconn_flows_started_total 6");
	expect_line(&text, "lastconn_flows_open 1");
	expect_line(&text, "lastconn_table_evicted_total{table=\"processes\"} 13");
	expect_line(&text, "lastconn_flow_records_named_total 5");
	expect_line(&text, "lastconn_missed_total{what=\"ring full\"} 99");
	expect_line(&text, "lastconn_missed_total{what=\"queue full\"} 98");
	expect_line(&text, "lastconn_missed_total{what=\"map full\"} 0");
	expect_line(&text, "lastconn_store_longest_batch_seconds 1.500250");
	expect_line(&text, "lastconn_store_queue_bytes 18446744073709551615");
	expect_line(&text, "lastconn_store_up 0");
	strbuf_done(&text);
}

/* "# HELP name ...", "# TYPE name kind", then lines of this name only. */
static void every_metric_is_explained_and_counters_end_in_total(void **state)
{
	struct strbuf text = {0};
	char name[128] = "", kind[16], line[256];
	FILE *file;

	(void)state;
	metrics_text(&text, &some_counters, &some_writer, 0);
	assert_false(text.failed);
	file = fmemopen(text.text, text.length, "r");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "# HELP %127s", name) == 1) {
			assert_non_null(fgets(line, sizeof(line), file));
			assert_int_equal(sscanf(line, "# TYPE %*s %15s", kind), 1);
			assert_int_equal(strncmp(line + strlen("# TYPE "), name, strlen(name)), 0);
			assert_int_equal(strcmp(kind, "counter") == 0,
				strcmp(name + strlen(name) - strlen("_total"), "_total") == 0);
			continue;
		}
		assert_int_equal(strncmp(line, name, strlen(name)), 0);
		assert_true(line[strlen(name)] == ' ' || line[strlen(name)] == '{');
	}
	fclose(file);
	strbuf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_has_a_line),
		cmocka_unit_test(every_metric_is_explained_and_counters_end_in_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

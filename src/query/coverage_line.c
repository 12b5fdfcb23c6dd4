/* A report of users that stands in for ours and knows no "line" gives no line. */
#include "query/coverage_line.h"

#include <stdio.h>

#include "query/coverage_rules.h"
#include "query/message.h"
#include "query/report_find.h"
#include "query/report_run.h"
#include "util/clock.h"

/* Second column of the report's line. */
enum {
	EVIDENCE_OF_FLOWS =
		1, /* all flows are there, but not all that is to be known of their owners */
	EVIDENCE_OF_ALL,
};

static bool asks_for_owners(struct report_args *args)
{
	static const char *const names[] = {"exe", "pid", "user", "unit", "container"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (report_args_given(args, names[i]))
			return true;
	return false;
}

static void read_row(
	const struct store_report *statement, struct report_args *args, struct coverage_line *line)
{
	int64_t needed = asks_for_owners(args) ? EVIDENCE_OF_ALL : EVIDENCE_OF_FLOWS;
	size_t length;

	snprintf(line->text, sizeof(line->text), "%s", store_report_text(statement, 0, &length));
	line->evidence = store_report_integer(statement, 1) >= needed;
}

static void ask(struct store_reader *reader, const struct report *report, struct report_args *args,
	struct coverage_line *ret_line)
{
	struct store_report *statement;
	struct store_error error;
	int step = -1;

	if (report_args_integer(args, "line", 1) == 0 &&
		report_prepare(reader, report, args, &statement, &error) == 0) {
		step = store_report_step(statement, &error);
		if (step > 0)
			read_row(statement, args, ret_line);
		store_report_free(statement);
	}
	if (step < 0)
		message("report %s (%s): %s", report->name, report->origin, error.text);
}

/* A moment is the second that ends with it. */
static void take_moment(struct report_args *args)
{
	const struct report_arg *time = report_args_find(args, "time");
	int64_t time_us;

	if (!time || time->kind != REPORT_ARG_INTEGER)
		return;
	time_us = time->integer;
	report_args_integer(args, "since", time_us - US_PER_S);
	report_args_integer(args, "until", time_us);
}

void coverage_line_read(struct store_reader *reader, const struct options *options,
	const struct report *asked, struct report_args *args, struct coverage_line *ret_line)
{
	/* Days do not tell of single processes. */
	bool needs_flows = asked->needs_flows || report_args_given(args, "pid");
	struct report_error error;
	struct report *report;

	*ret_line = (struct coverage_line){.evidence = false};
	if (report_find(options->queries, "coverage", &report, &error) < 0) {
		message("%s", error.text);
		return;
	}
	take_moment(args);
	if (report_param(report, "spared"))
		coverage_rules_spare(reader, asked, args);
	if (report_param(report, "line") && report_args_integer(args, "single", needs_flows) == 0)
		ask(reader, report, args, ret_line);
	report_free(report);
}

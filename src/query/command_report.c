/* The commands that are reports (who, flows, ...), and "report" itself. */
#include "query/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/message.h"
#include "query/report_find.h"
#include "query/report_run.h"
#include "util/clock.h"
#include "util/time_parse.h"

/* where: "--since" or "host", what stands in the message. */
static int set(struct report_args *args, const struct report_param *param, const char *where,
	const char *value)
{
	char error[REPORT_ERROR_SIZE];

	if (report_args_set(args, param, value, error) == 0)
		return 0;
	message("%s: %s", where, error);
	return -EINVAL;
}

static int set_last(
	const struct options *options, const struct report *report, struct report_args *args)
{
	int64_t from_us, until_us;

	if (!options->last)
		return 0;
	if (!report_param(report, "since") || !report_param(report, "until")) {
		message("--last: %s takes no time", report->name);
		return -EINVAL;
	}
	if (options_value(options, "since") || options_value(options, "until")) {
		message("--last excludes --since and --until");
		return -EINVAL;
	}
	if (time_parse_span(options->last, args->now_us, args->utc, &from_us, &until_us) < 0) {
		message("--last: '%.100s' is not a span of time; write e.g. 30m, 2h, 7d, today, "
			"yesterday or 2026-11-20",
			options->last);
		return -EINVAL;
	}
	report_args_integer(args, "since", from_us);
	if (until_us < args->now_us)
		report_args_integer(args, "until", until_us);
	return 0;
}

static int set_options(
	const struct options *options, const struct report *report, struct report_args *args)
{
	for (size_t i = 0; i < options->values_count; i++) {
		const struct option_value *value = &options->values[i];
		const struct report_param *param = report_param(report, value->name);
		char where[80];

		snprintf(where, sizeof(where), "--%s", value->option);
		if (!param) {
			message("%s: %s does not take it; 'lastconn help %s' tells what it takes",
				where, report->name, report->name);
			return -EINVAL;
		}
		if (set(args, param, where, value->value) < 0)
			return -EINVAL;
	}
	return set_last(options, report, args);
}

static bool is_number(const char *text)
{
	return text[0] && text[strspn(text, "0123456789")] == '\0';
}

/* The word after the command's name. */
static int set_word(const struct command *command, const struct options *options,
	const struct report *report, struct report_args *args)
{
	const char *word = options->words_count > 1 ? options->words[1] : NULL;
	const char *name = command->positional;
	const struct report_param *param;

	if (options->words_count > (name ? 2u : 1u)) {
		message("%s: '%.100s' is one word too many; write: lastconn %s%s%s", command->name,
			options->words[name ? 2 : 1], command->name, command->usage[0] ? " " : "",
			command->usage);
		return -EINVAL;
	}
	if (word && command->numeric && is_number(word))
		name = command->numeric;
	if (!word && name && !options_value(options, name) &&
		!(command->numeric && options_value(options, command->numeric))) {
		message("%s: write: lastconn %s %s", command->name, command->name, command->usage);
		return -EINVAL;
	}
	if (!word)
		return 0;
	if (options_value(options, name)) {
		message("%s: --%s and '%.100s' exclude each other", command->name, name, word);
		return -EINVAL;
	}
	param = report_param(report, name);
	if (!param) {
		message("%s has no '-- param %s:'", report->origin, name);
		return -EINVAL;
	}
	return set(args, param, command->name, word);
}

static int complete(const struct report *report, struct report_args *args)
{
	char error[REPORT_ERROR_SIZE];

	if (report_args_complete(args, report, error) == 0)
		return 0;
	message("%s: %s", report->name, error);
	return -EINVAL;
}

static void prepare_args(const struct options *options, struct report_args *args)
{
	args->now_us = clock_realtime_us();
	args->utc = options->utc;
	args->resolve = options->resolve;
}

int command_args(const struct command *command, const struct options *options,
	const struct report *report, struct report_args *args)
{
	prepare_args(options, args);
	if (set_word(command, options, report, args) < 0 || set_options(options, report, args) < 0)
		return -EINVAL;
	return complete(report, args);
}

int command_built_in(const struct command *command, const struct options *options)
{
	struct report_args args = {0};
	struct report_error error;
	struct report *report;
	int status = EXIT_ERROR;

	if (report_find(options->queries, command->name, &report, &error) < 0)
		return message_error("%s", error.text);
	if (command_args(command, options, report, &args) == 0)
		status = report_run(options, report, &args);
	report_args_done(&args);
	report_free(report);
	return status;
}

/* name=value */
static int set_pair(const struct report *report, struct report_args *args, const char *pair)
{
	const char *equals = strchr(pair, '=');
	const struct report_param *param;
	char name[REPORT_NAME_SIZE];

	if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof(name)) {
		message("report %s: '%.100s' is not name=value", report->name, pair);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(equals - pair), pair);
	param = report_param(report, name);
	if (!param) {
		message("report %s has no parameter '%s'; 'lastconn help %s' lists them",
			report->name, name, report->name);
		return -EINVAL;
	}
	if (report_args_given(args, name)) {
		message("report %s: %s is given twice", report->name, name);
		return -EINVAL;
	}
	return set(args, param, name, equals + 1);
}

static int run_named(const struct options *options, const struct report *report)
{
	struct report_args args = {0};
	int status = EXIT_ERROR, result = 0;

	prepare_args(options, &args);
	result = set_options(options, report, &args);
	for (size_t i = 2; i < options->words_count && result == 0; i++)
		result = set_pair(report, &args, options->words[i]);
	if (result == 0 && complete(report, &args) == 0)
		status = report_run(options, report, &args);
	report_args_done(&args);
	return status;
}

static struct format_cell text_cell(const char *text)
{
	return (struct format_cell){.type = STORE_TEXT, .text = text, .length = strlen(text)};
}

static int print_list(const struct options *options, const struct report_list *list)
{
	static const struct format_column columns[] = {
		{"name", "name", FORMAT_TEXT, false, false},
		{"purpose", "purpose", FORMAT_TEXT, false, false},
		{"from", "from", FORMAT_TEXT, false, false},
	};
	struct format_options format_options = {.out = stdout, .utc = options->utc};
	struct format_state *state;
	int result = 0, end;

	display_detect(stdout, &format_options.display);
	state = options->format->begin(&format_options, columns, 3);
	if (!state)
		return message_error("out of memory");
	for (size_t i = 0; i < list->count && result == 0; i++) {
		const struct report *report = list->reports[i];
		struct format_cell cells[] = {text_cell(report->name), text_cell(report->purpose),
			text_cell(report->origin)};

		result = options->format->row(state, cells);
	}
	end = options->format->end(state);
	for (size_t i = 0; i < list->errors_count; i++)
		message("%s", list->errors[i]);
	if (result < 0 || end < 0 || fflush(stdout) != 0)
		return message_error("cannot write the output");
	return list->errors_count ? EXIT_ERROR : EXIT_FOUND;
}

static int list_reports(const struct options *options)
{
	struct report_list list;
	int status;

	if (report_list_read(options->queries, &list) < 0)
		return message_error("out of memory");
	status = print_list(options, &list);
	report_list_done(&list);
	return status;
}

int command_report(const struct command *command, const struct options *options)
{
	struct report_error error;
	struct report *report;
	int status;

	(void)command;
	if (options->words_count < 2)
		return list_reports(options);
	if (report_find(options->queries, options->words[1], &report, &error) < 0)
		return message_error("%s", error.text);
	status = run_named(options, report);
	report_free(report);
	return status;
}

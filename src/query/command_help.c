/* Help comes from the tables and from the head comments of the reports. */
#include "query/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/escape.h"
#include "query/message.h"
#include "query/report_find.h"

enum { LEFT_WIDTH = 24 };

static void print_overview(void)
{
	printf("Usage: lastconn COMMAND [OPTION...]\n"
	       "Asks the history of this machine's connections and the processes behind them.\n\n"
	       "Commands:\n");
	for (const struct command *command = commands; command->name; command++) {
		char left[48];

		snprintf(left, sizeof(left), "%s%s%s", command->name, command->usage[0] ? " " : "",
			command->usage);
		if (strlen(left) > LEFT_WIDTH)
			printf("  %s\n  %-*s %s\n", left, LEFT_WIDTH, "", command->summary);
		else
			printf("  %-*s %s\n", LEFT_WIDTH, left, command->summary);
	}
	printf("\nOptions:\n");
	options_print();
	printf("\nExit status: 0 found, 1 nothing found, 2 error. More: man lastconn,\n"
	       "'lastconn help COMMAND'.\n");
}

static void print_escaped(const char *text)
{
	struct strbuf buf = {0};

	escape_add(&buf, text, strlen(text));
	fputs(strbuf_text(&buf), stdout);
	strbuf_done(&buf);
}

/* Whole lines of the head; the newlines are ours. */
static void print_details(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		struct strbuf buf = {0};

		escape_add(&buf, text, length);
		printf("%s\n", strbuf_text(&buf));
		strbuf_done(&buf);
		text += length + (text[length] == '\n');
	}
}

static void print_param(const struct report_param *param)
{
	printf("  %-14s ", param->name);
	print_escaped(param->text);
	if (param->choices)
		printf(" (%s)", param->choices);
	if (param->required)
		printf(" (required)");
	if (param->fallback)
		printf(" (default %s)", param->fallback);
	printf("\n");
}

static void print_report(const struct report *report)
{
	print_escaped(report->purpose);
	printf("\n");
	print_details(report->details ? report->details : "");
	if (report->params_count > 0)
		printf("\nParameters (as --option where lastconn has one of that name, or after "
		       "'lastconn report %s' as name=value):\n",
			report->name);
	for (size_t i = 0; i < report->params_count; i++)
		print_param(&report->params[i]);
	if (report->columns_count > 0)
		printf("\nColumns:\n");
	for (size_t i = 0; i < report->columns_count; i++) {
		const struct report_column *column = &report->columns[i];

		printf("  %-14s ", column->name);
		print_escaped(column->text);
		printf("%s\n", column->wide ? " (csv and json only)" : "");
	}
	printf("\nFrom: %s\n", report->origin);
}

int command_help_on(const struct options *options, const char *name)
{
	const struct command *command = command_by_name(name);
	struct report_error error;
	struct report *report;

	if (command) {
		printf("Usage: lastconn %s%s%s [OPTION...]\n%s.\n\n", command->name,
			command->usage[0] ? " " : "", command->usage, command->summary);
		if (command->run != command_built_in && command->run != command_tail)
			return EXIT_FOUND;
	}
	if (report_find(options->queries, name, &report, &error) < 0)
		return message_error("%s", error.text);
	print_report(report);
	report_free(report);
	return EXIT_FOUND;
}

int command_help(const struct command *command, const struct options *options)
{
	(void)command;
	if (options->words_count > 1)
		return command_help_on(options, options->words[1]);
	print_overview();
	return EXIT_FOUND;
}

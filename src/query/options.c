/* getopt_long(3) with its messages replaced. An option either fills a field of struct options or is
 * a value for the report's parameter of the same name. */
#include "query/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/message.h"

#define DEFAULT_DB "/var/lib/lastconn/history.db"

enum special {
	PARAMETER, /* of reports */
	OPTION_LAST,
	OPTION_IN,
	OPTION_OUT,
	OPTION_FORWARDED,
	OPTION_DB,
	OPTION_FORMAT,
	OPTION_QUERIES,
	OPTION_UTC,
	OPTION_RESOLVE,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct row {
	const char *name;
	const char *argument; /* NULL: none */
	enum special special;
	const char *help;
} rows[] = {
	{"since", "TIME", PARAMETER,
		"what was there at or after TIME: 2h, yesterday, 2026-11-20, ..."},
	{"until", "TIME", PARAMETER, "what was there before TIME"},
	{"last", "SPAN", OPTION_LAST,
		"the last 30m, 2h, 7d; or a day: today, yesterday, 2026-11-20"},
	{"host", "HOST", PARAMETER, "remote address, network, name or *.example.com"},
	{"port", "PORT", PARAMETER, "port"},
	{"proto", "NAME", PARAMETER, "tcp, udp, icmp, ... or a number"},
	{"in", NULL, OPTION_IN, "only what the remote side began"},
	{"out", NULL, OPTION_OUT, "only what this machine began"},
	{"forwarded", NULL, OPTION_FORWARDED, "only what passed between two others"},
	{"exe", "PATH", PARAMETER, "program: path, or file name without folder; may hold * and ?"},
	{"pid", "PID", PARAMETER, "process id"},
	{"user", "USER", PARAMETER, "name or uid"},
	{"unit", "UNIT", PARAMETER, "systemd unit; may hold * and ?"},
	{"container", "ID", PARAMETER, "container or pod, or how its id begins"},
	{"by", "WHAT", PARAMETER, "of top: exe, host, user, unit, port or parent"},
	{"limit", "ROWS", PARAMETER, "rows at most; 0: all"},
	{"format", "NAME", OPTION_FORMAT, "table (default), csv, json or jsonl"},
	{"db", "FILE", OPTION_DB, "history; else $LASTCONN_DB, else " DEFAULT_DB},
	{"utc", NULL, OPTION_UTC, "times are UTC, written and read; else local"},
	{"resolve", NULL, OPTION_RESOLVE, "ask the resolver for HOST's addresses now, too"},
	{"queries", "FOLDER", OPTION_QUERIES, "look for reports here first"},
	{"help", NULL, OPTION_HELP, "this, or of a command: what it takes and prints"},
	{"version", NULL, OPTION_VERSION, "version"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int add_value(
	struct options *options, const char *name, const char *option, const char *value)
{
	for (size_t i = 0; i < options->values_count; i++) {
		if (strcmp(options->values[i].name, name) != 0)
			continue;
		if (strcmp(options->values[i].option, option) == 0)
			message_error("--%s is given twice", option);
		else
			message_error("--%s and --%s exclude each other", options->values[i].option,
				option);
		return -EINVAL;
	}
	options->values[options->values_count++] = (struct option_value){name, option, value};
	return 0;
}

static int set_format(struct options *options, const char *value)
{
	options->format = format_by_name(value);
	if (options->format)
		return 0;
	message_error("--format: '%.100s' is not a format; write table, csv, json or jsonl", value);
	return -EINVAL;
}

static int apply(struct options *options, const struct row *row, const char *value)
{
	switch (row->special) {
	case PARAMETER:
		return add_value(options, row->name, row->name, value);
	case OPTION_IN:
	case OPTION_OUT:
	case OPTION_FORWARDED:
		return add_value(options, "direction", row->name, row->name);
	case OPTION_LAST:
		options->last = value;
		return 0;
	case OPTION_DB:
		options->db = value;
		return 0;
	case OPTION_FORMAT:
		return set_format(options, value);
	case OPTION_QUERIES:
		options->queries = value;
		return 0;
	case OPTION_UTC:
		options->utc = true;
		return 0;
	case OPTION_RESOLVE:
		options->resolve = true;
		return 0;
	case OPTION_HELP:
		options->help = true;
		return 0;
	case OPTION_VERSION:
		options->version = true;
		return 0;
	}
	return -EINVAL;
}

static int refuse(char **argv, int found)
{
	if (found == ':')
		message_error("%.100s needs a value", argv[optind - 1]);
	else if (optopt && optopt < 256)
		message_error("unknown option -%c; 'lastconn --help' lists them", optopt);
	else
		message_error(
			"unknown option %.100s; 'lastconn --help' lists them", argv[optind - 1]);
	return -EINVAL;
}

/* optopt and val of long options start above the short ones. */
int options_parse(int argc, char **argv, struct options *ret_options)
{
	const char *db = getenv("LASTCONN_DB");
	struct options options = {.db = db && db[0] ? db : DEFAULT_DB, .format = &format_table};
	struct option table[ROWS + 1] = {0};
	int found, result = 0;

	for (int i = 0; i < ROWS; i++)
		table[i] = (struct option){rows[i].name,
			rows[i].argument ? required_argument : no_argument, NULL, 256 + i};
	opterr = 0;
	while (result == 0 && (found = getopt_long(argc, argv, ":hV", table, NULL)) != -1) {
		if (found == 'h')
			options.help = true;
		else if (found == 'V')
			options.version = true;
		else if (found >= 256)
			result = apply(&options, &rows[found - 256], optarg);
		else
			result = refuse(argv, found);
	}
	options.words = argv + optind;
	options.words_count = (size_t)(argc - optind);
	if (result == 0)
		*ret_options = options;
	return result;
}

const char *options_value(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->values_count; i++)
		if (strcmp(options->values[i].name, name) == 0)
			return options->values[i].value;
	return NULL;
}

void options_print(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			rows[i].argument ? rows[i].argument : "");
		printf("  %-18s %s\n", left, rows[i].help);
	}
}

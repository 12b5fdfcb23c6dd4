/* The subcommands. Each returns the exit status. */
#ifndef LASTCONN_QUERY_COMMAND_H
#define LASTCONN_QUERY_COMMAND_H

#include "query/options.h"
#include "query/report.h"
#include "query/report_args.h"

struct command {
	const char *name;
	const char *usage; /* of what stands after the name */
	const char *summary;
	const char
		*positional; /* parameter of the report that the second word is for; may be NULL */
	const char *numeric; /* the same, if that word is a number; NULL: positional */
	int (*run)(const struct command *command, const struct options *options);
};

extern const struct command commands[]; /* ended by a NULL name */

const struct command *command_by_name(const char *name);

int command_built_in(const struct command *command, const struct options *options);
int command_report(const struct command *command, const struct options *options);
int command_sql(const struct command *command, const struct options *options);
int command_rebuild(const struct command *command, const struct options *options);
int command_tail(const struct command *command, const struct options *options);
int command_help(const struct command *command, const struct options *options);
int command_help_on(const struct options *options, const char *name);

/* Fills args (zeroed) for a report: words and options into parameters, then defaults. Returns 0, or
 * -EINVAL when it has said why. The caller calls report_args_done in either case. */
int command_args(const struct command *command, const struct options *options,
	const struct report *report, struct report_args *args);

#endif

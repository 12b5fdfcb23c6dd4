/* The command line: one table of options for all subcommands. */
#ifndef LASTCONN_QUERY_OPTIONS_H
#define LASTCONN_QUERY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "query/format.h"

enum { OPTIONS_VALUES_MAX = 32 };

/* An option that is a parameter of reports, by the parameter's name. */
struct option_value {
	const char *name;
	const char *option; /* as it was written, for messages */
	const char *value;
};

struct options {
	char **words; /* what is no option; the first is the command */
	size_t words_count;
	const char *db;
	const char *queries; /* NULL: none given */
	const struct format_ops *format;
	const char *last; /* --last, NULL: not given */
	bool utc;
	bool resolve;
	bool help;
	bool version;
	struct option_value values[OPTIONS_VALUES_MAX];
	size_t values_count;
};

/* Moves the words of argv behind the options. Returns 0, or -EINVAL when it has said why. */
int options_parse(int argc, char **argv, struct options *ret_options);

const char *options_value(const struct options *options, const char *name); /* NULL: not given */

void options_print(void); /* the table, for --help */

#endif

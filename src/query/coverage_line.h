/* What reports say at their end of the window that they spoke about. */
#ifndef LASTCONN_QUERY_COVERAGE_LINE_H
#define LASTCONN_QUERY_COVERAGE_LINE_H

#include "query/options.h"
#include "query/report.h"
#include "query/report_args.h"

struct coverage_line {
	char text[1024]; /* "complete from ..."; "" if there is none */
	bool evidence;   /* what was not found was not there */
};

/* Asks the report "coverage" for the window of args, those of the report asked, to which it adds.
 * If that fails says why, and there is no line. */
void coverage_line_read(struct store_reader *reader, const struct options *options,
	const struct report *asked, struct report_args *args, struct coverage_line *ret_line);

#endif

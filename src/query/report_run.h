/* Runs one statement and prints its rows. */
#ifndef LASTCONN_QUERY_REPORT_RUN_H
#define LASTCONN_QUERY_REPORT_RUN_H

#include "query/options.h"
#include "query/report.h"
#include "query/report_args.h"

/* Returns the exit status; has said what went wrong. */
int report_run(
	const struct options *options, const struct report *report, struct report_args *args);

/* The same for any statement. */
int report_run_sql(const struct options *options, const char *sql);

/* Prepares a report's statement and binds the arguments. Returns 0, or -1 with ret_error. */
int report_prepare(struct store_reader *reader, const struct report *report,
	struct report_args *args, struct store_report **ret_statement,
	struct store_error *ret_error);

#endif

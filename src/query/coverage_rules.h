/* Which ignore rules of the history cannot have hidden what a report asks for: they are no reason
 * to doubt its answer. */
#ifndef LASTCONN_QUERY_COVERAGE_RULES_H
#define LASTCONN_QUERY_COVERAGE_RULES_H

#include "query/report.h"
#include "query/report_args.h"

/* Sets "spared" of args, for the report "coverage": a JSON array of rules, as their text stands in
 * the coverage. Not set: none is, or that failed. */
void coverage_rules_spare(
	struct store_reader *reader, const struct report *report, struct report_args *args);

#endif

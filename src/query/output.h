/* From the rows of a statement to a format. */
#ifndef LASTCONN_QUERY_OUTPUT_H
#define LASTCONN_QUERY_OUTPUT_H

#include "query/options.h"
#include "query/report.h"
#include "store/store_report.h"

struct output;

/* report says what the columns mean; NULL: nobody does. live: print each row at once. Borrows
 * report until output_end. Returns 0 or -ENOMEM. */
int output_new(const struct options *options, const struct report *report,
	const struct store_report *statement, bool live, struct output **ret_output);

int output_row(struct output *output, const struct store_report *statement); /* 0 or -errno */
int output_end(struct output *output); /* frees; 0 or -errno of stdout */

#endif

/* What a host by name stands for in a history, found once, before a report is prepared. */
#ifndef LASTCONN_QUERY_HOST_REMOTES_H
#define LASTCONN_QUERY_HOST_REMOTES_H

#include "query/report.h"
#include "query/report_args.h"
#include "store/store_report.h"

/* For each host parameter that is a name or a suffix, and whose report asks for it, sets
 * NAME_remotes (JSON array of remote.id), and NAME_loose (JSON array of [remote.id, name, from_us,
 * until_us]) if there is any. Returns 0, or -1 with ret_error. */
int host_remotes_set(struct store_reader *reader, const struct report *report,
	struct report_args *args, struct store_error *ret_error);

#endif

/* Where reports come from: a given folder, the user's, the machine's, the binary; the first wins.
 */
#ifndef LASTCONN_QUERY_REPORT_FIND_H
#define LASTCONN_QUERY_REPORT_FIND_H

#include "query/report.h"

struct report_list {
	struct report **reports; /* by name */
	size_t count;
	char **errors; /* files that are no reports: "FILE:LINE: why" */
	size_t errors_count;
};

/* folder: of --queries, or NULL. Returns 0, -ENOENT (the text says where was looked), -EINVAL or
 * another negative errno. */
int report_find(const char *folder, const char *name, struct report **ret_report,
	struct report_error *ret_error);

/* All of them, each name once. Returns 0 or -ENOMEM. */
int report_list_read(const char *folder, struct report_list *ret_list);
void report_list_done(struct report_list *list);

#endif

/* A remote host as people write it: address, network, name, *.suffix. */
#ifndef LASTCONN_QUERY_REPORT_HOST_H
#define LASTCONN_QUERY_REPORT_HOST_H

#include "query/report_args.h"

enum { REPORT_HOST_PART_SIZE = REPORT_NAME_SIZE + 8 };

/* "NAME_part", what is bound of a host parameter. */
void report_host_part(
	char ret_part[static REPORT_HOST_PART_SIZE], const char *name, const char *part);

/* Sets NAME, and NAME_first and NAME_last (blobs; address or network) or NAME_name or NAME_suffix
 * (reversed: "com.example.www", "com.example."), and with args->resolve NAME_ips (JSON array of
 * address texts). What names stand for is found later: host_remotes.h. Returns as report_args_set.
 */
int report_host_set(struct report_args *args, const char *name, const char *value,
	char error[static REPORT_ERROR_SIZE]);

#endif

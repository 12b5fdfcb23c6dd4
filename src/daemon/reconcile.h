/* Does what the kernel moved show up in flows? Finds the hook that went blind: a kernel that
 * renames a function or a field can silence a counter while everything attaches. Pure. */
#ifndef LASTCONN_DAEMON_RECONCILE_H
#define LASTCONN_DAEMON_RECONCILE_H

#include <stddef.h>

#include "daemon/netns_counters.h"
#include "flow/coverage.h"
#include "flow/flow_growth.h"

enum { RECONCILE_RECORDS = 4 }; /* that one comparison makes at most */

struct reconcile_sample {
	struct netns_counters kernel;
	struct flow_growth flows; /* of the same network namespace */
};

/* What the kernel moved from before to after and flows do not explain, as records without times.
 * Returns their number. */
size_t reconcile_compare(const struct reconcile_sample *before,
	const struct reconcile_sample *after,
	struct coverage_record ret_records[static RECONCILE_RECORDS]);

#endif

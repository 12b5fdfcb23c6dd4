/* lastconnd --check: what this kernel offers, which program serves which hook, what better ones
 * were refused and why, what that costs the user, and what would help. Records nothing. */
#ifndef LASTCONN_DAEMON_CHECK_H
#define LASTCONN_DAEMON_CHECK_H

#include "daemon/config.h"

/* Exit status of the process. */
enum check_status {
	CHECK_FULL = 0,     /* every hook is served as well as can be */
	CHECK_NONE = 1,     /* this machine cannot be recorded */
	CHECK_DEGRADED = 3, /* something is missing or second best (2 is for wrong usage) */
};

/* Prints to standard output. */
enum check_status check_run(const struct config *config);

#endif

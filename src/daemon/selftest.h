/* lastconnd --selftest: makes a known set of flows, records them with a lastconnd of its own into a
 * scratch database, reads them back, and tells which are right. Takes seconds; leaves nothing. */
#ifndef LASTCONN_DAEMON_SELFTEST_H
#define LASTCONN_DAEMON_SELFTEST_H

#include "daemon/config.h"

/* Exit status of the process. */
enum selftest_status {
	SELFTEST_RIGHT = 0,
	SELFTEST_FAILED = 1,  /* a flow is missing or wrong, or nothing could be recorded */
	SELFTEST_INEXACT = 3, /* some flows do not know their process, and say so, or are such as
			       * polling never sees */
};

/* Prints to standard output. Overwrites what config says of the database and of the timeouts. */
enum selftest_status selftest_run(struct config *config);

#endif

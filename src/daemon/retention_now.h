/* lastconnd --retention-now: forgets what is due in a history that nobody writes; with --dry-run
 * only says what would go, also while lastconnd writes. */
#ifndef LASTCONN_DAEMON_RETENTION_NOW_H
#define LASTCONN_DAEMON_RETENTION_NOW_H

#include "daemon/config.h"

int retention_now_run(const struct config *config); /* the exit status */

#endif

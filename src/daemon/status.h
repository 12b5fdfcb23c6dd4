/* Says in the log what the stages counted: one line a stage. */
#ifndef LASTCONN_DAEMON_STATUS_H
#define LASTCONN_DAEMON_STATUS_H

#include "daemon/recorder.h"

void status_log(const struct recorder *recorder);

#endif

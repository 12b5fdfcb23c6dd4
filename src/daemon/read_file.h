/* Reading a capture file into the database, lastconnd -r. Needs no privileges and no loop. */
#ifndef LASTCONN_DAEMON_READ_FILE_H
#define LASTCONN_DAEMON_READ_FILE_H

#include "daemon/config.h"

/* Returns the exit status of the process. */
int read_file_run(const struct config *config);

#endif

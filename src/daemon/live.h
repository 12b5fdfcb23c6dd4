/* Recording this machine: the kernel source on a libuv loop, until a signal ends it. */
#ifndef LASTCONN_DAEMON_LIVE_H
#define LASTCONN_DAEMON_LIVE_H

#include "daemon/config.h"

/* argc and argv are read again on SIGHUP. Returns the exit status of the process. */
int live_run(struct config *config, int argc, char *const argv[]);

/* Removes what a daemon left pinned. Returns the exit status of the process. */
int live_unload(const struct config *config);

/* "libbpf v1.1", or what there is instead. */
const char *live_library_version(char *buf, size_t size);

#endif

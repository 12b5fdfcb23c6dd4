/* Word to the service manager, sd_notify(3). Does nothing without systemd. */
#ifndef LASTCONN_DAEMON_NOTIFY_H
#define LASTCONN_DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", ... */
void notify_state(const char *state);

/* The service manager wants to hear WATCHDOG=1 at least this often; 0: never. */
uint64_t notify_watchdog_us(void);

#endif

/* The capabilities of this thread and process, with libcap-ng. Sets are 1 << number. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_CAPABILITY_H
#define LASTCONN_DAEMON_PRIVILEGE_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

uint64_t privilege_capability_permitted(void);
uint64_t privilege_capability_effective(void);

/* What of the set is permitted takes effect, nothing else; all may come back. Returns 0 or negative
 * errno. */
int privilege_capability_use(uint64_t set);

/* The set, as far as it is permitted, is all that this thread, and threads that it begins, can ever
 * have; nor is more gained by running another program. *ret_bounded: the bounding set is empty,
 * too, which wants CAP_SETPCAP. Returns 0 or negative errno. */
int privilege_capability_keep(uint64_t set, bool *ret_bounded);

#endif

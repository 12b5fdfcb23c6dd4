/* What this process may do. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_H
#define LASTCONN_DAEMON_PRIVILEGE_H

#include <stddef.h>

/* The capabilities that recording needs and this process lacks, separated by spaces; "" if it has
 * all of them. */
void privilege_missing(char *ret_names, size_t size);

#endif

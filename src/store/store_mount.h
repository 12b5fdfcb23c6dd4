/* Why a file cannot be written where it is said to be read-only. Internal to store/. */
#ifndef LASTCONN_STORE_STORE_MOUNT_H
#define LASTCONN_STORE_STORE_MOUNT_H

#include <stdbool.h>

/* Whether the mount that the path is on is read-only here and its file system is not: then it stays
 * so for this process. False if that cannot be told. */
bool store_mount_is_barred(const char *path);

#endif

/* Parts of paths. */
#ifndef LASTCONN_UTIL_PATH_H
#define LASTCONN_UTIL_PATH_H

#include <limits.h>

/* The directory part of path into ret_dir, "." if there is none; what does not fit is cut. Returns
 * the file name, within path. */
const char *path_split(const char *path, char ret_dir[static PATH_MAX]);

#endif

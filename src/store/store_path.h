/* The file behind a database path: is it safe to write, and is it ours alone? Internal to store/.
 */
#ifndef LASTCONN_STORE_STORE_PATH_H
#define LASTCONN_STORE_STORE_PATH_H

#include <limits.h>

#include "store/store.h"

struct store_file {
	char path[PATH_MAX]; /* resolved: no links in it */
	int fd;              /* of the database; open until SQLite is closed, see store_path.c */
	int lock_fd;         /* of <path>.lock */
};

/* Makes sure of the file, creates it (0640) if it is missing, and takes the writer's lock. Returns
 * 0 or -1; then nothing is held. */
int store_path_claim(const char *path, struct store_file *ret_file, struct store_error *ret_error);
void store_path_release(struct store_file *file);

/* For readers: a regular file that we may read? */
int store_path_check(const char *path, struct store_error *ret_error);

#endif

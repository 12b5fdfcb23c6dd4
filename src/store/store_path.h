/* The file behind a database path: is it safe to write, and is it ours alone? Internal to store/.
 */
#ifndef LASTCONN_STORE_STORE_PATH_H
#define LASTCONN_STORE_STORE_PATH_H

#include <limits.h>
#include <stdbool.h>

#include "store/store.h"

struct store_file {
	char path[PATH_MAX];  /* resolved: no links in it */
	int fd;               /* of the database; open until SQLite is closed, see store_path.c */
	int lock_fd;          /* of <path>.lock */
	bool known;           /* lastconnd wrote to this path before */
	bool short_before;    /* it looked cut off the last time */
	char aside[PATH_MAX]; /* where a damaged file went; "" */
};

/* Makes sure of the file, creates it (0640) if it is missing, and takes the writer's lock. Returns
 * 0 or -1; then nothing is held. */
int store_path_claim(const char *path, struct store_file *ret_file, struct store_error *ret_error);
void store_path_release(struct store_file *file);

/* Is the claimed file still there under its name, and whole? Returns 0 or -1. */
int store_path_is_same(const struct store_file *file, struct store_error *ret_error);
int store_path_is_whole(struct store_file *file, struct store_error *ret_error);

/* Renames a damaged file, which SQLite has closed, with its WAL, and claims an empty one in its
 * place. Returns 0, or -1 with the file as it was or with none. */
int store_path_set_aside(struct store_file *file, struct store_error *ret_error);

/* For readers: a regular file that we may read? */
int store_path_check(const char *path, struct store_error *ret_error);

#endif

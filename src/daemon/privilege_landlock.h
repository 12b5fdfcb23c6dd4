/* Landlock (Linux 5.13): which files this thread may open, and for what. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_LANDLOCK_H
#define LASTCONN_DAEMON_PRIVILEGE_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

enum privilege_landlock_use { PRIVILEGE_LANDLOCK_READ, PRIVILEGE_LANDLOCK_WRITE };

struct privilege_landlock_path {
	const char *path; /* a file, or a directory and all below it */
	enum privilege_landlock_use use;
};

/* What a kernel of this version of Landlock can restrict: to open files, and TCP. Pure. */
uint64_t privilege_landlock_handled(int version);
uint64_t privilege_landlock_handled_net(int version);

/* What of it a use of a path wants. */
uint64_t privilege_landlock_wanted(int version, enum privilege_landlock_use use, int is_directory);

/* Restricts this thread, and those that it begins, to these paths, those that are missing left out,
 * and to no TCP. no_new_privs must be set. Returns the kernel's version of Landlock, -EOPNOTSUPP if
 * it has none, or negative errno. */
int privilege_landlock_apply(const struct privilege_landlock_path *paths, size_t count);

#endif

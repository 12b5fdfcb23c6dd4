/* Names from a cgroup path: systemd's unit, and the container. Pure.
 *
 * Both are read from the root downwards and the first that is found stands, as in systemd's
 * cg_path_get_unit(): what a unit or a container makes below itself is its own word, and no word of
 * this host's manager or engine. What a user makes below his user@UID.service (rootless containers
 * live there) is told by user_unit being set. */
#ifndef LASTCONN_PROCESS_UNIT_PARSE_H
#define LASTCONN_PROCESS_UNIT_PARSE_H

#include <stddef.h>

enum {
	UNIT_NAME_SIZE = 256,      /* systemd's UNIT_NAME_MAX, with NUL */
	UNIT_CONTAINER_SIZE = 256, /* a component of a path, with NUL */
	UNIT_POD_SIZE = 65,        /* a UUID, or 64 hex digits, with NUL */
};

struct unit_names {
	char unit[UNIT_NAME_SIZE]; /* of the system's manager: "nginx.service", "session-3.scope",
				    * or the slice of what is in none; "" none */
	char user_unit[UNIT_NAME_SIZE];      /* of the user's own manager; "" none */
	char container[UNIT_CONTAINER_SIZE]; /* 64 hex digits or a name; "" none */
	char pod[UNIT_POD_SIZE];             /* Kubernetes pod uid, podman pod id; "" none */
	const char *runtime; /* "docker", "containerd", "lxc", ...; "" the path does not tell */
};

/* The path may be of either version of the cgroup hierarchy. */
void unit_parse(const char *cgroup, struct unit_names *ret_names);

/* In the text of /proc/PID/cgroup the path that tells most: in the v2 hierarchy; if that is its
 * root, in the first v1 hierarchy where it is not. Points into text, to *ret_length octets. */
const char *unit_parse_file(const char *text, size_t *ret_length);

#endif

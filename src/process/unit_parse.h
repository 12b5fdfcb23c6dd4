/* Names from a cgroup path: the systemd unit and the container. Pure. */
#ifndef LASTCONN_PROCESS_UNIT_PARSE_H
#define LASTCONN_PROCESS_UNIT_PARSE_H

enum {
	UNIT_NAME_SIZE = 256,      /* systemd's UNIT_NAME_MAX, with NUL */
	UNIT_CONTAINER_SIZE = 256, /* a component of a path, with NUL */
};

struct unit_names {
	char unit[UNIT_NAME_SIZE];           /* "nginx.service", "session-3.scope"; "" none */
	char container[UNIT_CONTAINER_SIZE]; /* 64 hex digits, or LXC's name; "" none */
};

/* The unit is the last component that is a service or scope, else the last slice. The container is
 * the last component that an engine names: docker, podman (libpod), containerd, cri-o, kubernetes
 * with the cgroupfs or the systemd driver, LXC. */
void unit_parse(const char *cgroup, struct unit_names *ret_names);

#endif

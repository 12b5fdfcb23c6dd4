/* Netlink sockets that hear the kernel.
 *
 * Whoever is root in a network namespace, and every user may be in one of his own, can send to the
 * netlink sockets in it: a connected one hears of unicasts from the kernel only (since Linux 2.6,
 * netlink_getsockbyportid()), and of multicasts the sender tells. */
#ifndef LASTCONN_SOURCE_NETLINK_SOCKET_H
#define LASTCONN_SOURCE_NETLINK_SOCKET_H

#include <stddef.h>

struct sock_fprog;

/* Connected to the kernel. protocol: NETLINK_...; flags: of socket(2), close-on-exec is set.
 * Returns the descriptor, the caller's, or negative errno. */
int netlink_socket_open(int protocol, int flags);

struct netlink_groups {
	int protocol;
	const int *at; /* numbers of multicast groups, count of them */
	size_t count;
	int octets;                      /* room for what waits, if the system allows */
	const struct sock_fprog *filter; /* there before the first message; NULL: none */
};

/* Not blocking, and a member of the groups. Returns the same. */
int netlink_socket_subscribe(const struct netlink_groups *groups);

#endif

/* By hand: a socket and its options; no library saves a line here. */
#include "source/netlink_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_socket_open(int protocol, int flags)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol);
	int error;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int join(int fd, const struct netlink_groups *groups)
{
	/* beyond net.core.rmem_max with CAP_NET_ADMIN only */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &groups->octets, sizeof(groups->octets)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &groups->octets, sizeof(groups->octets));
	if (groups->filter && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, groups->filter,
				      sizeof(*groups->filter)) < 0)
		return -errno;
	for (size_t i = 0; i < groups->count; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups->at[i],
			    sizeof(groups->at[i])) < 0)
			return -errno;
	return 0;
}

int netlink_socket_subscribe(const struct netlink_groups *groups)
{
	int fd = netlink_socket_open(groups->protocol, SOCK_NONBLOCK), error;

	if (fd < 0)
		return fd;
	error = join(fd, groups);
	if (!error)
		return fd;
	close(fd);
	return error;
}

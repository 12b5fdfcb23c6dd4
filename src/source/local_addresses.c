/* A loopback address stands for its whole network: all of 127.0.0.0/8 is this machine. */
#include "source/local_addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RANGES_PER_ADDRESS = 2 }; /* itself, and its broadcast address */

static int subscribe(void)
{
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int local_addresses_init(struct local_addresses *addresses)
{
	int error;

	*addresses = (struct local_addresses){.fd = subscribe()};
	error = local_addresses_read(addresses);
	if (error)
		local_addresses_done(addresses);
	return error;
}

void local_addresses_done(struct local_addresses *addresses)
{
	if (addresses->fd >= 0)
		close(addresses->fd);
	free(addresses->ranges);
	*addresses = (struct local_addresses){.fd = -1};
}

/* What the messages say does not matter, so that forged ones do not either. */
bool local_addresses_changed(const struct local_addresses *addresses)
{
	char message[64];
	bool changed = addresses->fd < 0;

	if (changed)
		return true;
	while (recv(addresses->fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS)
		changed = true;
	return changed;
}

static bool address_of(const struct sockaddr *from, struct addr *ret_addr)
{
	if (from && from->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)from;

		*ret_addr = addr_from_v4((const uint8_t *)&v4->sin_addr);
		return true;
	}
	if (from && from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)from;

		*ret_addr = addr_from_v6(v6->sin6_addr.s6_addr);
		return true;
	}
	return false;
}

static void widen(struct source_pcap_range *range, const struct sockaddr *netmask)
{
	struct addr mask;
	size_t first = addr_is_v4(&range->first) ? 12 : 0;

	if (!address_of(netmask, &mask))
		return;
	for (size_t i = first; i < sizeof(mask.octets); i++) {
		range->first.octets[i] &= mask.octets[i];
		range->last.octets[i] |= (uint8_t)~mask.octets[i];
	}
}

static size_t add_ranges(const struct ifaddrs *one, struct source_pcap_range *ranges)
{
	struct source_pcap_range *own = &ranges[0], *broadcast = &ranges[1];

	if (!address_of(one->ifa_addr, &own->first))
		return 0;
	own->last = own->first;
	own->broadcast = false;
	if (one->ifa_flags & IFF_LOOPBACK)
		widen(own, one->ifa_netmask);
	if (!(one->ifa_flags & IFF_BROADCAST) || !address_of(one->ifa_broadaddr, &broadcast->first))
		return 1;
	broadcast->last = broadcast->first;
	broadcast->broadcast = true;
	return 2;
}

int local_addresses_read(struct local_addresses *addresses)
{
	struct source_pcap_range *ranges;
	struct ifaddrs *all;
	size_t count = 0, used = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		count++;
	ranges = calloc(count + 1, RANGES_PER_ADDRESS * sizeof(*ranges));
	for (const struct ifaddrs *one = all; ranges && one; one = one->ifa_next)
		used += add_ranges(one, &ranges[used]);
	freeifaddrs(all);
	if (!ranges)
		return -ENOMEM;
	free(addresses->ranges);
	addresses->ranges = ranges;
	addresses->count = used;
	return 0;
}

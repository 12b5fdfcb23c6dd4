/* One message of conntrack, as netlink brings it, into what it says of NAT. */
#ifndef LASTCONN_SOURCE_NAT_MESSAGE_H
#define LASTCONN_SOURCE_NAT_MESSAGE_H

#include <linux/netlink.h>

#include "flow/nat_mapping.h"

enum nat_message {
	NAT_MESSAGE_OTHER, /* not of conntrack, not of IP, or of a connection without NAT */
	NAT_MESSAGE_NEW,   /* or of one that is there */
	NAT_MESSAGE_GONE,
	NAT_MESSAGE_MALFORMED,
};

/* The header's length has been checked against what was received. *ret_mapping is set for NEW and
 * GONE. */
enum nat_message nat_message_read(const struct nlmsghdr *message, struct nat_mapping *ret_mapping);

#endif

/* The addresses of this network namespace as they are now, to tell own packets from others'.
 *
 * The kernel's word of a change (rtnetlink) comes before the first packet with the new address can;
 * where that is refused every look counts as a change. */
#ifndef LASTCONN_SOURCE_LOCAL_ADDRESSES_H
#define LASTCONN_SOURCE_LOCAL_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "source/source_pcap.h"

struct local_addresses {
	int fd; /* readable when something changed; -1 none */
	struct source_pcap_range *ranges;
	size_t count;
};

/* Reads them. Returns 0 or negative errno; then there is nothing to release. */
int local_addresses_init(struct local_addresses *addresses);
void local_addresses_done(struct local_addresses *addresses);

/* Did addresses or devices change since the last call? */
bool local_addresses_changed(const struct local_addresses *addresses);

/* Returns 0 or negative errno; then they are left as they were. */
int local_addresses_read(struct local_addresses *addresses);

#endif

/* A connection whose ends a NAT of this machine changes. Plain values. */
#ifndef LASTCONN_FLOW_NAT_MAPPING_H
#define LASTCONN_FLOW_NAT_MAPPING_H

#include <stdint.h>

#include "flow/flow_key.h"

/* The same connection as each of its two ends sees it; the local end is that one. Of the keys
 * protocol, addresses and ports are set. Without NAT one would be the other turned round. */
struct nat_mapping {
	struct flow_key original; /* who began: the ends of the first packet, before the NAT */
	struct flow_key reply;    /* who answers: the ends of the packets that answer it */
};

/* The ends of a flow beyond the NAT: of who began what left it (IPFIX postNATSourceIPv4Address,
 * postNAPTSourceTransportPort and so on), of who answers what came to it; of what was seen beyond
 * it those that it had before. */
struct nat_ends {
	struct addr local;
	struct addr remote;
	uint16_t local_port; /* host order; the flow's own where the protocol has none */
	uint16_t remote_port;
};

#endif

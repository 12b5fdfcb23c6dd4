/* From a captured frame to ports and octets of payload. Pure; reads strangers' octets.
 *
 * Read: Ethernet with VLAN tags or LLC, Linux cooked v1 and v2, raw IP, BSD null and loop, PPP; in
 * them PPPoE sessions and MPLS; IPv4 with options, IPv6 with extension headers; TCP, UDP, UDP-Lite,
 * SCTP, and any other protocol without ports; what GRE, VXLAN, GENEVE and IP in IP carry. Octets
 * are those of the transport protocol's payload, of a protocol without ports (ICMP too) those of
 * the IP payload; they come from the IP header, never from what was captured, so a short snapshot
 * length does no harm. Only where the IP header has a length of 0 (a large segment caught before
 * the device split it) the length of the frame counts. */
#ifndef LASTCONN_DECODE_DECODE_H
#define LASTCONN_DECODE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/addr.h"
#include "flow/flow_key.h"
#include "util/cursor.h"

enum { DECODE_TUNNELS_MAX = 4 }; /* packets in packets that a caller should open */

enum decode_result {
	DECODE_OK,
	DECODE_TRUNCATED,   /* not enough was captured */
	DECODE_MALFORMED,   /* contradicts its own lengths */
	DECODE_UNSUPPORTED, /* may carry IP in a way that we do not read */
	DECODE_ARP,         /* or RARP */
	DECODE_NOT_IP,      /* LLDP, spanning tree and the like */
	DECODE_RESULTS,
};

/* What the link layer says of the sender. */
enum decode_sender {
	DECODE_SENDER_UNKNOWN,
	DECODE_SENDER_LOCAL,
	DECODE_SENDER_REMOTE,
};

enum decode_fragment {
	DECODE_FRAGMENT_NONE,
	DECODE_FRAGMENT_FIRST, /* has the ports */
	DECODE_FRAGMENT_LATER, /* has none: ports are 0 */
};

struct decode_packet {
	struct addr source, destination;
	uint16_t source_port, destination_port; /* 0 where the protocol has none */
	uint8_t protocol;
	uint8_t tcp_flags;
	bool reply;   /* an ICMP echo reply or the like: the destination began */
	bool emptied; /* set by the caller: its octets are those of what it carries */
	bool cut;     /* out of the first fragment of its carrier: the rest of it comes later */
	bool tcp_seq_is_offset; /* in what its sender sends: it began with 0, behind the SYN */
	enum decode_sender sender;
	uint32_t netns; /* namespace of its ends, where known: the same ends are in others, too */
	uint32_t interface; /* index of the device, where each packet tells its own; 0 not told */
	enum decode_fragment fragment;
	uint32_t fragment_id;
	uint32_t tcp_seq;
	uint32_t octets;
	enum flow_tunnel tunnel; /* that it came out of */
	uint32_t tunnel_id;
	enum flow_tunnel carries;  /* the tunnel that its payload is part of */
	enum flow_outcome reports; /* an ICMP error: what became of another packet; else OPEN */
	/* What follows its header, within the frame; at is NULL where nobody reads it. */
	struct cursor payload;
};

/* Whether frames of this link type (DLT_ or LINKTYPE_ number) can be read. */
bool decode_link_type_supported(int link_type);

/* wire: length of the frame before it was cut to captured octets. *ret_packet is complete if
 * DECODE_OK is returned, else undefined. */
enum decode_result decode_frame(int link_type, const uint8_t *frame, size_t captured, size_t wire,
	struct decode_packet *ret_packet);

/* Opens a packet that carries another one; the frame must still be there. What is in it has the
 * octets that its own IP header tells, the rest of a fragmented carrier included. A carrier that
 * is a datagram gets the port of the tunnel twice if it carried what it seemed to, IP or ARP. */
enum decode_result decode_inner(struct decode_packet *carrier, struct decode_packet *ret_inner);

/* The packet that an ICMP error reports, as far as it was sent back: addresses, protocol, ports and
 * the sequence number. */
enum decode_result decode_reported(
	const struct decode_packet *report, struct decode_packet *ret_packet);

#endif

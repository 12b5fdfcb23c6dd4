/* What a source says of a flow: the input of the flow table. Plain value. */
#ifndef LASTCONN_FLOW_OBSERVATION_H
#define LASTCONN_FLOW_OBSERVATION_H

#include <stdint.h>

#include "flow/flow_key.h"
#include "flow/process_ref.h"

/* Octets are of the payload of the transport protocol, without retransmissions where the source
 * can tell; packets are counted as sent, IPFIX packetTotalCount. */
struct flow_counters {
	uint64_t octets_out;
	uint64_t octets_in;
	uint64_t packets_out;
	uint64_t packets_in;
	uint32_t retransmits; /* segments */
	uint32_t rtt_us;      /* smoothed round trip; 0 unknown */
};

enum observation_kind {
	OBSERVATION_PACKET,   /* counters are those of this packet, to be added */
	OBSERVATION_SIGHTING, /* counters are totals up to time_ns; the flow goes on */
	OBSERVATION_END,      /* counters are the final totals; the flow is over */
	OBSERVATION_REPORT,   /* an ICMP error says that a packet did not arrive; no counters */
	OBSERVATION_OWNER,    /* no counters: whose this flow is, if there still is one */
};

enum {
	OBSERVATION_TCP_FIN = 0x01,
	OBSERVATION_TCP_SYN = 0x02,
	OBSERVATION_TCP_RST = 0x04,
	OBSERVATION_TCP_ACK = 0x10, /* the bits of the TCP header */
};

struct observation {
	struct flow_key key;
	struct flow_counters counters;
	struct process_ref user;   /* who uses the socket */
	struct process_ref opener; /* who made it; equal to user where they are the same */
	int64_t time_ns;           /* of this observation, in the source's clock */
	int64_t start_ns;          /* of the flow; 0: time_ns of its first observation */
	enum observation_kind kind;
	enum flow_direction direction; /* as far as this observation alone tells */
	enum flow_outcome outcome;     /* END; REPORT: REFUSED or UNREACHABLE */
	enum flow_method method;
	enum flow_source source;
	int error;         /* errno of the socket (positive), 0 none; END only */
	uint8_t tcp_flags; /* PACKET of TCP only; those of the sender */
	bool from_local;   /* PACKET, REPORT: that packet was sent by the local end */
	uint32_t tcp_seq;  /* PACKET, REPORT of TCP: sequence number of the first payload octet (of
			    * SYN:  the SYN itself), to tell retransmissions */
};

#endif

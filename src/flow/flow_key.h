/* What tells one flow from another, and the words for its properties. Plain values.
 *
 * The ends are local and remote; who initiated is the direction, a separate fact. A flow of the
 * kernel source is told by its socket (the same tuple exists in many network namespaces); a flow
 * of the capture source by its tuple, with socket_cookie 0, and by the kind of tunnel that it was
 * in: a packet that was captured within its tunnel and outside of it is of two flows. The id of the
 * tunnel is that of the first packet and tells no flows apart, for the two ways of one connection
 * may have different ones (EVPN that routes on entry, NVGRE's entropy, GRE keys a way). */
#ifndef LASTCONN_FLOW_FLOW_KEY_H
#define LASTCONN_FLOW_FLOW_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/addr.h"
#include "util/hash.h"

struct flow_key {
	struct addr local;
	struct addr remote;
	uint64_t socket_cookie; /* SO_COOKIE of the socket; 0 where there is none */
	uint32_t netns;         /* inode number of the network namespace; 0 unknown */
	uint16_t local_port;    /* host order; 0 where the protocol has none */
	uint16_t remote_port;
	uint8_t protocol;   /* IANA number, IPFIX protocolIdentifier */
	uint8_t tunnel;     /* enum flow_tunnel */
	uint8_t zero[2];    /* keeps padding defined: keys are hashed and compared as octets */
	uint32_t tunnel_id; /* last, for it is no part of what tells flows apart */
};

_Static_assert(sizeof(struct flow_key) == 56, "flow_key has no padding");

/* Stored as names, see flow_names.h. Append only. */
enum flow_direction {
	FLOW_DIRECTION_UNKNOWN, /* picked up in mid-stream */
	FLOW_DIRECTION_OUT,     /* local initiated */
	FLOW_DIRECTION_IN,      /* remote initiated */
	/* seen on its way between two others: local is who initiated, as far as it shows */
	FLOW_DIRECTION_FORWARDED,
	FLOW_DIRECTION_COUNT,
};

enum flow_outcome {
	FLOW_OUTCOME_OPEN,        /* not over */
	FLOW_OUTCOME_CLOSED,      /* in good order; datagrams: the socket was closed */
	FLOW_OUTCOME_RESET,       /* by either side */
	FLOW_OUTCOME_REFUSED,     /* answered by nothing but a reset or ICMP port unreachable */
	FLOW_OUTCOME_TIMEOUT,     /* of the connect, or of the retransmissions */
	FLOW_OUTCOME_UNREACHABLE, /* host or network, by route or by ICMP */
	FLOW_OUTCOME_ABORTED,     /* never established: the process or its kernel gave up */
	FLOW_OUTCOME_IDLE,        /* IPFIX flowEndReason 1, idle timeout */
	FLOW_OUTCOME_LOST, /* how it ended was not seen (daemon down, event lost, file over) */
	FLOW_OUTCOME_COUNT,
};

/* How the process was found, best first. Stored with every flow. */
enum flow_method {
	FLOW_METHOD_UNKNOWN, /* no process known */
	FLOW_METHOD_EXACT,   /* the kernel said so in that process's own context */
	/* accepted socket that nobody used: the listener's last owner; a socket of whose use no
	 * hook told: who made, accepted or closed it */
	FLOW_METHOD_INHERITED,
	FLOW_METHOD_LISTENER, /* same, the listener itself known from a snapshot only */
	FLOW_METHOD_SNAPSHOT, /* who held the socket when lastconnd started */
	FLOW_METHOD_PKTAP,    /* the capture file carried it */
	FLOW_METHOD_PROCFS,   /* polled: sock_diag and /proc */
	FLOW_METHOD_COUNT,
};

/* What a captured flow was carried in, the innermost one. The carrier is a flow, too, with octets
 * only where no inner flow took them. */
enum flow_tunnel {
	FLOW_TUNNEL_NONE,
	FLOW_TUNNEL_4IN4,
	FLOW_TUNNEL_6IN4,
	FLOW_TUNNEL_4IN6,
	FLOW_TUNNEL_6IN6,
	FLOW_TUNNEL_GRE,    /* id: its key, 0 none */
	FLOW_TUNNEL_VXLAN,  /* id: network (VNI) */
	FLOW_TUNNEL_GENEVE, /* id: network (VNI) */
	FLOW_TUNNEL_COUNT,
};

enum flow_source {
	FLOW_SOURCE_EBPF,
	FLOW_SOURCE_FILE, /* a capture file */
	FLOW_SOURCE_PCAP, /* live capture */
	FLOW_SOURCE_PROCFS,
	FLOW_SOURCE_COUNT,
};

uint64_t flow_key_hash(const struct flow_key *key, const struct hash_key *secret);
bool flow_key_equal(const struct flow_key *a, const struct flow_key *b);

/* The service port: the remote one of an outgoing or forwarded flow, the local one of an incoming
 * flow; of unknown direction the smaller one that is not 0. */
uint16_t flow_key_service_port(const struct flow_key *key, enum flow_direction direction);

#endif

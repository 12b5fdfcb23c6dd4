/* A name for an address or a flow, as it was seen on this machine: when, where, from what. Plain
 * value.
 *
 * Of an answer www.example.com -> cdn.example.net -> 192.0.2.1 the name is what was asked for,
 * www.example.com, for that is what the process wanted; the owner of the address record is kept
 * beside it. Of mDNS the name is the host's, or an instance of a service; the owner is the host. */
#ifndef LASTCONN_FLOW_NAME_EVIDENCE_H
#define LASTCONN_FLOW_NAME_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/addr.h"
#include "flow/flow_key.h"
#include "flow/process_ref.h"

/* Stored as names, see flow_names.h. Append only. */
enum name_source {
	NAME_SOURCE_NONE,
	NAME_SOURCE_DNS,         /* an answer, by UDP or TCP */
	NAME_SOURCE_MDNS,        /* RFC 6762 */
	NAME_SOURCE_LLMNR,       /* RFC 4795 */
	NAME_SOURCE_SNI,         /* server name of TLS */
	NAME_SOURCE_QUIC,        /* server name of TLS within QUIC */
	NAME_SOURCE_HTTP,        /* Host of a request */
	NAME_SOURCE_GETADDRINFO, /* what a process asked its C library for */
	NAME_SOURCE_COUNT,
};

enum { NAME_MAX_OCTETS = 255 };

struct name_evidence {
	int64_t time_us;     /* wall clock, UTC microseconds */
	struct addr address; /* that the name stands for; unspecified if only the flow is known */
	struct flow_key key; /* of the flow that carried it: the DNS exchange, or the TLS, QUIC or
			      * HTTP flow itself; of getaddrinfo the namespace alone */
	struct process_ref asker; /* who asked its C library; all zero else: see name_table.h */
	enum name_source source;
	uint32_t ttl_s; /* DNS: smallest on the CNAME chain, at most a day; 0 else */
	bool ech; /* the client sent encrypted client hello, or pretended to (GREASE): the name may
		   * be the outer one */
	char alpn[16]; /* first protocol that the client offers, "" none */
	/* Lower case, no final dot, printable ASCII; other octets as \DDD as in the master files of
	 * RFC 1035. Too long for this when written so: not told at all. */
	char name[NAME_MAX_OCTETS + 1];
	char query[NAME_MAX_OCTETS + 1]; /* DNS: owner of the address record; name without CNAME */
};

#endif

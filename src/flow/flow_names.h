/* The text of protocols, directions, outcomes, methods, sources and sources of names, as stored and
 * printed. */
#ifndef LASTCONN_FLOW_FLOW_NAMES_H
#define LASTCONN_FLOW_FLOW_NAMES_H

#include <stdint.h>

#include "flow/flow_key.h"
#include "flow/flow_name.h"

enum { FLOW_PROTOCOL_NAME_SIZE = 24, FLOW_TUNNEL_TEXT_SIZE = 24, FLOW_NAME_SOURCE_SIZE = 24 };

const char *flow_direction_name(enum flow_direction direction); /* "out", "in", "unknown" */
const char *flow_outcome_name(enum flow_outcome outcome);       /* "closed", "refused", ... */
const char *flow_method_name(enum flow_method method);          /* "exact", "inherited", ... */
const char *flow_source_name(enum flow_source source);          /* "ebpf", "file", ... */
const char *name_source_name(enum name_source source);          /* "dns", "sni", ...; none "" */

/* Where the name of a flow is from: "sni"; "dns" what its own process asked, "dns-other" what
 * another one did, "dns-any" what who knows who did; "" no name. Returns buf. */
const char *flow_name_source(const struct flow_name *name, char buf[static FLOW_NAME_SOURCE_SIZE]);

/* "vxlan:42", "gre:7", "gre", "ipip", "6in4", ...; "" for none. Returns buf or a constant. */
const char *flow_tunnel_format(
	enum flow_tunnel tunnel, uint32_t id, char buf[static FLOW_TUNNEL_TEXT_SIZE]);

/* "tcp", "udp", "icmp", "ipv6-icmp", ...; else the number. Returns buf or a constant. */
const char *flow_protocol_name(uint8_t protocol, char buf[static FLOW_PROTOCOL_NAME_SIZE]);

/* The number of a protocol by name ("tcp") or number ("6"), or -EINVAL. */
int flow_protocol_parse(const char *text);

#endif

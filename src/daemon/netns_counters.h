/* What the kernel says that a network namespace has moved: the SNMP counters of /proc/net. They
 * count what local sockets sent and received, not what was forwarded or dropped by a firewall,
 * which the counters of interfaces cannot tell apart. */
#ifndef LASTCONN_DAEMON_NETNS_COUNTERS_H
#define LASTCONN_DAEMON_NETNS_COUNTERS_H

#include <stdint.h>

struct netns_counters {           /* of IPv4 and IPv6 together, since boot */
	uint64_t tcp_in, tcp_out; /* segments */
	uint64_t tcp_resets_out;  /* of tcp_out */
	uint64_t tcp_failed;      /* connections that were never established */
	uint64_t tcp_cookies;     /* SYN cookies sent */
	uint64_t udp_in, udp_out; /* datagrams */
	uint64_t ip_octets_in;    /* headers and forwarded ones included */
	uint64_t ip_packets_in;   /* the same, as they came over the wire */
};

/* Adds what is known of the text of /proc/net/snmp, netstat or snmp6. Other lines are passed over.
 */
void netns_counters_parse(const char *text, struct netns_counters *counters);

/* Those of our own namespace. Returns 0 or negative errno. */
int netns_counters_read(struct netns_counters *ret_counters);

#endif

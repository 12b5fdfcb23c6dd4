/* One IP address, IPv4 kept as v4-mapped IPv6 (RFC 4291 2.5.5.2), so that ::ffff:a.b.c.d and
 * a.b.c.d are the same address everywhere. Plain value: copy, compare with memcmp. */
#ifndef LASTCONN_FLOW_ADDR_H
#define LASTCONN_FLOW_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ADDR_TEXT_SIZE = 46, /* INET6_ADDRSTRLEN, with the terminating NUL */
};

struct addr {
	uint8_t octets[16]; /* network order */
};

/* From 4 or 16 octets in network order. */
struct addr addr_from_v4(const void *octets4);
struct addr addr_from_v6(const void *octets16);

bool addr_is_v4(const struct addr *addr);
bool addr_is_unspecified(const struct addr *addr); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);

/* Canonical text (RFC 5952; dotted quad for IPv4). Returns buf. */
const char *addr_format(const struct addr *addr, char buf[static ADDR_TEXT_SIZE]);

/* Parses "192.0.2.1" or "2001:db8::1". Returns 0 or -EINVAL, then *ret_addr is untouched. */
int addr_parse(const char *text, struct addr *ret_addr);

/* Parses an address or a CIDR block ("10.0.0.0/8", "2001:db8::/32") into its first and last
 * address. Host bits may be set. Returns 0 or -EINVAL. */
int addr_parse_range(const char *text, struct addr *ret_first, struct addr *ret_last);

/* The octets as stored: 4 for IPv4, 16 for IPv6. *ret_length is set; points into addr. */
const uint8_t *addr_octets(const struct addr *addr, size_t *ret_length);

#endif

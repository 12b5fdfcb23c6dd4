/* The steps of decode_frame, each in a file of its own. A step moves the cursor over its header
 * and cuts it to the payload that the header announces. */
#ifndef LASTCONN_DECODE_DECODE_LAYERS_H
#define LASTCONN_DECODE_DECODE_LAYERS_H

#include "decode/decode.h"
#include "util/cursor.h"

enum {
	DECODE_ETHERTYPE_IPV4 = 0x0800,
	DECODE_ETHERTYPE_IPV6 = 0x86dd,
	DECODE_ETHERTYPE_ANY = 0, /* the version in the IP header tells */
};

enum {
	DECODE_PROTOCOL_ICMP = 1,
	DECODE_PROTOCOL_IPV4 = 4,
	DECODE_PROTOCOL_TCP = 6,
	DECODE_PROTOCOL_UDP = 17,
	DECODE_PROTOCOL_IPV6 = 41,
	DECODE_PROTOCOL_GRE = 47,
	DECODE_PROTOCOL_ICMP6 = 58,
	DECODE_PROTOCOL_SCTP = 132,
	DECODE_PROTOCOL_UDPLITE = 136,
};

/* Why length octets could not be taken. */
static inline enum decode_result decode_short(const struct cursor *cursor, size_t length)
{
	return cursor->wire < length ? DECODE_MALFORMED : DECODE_TRUNCATED;
}

/* Sets packet->sender; *ret_ethertype is one of the three above. */
enum decode_result decode_link(struct cursor *cursor, int link_type, struct decode_packet *packet,
	uint16_t *ret_ethertype);

/* What is behind an Ethernet header, an ethertype, a PPP or a PPPoE header; of the last two
 * *ret_ethertype may be any, to be given to decode_ethertype. */
enum decode_result decode_ethernet(struct cursor *cursor, uint16_t *ret_ethertype);
enum decode_result decode_ethertype(
	struct cursor *cursor, uint16_t ethertype, uint16_t *ret_ethertype);
enum decode_result decode_ppp(struct cursor *cursor, uint16_t *ret_ethertype);
enum decode_result decode_pppoe(struct cursor *cursor, uint16_t *ret_ethertype);

/* Sets addresses, protocol and fragment. */
enum decode_result decode_ip(
	struct cursor *cursor, uint16_t ethertype, struct decode_packet *packet);

/* Moves over the header of a tunnel to what it carries. *ret_id is set where the header has one. */
enum decode_result decode_tunnel(
	struct cursor *cursor, enum flow_tunnel tunnel, uint32_t *ret_id, uint16_t *ret_ethertype);

/* Sets what the packet carries, if its payload is that of a tunnel; of UDP and of the protocols
 * above. */
void decode_carrier_udp(struct decode_packet *packet);
void decode_carrier_ip(struct decode_packet *packet);

/* Sets octets, reply and what an error reports. */
enum decode_result decode_icmp(const struct cursor *cursor, struct decode_packet *packet);

/* Sets ports, octets, what TCP says and what a tunnel carries. */
enum decode_result decode_transport(struct cursor *cursor, struct decode_packet *packet);

#endif

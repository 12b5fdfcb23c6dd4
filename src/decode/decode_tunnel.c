/* Packets within packets: IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784, 2890), VXLAN (RFC 7348),
 * GENEVE (RFC 8926).
 *
 * VXLAN and GENEVE are known by their UDP port, so their header must look as it has to; what does
 * not is an ordinary datagram. The source port of the carrier is a hash of what is within: once a
 * packet within was read it is taken as the port of the tunnel, so that the carriers of both ways,
 * however many flows are within, are one conversation. */
#include "decode/decode_layers.h"

enum {
	VXLAN_PORT = 4789,
	VXLAN_PORT_LINUX = 8472,
	GENEVE_PORT = 6081,
	VXLAN_HEADER = 8,
	GENEVE_HEADER = 8,
	GRE_HEADER = 4,
};

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_VERSION = 0x0007,
};

enum {
	CARRIED_ETHERNET = 0x6558, /* also in GENEVE */
	CARRIED_PPP = 0x880b,
	CARRIED_WCCP = 0x883e,
	CARRIED_ERSPAN = 0x88be,
	CARRIED_ERSPAN3 = 0x22eb,
};

static uint32_t be24(const uint8_t *octets)
{
	return cursor_be32(octets) >> 8;
}

/* All that is reserved is 0, but for the policy of a group (a draft that Linux follows). */
static bool is_vxlan(const struct cursor *cursor)
{
	const uint8_t *header = cursor->at;

	if (cursor->captured < VXLAN_HEADER || header[7] != 0)
		return false;
	return header[0] == 0x88 || (header[0] == 0x08 && be24(header + 1) == 0);
}

static size_t geneve_length(const uint8_t *header)
{
	return GENEVE_HEADER + (size_t)(header[0] & 0x3f) * 4;
}

static bool is_geneve(const struct cursor *cursor)
{
	const uint8_t *header = cursor->at;

	return cursor->captured >= GENEVE_HEADER && header[0] >> 6 == 0 && !(header[1] & 0x3f) &&
	       header[7] == 0 && geneve_length(header) <= cursor->wire;
}

static enum flow_tunnel tunnel_of_port(uint16_t port, const struct cursor *payload)
{
	switch (port) {
	case VXLAN_PORT:
	case VXLAN_PORT_LINUX:
		return is_vxlan(payload) ? FLOW_TUNNEL_VXLAN : FLOW_TUNNEL_NONE;
	case GENEVE_PORT:
		return is_geneve(payload) ? FLOW_TUNNEL_GENEVE : FLOW_TUNNEL_NONE;
	default:
		return FLOW_TUNNEL_NONE;
	}
}

void decode_carrier_udp(struct decode_packet *packet)
{
	packet->carries = tunnel_of_port(packet->destination_port, &packet->payload);
}

void decode_carrier_ip(struct decode_packet *packet)
{
	bool v4 = addr_is_v4(&packet->source);

	if (packet->protocol == DECODE_PROTOCOL_GRE)
		packet->carries = FLOW_TUNNEL_GRE;
	else if (packet->protocol == DECODE_PROTOCOL_IPV4)
		packet->carries = v4 ? FLOW_TUNNEL_4IN4 : FLOW_TUNNEL_4IN6;
	else
		packet->carries = v4 ? FLOW_TUNNEL_6IN4 : FLOW_TUNNEL_6IN6;
}

static enum decode_result decode_carried(
	struct cursor *cursor, uint16_t number, uint16_t *ret_ethertype)
{
	switch (number) {
	case CARRIED_ETHERNET:
		return decode_ethernet(cursor, ret_ethertype);
	case CARRIED_PPP:
	case CARRIED_WCCP:
	case CARRIED_ERSPAN:
	case CARRIED_ERSPAN3:
		return DECODE_UNSUPPORTED;
	default: /* below 1536 it is no ethertype: keep-alives, OSI */
		return number < 1536 ? DECODE_NOT_IP
				     : decode_ethertype(cursor, number, ret_ethertype);
	}
}

static enum decode_result decode_gre(
	struct cursor *cursor, uint32_t *ret_key, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, GRE_HEADER), *options;
	size_t length = 0;
	uint16_t flags;

	if (!header)
		return decode_short(cursor, GRE_HEADER);
	flags = cursor_be16(header);
	if (flags & (GRE_ROUTING | GRE_VERSION)) /* version 1 is that of PPTP */
		return DECODE_UNSUPPORTED;
	length = 4 * (size_t)(!!(flags & GRE_CHECKSUM) + !!(flags & GRE_KEY) +
			      !!(flags & GRE_SEQUENCE));
	options = cursor_take(cursor, length);
	if (!options)
		return decode_short(cursor, length);
	if (flags & GRE_KEY)
		*ret_key = cursor_be32(options + (flags & GRE_CHECKSUM ? 4 : 0));
	return decode_carried(cursor, cursor_be16(header + 2), ret_ethertype);
}

/* Both were recognised by their header. */
static enum decode_result decode_vxlan(
	struct cursor *cursor, uint32_t *ret_network, uint16_t *ret_ethertype)
{
	*ret_network = be24(cursor->at + 4);
	cursor_take(cursor, VXLAN_HEADER);
	return decode_ethernet(cursor, ret_ethertype);
}

static enum decode_result decode_geneve(
	struct cursor *cursor, uint32_t *ret_network, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor->at;
	size_t length = geneve_length(header);

	*ret_network = be24(header + 4);
	if (!cursor_take(cursor, length))
		return decode_short(cursor, length);
	return decode_carried(cursor, cursor_be16(header + 2), ret_ethertype);
}

enum decode_result decode_tunnel(
	struct cursor *cursor, enum flow_tunnel tunnel, uint32_t *ret_id, uint16_t *ret_ethertype)
{
	switch (tunnel) {
	case FLOW_TUNNEL_4IN4:
	case FLOW_TUNNEL_4IN6:
		*ret_ethertype = DECODE_ETHERTYPE_IPV4;
		return DECODE_OK;
	case FLOW_TUNNEL_6IN4:
	case FLOW_TUNNEL_6IN6:
		*ret_ethertype = DECODE_ETHERTYPE_IPV6;
		return DECODE_OK;
	case FLOW_TUNNEL_GRE:
		return decode_gre(cursor, ret_id, ret_ethertype);
	case FLOW_TUNNEL_VXLAN:
		return decode_vxlan(cursor, ret_id, ret_ethertype);
	case FLOW_TUNNEL_GENEVE:
		return decode_geneve(cursor, ret_id, ret_ethertype);
	case FLOW_TUNNEL_NONE:
	case FLOW_TUNNEL_COUNT:
		break;
	}
	return DECODE_UNSUPPORTED;
}

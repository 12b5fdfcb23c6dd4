/* IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200). Limit: eight extension headers. */
#include "decode/decode_layers.h"

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	IP6_EXTENSIONS_MAX = 8,
};

enum {
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_AUTHENTICATION = 51,
	NEXT_NONE = 59,
	NEXT_DESTINATION = 60,
	NEXT_MOBILITY = 135,
	NEXT_HIP = 139,
	NEXT_SHIM6 = 140,
};

/* Moves over a header whose second octet is its length in units of unit octets, without the first
 * base octets; tells what comes next. */
static enum decode_result skip_extension(
	struct cursor *cursor, size_t unit, size_t base, uint8_t *next)
{
	const uint8_t *header;
	size_t length;

	if (cursor->captured < 2)
		return decode_short(cursor, 2);
	length = cursor->at[1] * unit + base;
	header = cursor_take(cursor, length);
	if (!header)
		return decode_short(cursor, length);
	*next = header[0];
	return DECODE_OK;
}

static enum decode_result skip_authentication(struct cursor *cursor, uint8_t *next)
{
	return skip_extension(cursor, 4, 8, next);
}

static enum decode_result decode_ip4(struct cursor *cursor, struct decode_packet *packet)
{
	const uint8_t *header = cursor->at;
	size_t header_length, total;
	uint16_t fragment;

	if (cursor->captured < IP4_HEADER)
		return decode_short(cursor, IP4_HEADER);
	header_length = (size_t)(header[0] & 0xf) * 4;
	total = cursor_be16(header + 2);
	if (total == 0 && !packet->cut)
		total = cursor->wire;
	if (header[0] >> 4 != 4 || header_length < IP4_HEADER || total < header_length ||
		total > cursor->wire)
		return DECODE_MALFORMED;
	cursor_limit(cursor, total);
	if (!cursor_take(cursor, header_length))
		return decode_short(cursor, header_length);
	packet->source = addr_from_v4(header + 12);
	packet->destination = addr_from_v4(header + 16);
	packet->protocol = header[9];
	packet->fragment_id = cursor_be16(header + 4);
	fragment = cursor_be16(header + 6);
	if (fragment & 0x1fff)
		packet->fragment = DECODE_FRAGMENT_LATER;
	else if (fragment & 0x2000)
		packet->fragment = DECODE_FRAGMENT_FIRST;
	if (packet->protocol == NEXT_AUTHENTICATION && packet->fragment != DECODE_FRAGMENT_LATER)
		return skip_authentication(cursor, &packet->protocol);
	return DECODE_OK;
}

static enum decode_result take_fragment(
	struct cursor *cursor, struct decode_packet *packet, uint8_t *next)
{
	const uint8_t *header = cursor_take(cursor, 8);
	uint16_t fragment;

	if (!header)
		return decode_short(cursor, 8);
	*next = header[0];
	fragment = cursor_be16(header + 2);
	packet->fragment_id = cursor_be32(header + 4);
	if (fragment & 0xfff8)
		packet->fragment = DECODE_FRAGMENT_LATER;
	else if (fragment & 1)
		packet->fragment = DECODE_FRAGMENT_FIRST;
	return DECODE_OK;
}

/* Walks to the transport header; of a later fragment only to its fragment header. */
static enum decode_result skip_extensions(struct cursor *cursor, struct decode_packet *packet)
{
	enum decode_result result = DECODE_OK;
	uint8_t next = packet->protocol;

	for (int headers = 0; result == DECODE_OK; headers++) {
		packet->protocol = next;
		if (packet->fragment == DECODE_FRAGMENT_LATER)
			return DECODE_OK;
		switch (next) {
		case NEXT_HOP_BY_HOP:
		case NEXT_ROUTING:
		case NEXT_DESTINATION:
		case NEXT_MOBILITY:
		case NEXT_HIP:
		case NEXT_SHIM6:
			result = skip_extension(cursor, 8, 8, &next);
			break;
		case NEXT_FRAGMENT:
			result = take_fragment(cursor, packet, &next);
			break;
		case NEXT_AUTHENTICATION:
			result = skip_authentication(cursor, &next);
			break;
		default:
			return DECODE_OK;
		}
		if (headers == IP6_EXTENSIONS_MAX)
			return DECODE_UNSUPPORTED;
	}
	return result;
}

static enum decode_result decode_ip6(struct cursor *cursor, struct decode_packet *packet)
{
	const uint8_t *header = cursor_take(cursor, IP6_HEADER);
	size_t payload;

	if (!header)
		return decode_short(cursor, IP6_HEADER);
	payload = cursor_be16(header + 4);
	if (payload == 0 && header[6] != NEXT_NONE && !packet->cut)
		payload = cursor->wire; /* a jumbogram (RFC 2675), or not yet split */
	if (header[0] >> 4 != 6 || payload > cursor->wire)
		return DECODE_MALFORMED;
	cursor_limit(cursor, payload);
	packet->source = addr_from_v6(header + 8);
	packet->destination = addr_from_v6(header + 24);
	packet->protocol = header[6];
	return skip_extensions(cursor, packet);
}

enum decode_result decode_ip(
	struct cursor *cursor, uint16_t ethertype, struct decode_packet *packet)
{
	if (ethertype == DECODE_ETHERTYPE_ANY) {
		if (cursor->captured < 1)
			return decode_short(cursor, 1);
		switch (cursor->at[0] >> 4) {
		case 4:
			ethertype = DECODE_ETHERTYPE_IPV4;
			break;
		case 6:
			ethertype = DECODE_ETHERTYPE_IPV6;
			break;
		default:
			return DECODE_NOT_IP;
		}
	}
	return ethertype == DECODE_ETHERTYPE_IPV4 ? decode_ip4(cursor, packet)
						  : decode_ip6(cursor, packet);
}

/* Link or tunnel, network, transport: one after the other. */
#include "decode/decode.h"

#include <string.h>

#include "decode/decode_layers.h"

enum { IP_LENGTH_MAX = 65535 };

static enum decode_result decode_network(
	struct cursor *cursor, uint16_t ethertype, struct decode_packet *packet)
{
	enum decode_result result = decode_ip(cursor, ethertype, packet);

	return result == DECODE_OK ? decode_transport(cursor, packet) : result;
}

enum decode_result decode_frame(int link_type, const uint8_t *frame, size_t captured, size_t wire,
	struct decode_packet *ret_packet)
{
	struct cursor cursor = {frame, captured, wire > captured ? wire : captured};
	enum decode_result result;
	uint16_t ethertype;

	memset(ret_packet, 0, sizeof(*ret_packet));
	result = decode_link(&cursor, link_type, ret_packet, &ethertype);
	return result == DECODE_OK ? decode_network(&cursor, ethertype, ret_packet) : result;
}

enum decode_result decode_inner(struct decode_packet *carrier, struct decode_packet *ret_inner)
{
	struct cursor cursor = carrier->payload;
	enum decode_result result;
	uint16_t ethertype;

	memset(ret_inner, 0, sizeof(*ret_inner));
	ret_inner->sender = carrier->sender;
	ret_inner->interface = carrier->interface;
	ret_inner->tunnel = carrier->carries;
	if (carrier->fragment == DECODE_FRAGMENT_FIRST) {
		ret_inner->cut = true;
		if (cursor.wire < IP_LENGTH_MAX)
			cursor.wire = IP_LENGTH_MAX;
	}
	result = decode_tunnel(&cursor, carrier->carries, &ret_inner->tunnel_id, &ethertype);
	if (result == DECODE_OK)
		result = decode_network(&cursor, ethertype, ret_inner);
	if (carrier->protocol == DECODE_PROTOCOL_UDP &&
		(result == DECODE_OK || result == DECODE_ARP))
		carrier->source_port = carrier->destination_port;
	return result;
}

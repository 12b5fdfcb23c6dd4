/* Link, network, transport: one after the other. */
#include "decode/decode.h"

#include <string.h>

#include "decode/decode_layers.h"

enum decode_result decode_frame(int link_type, const uint8_t *frame, size_t captured, size_t wire,
	struct decode_packet *ret_packet)
{
	struct cursor cursor = {frame, captured, wire > captured ? wire : captured};
	enum decode_result result;
	uint16_t ethertype;

	memset(ret_packet, 0, sizeof(*ret_packet));
	result = decode_link(&cursor, link_type, ret_packet, &ethertype);
	if (result == DECODE_OK)
		result = decode_ip(&cursor, ethertype, ret_packet);
	if (result == DECODE_OK)
		result = decode_transport(&cursor, ret_packet);
	return result;
}

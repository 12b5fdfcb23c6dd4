/* ICMP (RFC 792) and ICMPv6 (RFC 4443): which of them are answers, and reports that a packet could
 * not be delivered, with the head of that packet. Anybody may send such a report: it is believed
 * only of flows that nobody answered, see flow/flow_expire.c. */
#include <string.h>

#include "decode/decode_layers.h"

enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_TIMESTAMP_REPLY = 14,
	ICMP6_UNREACHABLE = 1,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
};

enum {
	ICMP_HEADER = 8,
	PORTS = 4,
	PORTS_AND_SEQUENCE = 8,
	IP_LENGTH_MAX = 65535,
};

static enum flow_outcome outcome_of(uint8_t code)
{
	switch (code) {
	case 2: /* protocol */
	case 3: /* port */
		return FLOW_OUTCOME_REFUSED;
	case 4: /* larger than the path takes: will be sent again */
		return FLOW_OUTCOME_OPEN;
	default: /* net, host, forbidden, ... */
		return FLOW_OUTCOME_UNREACHABLE;
	}
}

static enum flow_outcome outcome_of6(uint8_t code)
{
	return code == 4 ? FLOW_OUTCOME_REFUSED : FLOW_OUTCOME_UNREACHABLE; /* 4: port */
}

enum decode_result decode_icmp(const struct cursor *cursor, struct decode_packet *packet)
{
	bool six = packet->protocol == DECODE_PROTOCOL_ICMP6;
	uint8_t type;

	if (cursor->captured < 1)
		return decode_short(cursor, 1);
	type = cursor->at[0];
	packet->octets = (uint32_t)cursor->wire;
	packet->reply = six ? type == ICMP6_ECHO_REPLY || type == ICMP6_NEIGHBOUR_ADVERTISEMENT
			    : type == ICMP_ECHO_REPLY || type == ICMP_TIMESTAMP_REPLY;
	if (type != (six ? ICMP6_UNREACHABLE : ICMP_UNREACHABLE) || cursor->captured < ICMP_HEADER)
		return DECODE_OK;
	packet->reports = six ? outcome_of6(cursor->at[1]) : outcome_of(cursor->at[1]);
	packet->payload = *cursor;
	cursor_take(&packet->payload, ICMP_HEADER);
	return DECODE_OK;
}

enum decode_result decode_reported(
	const struct decode_packet *report, struct decode_packet *ret_packet)
{
	struct cursor cursor = report->payload;
	enum decode_result result;

	memset(ret_packet, 0, sizeof(*ret_packet));
	ret_packet->tunnel = report->tunnel;
	ret_packet->cut = true;
	if (cursor.wire < IP_LENGTH_MAX)
		cursor.wire = IP_LENGTH_MAX;
	result = decode_ip(&cursor, DECODE_ETHERTYPE_ANY, ret_packet);
	if (result != DECODE_OK)
		return result;
	if (ret_packet->fragment == DECODE_FRAGMENT_LATER)
		return DECODE_UNSUPPORTED;
	switch (ret_packet->protocol) {
	case DECODE_PROTOCOL_TCP:
		if (cursor.captured < PORTS_AND_SEQUENCE)
			return DECODE_TRUNCATED;
		ret_packet->tcp_seq = cursor_be32(cursor.at + 4);
		break;
	case DECODE_PROTOCOL_UDP:
	case DECODE_PROTOCOL_UDPLITE:
	case DECODE_PROTOCOL_SCTP:
		if (cursor.captured < PORTS)
			return DECODE_TRUNCATED;
		break;
	default:
		return DECODE_UNSUPPORTED;
	}
	ret_packet->source_port = cursor_be16(cursor.at);
	ret_packet->destination_port = cursor_be16(cursor.at + 2);
	return DECODE_OK;
}

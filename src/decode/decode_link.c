/* Link layers of www.tcpdump.org/linktypes.html. What may stand between them and IP is read by
 * decode_ethertype.c. */
#include "decode/decode_layers.h"

enum link_type {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_PPP = 9,
	LINK_RAW_LINUX = 12, /* DLT_RAW, as libpcap numbers it on Linux and elsewhere */
	LINK_RAW_OPENBSD = 14,
	LINK_PPP_HDLC = 50,
	LINK_PPPOE = 51,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

enum { ARPHRD_LOOPBACK = 772, ARPHRD_NETLINK = 824 };

bool decode_link_type_supported(int link_type)
{
	switch (link_type) {
	case LINK_NULL:
	case LINK_ETHERNET:
	case LINK_PPP:
	case LINK_RAW_LINUX:
	case LINK_RAW_OPENBSD:
	case LINK_PPP_HDLC:
	case LINK_PPPOE:
	case LINK_RAW:
	case LINK_LOOP:
	case LINK_SLL:
	case LINK_IPV4:
	case LINK_IPV6:
	case LINK_SLL2:
		return true;
	default:
		return false;
	}
}

/* On a loopback device each packet shows as received: that tells nothing. */
static enum decode_sender cooked_sender(unsigned packet_type, uint16_t device_type)
{
	if (device_type == ARPHRD_LOOPBACK)
		return DECODE_SENDER_UNKNOWN;
	switch (packet_type) {
	case 0: /* to us */
	case 1: /* broadcast */
	case 2: /* multicast */
		return DECODE_SENDER_REMOTE;
	case 4:
		return DECODE_SENDER_LOCAL;
	default: /* between others */
		return DECODE_SENDER_UNKNOWN;
	}
}

static enum decode_result decode_cooked(struct cursor *cursor, uint16_t device_type,
	unsigned packet_type, uint16_t protocol, struct decode_packet *packet,
	uint16_t *ret_ethertype)
{
	if (device_type == ARPHRD_NETLINK)
		return DECODE_NOT_IP;
	packet->sender = cooked_sender(packet_type, device_type);
	return decode_ethertype(cursor, protocol, ret_ethertype);
}

static enum decode_result decode_sll(
	struct cursor *cursor, struct decode_packet *packet, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, 16);

	if (!header)
		return decode_short(cursor, 16);
	return decode_cooked(cursor, cursor_be16(header + 2), cursor_be16(header),
		cursor_be16(header + 14), packet, ret_ethertype);
}

static enum decode_result decode_sll2(
	struct cursor *cursor, struct decode_packet *packet, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, 20);

	if (!header)
		return decode_short(cursor, 20);
	packet->interface = cursor_be32(header + 4);
	return decode_cooked(cursor, cursor_be16(header + 8), header[10], cursor_be16(header),
		packet, ret_ethertype);
}

/* An address family in the byte order of the machine that wrote it; IPv6 has many numbers. */
static enum decode_result decode_null(struct cursor *cursor, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, 4);
	uint32_t family;

	if (!header)
		return decode_short(cursor, 4);
	family = cursor_be32(header);
	if (family > 0xffff)
		family = (uint32_t)header[1] << 8 | header[0];
	switch (family) {
	case 2:
		*ret_ethertype = DECODE_ETHERTYPE_IPV4;
		return DECODE_OK;
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		*ret_ethertype = DECODE_ETHERTYPE_IPV6;
		return DECODE_OK;
	default:
		return DECODE_NOT_IP;
	}
}

/* PPP within may hold labels. */
static enum decode_result decode_point_to_point(
	struct cursor *cursor, int link_type, uint16_t *ret_ethertype)
{
	uint16_t ethertype;
	enum decode_result result = link_type == LINK_PPPOE ? decode_pppoe(cursor, &ethertype)
							    : decode_ppp(cursor, &ethertype);

	return result == DECODE_OK ? decode_ethertype(cursor, ethertype, ret_ethertype) : result;
}

enum decode_result decode_link(
	struct cursor *cursor, int link_type, struct decode_packet *packet, uint16_t *ret_ethertype)
{
	switch (link_type) {
	case LINK_ETHERNET:
		return decode_ethernet(cursor, ret_ethertype);
	case LINK_PPP:
	case LINK_PPP_HDLC:
	case LINK_PPPOE:
		return decode_point_to_point(cursor, link_type, ret_ethertype);
	case LINK_SLL:
		return decode_sll(cursor, packet, ret_ethertype);
	case LINK_SLL2:
		return decode_sll2(cursor, packet, ret_ethertype);
	case LINK_NULL:
	case LINK_LOOP:
		return decode_null(cursor, ret_ethertype);
	case LINK_RAW_LINUX:
	case LINK_RAW_OPENBSD:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		*ret_ethertype = DECODE_ETHERTYPE_ANY;
		return DECODE_OK;
	default:
		return DECODE_UNSUPPORTED;
	}
}

/* Ports and octets of payload: TCP (RFC 9293), UDP (RFC 768), UDP-Lite (RFC 3828), SCTP (RFC 9260,
 * payload with its chunk headers). */
#include "decode/decode_layers.h"

enum {
	TCP_HEADER = 20,
	TCP_HEADER_NEEDED = 14, /* up to the flags */
	UDP_HEADER = 8,
	SCTP_HEADER = 12,
	PORTS = 4,
};

/* The first needed octets of a header that is size octets long, ports first; not moved over. */
static enum decode_result peek_ports(
	const struct cursor *cursor, size_t needed, size_t size, struct decode_packet *packet)
{
	if (cursor->wire < size)
		return DECODE_MALFORMED;
	if (cursor->captured < needed)
		return DECODE_TRUNCATED;
	packet->source_port = cursor_be16(cursor->at);
	packet->destination_port = cursor_be16(cursor->at + 2);
	packet->octets = (uint32_t)(cursor->wire - size);
	return DECODE_OK;
}

/* What follows a header of so many octets, as far as it was captured and belongs to the packet. */
static void keep_payload(const struct cursor *cursor, size_t header, struct decode_packet *packet)
{
	packet->payload = *cursor;
	if (!cursor_take(&packet->payload, header))
		packet->payload.captured = 0;
	cursor_limit(&packet->payload, packet->octets);
}

static enum decode_result decode_tcp(const struct cursor *cursor, struct decode_packet *packet)
{
	enum decode_result result = peek_ports(cursor, TCP_HEADER_NEEDED, TCP_HEADER, packet);
	size_t length;

	if (result != DECODE_OK)
		return result;
	length = (size_t)(cursor->at[12] >> 4) * 4;
	if (length < TCP_HEADER || length > cursor->wire)
		return DECODE_MALFORMED;
	packet->octets = (uint32_t)(cursor->wire - length);
	packet->tcp_seq = cursor_be32(cursor->at + 4);
	packet->tcp_flags = cursor->at[13];
	keep_payload(cursor, length, packet);
	return DECODE_OK;
}

/* The length of a datagram is in its own header, but for jumbograms (0) and in a first fragment,
 * where it is that of the whole. */
static enum decode_result decode_udp(const struct cursor *cursor, struct decode_packet *packet)
{
	enum decode_result result = peek_ports(cursor, UDP_HEADER, UDP_HEADER, packet);
	size_t length;

	if (result != DECODE_OK)
		return result;
	length = cursor_be16(cursor->at + 4);
	if (length && packet->fragment != DECODE_FRAGMENT_FIRST) {
		if (length < UDP_HEADER || length > cursor->wire)
			return DECODE_MALFORMED;
		packet->octets = (uint32_t)(length - UDP_HEADER);
	}
	keep_payload(cursor, UDP_HEADER, packet);
	decode_carrier_udp(packet);
	return DECODE_OK;
}

enum decode_result decode_transport(struct cursor *cursor, struct decode_packet *packet)
{
	packet->octets = (uint32_t)cursor->wire;
	if (packet->fragment == DECODE_FRAGMENT_LATER)
		return DECODE_OK;
	switch (packet->protocol) {
	case DECODE_PROTOCOL_TCP:
		return decode_tcp(cursor, packet);
	case DECODE_PROTOCOL_UDP:
		return decode_udp(cursor, packet);
	case DECODE_PROTOCOL_UDPLITE:
		return peek_ports(cursor, PORTS, UDP_HEADER, packet);
	case DECODE_PROTOCOL_SCTP:
		return peek_ports(cursor, PORTS, SCTP_HEADER, packet);
	case DECODE_PROTOCOL_ICMP:
	case DECODE_PROTOCOL_ICMP6:
		return decode_icmp(cursor, packet);
	case DECODE_PROTOCOL_IPV4:
	case DECODE_PROTOCOL_IPV6:
	case DECODE_PROTOCOL_GRE:
		keep_payload(cursor, 0, packet);
		decode_carrier_ip(packet);
		return DECODE_OK;
	default:
		return DECODE_OK;
	}
}

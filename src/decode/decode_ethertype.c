/* What stands between a link layer and IP: VLAN tags (802.1Q, 802.1ad), LLC with SNAP (RFC 1042),
 * PPPoE sessions (RFC 2516), PPP (RFC 1661), MPLS label stacks (RFC 3032).
 *
 * Limits: four VLAN tags, eight labels. MPLS does not say what it carries: its first four bits tell
 * IPv4 and IPv6; a pseudowire (RFC 4385: they are 0) may hold anything, and is not guessed. */
#include "decode/decode_layers.h"

enum {
	VLAN_TAGS_MAX = 4,
	MPLS_LABELS_MAX = 8,
};

enum ethertype {
	ETHERTYPE_LENGTH_MAX = 1500, /* up to here it is the length of an LLC frame */
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_RARP = 0x8035,
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_UPSTREAM = 0x8848,
	ETHERTYPE_PPPOE = 0x8864, /* session; discovery carries no IP */
};

enum ppp_protocol {
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_MPLS = 0x0281,
	PPP_MPLS_UPSTREAM = 0x0283,
	PPP_CONTROL = 0x4000, /* from here on: LCP, IPCP, authentication, ... */
};

static bool is_ip(uint16_t ethertype)
{
	return ethertype == DECODE_ETHERTYPE_IPV4 || ethertype == DECODE_ETHERTYPE_IPV6;
}

static bool is_vlan_tag(uint16_t ethertype)
{
	return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100 ||
	       ethertype == 0x9200;
}

static bool is_mpls(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_MPLS || ethertype == ETHERTYPE_MPLS_UPSTREAM;
}

/* TRILL, FabricPath, VN-Tag, E-Tag, MACsec, B-tags, NSH: IP may be within. */
static bool may_carry_ip(uint16_t ethertype)
{
	return ethertype == 0x22f3 || ethertype == 0x8903 || ethertype == 0x8926 ||
	       ethertype == 0x893f || ethertype == 0x88e5 || ethertype == 0x88e7 ||
	       ethertype == 0x894f;
}

static enum decode_result skip_vlan_tags(struct cursor *cursor, uint16_t *ethertype)
{
	for (int tags = 0; is_vlan_tag(*ethertype); tags++) {
		const uint8_t *tag = cursor_take(cursor, 4);

		if (tags == VLAN_TAGS_MAX)
			return DECODE_UNSUPPORTED;
		if (!tag)
			return decode_short(cursor, 4);
		*ethertype = cursor_be16(tag + 2);
	}
	return DECODE_OK;
}

static enum decode_result decode_llc(struct cursor *cursor, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor->at;

	if (cursor->captured < 3)
		return decode_short(cursor, 3);
	if (header[0] != 0xaa || header[1] != 0xaa || header[2] != 3)
		return DECODE_NOT_IP; /* spanning tree, IS-IS, IPX, ... */
	if (!cursor_take(cursor, 8))
		return decode_short(cursor, 8);
	if (header[3] || header[4] || header[5])
		return DECODE_NOT_IP; /* a vendor's own numbers */
	*ret_ethertype = cursor_be16(header + 6);
	return DECODE_OK;
}

/* Address and control as in HDLC may go before; a leading zero may be left out (RFC 1661 6.5). */
static enum decode_result take_protocol(struct cursor *cursor, uint16_t *ret_protocol)
{
	if (cursor->captured < 2)
		return decode_short(cursor, 2);
	if (cursor->at[0] == 0xff && cursor->at[1] == 3) {
		cursor_take(cursor, 2);
		if (cursor->captured < 2)
			return decode_short(cursor, 2);
	}
	if (cursor->at[0] & 1) {
		*ret_protocol = cursor->at[0];
		cursor_take(cursor, 1);
	} else {
		*ret_protocol = cursor_be16(cursor->at);
		cursor_take(cursor, 2);
	}
	return DECODE_OK;
}

enum decode_result decode_ppp(struct cursor *cursor, uint16_t *ret_ethertype)
{
	uint16_t protocol;
	enum decode_result result = take_protocol(cursor, &protocol);

	if (result != DECODE_OK)
		return result;
	switch (protocol) {
	case PPP_IPV4:
		*ret_ethertype = DECODE_ETHERTYPE_IPV4;
		return DECODE_OK;
	case PPP_IPV6:
		*ret_ethertype = DECODE_ETHERTYPE_IPV6;
		return DECODE_OK;
	case PPP_MPLS:
	case PPP_MPLS_UPSTREAM:
		*ret_ethertype = ETHERTYPE_MPLS;
		return DECODE_OK;
	default: /* compressed, encrypted or in pieces */
		return protocol < PPP_CONTROL ? DECODE_UNSUPPORTED : DECODE_NOT_IP;
	}
}

enum decode_result decode_pppoe(struct cursor *cursor, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, 6);
	size_t length;

	if (!header)
		return decode_short(cursor, 6);
	if (header[0] != 0x11) /* version and type */
		return DECODE_UNSUPPORTED;
	length = cursor_be16(header + 4);
	if (header[1] != 0 || length > cursor->wire)
		return DECODE_MALFORMED;
	cursor_limit(cursor, length);
	return decode_ppp(cursor, ret_ethertype);
}

static enum decode_result skip_labels(struct cursor *cursor, uint16_t *ethertype)
{
	const uint8_t *label;
	int labels = 0;

	do {
		label = cursor_take(cursor, 4);
		if (!label)
			return decode_short(cursor, 4);
		if (labels++ == MPLS_LABELS_MAX)
			return DECODE_UNSUPPORTED;
	} while (!(label[2] & 1)); /* the bottom of the stack */
	if (cursor->captured < 1)
		return decode_short(cursor, 1);
	switch (cursor->at[0] >> 4) {
	case 1: /* an associated channel: housekeeping */
		return DECODE_NOT_IP;
	case 4:
		*ethertype = DECODE_ETHERTYPE_IPV4;
		return DECODE_OK;
	case 6:
		*ethertype = DECODE_ETHERTYPE_IPV6;
		return DECODE_OK;
	default:
		return DECODE_UNSUPPORTED;
	}
}

/* The word for what carries no IP that we read. */
static enum decode_result classify(uint16_t ethertype)
{
	if (is_ip(ethertype))
		return DECODE_OK;
	if (ethertype == ETHERTYPE_ARP || ethertype == ETHERTYPE_RARP)
		return DECODE_ARP;
	return may_carry_ip(ethertype) ? DECODE_UNSUPPORTED : DECODE_NOT_IP;
}

enum decode_result decode_ethertype(
	struct cursor *cursor, uint16_t ethertype, uint16_t *ret_ethertype)
{
	enum decode_result result = skip_vlan_tags(cursor, &ethertype);

	if (result == DECODE_OK && ethertype <= ETHERTYPE_LENGTH_MAX)
		result = decode_llc(cursor, &ethertype);
	if (result == DECODE_OK && ethertype == ETHERTYPE_PPPOE)
		result = decode_pppoe(cursor, &ethertype);
	if (result == DECODE_OK && is_mpls(ethertype))
		result = skip_labels(cursor, &ethertype);
	if (result == DECODE_OK)
		result = classify(ethertype);
	if (result == DECODE_OK)
		*ret_ethertype = ethertype;
	return result;
}

enum decode_result decode_ethernet(struct cursor *cursor, uint16_t *ret_ethertype)
{
	const uint8_t *header = cursor_take(cursor, 14);
	uint16_t ethertype;

	if (!header)
		return decode_short(cursor, 14);
	ethertype = cursor_be16(header + 12);
	if (!is_ip(ethertype))
		return decode_ethertype(cursor, ethertype, ret_ethertype);
	*ret_ethertype = ethertype;
	return DECODE_OK;
}

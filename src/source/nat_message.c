/* By hand: libnetfilter_conntrack ends the process when an attribute has another length than it
 * expects, and takes memory for each message. NAT is what makes the reply of a connection another
 * thing than its original turned round; identifiers of ICMP are no ends.
 *
 * Attributes that are not known, or have another length, are passed over; a message without what
 * makes two tuples is malformed. */
#include "source/nat_message.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct attributes {
	const char *at;
	size_t left;
};

struct attribute {
	struct attributes inside; /* or the octets of the value */
	int type;
};

/* Steps over the next one. False: there is none, or no whole one. */
static bool take(struct attributes *from, struct attribute *ret_attribute)
{
	struct nlattr header;
	size_t step;

	if (from->left < sizeof(header))
		return false;
	memcpy(&header, from->at, sizeof(header));
	if (header.nla_len < NLA_HDRLEN || header.nla_len > from->left)
		return false;
	ret_attribute->type = header.nla_type & NLA_TYPE_MASK;
	ret_attribute->inside.at = from->at + NLA_HDRLEN;
	ret_attribute->inside.left = header.nla_len - (size_t)NLA_HDRLEN;
	step = NLA_ALIGN(header.nla_len);
	step = step < from->left ? step : from->left;
	from->at += step;
	from->left -= step;
	return true;
}

static bool read_address(const struct attribute *attribute, bool v4, struct addr *ret_addr)
{
	if (attribute->inside.left != (v4 ? 4 : 16))
		return false;
	*ret_addr = v4 ? addr_from_v4(attribute->inside.at) : addr_from_v6(attribute->inside.at);
	return true;
}

/* Returns whether both addresses are there. */
static bool read_addresses(struct attributes from, bool v4, struct flow_key *key)
{
	bool local = false, remote = false;
	struct attribute attribute;

	while (take(&from, &attribute)) {
		if (attribute.type == (v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC))
			local = read_address(&attribute, v4, &key->local);
		if (attribute.type == (v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST))
			remote = read_address(&attribute, v4, &key->remote);
	}
	return local && remote;
}

static void read_port(const struct attribute *attribute, uint16_t *ret_port)
{
	uint16_t port;

	if (attribute->inside.left != sizeof(port))
		return;
	memcpy(&port, attribute->inside.at, sizeof(port));
	*ret_port = ntohs(port);
}

/* Returns whether the protocol is there; ports may be missing. */
static bool read_protocol(struct attributes from, struct flow_key *key)
{
	struct attribute attribute;
	bool found = false;

	while (take(&from, &attribute)) {
		if (attribute.type == CTA_PROTO_NUM && attribute.inside.left == 1) {
			key->protocol = (uint8_t)*attribute.inside.at;
			found = true;
		}
		if (attribute.type == CTA_PROTO_SRC_PORT)
			read_port(&attribute, &key->local_port);
		if (attribute.type == CTA_PROTO_DST_PORT)
			read_port(&attribute, &key->remote_port);
	}
	return found;
}

/* Returns whether it is whole. */
static bool read_tuple(struct attributes from, bool v4, struct flow_key *ret_key)
{
	bool addresses = false, protocol = false;
	struct attribute attribute;

	*ret_key = (struct flow_key){0};
	while (take(&from, &attribute)) {
		if (attribute.type == CTA_TUPLE_IP)
			addresses = read_addresses(attribute.inside, v4, ret_key);
		if (attribute.type == CTA_TUPLE_PROTO)
			protocol = read_protocol(attribute.inside, ret_key);
	}
	return addresses && protocol;
}

static bool read_tuples(struct attributes from, bool v4, struct nat_mapping *ret_mapping)
{
	bool original = false, reply = false;
	struct attribute attribute;

	while (take(&from, &attribute)) {
		if (attribute.type == CTA_TUPLE_ORIG)
			original = read_tuple(attribute.inside, v4, &ret_mapping->original);
		if (attribute.type == CTA_TUPLE_REPLY)
			reply = read_tuple(attribute.inside, v4, &ret_mapping->reply);
	}
	return original && reply;
}

static bool is_changed(const struct nat_mapping *mapping)
{
	return !addr_equal(&mapping->original.local, &mapping->reply.remote) ||
	       !addr_equal(&mapping->original.remote, &mapping->reply.local) ||
	       mapping->original.local_port != mapping->reply.remote_port ||
	       mapping->original.remote_port != mapping->reply.local_port;
}

enum nat_message nat_message_read(const struct nlmsghdr *message, struct nat_mapping *ret_mapping)
{
	const struct nfgenmsg *generic = NLMSG_DATA(message);
	const size_t begin = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(*generic)));
	unsigned type = NFNL_MSG_TYPE(message->nlmsg_type);
	struct nat_mapping mapping;
	struct attributes all;

	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK ||
		(type != IPCTNL_MSG_CT_NEW && type != IPCTNL_MSG_CT_DELETE))
		return NAT_MESSAGE_OTHER;
	if (message->nlmsg_len < begin)
		return NAT_MESSAGE_MALFORMED;
	if (generic->nfgen_family != AF_INET && generic->nfgen_family != AF_INET6)
		return NAT_MESSAGE_OTHER;
	all.at = (const char *)message + begin;
	all.left = message->nlmsg_len - begin;
	if (!read_tuples(all, generic->nfgen_family == AF_INET, &mapping))
		return NAT_MESSAGE_MALFORMED;
	if (!is_changed(&mapping))
		return NAT_MESSAGE_OTHER;
	*ret_mapping = mapping;
	return type == IPCTNL_MSG_CT_DELETE ? NAT_MESSAGE_GONE : NAT_MESSAGE_NEW;
}

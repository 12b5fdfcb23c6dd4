/* Messages of conntrack, made by the library of conntrack(8). */
#include "source/nat_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

enum { MESSAGE_SIZE = 1024, TCP = 6, NEW = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW };

union message {
	struct nlmsghdr header;
	char octets[MESSAGE_SIZE];
};

struct ends {
	const char *src, *dst;
	uint16_t src_port, dst_port;
};

static void put_address(struct nf_conntrack *ct, int family, enum nf_conntrack_attr v4,
	enum nf_conntrack_attr v6, const char *text)
{
	uint8_t octets[16];

	assert_int_equal(inet_pton(family, text, octets), 1);
	nfct_set_attr(ct, family == AF_INET ? v4 : v6, octets);
}

static void make(union message *message, uint16_t type, int family, const struct ends *original,
	const struct ends *reply)
{
	struct nf_conntrack *ct = nfct_new();
	struct nfgenmsg generic = {.nfgen_family = (uint8_t)family};

	assert_non_null(ct);
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, (uint8_t)family);
	nfct_set_attr_u8(ct, ATTR_REPL_L3PROTO, (uint8_t)family);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, TCP);
	nfct_set_attr_u8(ct, ATTR_REPL_L4PROTO, TCP);
	put_address(ct, family, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, original->src);
	put_address(ct, family, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, original->dst);
	put_address(ct, family, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, reply->src);
	put_address(ct, family, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, reply->dst);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(original->src_port));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(original->dst_port));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_SRC, htons(reply->src_port));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(reply->dst_port));
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_len = NLMSG_LENGTH(sizeof(generic));
	message->header.nlmsg_type = type;
	memcpy(NLMSG_DATA(&message->header), &generic, sizeof(generic));
	assert_int_equal(nfct_nlmsg_build(&message->header, ct), 0);
	nfct_destroy(ct);
}

static void expect_end(const struct addr *addr, uint16_t port, const char *text, uint16_t expected)
{
	char buf[ADDR_TEXT_SIZE];

	assert_string_equal(addr_format(addr, buf), text);
	assert_int_equal(port, expected);
}

static void expect(const struct flow_key *key, const struct ends *ends)
{
	assert_int_equal(key->protocol, TCP);
	expect_end(&key->local, key->local_port, ends->src, ends->src_port);
	expect_end(&key->remote, key->remote_port, ends->dst, ends->dst_port);
}

static const struct ends inside = {"10.0.0.2", "203.0.113.9", 5000, 443};
static const struct ends answer = {"203.0.113.9", "192.0.2.1", 443, 6000};
static const struct ends mirror = {"203.0.113.9", "10.0.0.2", 443, 5000};
static const struct ends inside6 = {"fd00::2", "2001:db8::9", 5000, 443};
static const struct ends answer6 = {"2001:db8::9", "2001:db8::1", 443, 5000};

static void both_tuples_are_told(void **state)
{
	struct nat_mapping mapping;
	union message message;

	(void)state;
	make(&message, NEW, AF_INET, &inside, &answer);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_NEW);
	expect(&mapping.original, &inside);
	expect(&mapping.reply, &answer);
	make(&message, NEW, AF_INET6, &inside6, &answer6);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_NEW);
	expect(&mapping.original, &inside6);
	expect(&mapping.reply, &answer6);
}

static void an_end_is_told_apart_from_a_begin(void **state)
{
	struct nat_mapping mapping;
	union message message;

	(void)state;
	make(&message, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, AF_INET, &inside,
		&answer);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_GONE);
	expect(&mapping.original, &inside);
}

static void without_nat_and_of_others_there_is_nothing(void **state)
{
	struct nat_mapping mapping;
	union message message;

	(void)state;
	make(&message, NEW, AF_INET, &inside, &mirror);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_OTHER);
	make(&message, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, AF_INET, &inside,
		&answer);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_OTHER);
	make(&message, NFNL_SUBSYS_QUEUE << 8 | IPCTNL_MSG_CT_NEW, AF_INET, &inside, &answer);
	assert_int_equal(nat_message_read(&message.header, &mapping), NAT_MESSAGE_OTHER);
}

/* In memory of its own, so that reading past it is seen. */
static enum nat_message read_part(const union message *whole, uint32_t length)
{
	struct nlmsghdr *part = malloc(length);
	struct nat_mapping mapping;
	enum nat_message result;

	assert_non_null(part);
	memcpy(part, whole, length);
	part->nlmsg_len = length;
	result = nat_message_read(part, &mapping);
	free(part);
	return result;
}

static void a_message_that_ends_early_is_malformed(void **state)
{
	union message message;

	(void)state;
	make(&message, NEW, AF_INET, &inside, &answer);
	assert_int_equal(read_part(&message, message.header.nlmsg_len), NAT_MESSAGE_NEW);
	for (uint32_t length = sizeof(struct nlmsghdr); length < message.header.nlmsg_len;
		length++) {
		enum nat_message result = read_part(&message, length);

		/* the alignment of the last attribute may be missing */
		if (length + NLA_ALIGNTO <= message.header.nlmsg_len)
			assert_int_equal(result, NAT_MESSAGE_MALFORMED);
	}
}

static void no_octet_that_is_wrong_does_harm(void **state)
{
	union message message, wrong;

	(void)state;
	make(&message, NEW, AF_INET6, &inside6, &answer6);
	for (uint32_t i = sizeof(struct nlmsghdr); i < message.header.nlmsg_len; i++)
		for (int value = 0; value < 256; value++) {
			wrong = message;
			wrong.octets[i] = (char)value;
			read_part(&wrong, message.header.nlmsg_len);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_tuples_are_told),
		cmocka_unit_test(an_end_is_told_apart_from_a_begin),
		cmocka_unit_test(without_nat_and_of_others_there_is_nothing),
		cmocka_unit_test(a_message_that_ends_early_is_malformed),
		cmocka_unit_test(no_octet_that_is_wrong_does_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

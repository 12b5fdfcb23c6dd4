/* Netlink by hand: one request, one answer, one multicast; no library saves a line here.
 *
 * Kernel facts: INET_DIAG_INFO of TCP since 2.6.14, bytes_acked and bytes_received since 4.1,
 * data_segs_in since 4.6, bytes_sent and bytes_retrans since 4.19; the attribute is as long as the
 * kernel's struct tcp_info. Word of destroyed sockets since 4.3; those of IPv6 come in groups of
 * their own. A destroyed socket has state CLOSE and neither inode nor uid. */
#include "source/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "source/netlink_socket.h"

enum {
	BUFFER_SIZE = 32768,     /* what the kernel fills at a time */
	TIMER_TIME_WAIT = 3,     /* idiag_timer, inet_twsk_diag_fill() */
	EVENTS_OCTETS = 4 << 20, /* waiting words of destroyed sockets */
	EVENTS_AT_ONCE = 16384,  /* they may come as fast as they are read */
};

/* Of INET_DIAG_REQ_BYTECODE: "port chosen by the kernel: out; else: in". Offsets are in octets; the
 * jump ends 4 behind the program, which is how a program says no. */
static const struct inet_diag_bc_op bound_only[] = {
	{.code = INET_DIAG_BC_AUTO, .yes = 4, .no = 8},
	{.code = INET_DIAG_BC_JMP, .yes = 4, .no = 8},
};

/* "port chosen by the kernel: in; else: out". */
static const struct inet_diag_bc_op given_only[] = {
	{.code = INET_DIAG_BC_AUTO, .yes = 4, .no = 8},
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
	struct nlattr filter_header;
	struct inet_diag_bc_op filter[2];
};

int sock_diag_open(void)
{
	return netlink_socket_open(NETLINK_SOCK_DIAG, 0);
}

int sock_diag_subscribe(void)
{
	static const int numbers[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET_UDP_DESTROY,
		SKNLGRP_INET6_TCP_DESTROY, SKNLGRP_INET6_UDP_DESTROY};
	const struct netlink_groups groups = {
		.protocol = NETLINK_SOCK_DIAG,
		.at = numbers,
		.count = sizeof(numbers) / sizeof(numbers[0]),
		.octets = EVENTS_OCTETS,
	};

	return netlink_socket_subscribe(&groups);
}

static int send_request(int fd, int family, const struct sock_diag_query *query)
{
	size_t filter = query->bound_only ? sizeof(bound_only) : sizeof(given_only);
	bool filtered = query->bound_only || query->given_only;
	struct request request = {
		.header = {.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_len = (__u32)(filtered ? offsetof(struct request, filter) + filter
						      : offsetof(struct request, filter_header))},
		.body = {.sdiag_family = (__u8)family,
			.sdiag_protocol = query->protocol,
			.idiag_ext = 1 << (INET_DIAG_INFO - 1),
			.idiag_states = query->states},
		.filter_header = {.nla_type = INET_DIAG_REQ_BYTECODE,
			.nla_len = (__u16)(sizeof(struct nlattr) + filter)},
	};

	memcpy(request.filter, query->bound_only ? bound_only : given_only, filter);
	return send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

static struct addr address_of(int family, const void *octets)
{
	return family == AF_INET ? addr_from_v4(octets) : addr_from_v6(octets);
}

static void take_info(struct sock_diag_socket *socket, const void *data, size_t size)
{
	struct tcp_info info = {0};

	memcpy(&info, data, size < sizeof(info) ? size : sizeof(info));
	if (size < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(info.tcpi_bytes_retrans))
		return;
	socket->counted = true;
	socket->tcp = (struct sock_diag_tcp){
		.sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans,
		.acked = info.tcpi_bytes_acked,
		.received = info.tcpi_bytes_received,
		.segments_out = info.tcpi_segs_out,
		.segments_in = info.tcpi_segs_in,
		.data_segments_in = info.tcpi_data_segs_in,
		.retransmits = info.tcpi_total_retrans,
		.rtt_us = info.tcpi_rtt,
		.unanswered = info.tcpi_retransmits > 0 || info.tcpi_probes > 0,
	};
}

static void take_attributes(struct sock_diag_socket *socket, const char *at, size_t left)
{
	struct nlattr attribute;

	while (left >= sizeof(attribute)) {
		size_t step;

		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > left)
			return;
		if (attribute.nla_type == INET_DIAG_INFO && socket->key.protocol == IPPROTO_TCP)
			take_info(socket, at + sizeof(attribute),
				attribute.nla_len - sizeof(attribute));
		if (attribute.nla_type == INET_DIAG_PROTOCOL && attribute.nla_len > NLA_HDRLEN)
			socket->key.protocol = (uint8_t)at[NLA_HDRLEN];
		step = NLA_ALIGN(attribute.nla_len);
		at += step < left ? step : left;
		left -= step < left ? step : left;
	}
}

/* A raw socket's port is its protocol. */
static void take_ports(struct sock_diag_socket *socket, const struct inet_diag_msg *message)
{
	if (socket->key.protocol != IPPROTO_TCP && socket->key.protocol != IPPROTO_UDP &&
		socket->key.protocol != IPPROTO_UDPLITE && socket->key.protocol != IPPROTO_SCTP)
		return;
	socket->key.local_port = ntohs(message->id.idiag_sport);
	socket->key.remote_port = ntohs(message->id.idiag_dport);
}

bool sock_diag_parse(
	const void *payload, size_t size, uint8_t protocol, struct sock_diag_socket *ret_socket)
{
	struct sock_diag_socket socket = {.key.protocol = protocol};
	struct inet_diag_msg message;

	if (size < sizeof(message))
		return false;
	memcpy(&message, payload, sizeof(message));
	if (message.idiag_family != AF_INET && message.idiag_family != AF_INET6)
		return false;
	/* what waits for a late FIN is dumped as FIN_WAIT2, and is no socket any more */
	if (message.idiag_timer == TIMER_TIME_WAIT)
		return false;
	socket.key.local = address_of(message.idiag_family, message.id.idiag_src);
	socket.key.remote = address_of(message.idiag_family, message.id.idiag_dst);
	socket.key.socket_cookie = message.id.idiag_cookie[0] | (uint64_t)message.id.idiag_cookie[1]
									<< 32;
	socket.inode = message.idiag_inode;
	socket.unread = message.idiag_rqueue;
	socket.unacked = message.idiag_wqueue;
	socket.state = message.idiag_state;
	take_attributes(&socket, (const char *)payload + sizeof(message), size - sizeof(message));
	take_ports(&socket, &message);
	*ret_socket = socket;
	return true;
}

/* Returns 1 if this was the last message, 0 if not, or negative errno. */
static int take_message(
	const struct nlmsghdr *header, uint8_t protocol, sock_diag_visit *visit, void *ctx)
{
	struct sock_diag_socket socket;
	int number = 0;

	switch (header->nlmsg_type) {
	case NLMSG_DONE:
	case NLMSG_ERROR:
		if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(number)))
			memcpy(&number, NLMSG_DATA(header), sizeof(number));
		return number < 0 ? number : 1;
	default:
		if (sock_diag_parse(
			    NLMSG_DATA(header), NLMSG_PAYLOAD(header, 0), protocol, &socket))
			visit(ctx, &socket);
		return 0;
	}
}

/* Takes the messages of one datagram, if it is the kernel's. */
static int receive(int fd, uint8_t protocol, sock_diag_visit *visit, void *ctx)
{
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
	const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
	struct sockaddr_nl from = {0};
	socklen_t from_size = sizeof(from);
	ssize_t got;
	int result = 0;

	do
		got = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &from_size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0;
	for (unsigned left = (unsigned)got; result == 0 && NLMSG_OK(header, left);
		header = NLMSG_NEXT(header, left))
		result = take_message(header, protocol, visit, ctx);
	return result;
}

int sock_diag_dump(
	int fd, int family, const struct sock_diag_query *query, sock_diag_visit *visit, void *ctx)
{
	int result = send_request(fd, family, query);

	while (result == 0)
		result = receive(fd, query->protocol, visit, ctx);
	return result < 0 ? result : 0;
}

int sock_diag_destroyed(int fd, sock_diag_visit *visit, void *ctx)
{
	bool lost = false;
	int result = 0;

	for (int i = 0; i < EVENTS_AT_ONCE && (result >= 0 || result == -ENOBUFS); i++) {
		result = receive(fd, 0, visit, ctx);
		lost = lost || result == -ENOBUFS;
	}
	if (result < 0 && result != -EAGAIN && result != -ENOBUFS)
		return result;
	return lost ? -ENOBUFS : 0;
}

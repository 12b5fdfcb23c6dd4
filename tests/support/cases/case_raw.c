/* ICMP and raw sockets, in a network namespace of the case: such sockets get what others send.
 * Octets are those behind the IP header, without the header of UDP alone. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { PAYLOAD = 56, MESSAGE = 8 + PAYLOAD, EXPERIMENTAL = 253 /* RFC 3692 */ };

#define NEAR "127.0.0.2"
#define FAR  "127.0.0.3"

static int open_raw(const char *ip, int type, int protocol)
{
	struct net_address address = net_address(ip, 0);
	int sock = net_socket(ip, type, protocol);

	if (bind(sock, &address.any, address.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	return sock;
}

static void send_message(int sock, const char *ip, const void *message, size_t size)
{
	struct net_address peer = net_address(ip, 0);

	if (sendto(sock, message, size, 0, &peer.any, peer.length) < 0)
		truth_fail("sendto: %s", strerror(errno));
}

/* Asks twice, is answered twice by the kernel. */
static void ping(int sock, const char *ip, int echo, const char *end)
{
	struct net_address peer = net_address(ip, 0);
	struct icmphdr message[MESSAGE / sizeof(struct icmphdr)] = {0};
	struct truth *truth = truth_flow(end, sock, &peer.any, "out");

	truth->local.port = truth->remote.port = 0;
	truth_octets(truth, 2 * MESSAGE, 2 * MESSAGE);
	truth_packets(truth, 2, 2);
	message[0].type = (unsigned char)echo;
	message[0].checksum = htons((uint16_t) ~(echo << 8)); /* of what is otherwise zero */
	for (int i = 0; i < 2; i++) {
		send_message(sock, ip, message, sizeof(message));
		if (recv(sock, message, 0, 0) < 0)
			truth_fail("recv: %s", strerror(errno));
	}
	close(sock);
}

static void run_ping_v4(void)
{
	net_namespace();
	net_sysctl("ipv4/ping_group_range", "0 0");
	ping(open_raw("127.0.0.1", SOCK_DGRAM, IPPROTO_ICMP), "127.0.0.1", ICMP_ECHO, "ping");
}

static void run_ping_v6(void)
{
	net_namespace();
	net_sysctl("ipv4/ping_group_range", "0 0");
	ping(open_raw("::1", SOCK_DGRAM, IPPROTO_ICMPV6), "::1", ICMPV6_ECHO_REQUEST, "ping");
}

/* The socket lets nothing in but answers: on the loopback it would see its own requests. */
static void run_raw_icmp(void)
{
	struct icmp_filter filter = {.data = ~(1U << ICMP_ECHOREPLY)};
	int sock;

	net_namespace();
	sock = open_raw("127.0.0.1", SOCK_RAW, IPPROTO_ICMP);
	if (setsockopt(sock, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0)
		truth_fail("ICMP_FILTER: %s", strerror(errno));
	ping(sock, "127.0.0.1", ICMP_ECHO, "raw");
}

static void run_raw_icmpv6(void)
{
	struct icmp6_filter filter;
	int sock;

	net_namespace();
	sock = open_raw("::1", SOCK_RAW, IPPROTO_ICMPV6);
	memset(&filter, 0xff, sizeof(filter)); /* a set bit blocks */
	filter.data[ICMPV6_ECHO_REPLY >> 5] &= ~(1U << (ICMPV6_ECHO_REPLY & 31));
	if (setsockopt(sock, SOL_ICMPV6, ICMPV6_FILTER, &filter, sizeof(filter)) < 0)
		truth_fail("ICMPV6_FILTER: %s", strerror(errno));
	ping(sock, "::1", ICMPV6_ECHO_REQUEST, "raw");
}

/* From NEAR to a socket at FAR, message or whole packet. */
static void send_raw(int sender, int receiver, const void *message, size_t size)
{
	struct net_address far = net_address(FAR, 0);
	struct truth *truth = truth_flow("sender", sender, &far.any, "out");
	char data[256];
	pid_t child;

	truth->protocol = "253";
	truth->local.port = truth->remote.port = 0;
	truth_octets(truth, PAYLOAD, 0);
	truth_packets(truth, 1, 0);
	child = net_fork();
	if (child == 0) {
		if (recv(receiver, data, sizeof(data), 0) < 0)
			truth_fail("recv: %s", strerror(errno));
		truth_mirror("receiver", truth)->opener =
			0; /* bind(2) of raw sockets has no hook */
		_exit(0);
	}
	close(receiver);
	send_message(sender, FAR, message, size);
	net_reap(child);
	close(sender);
}

static void run_raw_protocol(void)
{
	char message[PAYLOAD] = {0};

	net_namespace();
	send_raw(open_raw(NEAR, SOCK_RAW, EXPERIMENTAL), open_raw(FAR, SOCK_RAW, EXPERIMENTAL),
		message, sizeof(message));
}

/* The sender writes the IP header: the protocol is there and not in the socket. */
static void run_raw_header(void)
{
	struct {
		struct iphdr ip;
		char data[PAYLOAD];
	} packet = {.ip = {.ihl = 5, .version = 4, .ttl = 64, .protocol = EXPERIMENTAL}};

	net_namespace();
	inet_pton(AF_INET, NEAR, &packet.ip.saddr);
	inet_pton(AF_INET, FAR, &packet.ip.daddr);
	send_raw(open_raw(NEAR, SOCK_RAW, IPPROTO_RAW), open_raw(FAR, SOCK_RAW, EXPERIMENTAL),
		&packet, sizeof(packet));
}

static const struct case_entry entries[] = {
	{"raw_ping_v4", run_ping_v4},
	{"raw_ping_v6", run_ping_v6},
	{"raw_icmp", run_raw_icmp},
	{"raw_icmpv6", run_raw_icmpv6},
	{"raw_protocol", run_raw_protocol},
	{"raw_header_included", run_raw_header},
	{0},
};

const struct case_entry *case_raw(void)
{
	return entries;
}

/* AF_PACKET senders. Each frame goes out on the loopback of a network namespace. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { PAYLOAD = 50, FRAMES = 3, SOURCE = 4001, DESTINATION = 4002 };

struct frame {
	struct ethhdr link;
	union {
		struct {
			struct iphdr ip;
			struct udphdr udp;
		} v4;
		struct {
			struct ipv6hdr ip;
			struct udphdr udp;
		} v6;
	};
	char room[PAYLOAD];
} __attribute__((packed));

static int open_packet(int type)
{
	int sock;

	net_namespace();
	sock = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);
	if (sock < 0)
		truth_skip("AF_PACKET: %s", strerror(errno));
	return sock;
}

static struct sockaddr_ll loopback(int protocol)
{
	return (struct sockaddr_ll){.sll_family = AF_PACKET,
		.sll_protocol = htons((uint16_t)protocol),
		.sll_ifindex = (int)if_nametoindex("lo"),
		.sll_halen = ETH_ALEN};
}

/* A flow of this process whose ends only the frame tells. */
static struct truth *framed(const char *protocol, const char *ip, int octets)
{
	struct net_address address = net_address(ip, SOURCE);
	struct net_address peer = net_address(ip, DESTINATION);
	int sock = net_socket(ip, SOCK_DGRAM, 0);
	struct truth *truth;

	if (bind(sock, &address.any, address.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	truth = truth_flow("sender", sock, &peer.any, "out");
	close(sock);
	truth->protocol = protocol;
	truth_octets(truth, FRAMES * octets, 0);
	truth_packets(truth, FRAMES, 0);
	return truth;
}

static size_t make_v4(struct frame *frame)
{
	*frame = (struct frame){.link.h_proto = htons(ETH_P_IP)};
	frame->v4.ip = (struct iphdr){.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.tot_len = htons(sizeof(frame->v4) + PAYLOAD),
		.saddr = htonl(INADDR_LOOPBACK),
		.daddr = htonl(INADDR_LOOPBACK)};
	frame->v4.udp = (struct udphdr){.source = htons(SOURCE),
		.dest = htons(DESTINATION),
		.len = htons(sizeof(frame->v4.udp) + PAYLOAD)};
	return sizeof(frame->link) + sizeof(frame->v4) + PAYLOAD;
}

static size_t make_v6(struct frame *frame)
{
	*frame = (struct frame){.link.h_proto = htons(ETH_P_IPV6)};
	frame->v6.ip = (struct ipv6hdr){.version = 6,
		.hop_limit = 64,
		.nexthdr = IPPROTO_UDP,
		.payload_len = htons(sizeof(frame->v6.udp) + PAYLOAD),
		.saddr = IN6ADDR_LOOPBACK_INIT,
		.daddr = IN6ADDR_LOOPBACK_INIT};
	frame->v6.udp = (struct udphdr){.source = htons(SOURCE),
		.dest = htons(DESTINATION),
		.len = htons(sizeof(frame->v6.udp) + PAYLOAD)};
	return sizeof(frame->link) + sizeof(frame->v6) + PAYLOAD;
}

static void send_frames(int sock, const void *octets, size_t size, int protocol)
{
	struct sockaddr_ll to = loopback(protocol);

	for (int i = 0; i < FRAMES; i++)
		if (sendto(sock, octets, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			truth_fail("sendto: %s", strerror(errno));
	close(sock);
}

static void run_v4(void)
{
	int sock = open_packet(SOCK_RAW);
	struct frame frame;
	size_t size = make_v4(&frame);

	framed("udp", "127.0.0.1", PAYLOAD);
	send_frames(sock, &frame, size, ETH_P_IP);
}

static void run_v6(void)
{
	int sock = open_packet(SOCK_RAW);
	struct frame frame;
	size_t size = make_v6(&frame);

	framed("udp", "::1", PAYLOAD);
	send_frames(sock, &frame, size, ETH_P_IPV6);
}

/* The kernel makes the link header; sendmsg with one piece. */
static void run_cooked(void)
{
	int sock = open_packet(SOCK_DGRAM);
	struct sockaddr_ll to = loopback(ETH_P_IP);
	struct frame frame;
	size_t size = make_v4(&frame);
	struct iovec piece = {&frame.v4, size - sizeof(frame.link)};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &piece, .msg_iovlen = 1};

	framed("udp", "127.0.0.1", PAYLOAD);
	for (int i = 0; i < FRAMES; i++)
		if (sendmsg(sock, &message, 0) < 0)
			truth_fail("sendmsg: %s", strerror(errno));
	close(sock);
}

/* Nothing of IP: the frame as it is. */
static void run_other(void)
{
	int sock = open_packet(SOCK_RAW);
	char frame[60] = {[12] = 0x08, [13] = 0x06};
	struct truth *truth = framed("packet", "::1", sizeof(frame));

	strcpy(truth->local.ip, "::");
	strcpy(truth->remote.ip, "::");
	truth->local.port = truth->remote.port = 0;
	send_frames(sock, frame, sizeof(frame), ETH_P_ARP);
}

static const struct case_entry entries[] = {
	{"packet_udp_v4", run_v4},
	{"packet_udp_v6", run_v6},
	{"packet_cooked", run_cooked},
	{"packet_arp", run_other},
	{0},
};

const struct case_entry *case_packet(void)
{
	return entries;
}

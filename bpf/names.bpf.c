/* What may tell a host's name, of all packets of a device: a socket filter for the capture beside
 * the kernel source. Everything else is not even copied.
 *
 *   TCP   each connection's SYN and the first octets of who opened it: ClientHello, request head;
 *         whatever goes to port 53 or comes from it: answers count only with their questions
 *   UDP   DNS, mDNS, LLMNR by their ports; the Initial packets of QUIC
 *
 * Who opened is remembered by the sequence number of the SYN, for a ClientHello comes in several
 * segments, of which only the first looks like one. A connection whose SYN was not seen, or that a
 * flood of others pushed out of the table, tells nothing. Later fragments have no ports and do not
 * come; nobody would join them. */
#include "hello.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define EVERYTHING     0x40000 /* octets; the capture's own limit is lower */
#define HEAD_OCTETS    16384   /* in which the names are */
#define OPENED_MAX     16384   /* connections */
#define EXTENSIONS_MAX 3       /* IPv6 headers before that of the transport */

#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct ends {
	__u8 source[16]; /* who opened */
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OPENED_MAX);
	__type(key, struct ends);
	__type(value, __u32); /* sequence number of the first octet */
} opened SEC(".maps");

struct packet {
	struct ends ends;
	__u32 transport; /* offset from the network header */
	__u32 end;       /* of the packet as its header says; 0: not told (GSO) */
	__u8 protocol;
};

static __always_inline long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET);
}

static __always_inline bool find_v4(struct __sk_buff *skb, struct packet *packet)
{
	__u8 head[20];

	if (load(skb, 0, head, sizeof(head)) || head[0] >> 4 != 4)
		return false;
	if ((head[6] & 0x1f) || head[7]) /* a later fragment */
		return false;
	packet->protocol = head[9];
	packet->transport = (head[0] & 0x0f) * 4;
	packet->end = head[2] << 8 | head[3];
	__builtin_memcpy(packet->ends.source, head + 12, 4);
	__builtin_memcpy(packet->ends.destination, head + 16, 4);
	return true;
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == 0 || protocol == 43 || protocol == 60;
}

static __always_inline bool find_v6(struct __sk_buff *skb, struct packet *packet)
{
	__u8 head[40], extension[2];

	if (load(skb, 0, head, sizeof(head)) || head[0] >> 4 != 6)
		return false;
	packet->protocol = head[6];
	packet->transport = sizeof(head);
	packet->end = head[4] << 8 | head[5];
	if (packet->end)
		packet->end += sizeof(head);
	__builtin_memcpy(packet->ends.source, head + 8, 16);
	__builtin_memcpy(packet->ends.destination, head + 24, 16);
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(packet->protocol); i++) {
		if (load(skb, packet->transport, extension, sizeof(extension)))
			return false;
		packet->protocol = extension[0];
		packet->transport += (extension[1] + 1) * 8;
	}
	return true;
}

static __always_inline bool udp_tells(struct __sk_buff *skb, struct packet *packet)
{
	__u8 first[QUIC_BEGINNING];
	__be16 ports[4];

	if (load(skb, packet->transport, ports, sizeof(ports)))
		return false;
	if (is_name_port(bpf_ntohs(ports[0])) || is_name_port(bpf_ntohs(ports[1])))
		return true;
	return load(skb, packet->transport + sizeof(ports), first, sizeof(first)) == 0 &&
	       is_quic_initial(first);
}

static __always_inline bool is_head(const struct packet *packet, __u32 sequence)
{
	const __u32 *first = bpf_map_lookup_elem(&opened, &packet->ends);

	return first && sequence - *first < HEAD_OCTETS;
}

static __always_inline bool tcp_tells(struct __sk_buff *skb, struct packet *packet)
{
	__u8 head[14];
	__u32 sequence;

	if (load(skb, packet->transport, head, sizeof(head)))
		return false;
	__builtin_memcpy(&packet->ends.source_port, head, 2);
	__builtin_memcpy(&packet->ends.destination_port, head + 2, 2);
	if (packet->ends.source_port == bpf_htons(PORT_DNS) ||
		packet->ends.destination_port == bpf_htons(PORT_DNS))
		return true;
	sequence = (__u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
	if ((head[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		sequence++;
		bpf_map_update_elem(&opened, &packet->ends, &sequence, BPF_ANY);
		return true;
	}
	if (packet->end && packet->transport + (head[12] >> 4) * 4 >= packet->end)
		return false; /* no data */
	return is_head(packet, sequence);
}

static __always_inline bool find_transport(struct __sk_buff *skb, struct packet *packet)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return find_v4(skb, packet);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && find_v6(skb, packet);
}

SEC("socket")
int may_tell_name(struct __sk_buff *skb)
{
	struct packet packet = {};
	bool tells = false;

	if (!find_transport(skb, &packet))
		return 0;
	if (packet.protocol == IPPROTO_UDP)
		tells = udp_tells(skb, &packet);
	else if (packet.protocol == IPPROTO_TCP)
		tells = tcp_tells(skb, &packet);
	return tells ? EVERYTHING : 0;
}

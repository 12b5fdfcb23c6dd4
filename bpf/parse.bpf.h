/* What a packet's headers say, for the programs that see it with its socket. */
#ifndef LASTCONN_BPF_PARSE_BPF_H
#define LASTCONN_BPF_PARSE_BPF_H

#include "sctp.bpf.h"
#include "socket.bpf.h"

struct datagram {
	struct peer_key peer; /* without cookie until it is needed */
	__u8 local[16];
	__u16 local_port;
	__u16 offset; /* of what follows the transport header */
	__u32 octets;
	__u32 packets;
	bool out;
	bool begins; /* a flow, unless there is one already */
	bool joins;  /* who sends it need not be who opened the flow */
};

struct ports {
	__be16 source, destination;
};

enum {
	V4_HEADER = 20, /* without options */
	V6_HEADER = 40, /* without extensions */
	UDP_HEADER = 8,
};

/* The first octets of the packet, or NULL if the kernel has them in pieces. */
static __always_inline const void *packet_head(const struct __sk_buff *skb, __u32 length)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return data + length <= end ? data : NULL;
}

/* Offset of the transport header, its protocol in *protocol; negative if not understood. */
static __always_inline int parse_v4(struct __sk_buff *skb, struct datagram *datagram)
{
	const __u32 *header = packet_head(skb, V4_HEADER);
	__u32 copy[V4_HEADER / 4]; /* RFC 791: version and length, ..., source, destination */

	if (!header) {
		if (bpf_skb_load_bytes(skb, 0, copy, sizeof(copy)))
			return -1;
		header = copy;
	}
	if (datagram->out) {
		map_v4(datagram->local, header[3]);
		map_v4(datagram->peer.remote, header[4]);
	} else {
		map_v4(datagram->local, header[4]);
		map_v4(datagram->peer.remote, header[3]);
	}
	datagram->peer.protocol = bpf_ntohl(header[2]) >> 16 & 0xff;
	return (bpf_ntohl(header[0]) >> 24 & 0x0f) * 4;
}

/* Walks over hop-by-hop, routing and destination options and the fragment header. */
static __always_inline int skip_v6_extensions(struct __sk_buff *skb, __u8 *protocol)
{
	int offset = V6_HEADER;

	for (int i = 0; i < 6; i++) {
		__u8 extension[2];

		if (*protocol != 0 && *protocol != 43 && *protocol != 44 && *protocol != 60)
			return offset;
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)))
			return -1;
		offset += *protocol == 44 ? 8 : (extension[1] + 1) * 8;
		*protocol = extension[0];
	}
	return -1;
}

static __always_inline int parse_v6(struct __sk_buff *skb, struct datagram *datagram)
{
	long failed;

	if (datagram->out)
		failed = bpf_skb_load_bytes(skb, 8, datagram->local, 16) |
			 bpf_skb_load_bytes(skb, 24, datagram->peer.remote, 16);
	else
		failed = bpf_skb_load_bytes(skb, 8, datagram->peer.remote, 16) |
			 bpf_skb_load_bytes(skb, 24, datagram->local, 16);
	if (failed || bpf_skb_load_bytes(skb, 6, &datagram->peer.protocol, 1))
		return -1;
	return skip_v6_extensions(skb, &datagram->peer.protocol);
}

/* As parse_v4. */
static __always_inline int parse_ends(struct __sk_buff *skb, struct datagram *datagram)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? parse_v4(skb, datagram)
						    : parse_v6(skb, datagram);
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_SCTP;
}

static __always_inline int load_ports(struct __sk_buff *skb, int offset, struct ports *ports)
{
	const void *head =
		offset == V4_HEADER ? packet_head(skb, V4_HEADER + sizeof(*ports)) : NULL;

	if (!head)
		return (int)bpf_skb_load_bytes(skb, offset, ports, sizeof(*ports));
	*ports = *(const struct ports *)(head + V4_HEADER);
	return 0;
}

static __always_inline void set_ports(struct datagram *datagram, __u16 source, __u16 destination)
{
	datagram->local_port = datagram->out ? source : destination;
	datagram->peer.remote_port = datagram->out ? destination : source;
}

static __always_inline int parse_datagram(struct __sk_buff *skb, struct datagram *datagram)
{
	struct sctp_content content = {};
	struct ports ports = {};
	int offset = parse_ends(skb, datagram);

	if (offset < 0)
		return -1;
	if (has_ports(datagram->peer.protocol)) {
		if (load_ports(skb, offset, &ports))
			return -1;
		offset += UDP_HEADER;
	}
	set_ports(datagram, bpf_ntohs(ports.source), bpf_ntohs(ports.destination));
	datagram->offset = offset;
	datagram->octets = skb->len > (__u32)offset ? skb->len - offset : 0;
	datagram->packets = skb->gso_segs ? skb->gso_segs : 1;
	datagram->begins = true;
	if (datagram->peer.protocol == IPPROTO_SCTP) {
		parse_sctp(skb, offset - UDP_HEADER + SCTP_HEADER_SIZE, datagram->out, &content);
		datagram->octets = content.octets;
		datagram->begins = content.begins;
		datagram->joins = !content.opens;
	}
	return 0;
}

#endif

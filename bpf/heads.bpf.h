/* What tells what hosts are called, out of the packets that the programs see anyway: of connections
 * that are opened here the first octets, of name servers' clients all they ask and hear, of QUIC
 * the client's Initial packets. It costs a look at the socket's counters a packet; a tap
 * (AF_PACKET) would have each packet cloned. Sockets of all network namespaces are heard, and none
 * but those of processes.
 *
 * Whoever calls from elsewhere names nobody: what he sends would be evidence of whatever he likes,
 * and no flow is named by it. Of the loopback device the sender tells, the receiver does not, and a
 * name server's answers are heard there only: those to others are nobody's knowledge here. */
#ifndef LASTCONN_BPF_HEADS_BPF_H
#define LASTCONN_BPF_HEADS_BPF_H

#include "hello.bpf.h"
#include "parse.bpf.h"

#define TCP_FLAG_SYN 0x00020000

enum {
	LOOPBACK_INDEX = 1, /* of lo, in every network namespace */
	HEAD_MAX = 16384,   /* octets of a connection */
	DNS_MAX = 65536,    /* of one with a name server, each way */
	HEAD_HTTP = 8192,   /* of one that may be HTTP */
	HEAD_NOTHING = 1,   /* of one that is not for us */
	HEAD_PACKETS = 16,  /* of a QUIC flow */
	HEAD_SMALL = 448,   /* rooms in the ring, without struct event_head */
	HEAD_MEDIUM = 1536,
	BEGINNING = 9, /* octets that tell how long the head is */
	TLS_HANDSHAKE = 0x16,
	TLS_CLIENT_HELLO = 1,
	TLS_RECORD_HEADER = 5,
	TLS_RECORDS = 64, /* headers of further records of one ClientHello */
	TCP_HEADER = 20,
};

/* Wakes the reader when the ring is half full, as that of events. */
static __always_inline __u64 heads_wakeup_flags(void)
{
	return wakeup_flags_of(&heads, EVENT_HEADS_OCTETS / 2);
}

/* room: a constant, at least head->captured. */
static __always_inline void put_head(
	struct __sk_buff *skb, __u32 offset, const struct event_head *head, const __u32 room)
{
	struct event_head *event = bpf_ringbuf_reserve(&heads, sizeof(*event) + room, 0);
	__u32 last = head->captured - 1; /* so that the verifier sees both bounds in one test */

	if (!event) {
		count_loss(LOSS_HEAD);
		return;
	}
	*event = *head;
	barrier_var(last);
	if (last >= room || bpf_skb_load_bytes(skb, offset, event + 1, last + 1)) {
		bpf_ringbuf_discard(event, heads_wakeup_flags());
		return;
	}
	bpf_ringbuf_submit(event, heads_wakeup_flags());
}

/* Fills in the rest: datagram has the ends, head what is known of the payload at offset. */
static __always_inline void send_head(struct __sk_buff *skb, const struct bpf_sock *sk,
	const struct datagram *datagram, __u32 offset, struct event_head *head)
{
	head->type = EVENT_HEAD;
	head->netns = BPF_CORE_READ(kernel_address(sk), __sk_common.skc_net.net, ns.inum);
	head->time_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(head->local, datagram->local, sizeof(head->local));
	__builtin_memcpy(head->remote, datagram->peer.remote, sizeof(head->remote));
	head->local_port = datagram->local_port;
	head->remote_port = datagram->peer.remote_port;
	head->protocol = datagram->peer.protocol;
	head->out = datagram->out;
	head->captured = head->length > EVENT_HEAD_MAX ? EVENT_HEAD_MAX : head->length;
	if (head->captured <= HEAD_SMALL)
		put_head(skb, offset, head, HEAD_SMALL);
	else if (head->captured <= HEAD_MEDIUM)
		put_head(skb, offset, head, HEAD_MEDIUM);
	else
		put_head(skb, offset, head, EVENT_HEAD_MAX);
}

static __always_inline bool is_quic_client(
	struct __sk_buff *skb, const struct datagram *datagram, const struct peer_state *peer)
{
	__u8 first[QUIC_BEGINNING];

	return datagram->out && peer->packets_out <= HEAD_PACKETS &&
	       peer->direction == EVENT_DIRECTION_OUT &&
	       bpf_skb_load_bytes(skb, datagram->offset, first, sizeof(first)) == 0 &&
	       is_quic_initial(first);
}

static __always_inline bool is_loopback(const struct __sk_buff *skb)
{
	return skb->ifindex == LOOPBACK_INDEX;
}

/* Everybody of mDNS uses its port, and one's own names are told there, too. */
static __always_inline bool is_name_exchange(
	const struct __sk_buff *skb, __u16 local_port, __u16 remote_port)
{
	if (is_name_port(remote_port))
		return true;
	return is_name_port(local_port) && (is_loopback(skb) || local_port == PORT_MDNS);
}

/* NAT may have changed the packet's ends; those of a connected socket are what its process knows.
 */
static __always_inline void set_socket_ends(const struct bpf_sock *sk, struct datagram *datagram)
{
	const struct sock *known = kernel_address(sk);

	if (sk->family == AF_INET) {
		map_v4(datagram->local, BPF_CORE_READ(known, __sk_common.skc_rcv_saddr));
		map_v4(datagram->peer.remote, BPF_CORE_READ(known, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&datagram->local, known, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&datagram->peer.remote, known, __sk_common.skc_v6_daddr);
	}
	datagram->local_port = sk->src_port;
	datagram->peer.remote_port = bpf_ntohs(sk->dst_port);
}

/* A raw socket gets copies of what others hear. */
static __always_inline bool is_heard_twice(
	const struct __sk_buff *skb, const struct bpf_sock *sk, bool out)
{
	return !out && (is_loopback(skb) || sk->type == SOCK_RAW);
}

/* peer: the flow's counters, NULL if there are none. datagram is changed. */
static __always_inline void hear_datagram(struct __sk_buff *skb, const struct bpf_sock *sk,
	struct datagram *datagram, const struct peer_state *peer)
{
	bool is_connected = sk->type == SOCK_DGRAM && sk->dst_port;
	struct event_head head = {.length = datagram->octets};

	if (!hear_names || datagram->peer.protocol != IPPROTO_UDP || !head.length ||
		is_heard_twice(skb, sk, datagram->out))
		return;
	if (!is_name_exchange(skb, datagram->local_port,
		    is_connected ? bpf_ntohs(sk->dst_port) : datagram->peer.remote_port) &&
		!(peer && is_quic_client(skb, datagram, peer)))
		return;
	if (is_connected)
		set_socket_ends(sk, datagram);
	head.direction = peer ? peer->direction : 0;
	send_head(skb, sk, datagram, datagram->offset, &head);
}

/* A ClientHello may come in several records. */
static __always_inline __u32 tls_octets(const __u8 first[BEGINNING])
{
	__u32 record = TLS_RECORD_HEADER + (first[3] << 8 | first[4]);
	__u32 hello = BEGINNING + (first[6] << 16 | first[7] << 8 | first[8]);
	__u32 octets = hello > record ? hello + TLS_RECORDS : record;

	if (first[5] != TLS_CLIENT_HELLO)
		return HEAD_NOTHING;
	return octets < HEAD_MAX ? octets : HEAD_MAX;
}

/* Of HTTP what comes before the body. */
static __always_inline __u32 http_octets(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	__u32 last = 0;

	bpf_skb_load_bytes(skb, offset + length - sizeof(last), &last, sizeof(last));
	return last == bpf_htonl(0x0d0a0d0a) && length < HEAD_HTTP ? length : HEAD_HTTP;
}

/* By a sender's first segment. 0: it is too short to tell. */
static __always_inline __u32 head_octets_of(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	__u8 first[BEGINNING];

	if (bpf_skb_load_bytes(skb, offset, first, 1))
		return 0;
	if (first[0] != TLS_HANDSHAKE && (first[0] < 'A' || first[0] > 'Z'))
		return HEAD_NOTHING;
	if (length < BEGINNING || bpf_skb_load_bytes(skb, offset, first, sizeof(first)))
		return 0;
	return first[0] == TLS_HANDSHAKE ? tls_octets(first) : http_octets(skb, offset, length);
}

/* Whether the segment belongs to the head of what its sender sends. */
static __always_inline bool is_of_head(struct __sk_buff *skb, struct socket_state *state,
	__u32 offset, const struct event_head *head)
{
	if (head->offset == 0)
		state->head_octets = head_octets_of(skb, offset, head->length);
	if (state->head_octets == HEAD_NOTHING)
		return false;
	return head->offset < (state->head_octets ? state->head_octets : HEAD_MAX);
}

/* Sequence number of the first octet of this direction. The acknowledgement of our own SYN counts
 * as an octet. */
static __always_inline __u32 first_sequence(
	const struct bpf_tcp_sock *tcp, const struct socket_state *state, bool out)
{
	if (!out)
		return tcp->rcv_nxt - (__u32)tcp->bytes_received;
	return tcp->snd_una - (__u32)tcp->bytes_acked +
	       (state->flags & EVENT_DIRECTION_OUT ? 1 : 0);
}

/* Offset of the segment's payload, its length in head->length, its sequence number in head->offset;
 * 0 if there is none. */
static __always_inline __u32 find_payload(struct __sk_buff *skb, struct event_head *head)
{
	struct datagram packet = {};
	int offset = parse_ends(skb, &packet);
	__u32 header[TCP_HEADER / 4], flags; /* RFC 9293: ports, sequence number, ..., flags */

	if (offset < 0 || packet.peer.protocol != IPPROTO_TCP ||
		bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
		return 0;
	flags = bpf_ntohl(header[3]);
	head->offset = bpf_ntohl(header[1]) + (flags & TCP_FLAG_SYN ? 1 : 0);
	offset += (flags >> 28) * 4;
	if (skb->len <= (__u32)offset)
		return 0;
	head->length = skb->len - offset;
	return offset;
}

/* Of whoever opened; all of it was acknowledged (our SYN is the octet more) once its head was. */
static __always_inline bool may_be_head(
	const struct bpf_tcp_sock *tcp, const struct socket_state *state)
{
	return state->flags & EVENT_DIRECTION_OUT &&
	       tcp->bytes_acked <= (state->head_octets ? state->head_octets : HEAD_MAX);
}

static __always_inline void hear_connection(struct __sk_buff *skb, struct bpf_sock *sk,
	const struct bpf_tcp_sock *tcp, bool out, bool is_dns)
{
	struct socket_state *state = socket_state_get(sk, 0);
	struct datagram datagram = {.out = out, .peer.protocol = IPPROTO_TCP};
	struct event_head head = {};
	__u32 offset;

	if (!state || (!is_dns && !may_be_head(tcp, state)))
		return;
	offset = find_payload(skb, &head);
	if (!offset)
		return;
	head.direction = state->flags & (EVENT_DIRECTION_OUT | EVENT_DIRECTION_IN);
	head.offset -= first_sequence(tcp, state, out);
	if (!is_dns && !is_of_head(skb, state, offset, &head))
		return;
	set_socket_ends(sk, &datagram);
	send_head(skb, sk, &datagram, offset, &head);
}

/* A client's questions and their answers; those of a server on the loopback device. */
static __always_inline bool is_dns_exchange(
	const struct __sk_buff *skb, const struct bpf_sock *sk, bool out)
{
	if (sk->dst_port == bpf_htons(PORT_DNS))
		return out || !is_loopback(skb);
	return out && sk->src_port == PORT_DNS && is_loopback(skb);
}

/* First what is cheap: of most packets it is all. */
static __always_inline void hear_segment(struct __sk_buff *skb, struct bpf_sock *sk, bool out)
{
	bool is_dns = hear_names && is_dns_exchange(skb, sk, out);
	struct bpf_tcp_sock *tcp;

	if (!hear_names || (!out && !is_dns))
		return;
	tcp = bpf_tcp_sock(sk);
	if (tcp && (out ? tcp->bytes_acked : tcp->bytes_received) <= (is_dns ? DNS_MAX : HEAD_MAX))
		hear_connection(skb, sk, tcp, out, is_dns);
}

#endif

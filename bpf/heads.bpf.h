/* What tells what hosts are called, out of the packets that the programs see anyway: of connections
 * the first octets of who opened, of name servers and their clients all, of QUIC the Initial
 * packets. It costs a look at the socket's counters a packet; a tap (AF_PACKET) would have each
 * packet cloned. Sockets of all network namespaces are heard, and none but those of processes.
 *
 * On the loopback device both ends are here: the sender tells, the receiver does not. Elsewhere a
 * name server's side tells nothing: what it answers to others is nobody's knowledge here. */
#ifndef LASTCONN_BPF_HEADS_BPF_H
#define LASTCONN_BPF_HEADS_BPF_H

#include "hello.bpf.h"
#include "parse.bpf.h"

#define TCP_FLAG_SYN 0x00020000

enum {
	LOOPBACK_INDEX = 1, /* of lo, in every network namespace */
	HEAD_MAX = 16384,   /* octets of a connection */
	HEAD_HTTP = 8192,   /* of one that may be HTTP */
	HEAD_NOTHING = 1,   /* of one that is not for us */
	HEAD_PACKETS = 16,  /* of a QUIC flow, each way */
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
	__u64 waiting = bpf_ringbuf_query(&heads, BPF_RB_AVAIL_DATA);

	return waiting >= bpf_ringbuf_query(&heads, BPF_RB_RING_SIZE) / 2 ? BPF_RB_FORCE_WAKEUP
									  : BPF_RB_NO_WAKEUP;
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
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
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
	__u64 packets = datagram->out ? peer->packets_out : peer->packets_in;
	__u8 sent = datagram->out ? EVENT_DIRECTION_OUT : EVENT_DIRECTION_IN;
	__u8 first[QUIC_BEGINNING];

	return packets <= HEAD_PACKETS && peer->direction == sent &&
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

/* peer: the flow's counters, NULL if there are none. */
static __always_inline void hear_datagram(struct __sk_buff *skb, const struct bpf_sock *sk,
	const struct datagram *datagram, const struct peer_state *peer)
{
	struct event_head head = {.length = datagram->octets};

	if (!hear_names || datagram->peer.protocol != IPPROTO_UDP ||
		(!datagram->out && is_loopback(skb)))
		return;
	if (!is_name_exchange(skb, datagram->local_port, datagram->peer.remote_port) &&
		!(peer && is_quic_client(skb, datagram, peer)))
		return;
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

/* The ends of the socket, where it has them. */
static __always_inline void set_socket_ends(const struct bpf_sock *sk, struct datagram *datagram)
{
	if (sk->family == AF_INET) {
		map_v4(datagram->local, sk->src_ip4);
		map_v4(datagram->peer.remote, sk->dst_ip4);
	} else {
		__u32 *local = (void *)datagram->local, *remote = (void *)datagram->peer.remote;

		local[0] = sk->src_ip6[0];
		local[1] = sk->src_ip6[1];
		local[2] = sk->src_ip6[2];
		local[3] = sk->src_ip6[3];
		remote[0] = sk->dst_ip6[0];
		remote[1] = sk->dst_ip6[1];
		remote[2] = sk->dst_ip6[2];
		remote[3] = sk->dst_ip6[3];
	}
	datagram->local_port = sk->src_port;
	datagram->peer.remote_port = bpf_ntohs(sk->dst_port);
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
static __always_inline __u32 find_payload(
	struct __sk_buff *skb, struct datagram *datagram, struct event_head *head)
{
	int offset = parse_ends(skb, datagram);
	__u32 header[TCP_HEADER / 4], flags; /* RFC 9293: ports, sequence number, ..., flags */

	if (offset < 0 || datagram->peer.protocol != IPPROTO_TCP ||
		bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
		return 0;
	set_ports(datagram, bpf_ntohl(header[0]) >> 16, bpf_ntohl(header[0]) & 0xffff);
	flags = bpf_ntohl(header[3]);
	head->offset = bpf_ntohl(header[1]) + (flags & TCP_FLAG_SYN ? 1 : 0);
	offset += (flags >> 28) * 4;
	if (skb->len <= (__u32)offset)
		return 0;
	head->length = skb->len - offset;
	return offset;
}

/* Data that is there before its connection (TCP_DEFER_ACCEPT, or the ACK before it was lost) comes
 * to the listener. */
static __always_inline void hear_listener(struct __sk_buff *skb, const struct bpf_sock *sk)
{
	struct event_head head = {.direction = EVENT_DIRECTION_IN};
	struct datagram datagram = {};
	__u32 offset = find_payload(skb, &datagram, &head);

	head.offset = 0;
	if (offset)
		send_head(skb, sk, &datagram, offset, &head);
}

static __always_inline bool is_over(
	const struct bpf_tcp_sock *tcp, const struct socket_state *state, bool out)
{
	__u64 octets = out ? tcp->bytes_acked : tcp->bytes_received;

	return octets > (state->head_octets ? state->head_octets : HEAD_MAX);
}

static __always_inline void hear_connection(struct __sk_buff *skb, struct bpf_sock *sk,
	const struct bpf_tcp_sock *tcp, bool out, bool is_dns)
{
	struct socket_state *state = socket_state_get(sk, 0);
	struct event_head head = {};
	struct datagram datagram = {.out = out};
	__u8 sent = out ? EVENT_DIRECTION_OUT : EVENT_DIRECTION_IN;
	__u32 offset;

	if (!state || (!is_dns && (!(state->flags & sent) || is_over(tcp, state, out))))
		return;
	offset = find_payload(skb, &datagram, &head);
	if (!offset)
		return;
	head.direction = state->flags & (EVENT_DIRECTION_OUT | EVENT_DIRECTION_IN);
	head.offset -= first_sequence(tcp, state, out);
	if (!is_dns && !is_of_head(skb, state, offset, &head))
		return;
	set_socket_ends(sk, &datagram);
	send_head(skb, sk, &datagram, offset, &head);
}

static __always_inline void hear_segment(struct __sk_buff *skb, struct bpf_sock *sk, bool out)
{
	struct bpf_tcp_sock *tcp;
	bool is_dns;

	if (!hear_names || (!out && is_loopback(skb)))
		return;
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return;
	is_dns = sk->dst_port == bpf_htons(PORT_DNS) ||
		 (sk->src_port == PORT_DNS && is_loopback(skb));
	if (!is_dns && (out ? tcp->bytes_acked : tcp->bytes_received) > HEAD_MAX)
		return;
	if (sk->state == TCP_LISTEN)
		hear_listener(skb, sk);
	else
		hear_connection(skb, sk, tcp, out, is_dns);
}

#endif

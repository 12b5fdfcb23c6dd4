/* AF_PACKET: frames that a process makes itself, and who hears the frames of others.
 *
 * A frame with an IP header is accounted to the ends that it names, whatever they are worth;
 * others, and all of them where the frame cannot be read, to the protocol "packet" without ends.
 * The frames of a PACKET_TX_RING count as one packet for each send(2). A socket hears frames if it
 * has a protocol: a listener. */
#ifndef LASTCONN_BPF_PACKET_BPF_H
#define LASTCONN_BPF_PACKET_BPF_H

#include "datagram.bpf.h"

#define ETHERNET_SIZE 14
#define VLAN_SIZE     4

/* The frame in the sender's memory: its start, NULL if it came in pieces. The iterator stands at
 * its end. */
static __always_inline const void *frame_of(const struct msghdr *message, __u32 size)
{
	const struct iov_iter *iter = &message->msg_iter;
	const struct iovec *last;

	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
		BPF_CORE_READ(iter, iter_type) == bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return BPF_CORE_READ(iter, ubuf);
	if (bpf_core_field_exists(iter->__iov))
		last = BPF_CORE_READ(iter, __iov) - 1;
	else
		last = BPF_CORE_READ((const struct iov_iter___old *)iter, iov) - 1;
	return BPF_CORE_READ(last, iov_len) == size ? BPF_CORE_READ(last, iov_base) : NULL;
}

static __always_inline bool read_v4(
	const void *at, __u32 size, struct datagram *datagram, __u32 *header)
{
	__u32 words[5] = {}, total;

	bpf_probe_read_user(words, sizeof(words), at);
	total = bpf_ntohl(words[0]) & 0xffff;
	*header = (bpf_ntohl(words[0]) >> 24 & 0x0f) * 4;
	if (bpf_ntohl(words[0]) >> 28 != 4 || *header < sizeof(words) || total < *header ||
		total > size)
		return false;
	datagram->octets = total - *header;
	datagram->peer.protocol = bpf_ntohl(words[2]) >> 16 & 0xff;
	map_v4(datagram->local, words[3]);
	map_v4(datagram->peer.remote, words[4]);
	return true;
}

/* Extension headers are left alone: the protocol is that of the first one. */
static __always_inline bool read_v6(const void *at, __u32 size, struct datagram *datagram)
{
	__u32 words[2] = {};

	bpf_probe_read_user(words, sizeof(words), at);
	datagram->octets = bpf_ntohl(words[1]) >> 16;
	datagram->peer.protocol = bpf_ntohl(words[1]) >> 8 & 0xff;
	return bpf_ntohl(words[0]) >> 28 == 6 && datagram->octets + 40 <= size &&
	       bpf_probe_read_user(datagram->local, 16, at + 8) == 0 &&
	       bpf_probe_read_user(datagram->peer.remote, 16, at + 24) == 0;
}

static __always_inline bool read_packet(const void *at, __u32 size, struct datagram *datagram)
{
	struct ports ports = {};
	__u32 header;

	if (!read_v4(at, size, datagram, &header)) {
		if (!read_v6(at, size, datagram))
			return false;
		header = 40;
	}
	if (!has_ports(datagram->peer.protocol) && datagram->peer.protocol != IPPROTO_TCP)
		return true;
	bpf_probe_read_user(&ports, sizeof(ports), at + header);
	datagram->local_port = bpf_ntohs(ports.source);
	datagram->peer.remote_port = bpf_ntohs(ports.destination);
	if (datagram->octets >= 8 && (datagram->peer.protocol == IPPROTO_UDP ||
					     datagram->peer.protocol == IPPROTO_UDPLITE))
		datagram->octets -= 8;
	return true;
}

/* Behind an Ethernet header, with VLAN tag or not; else without any header of the link. */
static __always_inline bool read_frame(
	const struct sock *sk, const void *frame, __u32 size, struct datagram *datagram)
{
	__be16 type = 0;
	__u32 offset = ETHERNET_SIZE;

	if (sk->sk_type != SOCK_RAW)
		return read_packet(frame, size, datagram);
	bpf_probe_read_user(&type, sizeof(type), frame + offset - sizeof(type));
	if (type == bpf_htons(ETH_P_8021Q)) {
		offset += VLAN_SIZE;
		bpf_probe_read_user(&type, sizeof(type), frame + offset - sizeof(type));
	}
	if (type == bpf_htons(ETH_P_IP) || type == bpf_htons(ETH_P_IPV6))
		return size > offset && read_packet(frame + offset, size - offset, datagram);
	return read_packet(frame, size, datagram);
}

static __always_inline struct socket_state *packet_state(struct sock *sk)
{
	struct socket_state *state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);

	if (state && !state->netns) {
		state->netns = socket_netns(sk);
		state->start_ns = bpf_ktime_get_boot_ns();
	}
	return state;
}

static __always_inline void send_socket(
	struct sock *sk, const struct socket_state *state, __u32 type)
{
	struct event_flow event = {};

	fill_owner(&event, state);
	event.type = type;
	event.cookie = socket_cookie(sk, state);
	event.time_ns = type == EVENT_LISTEN ? state->start_ns : bpf_ktime_get_boot_ns();
	event.protocol = PROTOCOL_PACKET;
	send_event(&event);
}

/* datagram: what is known of the frame. */
static __always_inline void account_frame(struct sock *sk, struct datagram *datagram)
{
	struct socket_state *state = packet_state(sk);

	if (!state || state->ended)
		return;
	note_user(state);
	datagram->out = datagram->begins = true;
	datagram->packets = 1;
	datagram->peer.cookie = socket_cookie(sk, state);
	if (!state->has_peers)
		send_socket(sk, state, EVENT_SOCKET); /* it may be gone before the next sweep */
	add_to_map(state, datagram);
}

static __always_inline void packet_sent(struct sock *sk, const struct msghdr *message, int size)
{
	struct socket_state *state = packet_state(sk);
	const void *frame = frame_of(message, size);
	struct datagram datagram = {};

	if (state)
		state->frames_read = true; /* before sock_send_length comes */
	if (!frame || !read_frame(sk, frame, size, &datagram)) {
		__builtin_memset(&datagram, 0, sizeof(datagram));
		datagram.peer.protocol = PROTOCOL_PACKET;
		datagram.octets = size;
	}
	account_frame(sk, &datagram);
}

/* Without a look at the frame, where nothing better serves. Nobody tells of the socket's release,
 * so the hash would take the next socket at its address for the same one. */
static __always_inline void packet_sent_blind(struct sock *sk, int size)
{
	struct datagram datagram = {.peer.protocol = PROTOCOL_PACKET, .octets = size};
	struct socket_state *state;

	if (!has_storage)
		return;
	state = socket_state_get(sk, 0);
	if (size > 0 && !(state && state->frames_read))
		account_frame(sk, &datagram);
}

static __always_inline void packet_opened(struct sock *sk)
{
	struct socket_state *state = packet_state(sk);

	if (state)
		note_maker(state);
}

static __always_inline bool hears_frames(const struct sock *sk)
{
	return BPF_CORE_READ((const struct packet_sock *)sk, num) != 0;
}

static __always_inline void packet_released(struct sock *sk)
{
	struct socket_state *state = socket_state_get(sk, 0);

	if (!state)
		return;
	state->ended = true;
	if (state->has_peers)
		send_socket(sk, state, EVENT_SOCKET_GONE);
	if (!state->listen_reported && hears_frames(sk))
		send_socket(sk, state, EVENT_LISTEN);
	if (state->listen_reported || hears_frames(sk))
		send_socket(sk, state, EVENT_LISTEN_GONE);
	hashed_state_delete(sk);
}

static __always_inline void sweep_packet(
	struct seq_file *seq, struct sock *sk, struct socket_state *state, struct event_flow *event)
{
	fill_owner(event, state);
	event->protocol = PROTOCOL_PACKET;
	event->time_ns = state->start_ns;
	if (packet_ends_seen && !is_told(state) && hears_frames(sk))
		tell_listener(seq, state, event);
	event->type = EVENT_SOCKET;
	if (state->has_peers)
		bpf_seq_write(seq, event, sizeof(*event));
}

#endif

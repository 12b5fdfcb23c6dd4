/* Datagram sockets (UDP, UDP-Lite, ICMP ping, raw): summed per socket and peer, never an event for
 * each datagram. The first peer lives with the socket, more of them in the peers map.
 *
 * Accounting sits in cgroup_skb, which sees each datagram with its socket, its real addresses and
 * its segments, whatever system call or io_uring request moved it. Who acted is learned from
 * sock_send_length, sock_recv_length, bind and release, which run in process context. */
#ifndef LASTCONN_BPF_DATAGRAM_BPF_H
#define LASTCONN_BPF_DATAGRAM_BPF_H

#include "heads.bpf.h"

enum {
	EXACT_PACKETS = 64, /* of a flow so short the time of each packet is read */
};

static __always_inline void begin_peer(struct peer_state *peer, const struct datagram *datagram)
{
	peer->direction = !datagram->out    ? EVENT_DIRECTION_IN
			  : datagram->joins ? 0
					    : EVENT_DIRECTION_OUT;
	peer->local_port = datagram->local_port;
	__builtin_memcpy(peer->local, datagram->local, sizeof(peer->local));
	peer->start_ns = bpf_ktime_get_boot_ns();
}

/* Reading the clock costs as much as all the rest: of a long flow once a tick will do. */
static __always_inline void read_clock(struct peer_state *peer)
{
	__u16 tick = bpf_jiffies64();

	if (tick == peer->tick && peer->packets_out + peer->packets_in > EXACT_PACKETS)
		return;
	peer->tick = tick;
	peer->last_ns = bpf_ktime_get_boot_ns();
}

static __always_inline struct peer_state *add_to_peer(
	struct peer_state *peer, const struct datagram *datagram)
{
	if (!peer->last_ns)
		begin_peer(peer, datagram);
	read_clock(peer);
	if (datagram->out) {
		__sync_fetch_and_add(&peer->octets_out, datagram->octets);
		__sync_fetch_and_add(&peer->packets_out, datagram->packets);
	} else {
		__sync_fetch_and_add(&peer->octets_in, datagram->octets);
		__sync_fetch_and_add(&peer->packets_in, datagram->packets);
	}
	return peer;
}

/* The socket's cookie is in the datagram's peer. */
static __always_inline struct peer_state *add_to_map(
	struct socket_state *state, struct datagram *datagram)
{
	struct peer_state *peer, fresh = {};

	peer = bpf_map_lookup_elem(&peers, &datagram->peer);
	if (!peer && datagram->begins) {
		state->has_peers = true;
		bpf_map_update_elem(&peers, &datagram->peer, &fresh, BPF_NOEXIST);
		peer = bpf_map_lookup_elem(&peers, &datagram->peer);
	}
	if (peer)
		return add_to_peer(peer, datagram);
	if (datagram->begins)
		count_loss(LOSS_PEER);
	return NULL;
}

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline bool is_first(
	const struct first_peer *first, const struct datagram *datagram)
{
	return first->remote_port == datagram->peer.remote_port &&
	       first->protocol == datagram->peer.protocol &&
	       same_address(first->remote, datagram->peer.remote);
}

/* Of two processors that make it at the same time one gets NULL, and its peer goes to the map. Not
 * to be made again after an idle time while other peers are in the map: this may be one of them. */
static __always_inline struct first_peer *make_first_peer(
	struct bpf_sock *sk, const struct datagram *datagram)
{
	struct first_peer fresh = {
		.remote_port = datagram->peer.remote_port,
		.protocol = datagram->peer.protocol,
	};

	__builtin_memcpy(fresh.remote, datagram->peer.remote, sizeof(fresh.remote));
	return bpf_sk_storage_get(&first_peers, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
}

/* Raw sockets of the kernel itself answer pings and find neighbours: nobody's traffic. */
static __always_inline bool is_kernel_raw(const struct bpf_sock *sk)
{
	return sk->type == SOCK_RAW &&
	       BPF_CORE_READ_BITFIELD_PROBED(kernel_address(sk), sk_kern_sock);
}

/* The flow's counters, or NULL if there are none. */
static __always_inline struct peer_state *account_datagram(
	struct __sk_buff *skb, struct bpf_sock *sk, struct datagram *datagram)
{
	struct first_peer *first = first_peer_get(sk);
	struct socket_state *state;

	if (!has_storage) /* the state shall have it */
		datagram->peer.cookie = bpf_get_socket_cookie(skb);
	if (first && !first->ask_state && is_first(first, datagram))
		return add_to_peer(&first->peer, datagram);
	state = socket_state_get(sk, datagram->begins ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (state && is_kernel_raw(sk))
		state->ignored = true;
	if (!state || state->ignored || state->ended)
		return NULL;
	if (datagram->out && state->connecting)
		state->connecting = false; /* past telling whether it failed */
	if (first && !state->connecting)
		first->ask_state = false;
	if (has_storage && !first && !state->has_peers && datagram->begins)
		first = make_first_peer(sk, datagram);
	if (first && is_first(first, datagram))
		return add_to_peer(&first->peer, datagram);
	if (has_storage)
		datagram->peer.cookie = bpf_get_socket_cookie(skb);
	return add_to_map(state, datagram);
}

/* A packet with its socket, on its way out of or into it. */
static __always_inline void take_packet(struct __sk_buff *skb, bool out)
{
	struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;
	struct datagram datagram = {.out = out};
	const struct peer_state *peer;

	if (!sk)
		return;
	if (sk->protocol == IPPROTO_TCP) {
		if (sk->type == SOCK_STREAM)
			hear_segment(skb, sk, out);
		return;
	}
	if (parse_datagram(skb, &datagram))
		return;
	peer = account_datagram(skb, sk, &datagram);
	hear_datagram(skb, sk, &datagram, peer);
}

static __always_inline void end_first_peer(
	struct event_flow *event, const struct socket_state *state, const struct first_peer *first)
{
	event->type = EVENT_FLOW_END;
	event->protocol = first->protocol;
	fill_owner(event, state);
	fill_peer(event, &first->peer, first->remote, first->remote_port);
}

/* The socket is closed, in the context of the process that closes it. */
static __always_inline void datagram_release(struct bpf_sock *sk)
{
	struct socket_state *state = socket_state_get(sk, 0);
	struct first_peer *first;
	struct event_flow event = {};

	if (!state)
		return;
	if (!state->user.pid)
		note_user(state);
	if (!state->netns)
		state->netns = BPF_CORE_READ(kernel_address(sk), __sk_common.skc_net.net, ns.inum);
	/* the socket and its storage live on for an RCU grace period: the sweep must not see it */
	state->ended = true;
	event.cookie = bpf_get_socket_cookie(sk);
	first = first_peer_get(sk);
	if (first)
		first->ask_state = true;
	if (first && first->peer.last_ns) {
		end_first_peer(&event, state, first);
		send_event(&event);
	}
	fill_owner(&event, state);
	event.time_ns = bpf_ktime_get_boot_ns();
	if (state->has_peers) {
		event.type = EVENT_SOCKET_GONE;
		send_event(&event);
	}
	if (state->listen_reported) {
		event.type = EVENT_LISTEN_GONE;
		event.protocol = sk->protocol;
		event.local_port = state->listen_port;
		if (!has_storage)
			event.cookie = ((const struct hashed_socket *)state)->cookie;
		send_event(&event);
	}
	hashed_state_delete(sk);
}

/* bind(2): who opened the socket, though another may use it. */
static __always_inline void note_bind(struct bpf_sock *sk)
{
	struct socket_state *state;

	if (!has_storage) /* the state shall have it */
		bpf_get_socket_cookie(sk);
	state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state || state->opener.pid)
		return;
	take_current(&state->opener);
	state->start_ns = bpf_ktime_get_boot_ns();
	state->bound = true;
}

#endif

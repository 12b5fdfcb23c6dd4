/* Sockets: addresses, owner, and the events that speak of them. */
#ifndef LASTCONN_BPF_SOCKET_BPF_H
#define LASTCONN_BPF_SOCKET_BPF_H

#include "process.bpf.h"

static __always_inline bool is_inet(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return family == AF_INET || family == AF_INET6;
}

static __always_inline void map_v4(__u8 *octets, __u32 address)
{
	__builtin_memset(octets, 0, 10);
	octets[10] = octets[11] = 0xff;
	__builtin_memcpy(octets + 12, &address, 4);
}

/* sk comes from BTF (tp_btf, iterators): plain loads, where a BPF_CORE_READ is a helper call. */
static __always_inline void read_addresses(struct event_flow *event, const struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_INET) {
		map_v4(event->local, sk->__sk_common.skc_rcv_saddr);
		map_v4(event->remote, sk->__sk_common.skc_daddr);
	} else {
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&event->remote, sk, __sk_common.skc_v6_daddr);
	}
	event->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
}

static __always_inline __u32 socket_netns(const struct sock *sk)
{
	return sk->__sk_common.skc_net.net->ns.inum;
}

/* The socket's state, made if create is BPF_SK_STORAGE_GET_F_CREATE. */
#define socket_state_get(sk, create)                                                       \
	({                                                                                 \
		struct socket_state *_state = bpf_sk_storage_get(&sockets, sk, 0, create); \
		if (!_state && (create))                                                   \
			count_loss(LOSS_SOCKET);                                           \
		_state;                                                                    \
	})

static __always_inline bool same_ref(const struct event_ref *a, const struct event_ref *b)
{
	return a->start_ns == b->start_ns && a->pid == b->pid && a->exec_id == b->exec_id;
}

/* The current process connects or listens: its user until somebody else sends or receives, and
 * its opener unless another one bound it. */
static __always_inline void note_maker(struct socket_state *state)
{
	take_current(&state->user);
	if (!state->opener.pid)
		state->opener = state->user;
}

/* A connection or a listener begins; a process context. Who bound the socket stays its opener. */
static __always_inline void begin_state(struct socket_state *state, __u8 flags)
{
	struct event_ref opener = state->bound ? state->opener : (struct event_ref){};

	__builtin_memset(state, 0, sizeof(*state));
	state->start_ns = bpf_ktime_get_boot_ns();
	state->flags = flags;
	state->opener = opener;
	note_maker(state);
}

/* The current process sends, receives or closes: the first to do so is the user. Process context
 * only. A kernel thread may act for whoever is known already. EXACT outranks INHERITED. */
static __always_inline void note_user(struct socket_state *state)
{
	struct event_ref now;

	if (state->exact)
		return;
	if ((state->user.pid || state->opener.pid) && current_is_kthread())
		return;
	current_ref(&now);
	if (!same_ref(&now, &state->user))
		take_current(&state->user);
	if (!state->opener.pid)
		state->opener = state->user;
	state->exact = true;
}

static __always_inline void fill_owner(struct event_flow *event, const struct socket_state *state)
{
	event->flags = state->flags | (state->exact ? EVENT_OWNER_EXACT : 0);
	event->user = state->user;
	event->opener = state->opener;
	event->netns = state->netns;
	event->start_ns = state->start_ns;
}

static __always_inline void fill_peer(struct event_flow *event, const struct peer_state *peer,
	const __u8 *remote, __u16 remote_port)
{
	__builtin_memcpy(event->local, peer->local, sizeof(event->local));
	__builtin_memcpy(event->remote, remote, sizeof(event->remote));
	event->local_port = peer->local_port;
	event->remote_port = remote_port;
	event->flags |= peer->direction | EVENT_DATAGRAMS;
	event->start_ns = peer->start_ns;
	event->time_ns = peer->last_ns;
	event->octets_out = peer->octets_out;
	event->octets_in = peer->octets_in;
	event->packets_out = peer->packets_out;
	event->packets_in = peer->packets_in;
	event->error = peer->error;
}

/* Of a listener each daemon is told once, so that it knows what is still there. */
static __always_inline bool is_told(const struct socket_state *state)
{
	return state->listen_reported && state->swept == start_number;
}

static __always_inline void tell_listener(
	struct seq_file *seq, struct socket_state *state, struct event_flow *event)
{
	event->type = EVENT_LISTEN;
	if (bpf_seq_write(seq, event, sizeof(*event)))
		return;
	state->swept = start_number;
	state->listen_reported = true;
}

static __always_inline void send_event(struct event_flow *event)
{
	if (bpf_ringbuf_output(&ring, event, sizeof(*event), wakeup_flags()))
		count_loss(LOSS_RING);
}

#endif

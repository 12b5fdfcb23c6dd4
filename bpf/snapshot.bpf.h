/* Iterators: what was there before us, and the counters of what is still open. */
#ifndef LASTCONN_BPF_SNAPSHOT_BPF_H
#define LASTCONN_BPF_SNAPSHOT_BPF_H

#include "connect.bpf.h"
#include "error.bpf.h"
#include "packet.bpf.h"
#include "tcp.bpf.h"

enum { SWEEP_EVENTS = 3 }; /* that one socket makes at most */

/* A socket in the file table of task, from before the programs were attached. */
static __always_inline void snapshot_socket(struct task_struct *task, struct sock *sk)
{
	__u8 tcp_state = READ_SOCK(sk, __sk_common.skc_state);
	bool tcp = READ_SOCK(sk, sk_protocol) == IPPROTO_TCP;
	struct socket_state *state;

	if (tcp && tcp_state == TCP_CLOSE)
		return; /* nothing yet: its connect will be seen */
	state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state || state->user.pid)
		return;
	task_ref(task, &state->user);
	if (!state->opener.pid)
		state->opener = state->user;
	state->netns = socket_netns(sk);
	if (!state->start_ns)
		state->start_ns = bpf_ktime_get_boot_ns();
	state->flags |= EVENT_OWNER_SNAPSHOT;
	if (tcp && tcp_state == TCP_LISTEN)
		state->listens = true;
	else if (!tcp && is_inet(sk) && BPF_CORE_READ((const struct inet_sock *)sk, inet_sport))
		state->bound = true;
}

/* A datagram socket that is bound, not connected, and still there: it waits for strangers. */
static __always_inline bool waits_for_datagrams(
	const struct sock *sk, const struct socket_state *state)
{
	return state->bound && !READ_SOCK(sk, __sk_common.skc_dport) &&
	       READ_SOCK(sk, sk_protocol) != IPPROTO_TCP;
}

static __always_inline void sweep_listener(
	struct seq_file *seq, struct sock *sk, struct socket_state *state, struct event_flow *event)
{
	if (is_told(state))
		return;
	event->protocol = READ_SOCK(sk, sk_protocol);
	fill_owner(event, state);
	event->netns = socket_netns(sk);
	event->time_ns = state->start_ns;
	read_addresses(event, sk);
	event->local_port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
	state->listen_port = event->local_port;
	tell_listener(seq, state, event);
}

static __always_inline void sweep_first_peer(struct seq_file *seq, struct sock *sk,
	const struct socket_state *state, struct event_flow *event)
{
	struct first_peer *first = first_peer_get(sk);

	if (!first || !first->peer.last_ns)
		return;
	end_first_peer(event, state, first);
	if (bpf_ktime_get_boot_ns() - first->peer.last_ns > datagram_idle_ns)
		event->old_state = 1; /* idle */
	else
		event->type = EVENT_FLOW_SIGHTING;
	if (bpf_seq_write(seq, event, sizeof(*event)) == 0 && event->old_state)
		bpf_sk_storage_delete(&first_peers, sk);
}

static __always_inline void sweep_datagram(
	struct seq_file *seq, struct sock *sk, struct socket_state *state, struct event_flow *event)
{
	if (!state->netns)
		state->netns = socket_netns(sk);
	sweep_first_peer(seq, sk, state, event);
	if (state->has_peers) {
		event->type = EVENT_SOCKET;
		if (!has_storage)
			event->cookie = kernel_cookie(sk);
		fill_owner(event, state);
		bpf_seq_write(seq, event, sizeof(*event));
	}
}

static __always_inline void sweep_tcp(
	struct seq_file *seq, struct sock *sk, struct socket_state *state, struct event_flow *event)
{
	__u8 tcp_state = READ_SOCK(sk, __sk_common.skc_state);

	if (tcp_state == TCP_CLOSE || tcp_state == TCP_LISTEN)
		return;
	adopt_user(sk, state);
	fill_tcp(event, sk, EVENT_FLOW_SIGHTING, state);
	if (!event->local_port)
		return; /* connect(2) is still looking for one */
	event->old_state = tcp_state;
	if (!has_storage && socket_state_get(sk, 0) != state)
		return; /* gone meanwhile: what was read may be anything */
	bpf_seq_write(seq, event, sizeof(*event));
}

/* All that a sweep tells of a socket, or nothing: what did not fit comes again, but what was noted
 * of it in the state is not undone. */
static __always_inline bool has_room(struct seq_file *seq)
{
	return BPF_CORE_READ(seq, count) + SWEEP_EVENTS * sizeof(struct event_flow) <
	       BPF_CORE_READ(seq, size);
}

/* Asks for this socket again: what is written too much is taken back by the kernel. */
static __always_inline void overflow(struct seq_file *seq)
{
	struct event_flow event = {};

	for (int i = 0; i < SWEEP_EVENTS; i++)
		if (bpf_seq_write(seq, &event, sizeof(event)))
			return;
}

static __always_inline void sweep_socket(
	struct seq_file *seq, struct sock *sk, struct socket_state *state)
{
	struct event_flow event = {};

	if (state->ended || state->ignored || READ_SOCK(sk, sk_protocol) == IPPROTO_MPTCP)
		return;
	if (!has_room(seq)) {
		overflow(seq);
		return;
	}
	event.cookie = socket_cookie(sk, state);
	if (READ_SOCK(sk, __sk_common.skc_family) == AF_PACKET) {
		sweep_packet(seq, sk, state, &event);
		return;
	}
	if (sweep_connect(seq, sk, state, &event))
		return;
	if (state->listens || waits_for_datagrams(sk, state))
		sweep_listener(seq, sk, state, &event);
	if (READ_SOCK(sk, sk_protocol) == IPPROTO_TCP)
		sweep_tcp(seq, sk, state, &event);
	else
		sweep_datagram(seq, sk, state, &event);
}

#endif

/* Iterators: what was there before us, and the counters of what is still open. */
#ifndef LASTCONN_BPF_SNAPSHOT_BPF_H
#define LASTCONN_BPF_SNAPSHOT_BPF_H

#include "connect.bpf.h"
#include "error.bpf.h"
#include "packet.bpf.h"
#include "tcp.bpf.h"

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

/* Raw sockets of the kernel itself answer pings and find neighbours: nobody's traffic. That they
 * are such is visible here, not in cgroup_skb. */
static __always_inline bool ignore_kernel_socket(struct sock *sk, struct socket_state *state)
{
	if (READ_SOCK(sk, sk_type) != SOCK_RAW || !BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return false;
	state->ignored = true;
	if (has_storage)
		bpf_sk_storage_delete(&first_peers, sk);
	return true;
}

static __always_inline void sweep_socket(
	struct seq_file *seq, struct sock *sk, struct socket_state *state)
{
	struct event_flow event = {};

	if (state->ended || READ_SOCK(sk, sk_protocol) == IPPROTO_MPTCP)
		return;
	if (ignore_kernel_socket(sk, state))
		return;
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

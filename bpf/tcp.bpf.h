/* TCP: birth and death of connections and listeners, by inet_sock_set_state. Nothing per packet:
 * the counters are read once, from tcp_sock at the end, or by the sweep. */
#ifndef LASTCONN_BPF_TCP_BPF_H
#define LASTCONN_BPF_TCP_BPF_H

#include "multipath.bpf.h"

static __always_inline void read_tcp_counters(
	struct event_flow *event, const struct sock *sk, const struct tcp_sock *tp)
{
	event->octets_out = READ_SOCK(tp, bytes_sent) - READ_SOCK(tp, bytes_retrans);
	event->octets_in = READ_SOCK(tp, bytes_received);
	event->packets_out = READ_SOCK(tp, segs_out);
	event->packets_in = READ_SOCK(tp, segs_in);
	event->retransmits = READ_SOCK(tp, total_retrans);
	event->srtt_us = READ_SOCK(tp, srtt_us) >> 3;
	if (READ_SOCK(sk, sk_err))
		event->error = READ_SOCK(sk, sk_err);
	if (READ_SOCK(sk, __sk_common.skc_flags) & (1UL << SOCK_DONE))
		event->flags |= EVENT_PEER_FIN;
}

static __always_inline void fill_tcp(
	struct event_flow *event, struct sock *sk, __u32 type, const struct socket_state *state)
{
	const struct tcp_sock *tp = tcp_sock_of(sk);

	event->type = type;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->protocol = IPPROTO_TCP;
	if (state)
		fill_owner(event, state);
	if (!event->netns)
		event->netns = socket_netns(sk);
	read_addresses(event, sk);
	if (!tp)
		return;
	/* skc_num is 0 already when a socket closes, inet_sport is not */
	event->local_port = bpf_ntohs(READ_SOCK(tp, inet_conn.icsk_inet.inet_sport));
	if (type != EVENT_LISTEN && type != EVENT_LISTEN_GONE)
		read_tcp_counters(event, sk, tp);
}

/* connect(2) and listen(2) run in the context of the process that calls them. */
static __always_inline void tcp_begin(struct sock *sk, __u8 flags)
{
	struct socket_state *state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);

	if (!state)
		return;
	if (flags & EVENT_DIRECTION_OUT && state->connecting)
		state->connecting = false; /* slot connect began it */
	else
		begin_state(state, flags);
	state->netns = socket_netns(sk);
	if (is_path(sk) && current_is_kthread()) /* a later path: the first one's user */
		state->user = state->opener = (struct event_ref){};
}

/* A connection came out of a listener, in softirq: the state is the clone of the listener's. */
static __always_inline void tcp_accepted(struct sock *sk)
{
	struct socket_state *state;

	if (!has_storage)
		hashed_state_clone(sk);
	state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state)
		return;
	state->start_ns = bpf_ktime_get_boot_ns();
	state->netns = socket_netns(sk);
	state->flags = EVENT_DIRECTION_IN | (state->flags & EVENT_OWNER_SNAPSHOT) |
		       (state->user.pid ? EVENT_OWNER_INHERITED : 0);
	state->exact = state->kernel_used = state->listens = state->listen_reported = state->bound =
		state->ended = false;
}

/* accept(2): who takes a connection is its user until somebody else sends or receives, and that of
 * connections that nobody takes. */
static __always_inline void tcp_accept(struct sock *listener, struct sock *sk)
{
	struct socket_state *state = socket_state_get(sk, 0);
	struct socket_state *listening = listener ? socket_state_get(listener, 0) : NULL;

	if (!state || state->exact)
		return;
	take_current(&state->user);
	state->flags = EVENT_DIRECTION_IN;
	if (listening && !same_ref(&listening->user, &state->user))
		listening->user = state->user;
}

/* connect(2) fails with its SYN unsent: no port is free, or the pair of ends is taken. */
static __always_inline bool fails_in_connect(const struct sock *sk, __u8 old_state)
{
	return old_state == TCP_SYN_SENT && !sk->sk_err && sk->sk_socket &&
	       sk->sk_socket->state == SS_UNCONNECTED;
}

static __always_inline bool send_tcp(
	struct sock *sk, __u32 type, const struct socket_state *state, __u8 old_state, int error)
{
	struct event_flow *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event) {
		count_loss(LOSS_RING);
		return false;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->cookie = socket_cookie(sk, state);
	event->old_state = old_state;
	event->error = error;
	fill_tcp(event, sk, type, state);
	bpf_ringbuf_submit(event, wakeup_flags());
	return true;
}

static __always_inline void tcp_end(struct sock *sk, __u8 old_state)
{
	struct socket_state *state = socket_state_get(sk, 0);
	bool failed = fails_in_connect(sk, old_state);

	if (state && state->ended)
		return;
	if (state && old_state != TCP_LISTEN)
		adopt_user(sk, state);
	/* No FIN and no error: whoever closes it now aborts it, by linger 0 or with unread data. A
	 * reset or a timeout, which come in softirq, set the error before. */
	if (state && (old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT) && !sk->sk_err)
		note_user(state);
	send_tcp(sk, old_state == TCP_LISTEN ? EVENT_LISTEN_GONE : EVENT_FLOW_END, state, old_state,
		failed ? EADDRNOTAVAIL : 0);
	if (state)
		state->ended = true;
	if (state && failed)
		state->connect_failed = true;
	else
		hashed_state_delete(sk);
}

static __always_inline void tcp_listen(struct sock *sk)
{
	struct socket_state *state;
	bool reported;

	tcp_begin(sk, 0);
	state = socket_state_get(sk, 0);
	if (state)
		state->listens = true;
	reported = send_tcp(sk, EVENT_LISTEN, state, TCP_CLOSE, 0);
	if (state)
		state->listen_reported = reported; /* else the sweep does it */
}

static __always_inline bool moved_octets(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sock_of(sk);
	bool fin = READ_SOCK(sk, __sk_common.skc_flags) & (1UL << SOCK_DONE);

	return tp && (READ_SOCK(tp, bytes_sent) || READ_SOCK(tp, bytes_received) > fin);
}

/* close(2) or shutdown(2) by whoever holds the socket: the last chance to learn the user. But not
 * if somebody used it whom no hook saw: splice(2), TCP_ZEROCOPY_RECEIVE. */
static __always_inline void tcp_local_close(struct sock *sk)
{
	struct socket_state *state = socket_state_get(sk, 0);

	if (!state)
		return;
	adopt_user(sk, state);
	if (!has_use || (!state->exact && !moved_octets(sk)))
		note_user(state);
}

static __always_inline bool matters(int old_state, int new_state)
{
	switch (new_state) {
	case TCP_SYN_SENT:
	case TCP_LISTEN:
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
	case TCP_CLOSE:
		return true;
	case TCP_SYN_RECV:
		return old_state == TCP_LISTEN; /* else both ends connect at once */
	default:
		return false;
	}
}

/* Whether the other of the two programs of slot tcp has handled this change already, or was the
 * only one who could tell. */
static __always_inline bool is_handled(struct sock *sk, int new_state, bool again)
{
	struct socket_state *state = socket_state_get(sk, 0);

	if (state)
		return state->tcp_state == new_state;
	return again && new_state != TCP_SYN_SENT && new_state != TCP_LISTEN &&
	       new_state != TCP_SYN_RECV;
}

/* Two changes in a row that are handled are never to the same state: see is_handled(). */
static __always_inline void tcp_set_state(struct sock *sk, int old_state, int new_state, bool again)
{
	struct socket_state *state;

	if (!matters(old_state, new_state) || is_handled(sk, new_state, again))
		return;
	switch (new_state) {
	case TCP_SYN_SENT:
		tcp_begin(sk, EVENT_DIRECTION_OUT);
		break;
	case TCP_LISTEN:
		tcp_listen(sk);
		break;
	case TCP_SYN_RECV:
		tcp_accepted(sk);
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		tcp_local_close(sk);
		break;
	case TCP_CLOSE:
		tcp_end(sk, old_state);
		break;
	}
	state = socket_state_get(sk, 0);
	if (state)
		state->tcp_state = new_state;
}

/* SCTP has no state between CLOSE and ESTABLISHED. Its flows are counted like those of datagrams,
 * the sweep finds its listeners. */
static __always_inline void sctp_set_state(struct sock *sk, int new_state)
{
	struct socket_state *state;

	if (new_state != TCP_LISTEN)
		return;
	state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state)
		return;
	begin_state(state, 0);
	state->listens = true;
}

#endif

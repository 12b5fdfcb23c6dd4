/* Connects that fail before the socket's state changes, so that inet_sock_set_state says nothing:
 * no route, forbidden, a datagram socket's.
 *
 * On one rung fexit programs see the result of the protocol's connect function. On the other one
 * cgroup/connect4|6 leaves a mark with the socket, which SYN_SENT takes away; a mark that is still
 * there when the socket connects again, is swept or released is a connect that failed, errno
 * unknown. A datagram socket has no such state: there a socket that has a port of the kernel's
 * choice but no peer failed, for AF_UNSPEC takes both away. */
#ifndef LASTCONN_BPF_CONNECT_BPF_H
#define LASTCONN_BPF_CONNECT_BPF_H

#include "socket.bpf.h"

#define CONNECT_SETTLED_NS 1000000000ULL /* connect(2) on another processor is past the route */

/* Everything but the owner. */
static __always_inline void fill_failed(struct event_flow *event, const struct sock *sk)
{
	event->type = EVENT_FLOW_END;
	event->flags |= EVENT_FAILED | EVENT_DIRECTION_OUT;
	event->protocol = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
	event->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	event->local_port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
		map_v4(event->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
	else
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr);
}

/* With the result at hand. */

static __always_inline bool read_remote(struct event_flow *event, const void *address, int size)
{
	__u16 head[2] = {}; /* family and port of sockaddr_in and sockaddr_in6 */
	__u32 v4 = 0;

	bpf_probe_read_kernel(head, sizeof(head), address);
	event->remote_port = bpf_ntohs(head[1]);
	if (head[0] == AF_INET && size >= 16) {
		bpf_probe_read_kernel(&v4, sizeof(v4), address + 4);
		map_v4(event->remote, v4);
		return true;
	}
	return head[0] == AF_INET6 && size >= 24 &&
	       bpf_probe_read_kernel(event->remote, sizeof(event->remote), address + 8) == 0;
}

static __always_inline void connect_done(struct sock *sk, const void *address, int size, int result)
{
	struct event_flow event = {};
	struct socket_state *state;

	if (result >= 0)
		return;
	state = socket_state_get(sk, 0);
	if (state && state->connect_failed) {
		state->connect_failed = false;
		return;
	}
	if (!read_remote(&event, address, size))
		return;
	take_current(&event.user);
	event.opener = state && state->opener.pid ? state->opener : event.user;
	event.flags = EVENT_OWNER_EXACT;
	event.cookie = socket_cookie(sk, state);
	event.time_ns = event.start_ns = bpf_ktime_get_boot_ns();
	event.error = -result;
	fill_failed(&event, sk);
	send_event(&event);
}

/* By the mark. */

static __always_inline bool mark_means_failure(
	const struct socket_state *state, const struct sock *sk)
{
	if (!state->connecting)
		return false;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol) == IPPROTO_TCP)
		return true;
	return !state->bound && BPF_CORE_READ(sk, __sk_common.skc_num) &&
	       BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED;
}

static __always_inline void fill_marked(struct event_flow *event, const struct socket_state *state,
	const struct sock *sk, __u64 cookie)
{
	fill_owner(event, state);
	fill_failed(event, sk);
	event->cookie = cookie;
	event->time_ns = event->start_ns = state->connect_ns;
	event->remote_port = state->connect_port;
	__builtin_memcpy(event->remote, state->connect_address, sizeof(event->remote));
}

/* What became of the connect before this one. */
static __always_inline void settle_connect(
	struct socket_state *state, const struct sock *sk, __u64 cookie)
{
	struct event_flow event = {};

	if (mark_means_failure(state, sk)) {
		fill_marked(&event, state, sk, cookie);
		send_event(&event);
	}
	state->connecting = false;
}

static __always_inline void begin_datagrams(struct bpf_sock *sk, struct socket_state *state)
{
	struct first_peer *first = first_peer_get(sk);

	if (!state->user.pid)
		note_maker(state);
	if (first)
		first->ask_state = true;
}

static __always_inline void connect_begins(
	struct bpf_sock_addr *ctx, const __u8 *remote, __u16 remote_port)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_state *state;

	if (!sk || ctx->protocol == IPPROTO_MPTCP) /* its first subflow does so, too */
		return;
	/* nobody tells of the release of the kernel's own sockets: an entry would stay */
	if (!has_storage && BPF_CORE_READ_BITFIELD_PROBED(kernel_address(sk), sk_kern_sock))
		return;
	state = socket_state_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state)
		return;
	if (state->connecting)
		settle_connect(state, kernel_address(sk), bpf_get_socket_cookie(ctx));
	if (ctx->protocol == IPPROTO_TCP)
		begin_state(state, EVENT_DIRECTION_OUT);
	else
		begin_datagrams(sk, state);
	state->connect_ns =
		ctx->protocol == IPPROTO_TCP ? state->start_ns : bpf_ktime_get_boot_ns();
	state->connect_port = remote_port;
	__builtin_memcpy(state->connect_address, remote, sizeof(state->connect_address));
	state->connecting = true;
}

static __always_inline void connect_begins_v4(struct bpf_sock_addr *ctx)
{
	__u8 remote[16];

	map_v4(remote, ctx->user_ip4);
	connect_begins(ctx, remote, bpf_ntohs(ctx->user_port));
}

static __always_inline void connect_begins_v6(struct bpf_sock_addr *ctx)
{
	__u32 remote[4];

	for (int i = 0; i < 4; i++)
		remote[i] = ctx->user_ip6[i];
	connect_begins(ctx, (const __u8 *)remote, bpf_ntohs(ctx->user_port));
}

static __always_inline void connect_release(struct bpf_sock *sk)
{
	struct socket_state *state = socket_state_get(sk, 0);

	if (state && state->connecting)
		settle_connect(state, kernel_address(sk), bpf_get_socket_cookie(sk));
}

/* Returns whether the event was made; then the rest of the socket waits for the next sweep. */
static __always_inline bool sweep_connect(struct seq_file *seq, const struct sock *sk,
	struct socket_state *state, struct event_flow *event)
{
	if (!mark_means_failure(state, sk) ||
		bpf_ktime_get_boot_ns() - state->connect_ns < CONNECT_SETTLED_NS)
		return false;
	fill_marked(event, state, sk, event->cookie);
	if (bpf_seq_write(seq, event, sizeof(*event)) == 0)
		state->connecting = false;
	return true;
}

#endif

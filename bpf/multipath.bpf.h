/* Multipath TCP: the process has one socket, the kernel a TCP socket for each path. The paths are
 * the flows; who uses them is known of the other socket only, and kept here until they end.
 *
 * Limit: the map's size; the least recently used entry goes, and what is left of its paths has the
 * owner that any TCP socket has. */
#ifndef LASTCONN_BPF_MULTIPATH_BPF_H
#define LASTCONN_BPF_MULTIPATH_BPF_H

#include "socket.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64); /* socket cookie */
	__type(value, struct event_ref);
} multipath_users SEC(".maps");

/* The current process sends or receives: the first one is the user. */
static __always_inline void note_multipath_user(struct sock *sk)
{
	__u64 cookie = has_storage ? bpf_get_socket_cookie(sk) : kernel_cookie(sk);
	struct event_ref user;

	if (!cookie || bpf_map_lookup_elem(&multipath_users, &cookie))
		return;
	take_current(&user);
	bpf_map_update_elem(&multipath_users, &cookie, &user, BPF_NOEXIST);
}

static __always_inline bool is_path(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sock_of(sk);

	return tp && bpf_core_field_exists(tp->is_mptcp) && READ_SOCK(tp, is_mptcp);
}

static __always_inline void adopt_user(struct sock *sk, struct socket_state *state)
{
	const struct mptcp_subflow_context *path;
	const struct event_ref *user;
	__u64 cookie;

	if (state->exact || !is_path(sk))
		return;
	path = BPF_CORE_READ((const struct inet_connection_sock *)sk, icsk_ulp_data);
	cookie = BPF_CORE_READ(path, conn, __sk_common.skc_cookie.counter);
	user = bpf_map_lookup_elem(&multipath_users, &cookie);
	if (!user)
		return;
	state->user = *user;
	if (!state->opener.pid)
		state->opener = state->user;
	state->exact = true;
}

#endif

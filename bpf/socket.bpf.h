/* Sockets: addresses, owner, and the events that speak of them. */
#ifndef LASTCONN_BPF_SOCKET_BPF_H
#define LASTCONN_BPF_SOCKET_BPF_H

#include "process.bpf.h"

/* Where the verifier knows what sk is, a plain load; a helper call costs more. Only programs that
 * use the storage always get such a sk. */
#define READ_SOCK(sk, field) (has_storage ? (sk)->field : BPF_CORE_READ(sk, field))

static __always_inline bool is_inet(const struct sock *sk)
{
	__u16 family = READ_SOCK(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

/* NULL if it is none; without storage it must be one. */
static __always_inline const struct tcp_sock *tcp_sock_of(struct sock *sk)
{
	return has_storage ? bpf_skc_to_tcp_sock(sk) : (const void *)sk;
}

static __always_inline void map_v4(__u8 *octets, __u32 address)
{
	__builtin_memset(octets, 0, 10);
	octets[10] = octets[11] = 0xff;
	__builtin_memcpy(octets + 12, &address, 4);
}

static __always_inline void read_addresses(struct event_flow *event, const struct sock *sk)
{
	if (READ_SOCK(sk, __sk_common.skc_family) == AF_INET) {
		map_v4(event->local, READ_SOCK(sk, __sk_common.skc_rcv_saddr));
		map_v4(event->remote, READ_SOCK(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&event->remote, sk, __sk_common.skc_v6_daddr);
	}
	event->remote_port = bpf_ntohs(READ_SOCK(sk, __sk_common.skc_dport));
}

static __always_inline __u32 socket_netns(const struct sock *sk)
{
	if (has_storage)
		return sk->__sk_common.skc_net.net->ns.inum;
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* The verifier allows no arithmetic, so no probe reads, on sockets of cgroup programs. */
static __always_inline const struct sock *kernel_address(const void *known)
{
	const struct sock *sk = NULL;

	bpf_probe_read_kernel(&sk, sizeof(sk), &known);
	return sk;
}

static __always_inline __u64 kernel_cookie(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

static __always_inline __u64 own_cookie(const struct sock *sk)
{
	return OWN_COOKIE | (bpf_ktime_get_boot_ns() << 8 ^ (__u64)sk >> 6) >> 2;
}

/* An entry of a socket that was here before, and whose end nobody saw, has another cookie. */
static __always_inline struct hashed_socket *hashed_socket_get(const struct sock *sk, bool create)
{
	__u64 key = (__u64)sk, cookie = kernel_cookie(sk);
	struct hashed_socket *found = bpf_map_lookup_elem(&socket_hash, &key), fresh = {};

	if (found && (found->cookie & OWN_COOKIE || found->cookie == cookie))
		return found;
	if (!create)
		return NULL;
	fresh.cookie = cookie ? cookie : own_cookie(sk);
	bpf_map_update_elem(&socket_hash, &key, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&socket_hash, &key);
}

static __always_inline struct socket_state *hashed_state_get(const void *known, bool create)
{
	struct hashed_socket *found = hashed_socket_get(kernel_address(known), create);

	return found ? &found->state : NULL;
}

/* The listener that sk has just been cloned from: until they are set the clone has the links of the
 * listener in the list of its port, and what points to a node is the node's pprev. Meanwhile
 * another processor may have put another socket into its place, but hardly another listener. */
static __always_inline const struct socket_state *cloned_listener(const struct sock *sk)
{
	struct hlist_node **pprev = BPF_CORE_READ(sk, __sk_common.skc_bind_node.pprev);
	const struct socket_state *state;
	struct hlist_node *node = NULL;

	if (bpf_probe_read_kernel(&node, sizeof(node), pprev) || !node)
		return NULL;
	state = hashed_state_get(
		(void *)node - bpf_core_field_offset(struct sock, __sk_common.skc_bind_node),
		false);
	return state && state->listens ? state : NULL;
}

/* What BPF_F_CLONE does to the storage. The new socket still has the listener's cookie, too. */
static __always_inline void hashed_state_clone(const void *known)
{
	const struct sock *sk = kernel_address(known);
	const struct socket_state *listener = cloned_listener(sk);
	struct hashed_socket fresh = {.cookie = own_cookie(sk)};
	__u64 key = (__u64)sk;

	if (listener)
		fresh.state = *listener;
	bpf_map_update_elem(&socket_hash, &key, &fresh, BPF_ANY);
}

/* The storage goes with the socket. */
static __always_inline void hashed_state_delete(const void *known)
{
	__u64 key = (__u64)kernel_address(known);

	if (!has_storage)
		bpf_map_delete_elem(&socket_hash, &key);
}

/* The socket's state, made if create is BPF_SK_STORAGE_GET_F_CREATE. */
#define socket_state_get(sk, create)                                              \
	({                                                                        \
		struct socket_state *_state =                                     \
			has_storage ? bpf_sk_storage_get(&sockets, sk, 0, create) \
				    : hashed_state_get(sk, create);               \
		if (!_state && (create))                                          \
			count_loss(LOSS_SOCKET);                                  \
		_state;                                                           \
	})

/* Without the storage all peers are in the map. */
#define first_peer_get(sk) \
	(has_storage ? (struct first_peer *)bpf_sk_storage_get(&first_peers, sk, 0, 0) : NULL)

/* What names the socket in events; state may be NULL. */
static __always_inline __u64 socket_cookie(struct sock *sk, const struct socket_state *state)
{
	if (has_storage)
		return bpf_get_socket_cookie(sk);
	return state ? ((const struct hashed_socket *)state)->cookie
		     : own_cookie(kernel_address(sk));
}

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
	if ((state->user.pid || state->opener.pid) && current_is_kthread()) {
		state->kernel_used = true;
		return;
	}
	current_ref(&now);
	if (!same_ref(&now, &state->user))
		take_current(&state->user);
	if (!state->opener.pid)
		state->opener = state->user;
	state->exact = true;
}

static __always_inline void fill_owner(struct event_flow *event, const struct socket_state *state)
{
	event->flags = state->flags | (state->exact ? EVENT_OWNER_EXACT : 0) |
		       (state->kernel_used ? EVENT_KERNEL_USED : 0);
	if (!has_use && state->opener.pid)
		event->flags = state->flags |
			       (state->flags & EVENT_OWNER_SNAPSHOT ? 0 : EVENT_OWNER_INHERITED);
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

// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs, one thin entry each, in the order of the slots in source_ebpf. */
#include "resolve.bpf.h"
#include "snapshot.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Slot tcp: birth and death. Often in softirq, where "current" is a stranger. The kernel skips a
 * tracing program that is already running on this processor: while it is interrupted, or since
 * Linux 7.0 preempted, changes of other sockets would be lost. So two of them hang there, and who
 * comes first handles the change. */
static __always_inline int tcp_changed(struct sock *sk, int old_state, int new_state, bool again)
{
	if (sk->sk_protocol == IPPROTO_TCP)
		tcp_set_state(sk, old_state, new_state, again);
	else if (sk->sk_protocol == IPPROTO_SCTP && !again)
		sctp_set_state(sk, new_state);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old_state, int new_state)
{
	return tcp_changed(sk, old_state, new_state, false);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_again, struct sock *sk, int old_state, int new_state)
{
	return tcp_changed(sk, old_state, new_state, true);
}

/* Slot connect: connects that fail before slot tcp sees anything. */
SEC("fexit/tcp_v4_connect")
int BPF_PROG(connect_tcp4_done, struct sock *sk, void *address, int size, int result)
{
	if (sk->__sk_common.skc_family == AF_INET) /* else tcp_v6_connect called it */
		connect_done(sk, address, size, result);
	return 0;
}

SEC("fexit/tcp_v6_connect")
int BPF_PROG(connect_tcp6_done, struct sock *sk, void *address, int size, int result)
{
	connect_done(sk, address, size, result);
	return 0;
}

SEC("fexit/__ip4_datagram_connect")
int BPF_PROG(connect_datagram4_done, struct sock *sk, void *address, int size, int result)
{
	if (sk->__sk_common.skc_family == AF_INET)
		connect_done(sk, address, size, result);
	return 0;
}

SEC("fexit/__ip6_datagram_connect")
int BPF_PROG(connect_datagram6_done, struct sock *sk, void *address, int size, int result)
{
	connect_done(sk, address, size, result);
	return 0;
}

SEC("cgroup/connect4")
int connect_v4(struct bpf_sock_addr *ctx)
{
	connect_begins_v4(ctx);
	return 1;
}

SEC("cgroup/connect6")
int connect_v6(struct bpf_sock_addr *ctx)
{
	connect_begins_v6(ctx);
	return 1;
}

SEC("cgroup/sock_release")
int connect_gone(struct bpf_sock *sk)
{
	connect_release(sk);
	return 1;
}

/* Slot use: the process that really sends or receives. */
static __always_inline void socket_used(struct sock *sk, int result)
{
	struct socket_state *state;

	if (result < 0 || !is_inet(sk))
		return;
	if (READ_SOCK(sk, sk_protocol) == IPPROTO_MPTCP)
		note_multipath_user(sk);
	state = socket_state_get(sk, 0);
	if (!state)
		return;
	if (!state->netns)
		state->netns = socket_netns(sk);
	note_user(state);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_send, struct sock *sk, int result, int flags)
{
	if (sk->__sk_common.skc_family == AF_PACKET)
		packet_sent_blind(sk, result);
	else
		socket_used(sk, result);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_receive, struct sock *sk, int result, int flags)
{
	socket_used(sk, result);
	return 0;
}

/* Before Linux 6.3: every inet protocol's way into and out of its sockets, all in process context.
 * The result stands behind the parameters, whose number never changed. */
#define CALL_DONE(name, function, parameters)                          \
	SEC("fexit/" function)                                         \
	int BPF_PROG(name, const struct socket *socket)                \
	{                                                              \
		if (socket->sk)                                        \
			socket_used(socket->sk, (int)ctx[parameters]); \
		return 0;                                              \
	}

CALL_DONE(inet_send, "inet_sendmsg", 3)
CALL_DONE(inet6_send, "inet6_sendmsg", 3)
CALL_DONE(inet_send_page, "inet_sendpage", 5) /* sendfile, splice; until 6.4 */
CALL_DONE(inet_receive, "inet_recvmsg", 4)
CALL_DONE(inet6_receive, "inet6_recvmsg", 4)

/* Where functions have probes only (arm64 before 6.4). Not when a call begins: another process may
 * be the one that gets the data, and a socket's first send finds no state yet. */
#define PROBE_CALL(name, function)                        \
	SEC("kprobe/" function)                           \
	int BPF_KPROBE(name, const struct socket *socket) \
	{                                                 \
		call_begins(BPF_CORE_READ(socket, sk));   \
		return 0;                                 \
	}                                                 \
                                                          \
	SEC("kretprobe/" function)                        \
	int BPF_KRETPROBE(name##_done, int result)        \
	{                                                 \
		call_ends(result);                        \
		return 0;                                 \
	}

static __always_inline void call_begins(const struct sock *sk)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&calls, &thread, &sk, BPF_ANY);
}

static __always_inline void call_ends(int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct sock **sk = bpf_map_lookup_elem(&calls, &thread);

	if (sk)
		socket_used(*sk, result);
	bpf_map_delete_elem(&calls, &thread);
}

PROBE_CALL(probe_send, "inet_sendmsg")
PROBE_CALL(probe_send6, "inet6_sendmsg")
PROBE_CALL(probe_send_page, "inet_sendpage")
PROBE_CALL(probe_receive, "inet_recvmsg")
PROBE_CALL(probe_receive6, "inet6_recvmsg")

/* Slot splice: Linux has no tracepoint of it, and since 6.5 it calls no recvmsg. */
CALL_DONE(tcp_splice, "tcp_splice_read", 5)
PROBE_CALL(probe_splice, "tcp_splice_read")

/* Slot accept. The new socket has no sock if accept failed: no need for the result, whose place
 * among the arguments changed in 6.10. */
SEC("fexit/inet_accept")
int BPF_PROG(socket_accept, const struct socket *listener, const struct socket *accepted)
{
	if (listener->sk && accepted->sk)
		tcp_accept(listener->sk, accepted->sk);
	return 0;
}

/* Called by accept(2) when it has the connection. A return probe on accept would be lost where
 * many threads wait in it, and there is no other that knows the listener. */
SEC("kprobe/security_sock_graft")
int BPF_KPROBE(probe_accept, struct sock *sk)
{
	if (is_inet(sk))
		tcp_accept(NULL, sk);
	return 0;
}

/* Slots datagram and names: octets and packets per peer; what tells what hosts are called. */
SEC("cgroup_skb/egress")
int datagram_out(struct __sk_buff *skb)
{
	take_packet(skb, true);
	return 1;
}

SEC("cgroup_skb/ingress")
int datagram_in(struct __sk_buff *skb)
{
	take_packet(skb, false);
	return 1;
}

/* Slot error: what ICMP answered to a datagram. */
SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(socket_error, struct sock *sk)
{
	note_error(sk);
	return 0;
}

SEC("fentry/sock_def_error_report")
int BPF_PROG(socket_error_default, struct sock *sk)
{
	note_error(sk);
	return 0;
}

/* Slot packet: who sends what frames, and who hears them. */
SEC("fexit/packet_create")
int BPF_PROG(
	packet_open, struct net *net, struct socket *socket, int protocol, int kern, int result)
{
	if (result == 0 && !kern && socket->sk)
		packet_opened(socket->sk);
	return 0;
}

SEC("fexit/packet_sendmsg")
int BPF_PROG(packet_send, struct socket *socket, struct msghdr *message, __u64 size, int result)
{
	if (result > 0 && socket->sk)
		packet_sent(socket->sk, message, result);
	return 0;
}

SEC("fentry/packet_release")
int BPF_PROG(packet_gone, struct socket *socket)
{
	if (socket->sk)
		packet_released(socket->sk);
	return 0;
}

/* Slot bind. */
SEC("cgroup/post_bind4")
int bind_v4(struct bpf_sock *sk)
{
	note_bind(sk);
	return 1;
}

SEC("cgroup/post_bind6")
int bind_v6(struct bpf_sock *sk)
{
	note_bind(sk);
	return 1;
}

/* Slot release. */
SEC("cgroup/sock_release")
int socket_release(struct bpf_sock *sk)
{
	if (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_MPTCP)
		datagram_release(sk);
	else if (sk->state == TCP_CLOSE)
		hashed_state_delete(sk); /* bound, but never more */
	return 1;
}

/* Slot process: who began, and what it runs. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	struct event_ref ref;

	take_current(&ref);
	return 0;
}

static __always_inline void send_fork(struct event_fork *event)
{
	if (bpf_ringbuf_output(&ring, event, sizeof(*event), wakeup_flags()))
		count_loss(LOSS_RING);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct event_fork event = {.type = EVENT_FORK};

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0; /* a thread */
	task_ref(child, &event.child);
	task_ref(parent, &event.parent);
	send_fork(&event);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct event_fork event = {.type = EVENT_EXIT};

	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0; /* other threads go on */
	task_ref(task, &event.child);
	send_fork(&event);
	return 0;
}

/* Slot resolve. Attached to one C library after the other. */
SEC("uprobe")
int BPF_KPROBE(resolve_begin, __u64 name, __u64 service, __u64 hints, __u64 list)
{
	resolve_begins(name, list);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(resolve_end, int result)
{
	resolve_ends(result);
	return 0;
}

/* Slot snapshot. What does not fit into the reader's buffer any more is asked for again. A process
 * does not count as reported: its own report, when it acts, can tell its command line. */
static __always_inline void list_process(struct seq_file *seq, struct task_struct *leader)
{
	__u64 thread = bpf_get_current_pid_tgid(), length;
	struct process_scratch *record;

	if (make_process((__u64)leader))
		return;
	record = bpf_map_lookup_elem(&scratch, &thread);
	if (!record)
		return;
	length = (record->length + 7) & ~7ULL; /* the next one is aligned */
	if (length <= sizeof(record->data))
		bpf_seq_write(seq, &record->event, sizeof(record->event) + length);
	bpf_map_delete_elem(&scratch, &thread);
}

SEC("iter/task")
int snapshot_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	/* of a leader that is gone nothing can be told: its threads do so when they act */
	if (task && BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid) &&
		(BPF_CORE_READ(task, mm) || BPF_CORE_READ(task, flags) & PF_KTHREAD))
		list_process(ctx->meta->seq, BPF_CORE_READ(task, group_leader));
	return 0;
}

static __always_inline struct sock *file_sock(struct file *file)
{
	struct socket *socket;

	if (has_storage) {
		socket = bpf_sock_from_file(file);
		return socket ? socket->sk : NULL;
	}
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline bool is_watched(const struct sock *sk)
{
	return is_inet(sk) || ((has_storage || packet_ends_seen) &&
				      READ_SOCK(sk, __sk_common.skc_family) == AF_PACKET);
}

SEC("iter/task_file")
int snapshot_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = file_sock(file);
	if (sk && is_watched(sk))
		snapshot_socket(task, sk);
	return 0;
}

/* Slot sweep: counters of what is open. */
SEC("iter/bpf_sk_storage_map")
int sweep_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct socket_state *state = ctx->value;

	if (sk && state)
		sweep_socket(ctx->meta->seq, sk, state);
	return 0;
}

SEC("iter/bpf_map_elem")
int sweep_hash(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *key = ctx->key;
	struct socket_state *state;
	struct sock *sk;

	if (!key)
		return 0;
	sk = (struct sock *)*key;
	state = socket_state_get(sk, 0);
	if (state)
		sweep_socket(ctx->meta->seq, sk, state);
	else
		hashed_state_delete(sk);
	return 0;
}

/* Where the kernel lets nobody walk over maps: the sockets that some process has a file of, each
 * once a run. One that did not fit into the reader's buffer comes again. What sweep_hash removes
 * of sockets that are gone stays in the hash here. */
SEC("iter/task_file")
int sweep_files(struct bpf_iter__task_file *ctx)
{
	__u16 session = ctx->meta->session_id;
	struct seq_file *seq = ctx->meta->seq;
	struct file *file = ctx->file;
	struct socket_state *state;
	struct sock *sk;

	sk = file ? file_sock(file) : NULL;
	if (!sk || !is_watched(sk))
		return 0;
	state = socket_state_get(sk, 0);
	if (!state || state->swept_session == session)
		return 0;
	sweep_socket(seq, sk, state);
	if (BPF_CORE_READ(seq, count) < BPF_CORE_READ(seq, size))
		state->swept_session = session;
	return 0;
}

/* What ICMP answers to a datagram: port, host or network unreachable. Mostly in softirq.
 *
 * The error concerns one peer: that of a connected socket; of another one, which hears of errors
 * only with IP_RECVERR, the one that the newest entry of its error queue names. */
#ifndef LASTCONN_BPF_ERROR_BPF_H
#define LASTCONN_BPF_ERROR_BPF_H

#include "datagram.bpf.h"

/* The destination of the datagram that the newest entry of the error queue is about. */
static __always_inline bool read_error_queue(const struct sock *sk, struct peer_key *peer)
{
	struct sk_buff *skb = BPF_CORE_READ(sk, sk_error_queue.prev);
	const void *entry, *address;
	__u16 offset = 0, port = 0;
	__u8 origin = 0;
	__u32 v4 = 0;

	if (!skb || (const void *)skb == (const void *)&sk->sk_error_queue)
		return false; /* empty: it points to itself */
	entry = (const void *)skb + bpf_core_field_offset(struct sk_buff, cb);
	BPF_CORE_READ_INTO(&origin, (const struct sock_exterr_skb *)entry, ee.ee_origin);
	BPF_CORE_READ_INTO(&offset, (const struct sock_exterr_skb *)entry, addr_offset);
	BPF_CORE_READ_INTO(&port, (const struct sock_exterr_skb *)entry, port);
	address = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header) + offset;
	peer->remote_port = bpf_ntohs(port);
	if (origin == SO_EE_ORIGIN_ICMP6)
		return bpf_probe_read_kernel(peer->remote, sizeof(peer->remote), address) == 0;
	if (origin != SO_EE_ORIGIN_ICMP || bpf_probe_read_kernel(&v4, sizeof(v4), address))
		return false;
	map_v4(peer->remote, v4);
	return true;
}

static __always_inline bool find_concerned(const struct sock *sk, struct peer_key *peer)
{
	if (sk->__sk_common.skc_state != TCP_ESTABLISHED)
		return read_error_queue(sk, peer);
	if (sk->__sk_common.skc_family == AF_INET)
		map_v4(peer->remote, sk->__sk_common.skc_daddr);
	else
		BPF_CORE_READ_INTO(&peer->remote, sk, __sk_common.skc_v6_daddr);
	peer->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	return true;
}

static __always_inline void note_error(struct sock *sk)
{
	struct peer_key peer = {.protocol = sk->sk_protocol};
	struct first_peer *first;
	struct peer_state *other;
	int error = sk->sk_err;

	if (!error || !is_inet(sk) || sk->sk_protocol == IPPROTO_TCP || !find_concerned(sk, &peer))
		return;
	first = first_peer_get(sk);
	if (first && first->remote_port == peer.remote_port &&
		same_address(first->remote, peer.remote)) {
		first->peer.error = error;
		return;
	}
	peer.cookie = has_storage ? bpf_get_socket_cookie(sk) : kernel_cookie(sk);
	other = bpf_map_lookup_elem(&peers, &peer);
	if (other)
		other->error = error;
}

#endif

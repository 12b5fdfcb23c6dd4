/* Maps, and what every program does with them: events into the ring, losses into counters. */
#ifndef LASTCONN_BPF_MAPS_BPF_H
#define LASTCONN_BPF_MAPS_BPF_H

#include "compat.bpf.h"
#include "flow_event.h"

/* Set by source_ebpf before loading. */
const volatile __u64 ring_wakeup_octets = 0; /* wake the reader when so much is waiting */
const volatile __u64 datagram_idle_ns = 0;
const volatile bool packet_ends_seen = false; /* slot packet is served */
const volatile __u16 start_number = 0;        /* of this daemon, among those that shared the maps */
/* Tracing programs can use the storage of sockets (since 5.11, commit 8e4597c627fb) and their
 * cookies (5.12, c5dbb89fc2ac). Else everybody uses socket_hash. */
const volatile bool has_storage = true;
/* Slot use is served. Else who opens, accepts or closes a socket is taken for its user, and no
 * owner is called exact: it may have been somebody else's to use. */
const volatile bool has_use = true;
/* Slot names is served: the first octets of connections, and what name servers are told and tell.
 */
const volatile bool hear_names = false;
/* Programs of all types know bpf_get_current_task_btf (tracing ones since 5.11). */
const volatile bool has_task_btf = true;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring SEC(".maps");

/* Of names: whoever floods it costs names, not flows. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_HEADS_OCTETS);
} heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* What is kept with each socket. */
struct socket_state {
	struct event_ref opener;
	struct event_ref user;
	__u64 start_ns;
	__u32 netns;
	__u16 listen_port; /* of a reported datagram listener: not readable at its release */
	__u8 flags;        /* enum event_owner_flags without EVENT_OWNER_EXACT */
	/* An octet each, for other processors may set others at the same time, and the only atomic
	 * operation on bits that kernels before 5.12 have is none. */
	bool exact;   /* EVENT_OWNER_EXACT */
	bool listens; /* or is bound and waits for datagrams */
	bool listen_reported;
	bool ended;          /* its END event went out */
	bool has_peers;      /* has entries in the peers map */
	bool bound;          /* by bind(2) */
	bool ignored;        /* the kernel's own ICMP, IGMP or neighbour discovery */
	bool connecting;     /* connect(2) began, and whether it failed is not known yet */
	bool connect_failed; /* connect(2) is failing, and an event told it already */
	__u16 connect_port;  /* with connecting: to there, then */
	__u16 swept;         /* start_number of the daemon whose sweep last told of this listener */
	bool frames_read;    /* of AF_PACKET: slot packet accounts for it */
	__u8 tcp_state;      /* the last one that tcp_set_state() handled */
	__u16 swept_session; /* of the last run of sweep_files that showed it */
	bool kernel_used;    /* EVENT_KERNEL_USED */
	__u8 zero;
	__u16 head_octets; /* TCP: in which who opened may tell a name; 0 not known yet */
	__u8 zeros[4];
	__u8 connect_address[16];
	__u64 connect_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* In place of the storage, by the address of the sock: an entry goes with its socket. */
struct hashed_socket {
	struct socket_state state;
	__u64 cookie; /* told in events; with OWN_COOKIE where the kernel had given none yet */
};

#define OWN_COOKIE (1ULL << 62)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct hashed_socket);
} socket_hash SEC(".maps");

/* Without the storage: the sock that a thread sends to or receives from. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, const struct sock *);
} calls SEC(".maps");

/* The first peer of a datagram socket, apart from socket_state: TCP sockets, which are made and
 * cloned for each connection, shall stay small. */
struct first_peer {
	__u8 remote[16];
	__u16 remote_port;
	__u8 protocol;  /* of the packets: a raw socket with IP_HDRINCL sends any */
	bool ask_state; /* the socket's state has changed: look at it with the next packet */
	__u8 zero[4];
	struct peer_state peer; /* last_ns 0: just being made */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct first_peer);
} first_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct peer_key);
	__type(value, struct peer_state);
} peers SEC(".maps");

static __always_inline void count_loss(__u32 index)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &index);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Waking the reader for each event cost more than everything else together. */
static __always_inline __u64 wakeup_flags_of(void *map, __u64 octets)
{
	if (bpf_ringbuf_query(map, BPF_RB_AVAIL_DATA) >= octets)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline __u64 wakeup_flags(void)
{
	return wakeup_flags_of(&ring, ring_wakeup_octets);
}

#endif

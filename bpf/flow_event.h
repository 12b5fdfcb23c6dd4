/* The border between the BPF programs and source_ebpf: the one header that both sides include.
 * Fixed widths, explicit padding, host byte order but for addresses. */
#ifndef LASTCONN_BPF_FLOW_EVENT_H
#define LASTCONN_BPF_FLOW_EVENT_H

#ifdef __bpf__
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
typedef __s32 int32_t;
#else
#include <stdint.h>
#endif

enum event_type {
	EVENT_FLOW_END = 1,  /* struct event_flow */
	EVENT_FLOW_SIGHTING, /* struct event_flow */
	EVENT_SOCKET,        /* struct event_flow without counters: owner of a socket with peers */
	EVENT_SOCKET_GONE,   /* same; the socket was released */
	EVENT_LISTEN,        /* struct event_flow without remote end */
	EVENT_LISTEN_GONE,
	EVENT_PROCESS, /* struct event_process */
	EVENT_FORK,    /* struct event_fork */
	EVENT_EXIT,    /* struct event_fork without parent */
	EVENT_RESOLVE, /* struct event_resolve */
	EVENT_HEAD,    /* struct event_head; in a ring of their own */
};

enum event_limits {
	EVENT_COMM_SIZE = 16,
	EVENT_DATA_MAX = 6144, /* path, cgroup and command line of one process event */
	EVENT_NAME_MAX = 256,  /* one path component with NUL, NAME_MAX + 1 */
	EVENT_CMDLINE_MAX = 2048,
	EVENT_PATH_MAX = 3584,         /* a path that got so long is cut */
	EVENT_PATH_DEPTH = 48,         /* components and mount crossings followed */
	EVENT_CGROUP_DEPTH = 16,       /* levels followed */
	EVENT_RESOLVE_MAX = 16,        /* addresses of a name */
	EVENT_HEAD_MAX = 4096,         /* octets of a packet; a longer ClientHello is cut */
	EVENT_HEADS_OCTETS = 2 << 20,  /* of their ring */
	EVENT_RESOLVE_NAME_SIZE = 264, /* longer than any name with NUL: what fills it was cut */
};

/* Same layout as struct process_ref. */
struct event_ref {
	uint64_t start_ns;
	uint32_t pid;
	uint32_t exec_id;
};

/* What is known of a socket's owner. */
enum event_owner_flags {
	EVENT_OWNER_EXACT = 0x01,     /* user acted on the socket in its own context */
	EVENT_OWNER_INHERITED = 0x02, /* user is the listener's owner */
	EVENT_OWNER_SNAPSHOT = 0x04,  /* opener and user were found by the start-up snapshot */
	EVENT_DIRECTION_OUT = 0x08,
	EVENT_DIRECTION_IN = 0x10,
	EVENT_PEER_FIN = 0x20,  /* octets_in counts the sequence number of the peer's FIN */
	EVENT_DATAGRAMS = 0x80, /* summed up, whatever the protocol: TCP of a raw socket, too */
	EVENT_FAILED = 0x40,    /* connect(2) failed; why is in error, 0 where that is not known */
	EVENT_KERNEL_USED = 0x100, /* a kernel thread sent, received or closed for the user */
};

struct event_flow {
	uint32_t type;  /* enum event_type */
	uint32_t flags; /* enum event_owner_flags */
	uint64_t cookie;
	uint64_t time_ns;  /* CLOCK_BOOTTIME; datagrams: of the last one */
	uint64_t start_ns; /* 0 unknown */
	struct event_ref user;
	struct event_ref opener;
	uint8_t local[16]; /* IPv4 v4-mapped */
	uint8_t remote[16];
	uint16_t local_port;
	uint16_t remote_port;
	uint32_t netns;
	uint64_t octets_out;
	uint64_t octets_in;
	uint64_t packets_out;
	uint64_t packets_in;
	uint32_t retransmits;
	uint32_t srtt_us;
	uint8_t protocol;
	uint8_t old_state; /* TCP: state before CLOSE, enum of net/tcp_states.h */
	uint8_t zero[2];
	int32_t error; /* errno, positive */
};

struct event_process {
	uint32_t type;
	uint32_t flags; /* enum event_process_flags */
	struct event_ref ref;
	struct event_ref parent;
	uint32_t uid;
	uint32_t loginuid;
	uint32_t netns;
	uint32_t inner_pid;
	uint32_t mntns;
	uint16_t path_length;    /* octets of data: components, leaf first, each ended by NUL */
	uint16_t cgroup_length;  /* the same for the cgroup, behind the path */
	uint16_t cmdline_length; /* arguments as in memory, behind the cgroup */
	uint16_t zero[3];
	char comm[EVENT_COMM_SIZE];
};

enum event_process_flags {
	EVENT_PROCESS_KTHREAD = 0x01,
	EVENT_PROCESS_DELETED = 0x02,
	EVENT_PROCESS_PATH_CUT = 0x04,
	EVENT_PROCESS_CMDLINE_CUT = 0x08,
	EVENT_PROCESS_NO_CMDLINE = 0x10, /* another process's memory cannot be read: see /proc */
};

struct event_fork {
	uint32_t type;
	uint32_t zero;
	struct event_ref child;
	struct event_ref parent;
};

/* A process asked its C library for a name, and got addresses. All of it but who and when is the
 * process's own word. */
struct event_resolve {
	uint32_t type;
	uint16_t count;       /* of addresses, not 0 */
	uint16_t name_length; /* not 0 */
	struct event_ref asker;
	uint64_t time_ns; /* CLOCK_BOOTTIME, of the answer */
	uint32_t netns;
	uint32_t zero;
	uint8_t addresses[EVENT_RESOLVE_MAX]
			 [16]; /* IPv4 v4-mapped; those behind count are not set */
	char name[EVENT_RESOLVE_NAME_SIZE];
};

/* What one packet carried that may tell a host's name. Its ends are those of a connected socket:
 * NAT may have changed the packet's already. */
struct event_head {
	uint32_t type;
	uint32_t netns;
	uint64_t time_ns; /* CLOCK_BOOTTIME */
	uint8_t local[16];
	uint8_t remote[16];
	uint16_t local_port;
	uint16_t remote_port;
	uint8_t protocol;
	uint8_t direction; /* of the flow: EVENT_DIRECTION_OUT, _IN, or 0: not known */
	uint8_t out;       /* 1 the local end sent it */
	uint8_t zero;
	uint32_t offset;   /* TCP: of the first octet, in what its sender sends */
	uint32_t length;   /* of the payload */
	uint32_t captured; /* octets of it, behind this */
	uint32_t zeros;
};

/* The peer of a datagram socket; also the value of the peers map. */
struct peer_state {
	uint8_t local[16];
	uint64_t start_ns;
	uint64_t last_ns;
	uint64_t octets_out;
	uint64_t octets_in;
	uint64_t packets_out;
	uint64_t packets_in;
	uint16_t local_port;
	uint8_t direction; /* EVENT_DIRECTION_OUT, _IN, or 0: not known */
	uint8_t zero;
	uint16_t error; /* errno that ICMP told of, 0 none */
	uint16_t tick;  /* of last_ns, in jiffies; the kernel side's own */
	uint64_t told;  /* the user side's own: position of the source when it told the end; 0 no */
};

struct peer_key {
	uint64_t cookie;
	uint8_t remote[16];
	uint16_t remote_port;
	uint8_t protocol;
	uint8_t zero[5];
};

/* Indexes of the loss counters, an array of uint64_t each CPU. */
enum loss_index {
	LOSS_RING,    /* event did not fit into the ring buffer */
	LOSS_SCRATCH, /* too many process records in the making */
	LOSS_SOCKET,  /* no memory for a socket's storage */
	LOSS_PEER,    /* peers map full: datagrams not accounted */
	LOSS_NAME,    /* too many answers of the C library in a second, or the ring is half full */
	LOSS_HEAD,    /* what tells names did not fit into its ring */
	LOSS_COUNT,
};

_Static_assert(sizeof(struct event_ref) == 16, "layout");
_Static_assert(sizeof(struct event_flow) == 152, "layout");
_Static_assert(sizeof(struct event_process) == 88, "layout");
_Static_assert(sizeof(struct event_fork) == 40, "layout");
_Static_assert(sizeof(struct event_resolve) == 560, "layout");
_Static_assert(sizeof(struct event_head) == 72, "layout");
_Static_assert(sizeof(struct peer_state) == 80, "layout");
_Static_assert(sizeof(struct peer_key) == 32, "layout");

#endif

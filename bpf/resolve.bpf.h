/* What processes ask their C library for: getaddrinfo(3), when it begins and when it returns.
 *
 * All that is read is the process's own memory: it can lie, and who uses what it tells must know
 * whose word it is. The name is read when the call returns, for before that nobody may have touched
 * its page, and what is not there cannot be read here. Processes of 32 bits have a C library of
 * their own, to which nothing is attached.
 *
 * Anybody can call such a function as fast as he likes, and each answer becomes up to 16 rows: so a
 * process is heard RESOLVE_RATE_MAX times a second, and none while the ring, which is there for
 * flows, is half full.
 *
 * A file may have the same probes twice (a C library that two mounts show): the first return takes
 * the call away. A call that never returns (the thread was killed) stays until its slot is needed.
 */
#ifndef LASTCONN_BPF_RESOLVE_BPF_H
#define LASTCONN_BPF_RESOLVE_BPF_H

#include "process.bpf.h"

enum {
	RESOLVE_LIST_MAX = 48,  /* entries of a list looked at: each address comes up to 3 times */
	RESOLVE_RATE_MAX = 200, /* answers of one process in a second */
};

#define RESOLVE_SECOND_NS 1000000000ULL

/* Pointers of a call. */
struct resolve_call {
	__u64 name;
	__u64 list; /* where the pointer to the list will be */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); /* thread */
	__type(value, struct resolve_call);
} resolve_calls SEC(".maps");

/* The answers of a process in its present second. Threads may miscount them a little. */
struct resolve_rate {
	__u64 begin_ns;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* process */
	__type(value, struct resolve_rate);
} resolve_rates SEC(".maps");

/* struct addrinfo of glibc and of musl, on every machine of 64 bits. Not the kernel's: nothing for
 * CO-RE. */
struct user_addrinfo {
	__s32 flags, family, socktype, protocol;
	__u32 size;
	__u32 padding;
	__u64 address, canonical_name, next;
};

static __always_inline void resolve_begins(__u64 name, __u64 list)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct resolve_call call = {.name = name, .list = list};

	if (name && list)
		bpf_map_update_elem(&resolve_calls, &thread, &call, BPF_ANY);
	else
		bpf_map_delete_elem(&resolve_calls, &thread);
}

/* The address of the entry, IPv4 v4-mapped. False: it has none that we know. */
static __always_inline bool read_address(const struct user_addrinfo *entry, __u32 address[4])
{
	if (entry->family == AF_INET6)
		return bpf_probe_read_user(address, 16, (void *)(entry->address + 8)) == 0;
	if (entry->family != AF_INET)
		return false;
	address[0] = address[1] = 0;
	address[2] = bpf_htonl(0xffff);
	return bpf_probe_read_user(&address[3], 4, (void *)(entry->address + 4)) == 0;
}

static __always_inline bool same_words(const __u32 a[4], const __u32 b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* The entries of one address, one for each type of socket, stand one after the other. The count is
 * kept in memory so that the verifier forgets what it was and merges the paths. */
static __always_inline void add_address(
	struct event_resolve *event, const __u32 address[4], __u32 last[4])
{
	__u32 count = event->count;

	if (count >= EVENT_RESOLVE_MAX || (count && same_words(address, last)))
		return;
	for (int i = 0; i < 4; i++)
		last[i] = address[i];
	__builtin_memcpy(event->addresses[count], address, sizeof(event->addresses[0]));
	event->count = count + 1;
}

static __always_inline void read_list(struct event_resolve *event, __u64 at)
{
	__u32 last[4] = {}, address[4];
	struct user_addrinfo entry;

	for (int i = 0; i < RESOLVE_LIST_MAX && at; i++) {
		if (bpf_probe_read_user(&entry, sizeof(entry), (void *)at))
			return;
		at = entry.next;
		if (read_address(&entry, address))
			add_address(event, address, last);
	}
}

static __always_inline void fill_resolve(
	struct event_resolve *event, const struct event_ref *asker, const struct resolve_call *call)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 list = 0;
	long got;

	event->type = EVENT_RESOLVE;
	event->count = 0;
	event->name_length = 0;
	event->asker = *asker;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	event->zero = 0;
	got = bpf_probe_read_user_str(event->name, sizeof(event->name), (void *)call->name);
	if (got > 0)
		event->name_length = got - 1;
	if (bpf_probe_read_user(&list, sizeof(list), (void *)call->list) == 0)
		read_list(event, list);
}

static __always_inline bool is_too_fast(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	struct resolve_rate *rate = bpf_map_lookup_elem(&resolve_rates, &process);
	__u64 now_ns = bpf_ktime_get_boot_ns();
	struct resolve_rate first = {.begin_ns = now_ns, .count = 1};

	if (rate && now_ns - rate->begin_ns < RESOLVE_SECOND_NS)
		return ++rate->count > RESOLVE_RATE_MAX;
	bpf_map_update_elem(&resolve_rates, &process, &first, BPF_ANY);
	return false;
}

static __always_inline bool is_ring_for_others(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_wakeup_octets;
}

static __always_inline void resolve_ends(int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct resolve_call *found = bpf_map_lookup_elem(&resolve_calls, &thread), call;
	struct event_resolve *event;
	struct event_ref asker;

	if (!found)
		return;
	call = *found;
	bpf_map_delete_elem(&resolve_calls, &thread);
	if (result)
		return;
	if (is_too_fast() || is_ring_for_others()) {
		count_loss(LOSS_NAME);
		return;
	}
	take_current(&asker);
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		count_loss(LOSS_RING);
		return;
	}
	fill_resolve(event, &asker, &call);
	if (event->count && event->name_length)
		bpf_ringbuf_submit(event, wakeup_flags());
	else
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
}

#endif

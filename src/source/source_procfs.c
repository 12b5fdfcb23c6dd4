/* A sweep: who ended, where are sockets, which, whose, and then the difference to the last sweep.
 * Word of destroyed sockets comes in between. */
#include "source/source_procfs.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/proc_netns.h"
#include "source/proc_owner.h"
#include "source/proc_process.h"
#include "source/proc_sockets.h"
#include "source/sock_diag.h"
#include "util/clock.h"

#define PROC "/proc"

enum {
	WANTS_MAX = 32768,    /* owners looked for in one look; the others in the next */
	LOOK_MS = 100,        /* of a look in one sweep; it goes on in the next */
	FIRST_LOOK_MS = 2000, /* before the loop runs: nothing waits for it */
};

/* Bits of TCP states; UDP and raw sockets are ESTABLISHED when connected, else CLOSE. Without those
 * that have no file, and no owner any more or yet: SYN_RECV, TIME_WAIT. */
enum {
	CONNECTED = 1 << TCP_ESTABLISHED,
	UNCONNECTED = 1 << TCP_CLOSE,
	CONNECTIONS = 1 << TCP_ESTABLISHED | 1 << TCP_SYN_SENT | 1 << TCP_FIN_WAIT1 |
		      1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT | 1 << TCP_LAST_ACK |
		      1 << TCP_LISTEN | 1 << TCP_CLOSING,
};

static const struct sock_diag_query queries[] = {
	{.protocol = IPPROTO_TCP, .states = CONNECTIONS},
	{.protocol = IPPROTO_UDP, .states = CONNECTED},
	{.protocol = IPPROTO_UDP, .states = UNCONNECTED, .bound_only = true},
	{.protocol = IPPROTO_UDPLITE, .states = CONNECTED},
	{.protocol = IPPROTO_UDPLITE, .states = UNCONNECTED, .bound_only = true},
	{.protocol = IPPROTO_RAW, .states = CONNECTED},
	{.protocol = IPPROTO_SCTP, .states = CONNECTIONS},
	{.protocol = IPPROTO_UDP, .states = UNCONNECTED, .given_only = true},
	{.protocol = IPPROTO_UDPLITE, .states = UNCONNECTED, .given_only = true},
};

enum { QUERY_COUNT = sizeof(queries) / sizeof(queries[0]) };

enum slot {
	SLOT_SWEEP,
	SLOT_UDP,
	SLOT_RAW,
	SLOT_ENDS,
	SLOT_OWNERS,
	SLOT_NAMESPACES,
	SLOT_SHORT,
	SLOT_COUNT,
};

#define SERVED_BY(rung) .rungs = {{.name = (rung)}}, .rung_count = 1

static const struct source_slot slot_table[SLOT_COUNT] = {
	[SLOT_SWEEP] = {.name = "sweep",
		.loss = "no TCP connection is recorded",
		SERVED_BY("sock_diag")},
	[SLOT_UDP] = {.name = "udp",
		.loss = "UDP is not recorded: the kernel lacks udp_diag",
		SERVED_BY("sock_diag")},
	[SLOT_RAW] = {.name = "raw",
		.loss = "raw sockets are not recorded: the kernel lacks raw_diag",
		SERVED_BY("sock_diag")},
	[SLOT_ENDS] = {.name = "ends",
		.loss = "how connections end, their last octets, and short ones are not known; "
			"needs Linux 4.3",
		SERVED_BY("destroy events")},
	[SLOT_OWNERS] = {.name = "owners",
		.loss = "only own processes are known; CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH "
			"would help",
		.owners_only = true,
		SERVED_BY("/proc/PID/fd")},
	[SLOT_NAMESPACES] = {.name = "namespaces",
		.loss = "other network namespaces (containers) are not recorded; CAP_SYS_ADMIN "
			"would help",
		SERVED_BY("setns")},
	[SLOT_SHORT] = {.name = "short",
		.loss = "polled: connections shorter than the sweep interval may be missing, or "
			"lack their process; datagrams are not counted",
		SERVED_BY("BPF")},
};

struct source_procfs {
	struct source source;
	struct source_sink sink;
	struct proc_netns netns;
	struct proc_sockets *sockets;
	struct proc_process *processes;
	struct proc_owner *owner;
	int epoll_fd;
	uint32_t netns_asked; /* of the dump that is being read */
	bool given_asked;
	int64_t now_ns;
	bool tells_given; /* unconnected datagram sockets with a port that the kernel chose */
	bool lacks[QUERY_COUNT]; /* the kernel cannot dump this, or nobody wants it */
	struct source_slot slots[SLOT_COUNT];
	struct proc_owner_want wants[WANTS_MAX]; /* of the look that is under way */
	size_t want_count;
};

/* Word of destroyed sockets. */

static void on_destroyed(void *ctx, const struct sock_diag_socket *socket)
{
	struct source_procfs *source = ctx;
	struct sock_diag_socket placed = *socket;

	placed.key.netns = source->netns_asked;
	proc_sockets_destroyed(source->sockets, &placed, source->now_ns);
}

static int consume(struct source *base)
{
	struct source_procfs *source = (struct source_procfs *)base;
	int error = 0;

	source->now_ns = clock_boottime_ns();
	for (size_t i = 0; i < source->netns.count; i++) {
		const struct proc_netns_one *one = &source->netns.at[i];

		if (one->events_fd < 0)
			continue;
		source->netns_asked = one->inode;
		error = sock_diag_destroyed(one->events_fd, on_destroyed, source);
		if (error == -ENOBUFS)
			source->sink.loss(source->sink.ctx, COVERAGE_RING_FULL, 0,
				"ends of connections came faster than they were read");
	}
	return error == -ENOBUFS ? 0 : error;
}

/* Dumps. */

static void on_seen(void *ctx, const struct sock_diag_socket *socket)
{
	struct source_procfs *source = ctx;
	struct sock_diag_socket placed = *socket;

	placed.key.netns = source->netns_asked;
	placed.given = source->given_asked;
	proc_sockets_seen(source->sockets, &placed);
}

static int dump(struct source_procfs *source, const struct proc_netns_one *one)
{
	static const int families[] = {AF_INET, AF_INET6};
	int worst = 0;

	source->netns_asked = one->inode;
	for (size_t i = 0; i < QUERY_COUNT; i++) {
		source->given_asked = queries[i].given_only;
		for (size_t f = 0; f < 2 && !source->lacks[i]; f++) {
			int error = sock_diag_dump(
				one->diag_fd, families[f], &queries[i], on_seen, source);

			/* a kernel without IPv6 has nothing to dump */
			if (error && !(error == -ENOENT && families[f] == AF_INET6))
				worst = error;
		}
	}
	return worst;
}

/* What new descriptors there are is to wake us. Adding one again is refused, and no matter. */
static void watch_events(struct source_procfs *source)
{
	for (size_t i = 0; i < source->netns.count; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (source->netns.at[i].events_fd >= 0)
			epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, source->netns.at[i].events_fd,
				&event);
	}
}

static int find_namespaces(struct source_procfs *source)
{
	int error;

	if (source->slots[SLOT_NAMESPACES].serving < 0)
		return 0;
	for (size_t i = source->netns.count; i-- > 1;)
		if (!source->netns.at[i].inhabited &&
			!proc_sockets_has_netns(source->sockets, source->netns.at[i].inode))
			proc_netns_drop(&source->netns, i);
	error = proc_netns_refresh(&source->netns);
	if (source->netns.refused > 0)
		source->sink.loss(source->sink.ctx, COVERAGE_TABLE_FULL, 0,
			"network namespaces that could not be polled");
	watch_events(source);
	return error;
}

/* Owners. */

static bool lives(const void *ctx, const struct process_ref *ref)
{
	const struct source_procfs *source = ctx;

	return proc_process_is_known(source->processes, ref);
}

static int begin_look(struct source_procfs *source)
{
	size_t known_count;
	const struct process_ref *known = proc_process_known(source->processes, &known_count);

	source->want_count = proc_sockets_wants(source->sockets, source->wants, WANTS_MAX);
	if (source->want_count == 0)
		return 0;
	return proc_owner_begin(
		source->owner, source->wants, source->want_count, known, known_count);
}

static int find_owners(struct source_procfs *source, int64_t look_ms)
{
	int64_t end_ns = clock_boottime_ns() + look_ms * NS_PER_MS;
	int error = proc_owner_is_looking(source->owner) ? 0 : begin_look(source);

	if (error || !proc_owner_is_looking(source->owner) ||
		!proc_owner_look(source->owner, end_ns))
		return error;
	for (size_t i = 0; i < source->want_count; i++) {
		struct process_ref *owner = &source->wants[i].owner;

		/* it ended, or runs another program by now: who has the socket then? */
		if (process_ref_known(owner) && !proc_process_tell(source->processes, owner))
			*owner = (struct process_ref){0};
	}
	proc_sockets_own(source->sockets, source->wants, source->want_count);
	return 0;
}

static int poll_all(struct source *base, int64_t look_ms)
{
	struct source_procfs *source = (struct source_procfs *)base;
	int error, dumped = 0;

	consume(base);
	if (proc_process_reap(source->processes) > 0)
		proc_sockets_orphan(source->sockets, lives, source);
	error = find_namespaces(source);
	proc_sockets_begin(source->sockets, clock_boottime_ns());
	for (size_t i = 0; i < source->netns.count; i++) {
		int failed = dump(source, &source->netns.at[i]);

		dumped = failed ? failed : dumped;
	}
	if (!error)
		error = find_owners(source, look_ms);
	consume(base); /* what ended since the dump is not to be taken for lost */
	proc_sockets_report(source->sockets, dumped == 0);
	return dumped ? dumped : error;
}

static int snapshot(struct source *base)
{
	return poll_all(base, FIRST_LOOK_MS);
}

static int sweep(struct source *base)
{
	return poll_all(base, LOOK_MS);
}

static int epoll_of(const struct source *base)
{
	return ((const struct source_procfs *)base)->epoll_fd;
}

static const struct source_slot *slots(const struct source *base, size_t *ret_count)
{
	*ret_count = SLOT_COUNT;
	return ((const struct source_procfs *)base)->slots;
}

static void free_source(struct source *base)
{
	struct source_procfs *source = (struct source_procfs *)base;

	if (!source)
		return;
	proc_netns_done(&source->netns);
	proc_sockets_free(source->sockets);
	proc_process_free(source->processes);
	proc_owner_free(source->owner);
	if (source->epoll_fd >= 0)
		close(source->epoll_fd);
	free(source);
}

static const struct source_ops ops = {
	.source = FLOW_SOURCE_PROCFS,
	.fd = epoll_of,
	.consume = consume,
	.snapshot = snapshot,
	.sweep = sweep,
	.slots = slots,
	.free = free_source,
};

static void serve(struct source_procfs *source, enum slot slot, int error)
{
	source->slots[slot].serving = error ? -1 : 0;
	source->slots[slot].rungs[0].error = error < 0 ? -error : 0;
}

static void ignore_socket(void *ctx, const struct sock_diag_socket *socket)
{
	(void)ctx;
	(void)socket;
}

/* Tries everything. A protocol that the kernel cannot dump is not asked for again: each question
 * would make it look for a module. */
static int try_slots(struct source_procfs *source)
{
	int errors[QUERY_COUNT];

	memcpy(source->slots, slot_table, sizeof(source->slots));
	for (size_t i = 0; i < QUERY_COUNT; i++) {
		struct sock_diag_query none = queries[i];

		none.states = 0;
		errors[i] = sock_diag_dump(
			source->netns.at[0].diag_fd, AF_INET, &none, ignore_socket, NULL);
		source->lacks[i] =
			errors[i] != 0 || (queries[i].given_only && !source->tells_given);
	}
	serve(source, SLOT_SWEEP, errors[0]);
	serve(source, SLOT_UDP, errors[1] ? errors[1] : errors[2]);
	serve(source, SLOT_RAW, errors[5]);
	serve(source, SLOT_ENDS,
		source->netns.at[0].events_fd < 0 ? source->netns.at[0].events_fd : 0);
	serve(source, SLOT_OWNERS, proc_owner_check(PROC));
	serve(source, SLOT_NAMESPACES, proc_netns_check(&source->netns));
	serve(source, SLOT_SHORT, -EOPNOTSUPP); /* polling never can */
	return errors[0];
}

static int build(struct source_procfs *source, const struct source_procfs_options *options)
{
	int error = proc_netns_init(&source->netns, PROC);

	if (error)
		return error;
	source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll_fd < 0)
		return -errno;
	error = proc_sockets_new(options->max_sockets, &source->sink, &source->sockets);
	if (!error)
		error = proc_process_new(
			PROC, options->max_processes, &source->sink, &source->processes);
	if (!error)
		error = proc_owner_new(PROC, &source->owner);
	if (!error)
		error = try_slots(source);
	watch_events(source);
	return error;
}

int source_procfs_new(const struct source_procfs_options *options, const struct source_sink *sink,
	struct source **ret_source)
{
	struct source_procfs *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	source->source.ops = &ops;
	source->sink = *sink;
	source->epoll_fd = -1;
	source->tells_given = options->tell_given;
	error = build(source, options);
	if (error) {
		free_source(&source->source);
		return error;
	}
	*ret_source = &source->source;
	return 0;
}

/* Two sources in one: the devices tell what passes, polling tells whose it is; packet_owner joins
 * them. What the poll says of sockets does not become flows. A packet that nobody owns asks for a
 * poll, at once if the last one is long enough ago for polling to take at most a tenth of the time.
 *
 * Packets are stamped with the wall clock; here times are those of CLOCK_BOOTTIME. */
#include "source/source_capture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "source/packet_owner.h"
#include "source/packet_reader.h"
#include "source/source_procfs.h"
#include "util/clock.h"

enum {
	CONVERSATIONS_MAX = 131072,
	POLL_SHARE = 10, /* polling takes one part in so many */
	POLL_GAP_MS = 100,
	HOLD_MS = 10,
	GONE_KEPT_MS = 2000, /* packets of a socket that is gone come within */
};

enum slot {
	SLOT_PACKETS,
	SLOT_OWNERS,
	SLOT_STRANGERS,
	SLOT_NAMESPACES,
	SLOT_SHORT,
	SLOT_COUNT,
};

#define SERVED_BY(rung) .rungs = {{.name = (rung)}}, .rung_count = 1

static const struct source_slot slot_table[SLOT_COUNT] = {
	[SLOT_PACKETS] = {.name = "packets", .loss = "no flow is recorded", SERVED_BY("libpcap")},
	[SLOT_OWNERS] = {.name = "owners",
		.loss = "whose the flows are and who listens is not known: the kernel cannot be "
			"polled",
		.owners_only = true,
		SERVED_BY("sock_diag")},
	[SLOT_STRANGERS] = {.name = "strangers",
		.loss = "only own processes are known; CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH "
			"would help",
		.owners_only = true,
		SERVED_BY("/proc/PID/fd")},
	[SLOT_NAMESPACES] = {.name = "namespaces",
		.loss = "the processes of forwarded flows (containers) are not known; "
			"CAP_SYS_ADMIN would help",
		.owners_only = true,
		SERVED_BY("setns")},
	[SLOT_SHORT] = {.name = "short",
		.loss = "owners are polled: of processes that end at once flows lack their process",
		.owners_only = true,
		SERVED_BY("BPF")},
};

struct source_capture {
	struct source source;
	struct source_sink sink;     /* of the receiver */
	struct source_sink observed; /* of packets */
	struct source_sink polled;   /* of the poll */
	struct packet_reader packets;
	struct packet_owner *owner;
	struct source *poll; /* NULL: the kernel cannot be polled */
	int epoll_fd;
	uint32_t netns;   /* our own */
	int64_t poll_ns;  /* not before */
	uint64_t refused; /* as last told */
	struct source_slot slots[SLOT_COUNT];
};

/* Packets. */

/* Which processes can own one: those of these protocols have sockets with ports. */
static bool has_owner(const struct observation *seen)
{
	return seen->key.local_port != 0;
}

static void on_observed(void *ctx, const struct observation *observation)
{
	struct source_capture *source = ctx;
	struct observation seen = *observation;

	if (seen.direction != FLOW_DIRECTION_FORWARDED)
		seen.key.netns = source->netns;
	if (packet_owner_find(source->owner, &seen.key, seen.time_ns, &seen.user))
		seen.method = FLOW_METHOD_PROCFS;
	else if (source->poll && has_owner(&seen))
		packet_owner_want(source->owner, &seen.key, seen.time_ns,
			(seen.tcp_flags & (OBSERVATION_TCP_SYN | OBSERVATION_TCP_ACK)) ==
				OBSERVATION_TCP_SYN);
	source->sink.observe(source->sink.ctx, &seen);
}

static void on_name(void *ctx, const struct name_evidence *evidence)
{
	struct source_capture *source = ctx;

	source->sink.name(source->sink.ctx, evidence);
}

static void on_packets_lost(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	struct source_capture *source = ctx;

	source->sink.loss(source->sink.ctx, what, count, detail);
}

/* The poll. */

static void on_polled(void *ctx, const struct observation *seen)
{
	struct source_capture *source = ctx;

	if (seen->kind == OBSERVATION_END)
		packet_owner_gone(source->owner, &seen->key, seen->time_ns);
	else
		packet_owner_put(source->owner, &seen->key, &seen->user);
}

static void on_process(void *ctx, const struct process_info *info)
{
	struct source_capture *source = ctx;

	source->sink.process(source->sink.ctx, info);
}

static void on_forked(void *ctx, const struct process_ref *child, const struct process_ref *parent)
{
	struct source_capture *source = ctx;

	source->sink.fork(source->sink.ctx, child, parent);
}

static void on_exited(void *ctx, const struct process_ref *process)
{
	struct source_capture *source = ctx;

	source->sink.exit(source->sink.ctx, process);
}

static void on_listener(void *ctx, const struct listener_record *record, int64_t time_ns, bool gone)
{
	struct source_capture *source = ctx;

	if (gone)
		packet_owner_gone(source->owner, &record->key, time_ns);
	else if (record->key.protocol != IPPROTO_TCP)
		packet_owner_put(source->owner, &record->key, &record->owner);
	source->sink.listener(source->sink.ctx, record, time_ns, gone);
}

/* What a poll loses is never a flow. */
static void on_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	struct source_capture *source = ctx;

	(void)what;
	source->sink.loss(source->sink.ctx, COVERAGE_OWNERS_UNSURE, count, detail);
}

static void on_known(void *ctx, const struct flow_key *key, const struct process_ref *user)
{
	struct source_capture *source = ctx;
	struct observation owner = {
		.key = *key,
		.user = *user,
		.kind = OBSERVATION_OWNER,
		.method = FLOW_METHOD_PROCFS,
		.source = FLOW_SOURCE_PCAP,
	};

	source->sink.observe(source->sink.ctx, &owner);
}

static void poll_with(struct source_capture *source, int (*how)(struct source *))
{
	int64_t begin_ns = clock_boottime_ns(), now_ns, took_ns;
	const int64_t gap_ns = POLL_GAP_MS * (int64_t)NS_PER_MS;
	int error = how(source->poll);

	if (error < 0)
		source->sink.loss(source->sink.ctx, COVERAGE_OWNERS_UNSURE, 0, strerror(-error));
	packet_owner_answer(source->owner, on_known, source);
	now_ns = clock_boottime_ns();
	packet_owner_expire(source->owner, now_ns - GONE_KEPT_MS * (int64_t)NS_PER_MS);
	took_ns = (now_ns - begin_ns) * POLL_SHARE;
	source->poll_ns = now_ns + (took_ns > gap_ns ? took_ns : gap_ns);
}

/* The operations. */

static int consume(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	packet_reader_read(&source->packets);
	if (!source->poll)
		return 0;
	source->poll->ops->consume(source->poll);
	if (packet_owner_has_wants(source->owner) && clock_boottime_ns() >= source->poll_ns)
		poll_with(source, source->poll->ops->sweep);
	return 0;
}

static int snapshot(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	if (source->poll)
		poll_with(source, source->poll->ops->snapshot);
	return 0;
}

static void tell_losses(struct source_capture *source)
{
	uint64_t refused = packet_owner_refused(source->owner);

	packet_reader_tell_losses(&source->packets);
	if (refused > source->refused)
		source->sink.loss(source->sink.ctx, COVERAGE_OWNERS_UNSURE,
			refused - source->refused,
			"sockets not followed, their table was full: raise max-flows");
	source->refused = refused;
}

static int sweep(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	packet_reader_read(&source->packets);
	if (source->poll)
		poll_with(source, source->poll->ops->sweep);
	tell_losses(source);
	return 0;
}

/* The last packets are handed over when their time is up. */
static void leave(struct source *base, bool keep)
{
	static const struct timespec hold = {.tv_nsec = 2L * HOLD_MS * NS_PER_MS};

	(void)base;
	(void)keep;
	nanosleep(&hold, NULL);
}

static int epoll_of(const struct source *base)
{
	return ((const struct source_capture *)base)->epoll_fd;
}

static const struct source_slot *slots(const struct source *base, size_t *ret_count)
{
	*ret_count = SLOT_COUNT;
	return ((const struct source_capture *)base)->slots;
}

static void free_source(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	if (!source)
		return;
	packet_reader_close(&source->packets);
	if (source->poll)
		source->poll->ops->free(source->poll);
	packet_owner_free(source->owner);
	if (source->epoll_fd >= 0)
		close(source->epoll_fd);
	free(source);
}

static const struct source_ops ops = {
	.source = FLOW_SOURCE_PCAP,
	.fd = epoll_of,
	.consume = consume,
	.snapshot = snapshot,
	.sweep = sweep,
	.slots = slots,
	.leave = leave,
	.free = free_source,
};

/* Making one. */

static int fail(int error, const char *what, char *ret_why)
{
	snprintf(ret_why, CAPTURE_DEVICE_TEXT_SIZE, "%s: %s", what, strerror(-error));
	return error;
}

static void serve(struct source_capture *source, enum slot slot, int error)
{
	source->slots[slot].serving = error ? -1 : 0;
	source->slots[slot].rungs[0].error = error < 0 ? -error : 0;
}

/* What the poll's own slots say, as it is for packets. */
static void copy_slot(struct source_capture *source, enum slot slot, const char *name)
{
	size_t count;
	const struct source_slot *theirs;

	serve(source, slot, -EOPNOTSUPP);
	if (!source->poll)
		return;
	theirs = source->poll->ops->slots(source->poll, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(theirs[i].name, name) == 0)
			serve(source, slot, theirs[i].serving < 0 ? -theirs[i].rungs[0].error : 0);
}

static int watch(const struct source_capture *source, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_poll(struct source_capture *source, const struct source_capture_options *options)
{
	struct source_procfs_options polling = {
		.max_sockets = options->max_sockets,
		.max_processes = options->max_processes,
		.tell_given = true,
	};
	int error = source_procfs_new(&polling, &source->polled, &source->poll);

	if (!error)
		error = watch(source, source->poll->ops->fd(source->poll));
	memcpy(source->slots, slot_table, sizeof(source->slots));
	serve(source, SLOT_PACKETS, 0);
	serve(source, SLOT_OWNERS, source->poll ? 0 : error);
	copy_slot(source, SLOT_STRANGERS, "owners");
	copy_slot(source, SLOT_NAMESPACES, "namespaces");
	serve(source, SLOT_SHORT, -EOPNOTSUPP);
	return source->poll ? error : 0;
}

static void make_sinks(struct source_capture *source, const struct source_sink *sink)
{
	source->sink = *sink;
	source->observed = (struct source_sink){
		.ctx = source,
		.observe = on_observed,
		.name = sink->name ? on_name : NULL,
		.loss = on_packets_lost,
	};
	source->polled = (struct source_sink){
		.ctx = source,
		.observe = on_polled,
		.process = on_process,
		.fork = on_forked,
		.exit = on_exited,
		.listener = on_listener,
		.loss = on_loss,
	};
}

static int open_packets(
	struct source_capture *source, const struct source_capture_options *options, char *ret_why)
{
	const struct packet_reader_options packets = {
		.devices = options->devices,
		.device = {.buffer_octets = options->buffer_octets,
			.hold_ms = HOLD_MS,
			.filter = -1},
		.max_conversations = CONVERSATIONS_MAX,
		.both_ends = true,
		.epoll_fd = source->epoll_fd,
		.sink = &source->observed,
		.lack = COVERAGE_RING_FULL,
		.say = options->say,
	};

	return packet_reader_open(&source->packets, &packets, ret_why);
}

static int build(
	struct source_capture *source, const struct source_capture_options *options, char *ret_why)
{
	struct stat netns;
	int error;

	source->netns = stat("/proc/self/ns/net", &netns) == 0 ? (uint32_t)netns.st_ino : 0;
	source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll_fd < 0)
		return fail(-errno, "cannot wait for packets", ret_why);
	error = packet_owner_new(options->max_sockets, hash_key_random(), &source->owner);
	if (error)
		return fail(error, "the tables of the capture", ret_why);
	error = open_packets(source, options, ret_why);
	if (error)
		return error;
	error = open_poll(source, options);
	return error ? fail(error, "cannot poll for owners", ret_why) : 0;
}

int source_capture_new(const struct source_capture_options *options, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static CAPTURE_DEVICE_TEXT_SIZE])
{
	struct source_capture *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return fail(-ENOMEM, "capture", ret_why);
	source->source.ops = &ops;
	source->epoll_fd = -1;
	source->packets.addresses.fd = -1;
	make_sinks(source, sink);
	error = build(source, options, ret_why);
	if (error) {
		free_source(&source->source);
		return error;
	}
	*ret_source = &source->source;
	return 0;
}

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

#include "source/capture_device.h"
#include "source/local_addresses.h"
#include "source/packet_owner.h"
#include "source/source_procfs.h"
#include "util/clock.h"

enum {
	SLICE_PACKETS = 1024, /* of one device before the next one's turn */
	TURN_PACKETS = 16384, /* before the loop's turn; the others wait in the kernel */
	CONVERSATIONS_MAX = 131072,
	POLL_SHARE = 10, /* polling takes one part in so many */
	POLL_GAP_MS = 100,
	RETRY_MS = 1000,
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
	struct packet_observer observer;
	struct packet_owner *owner;
	struct source *poll; /* NULL: the kernel cannot be polled */
	struct local_addresses addresses;
	struct capture_device devices[SOURCE_CAPTURE_DEVICES_MAX];
	size_t device_count;
	uint64_t buffer_octets;
	void (*say)(const char *text);
	int epoll_fd;
	uint32_t netns; /* our own */
	int64_t now_ns, wall_offset_ns;
	int64_t poll_ns;           /* not before */
	int64_t retry_ns;          /* devices that are away, not before */
	uint64_t skipped, refused; /* as last told */
	struct source_slot slots[SLOT_COUNT];
};

static void read_clock(struct source_capture *source)
{
	source->now_ns = clock_boottime_ns();
	source->wall_offset_ns = clock_wall_offset_ns();
}

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

/* Evidence is stamped with the wall clock. */
static void on_name(void *ctx, const struct name_evidence *evidence)
{
	struct source_capture *source = ctx;
	struct name_evidence told = *evidence;

	told.time_us += source->wall_offset_ns / NS_PER_US;
	source->sink.name(source->sink.ctx, &told);
}

/* A clock that was set since leaves no packet in the future. */
static void on_frame(void *ctx, const struct packet_observer_frame *frame)
{
	struct source_capture *source = ctx;
	struct packet_observer_frame timed = *frame;

	timed.time_ns -= source->wall_offset_ns;
	if (timed.time_ns > source->now_ns)
		source->now_ns = clock_boottime_ns();
	if (timed.time_ns > source->now_ns)
		timed.time_ns = source->now_ns;
	if (timed.time_ns < 1)
		timed.time_ns = 1;
	packet_observer_take(&source->observer, &timed);
}

static void tell_lost(struct source_capture *source, struct capture_device *device)
{
	char detail[COVERAGE_DETAIL_SIZE];
	uint64_t dropped, refused;

	capture_device_lost(device, &dropped, &refused);
	snprintf(detail, sizeof(detail), "packets on %s, the buffer was full: raise ring-size",
		device->name);
	if (dropped > 0)
		source->sink.loss(source->sink.ctx, COVERAGE_RING_FULL, dropped, detail);
	snprintf(detail, sizeof(detail), "packets on %s, lost by the device or its driver",
		device->name);
	if (refused > 0)
		source->sink.loss(source->sink.ctx, COVERAGE_RING_FULL, refused, detail);
}

static void say(const struct source_capture *source, const char *format, const char *name)
{
	char text[SOURCE_CAPTURE_TEXT_SIZE];

	snprintf(text, sizeof(text), format, name);
	source->say(text);
}

static void lose_device(struct source_capture *source, struct capture_device *device)
{
	tell_lost(source, device);
	capture_device_close(device);
	source->retry_ns = source->now_ns + RETRY_MS * (int64_t)NS_PER_MS;
	say(source, "the interface %s is gone or down; capture goes on when it is back",
		device->name);
}

/* False: no device has more. */
static bool read_slices(struct source_capture *source)
{
	bool more = false;

	for (size_t i = 0; i < source->device_count; i++) {
		struct capture_device *device = &source->devices[i];
		int taken;

		if (!device->pcap)
			continue;
		taken = capture_device_read(device, SLICE_PACKETS, on_frame, source);
		more |= taken == SLICE_PACKETS;
		if (taken < 0)
			lose_device(source, device);
	}
	return more;
}

static void follow_addresses(struct source_capture *source)
{
	if (!local_addresses_changed(&source->addresses))
		return;
	source->retry_ns = 0; /* a device may be back */
	if (local_addresses_read(&source->addresses) == 0)
		orientation_set_local(source->observer.orientation, source->addresses.ranges,
			source->addresses.count);
}

static void read_packets(struct source_capture *source)
{
	for (int taken = 0; taken < TURN_PACKETS; taken += SLICE_PACKETS) {
		follow_addresses(source);
		if (!read_slices(source))
			return;
	}
}

/* Devices. */

static int watch(const struct source_capture *source, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_device(struct source_capture *source, struct capture_device *device, char *ret_why)
{
	int error = capture_device_open(device, source->buffer_octets, ret_why);

	if (!error) {
		error = watch(source, capture_device_fd(device));
		if (error)
			capture_device_close(device);
	}
	return error;
}

static void retry_devices(struct source_capture *source)
{
	char why[CAPTURE_DEVICE_TEXT_SIZE], detail[COVERAGE_DETAIL_SIZE];

	if (source->now_ns < source->retry_ns)
		return;
	source->retry_ns = source->now_ns + RETRY_MS * (int64_t)NS_PER_MS;
	for (size_t i = 0; i < source->device_count; i++) {
		struct capture_device *device = &source->devices[i];

		if (device->pcap || open_device(source, device, why))
			continue;
		snprintf(detail, sizeof(detail),
			"packets: the interface %s came back, its first moments are missing",
			device->name);
		source->sink.loss(source->sink.ctx, COVERAGE_SLOT_MISSING, 0, detail);
		say(source, "the interface %s is there; capture goes on", device->name);
	}
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
	int64_t begin_ns = clock_boottime_ns(), took_ns, gap_ns = POLL_GAP_MS * (int64_t)NS_PER_MS;
	int error;

	error = how(source->poll);
	if (error < 0)
		source->sink.loss(source->sink.ctx, COVERAGE_OWNERS_UNSURE, 0, strerror(-error));
	packet_owner_answer(source->owner, on_known, source);
	source->now_ns = clock_boottime_ns();
	packet_owner_expire(source->owner, source->now_ns - GONE_KEPT_MS * (int64_t)NS_PER_MS);
	took_ns = (source->now_ns - begin_ns) * POLL_SHARE;
	source->poll_ns = source->now_ns + (took_ns > gap_ns ? took_ns : gap_ns);
}

/* The operations. */

static int consume(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	read_clock(source);
	read_packets(source);
	retry_devices(source);
	if (!source->poll)
		return 0;
	source->poll->ops->consume(source->poll);
	if (packet_owner_has_wants(source->owner) && source->now_ns >= source->poll_ns)
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
	const uint64_t *results = source->observer.results;
	uint64_t skipped =
		results[DECODE_TRUNCATED] + results[DECODE_MALFORMED] + results[DECODE_UNSUPPORTED];
	uint64_t refused = packet_owner_refused(source->owner);

	for (size_t i = 0; i < source->device_count; i++)
		if (source->devices[i].pcap)
			tell_lost(source, &source->devices[i]);
	if (skipped > source->skipped)
		source->sink.loss(
			source->sink.ctx, COVERAGE_PACKETS_SKIPPED, skipped - source->skipped, "");
	if (refused > source->refused)
		source->sink.loss(source->sink.ctx, COVERAGE_OWNERS_UNSURE,
			refused - source->refused,
			"sockets not followed, their table was full: raise max-flows");
	source->skipped = skipped;
	source->refused = refused;
}

static int sweep(struct source *base)
{
	struct source_capture *source = (struct source_capture *)base;

	read_clock(source);
	read_packets(source);
	if (source->poll)
		poll_with(source, source->poll->ops->sweep);
	tell_losses(source);
	return 0;
}

/* The last packets are handed over when their time is up. */
static void leave(struct source *base, bool keep)
{
	static const struct timespec hold = {.tv_nsec = 2L * CAPTURE_DEVICE_HOLD_MS * NS_PER_MS};

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
	for (size_t i = 0; i < source->device_count; i++)
		capture_device_close(&source->devices[i]);
	if (source->poll)
		source->poll->ops->free(source->poll);
	packet_observer_done(&source->observer);
	packet_owner_free(source->owner);
	local_addresses_done(&source->addresses);
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
	snprintf(ret_why, SOURCE_CAPTURE_TEXT_SIZE, "%s: %s", what, strerror(-error));
	return error;
}

static int add_device(struct source_capture *source, const char *name, size_t length, char *ret_why)
{
	struct capture_device *device = &source->devices[source->device_count];

	if (length == 0 || length >= CAPTURE_DEVICE_NAME_SIZE) {
		snprintf(ret_why, SOURCE_CAPTURE_TEXT_SIZE,
			"there is no network interface '%.*s'; 'ip link' lists them",
			length < CAPTURE_DEVICE_NAME_SIZE ? (int)length : CAPTURE_DEVICE_NAME_SIZE,
			name);
		return -EINVAL;
	}
	if (source->device_count == SOURCE_CAPTURE_DEVICES_MAX) {
		snprintf(ret_why, SOURCE_CAPTURE_TEXT_SIZE,
			"more than %d interfaces: capture on 'any'", SOURCE_CAPTURE_DEVICES_MAX);
		return -E2BIG;
	}
	memcpy(device->name, name, length);
	for (size_t i = 0; i < source->device_count; i++)
		if (strcmp(source->devices[i].name, device->name) == 0)
			return 0; /* once is enough */
	source->device_count++;
	return 0;
}

static int name_devices(struct source_capture *source, const char *names, char *ret_why)
{
	bool any = false;

	for (const char *name = names; *name;) {
		size_t length = strcspn(name, ",");
		int error = add_device(source, name, length, ret_why);

		if (error)
			return error;
		any |= length == 3 && strncmp(name, "any", 3) == 0;
		name += length + (name[length] == ',');
	}
	if (!any || source->device_count == 1)
		return 0;
	snprintf(ret_why, SOURCE_CAPTURE_TEXT_SIZE,
		"'any' is every interface: name it alone, or others without it");
	return -EINVAL;
}

/* Those that are not there may come; but with none at all there is no point in waiting. */
static int open_devices(struct source_capture *source, char *ret_why)
{
	char why[CAPTURE_DEVICE_TEXT_SIZE];
	size_t opened = 0;
	int first = 0;

	for (size_t i = 0; i < source->device_count; i++) {
		int error = open_device(source, &source->devices[i], why);

		opened += error == 0;
		if (error && error != -ENODEV && error != -ENETDOWN)
			opened = 0;
		if (error && !first) {
			first = error;
			snprintf(ret_why, SOURCE_CAPTURE_TEXT_SIZE, "%s", why);
		}
		if (error && error != -ENODEV && error != -ENETDOWN)
			return error;
	}
	if (opened == 0)
		return first;
	for (size_t i = 0; i < source->device_count; i++)
		if (!source->devices[i].pcap)
			say(source, "there is no interface %s yet; capture begins when it comes",
				source->devices[i].name);
	*ret_why = '\0';
	return 0;
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

static int open_observer(struct source_capture *source)
{
	struct orientation_options orientation = {
		.local = source->addresses.ranges,
		.local_count = source->addresses.count,
		.max_conversations = CONVERSATIONS_MAX,
		.both_ends = true,
		.hash_key = hash_key_random(),
	};

	return packet_observer_init(
		&source->observer, &orientation, &source->observed, FLOW_SOURCE_PCAP);
}

static int build(
	struct source_capture *source, const struct source_capture_options *options, char *ret_why)
{
	struct stat netns;
	int error = name_devices(source, options->devices, ret_why);

	if (error)
		return error;
	source->netns = stat("/proc/self/ns/net", &netns) == 0 ? (uint32_t)netns.st_ino : 0;
	source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll_fd < 0)
		return fail(-errno, "cannot wait for packets", ret_why);
	error = local_addresses_init(&source->addresses);
	if (!error && source->addresses.fd >= 0)
		error = watch(source, source->addresses.fd);
	if (error)
		return fail(error, "cannot read the addresses of this machine", ret_why);
	error = open_observer(source);
	if (!error)
		error = packet_owner_new(options->max_sockets, hash_key_random(), &source->owner);
	if (error)
		return fail(error, "the tables of the capture", ret_why);
	error = open_devices(source, ret_why);
	if (error)
		return error;
	error = open_poll(source, options);
	return error ? fail(error, "cannot poll for owners", ret_why) : 0;
}

int source_capture_new(const struct source_capture_options *options, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static SOURCE_CAPTURE_TEXT_SIZE])
{
	struct source_capture *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return fail(-ENOMEM, "capture", ret_why);
	source->source.ops = &ops;
	source->epoll_fd = -1;
	source->addresses.fd = -1;
	source->say = options->say;
	source->buffer_octets = options->buffer_octets;
	make_sinks(source, sink);
	error = build(source, options, ret_why);
	if (error) {
		free_source(&source->source);
		return error;
	}
	*ret_source = &source->source;
	return 0;
}

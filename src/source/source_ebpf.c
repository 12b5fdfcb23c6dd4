/* The kernel source: what the ladder's programs say, from the ring, the iterators and the maps. */
#include "source/source_ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/ebpf_event.h"
#include "source/ebpf_ladder.h"
#include "source/ebpf_peers.h"
#include "util/clock.h"

enum { CPUS_MAX = 4096 };

struct source_ebpf {
	struct source source;
	struct source_ebpf_options options;
	struct ebpf_ladder *ladder;
	struct ring_buffer *ring;
	struct ebpf_peers *peers;
	struct source_sink sink;
	uint64_t losses[LOSS_COUNT]; /* as last read */
};

static void __attribute__((format(printf, 3, 4)))
set_error(struct source_ebpf_error *error, int number, const char *format, ...)
{
	va_list args;

	error->error = number;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct source_ebpf *source = ctx;
	const struct event_flow *event = data;

	if (size >= sizeof(*event) && event->type == EVENT_SOCKET_GONE)
		ebpf_peers_note(source->peers, event);
	else
		ebpf_event_dispatch(data, size, &source->sink);
	return 0;
}

static void explain(struct source_ebpf_error *error, int number)
{
	if (number == EPERM || number == EACCES)
		set_error(error, number,
			"the kernel refuses BPF programs: run as root, or with the capabilities "
			"CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (kernel lockdown refuses them "
			"too)");
	else if (number == ENOENT || number == ESRCH)
		set_error(error, number,
			"the kernel has no BTF type information: it needs CONFIG_DEBUG_INFO_BTF "
			"(and Linux 5.12 or newer)");
	else
		set_error(error, number,
			"the kernel refuses the TCP program: %s; it needs Linux 5.12 or newer with "
			"CONFIG_DEBUG_INFO_BTF",
			strerror(number));
}

static int consume(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	return ring_buffer__consume(source->ring);
}

/* Runs an iterator to its end; what it writes are events. */
static int read_events(struct source_ebpf *source, int fd)
{
	struct event_flow events[64];
	size_t have = 0;
	ssize_t got;

	while ((got = read(fd, (char *)events + have, sizeof(events) - have)) > 0 ||
		(got < 0 && (errno == EAGAIN || errno == EINTR))) {
		size_t whole;

		if (got < 0)
			continue;
		have += (size_t)got;
		whole = have / sizeof(events[0]);
		for (size_t i = 0; i < whole; i++) {
			if (events[i].type == EVENT_SOCKET)
				ebpf_peers_note(source->peers, &events[i]);
			else
				ebpf_event_dispatch(&events[i], sizeof(events[i]), &source->sink);
		}
		have -= whole * sizeof(events[0]);
		memmove(events, &events[whole], have);
	}
	return got < 0 ? -errno : 0;
}

/* Runs an iterator that puts its events into the ring. It writes one octet for each process, so
 * that it stops often enough for the ring to be emptied. */
static int read_octets(struct source_ebpf *source, int fd)
{
	char octets[256];
	ssize_t got;
	int error;

	do {
		got = read(fd, octets, sizeof(octets));
		error = got < 0 ? -errno : 0;
		consume(&source->source);
	} while (got > 0 || error == -EAGAIN || error == -EINTR);
	return error;
}

/* Runs all iterators that serve the slot. */
static int run_iterators(struct source_ebpf *source, enum ebpf_slot_index slot,
	int (*run)(struct source_ebpf *, int))
{
	int error = 0;

	for (size_t i = 0; error == 0; i++) {
		int fd = ebpf_ladder_iterate(source->ladder, slot, i);

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		error = run(source, fd);
		close(fd);
	}
	return error;
}

static int read_losses(struct source_ebpf *source)
{
	static const struct {
		enum coverage_what what;
		const char *detail;
	} words[LOSS_COUNT] = {
		[LOSS_RING] = {COVERAGE_RING_FULL,
			"events of the kernel found no room in the ring buffer"},
		[LOSS_SCRATCH] = {COVERAGE_MAP_FULL, "process records found no room in the kernel"},
		[LOSS_SOCKET] = {COVERAGE_MAP_FULL, "sockets without memory for their owner"},
		[LOSS_PEER] = {COVERAGE_MAP_FULL,
			"datagrams of peers that found no room: raise max-peers"},
	};
	int fd = ebpf_ladder_map(source->ladder, "losses"), cpus = libbpf_num_possible_cpus();
	uint64_t counts[CPUS_MAX];

	if (cpus < 0 || cpus > CPUS_MAX)
		return cpus < 0 ? cpus : -E2BIG;
	for (uint32_t index = 0; index < LOSS_COUNT; index++) {
		uint64_t total = 0;

		if (bpf_map_lookup_elem(fd, &index, counts))
			return -errno;
		for (int i = 0; i < cpus; i++)
			total += counts[i];
		if (total > source->losses[index])
			source->sink.loss(source->sink.ctx, words[index].what,
				total - source->losses[index], words[index].detail);
		source->losses[index] = total;
	}
	return 0;
}

static int sweep(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	int64_t now_ns = clock_boottime_ns();
	int error;

	consume(base);
	error = run_iterators(source, EBPF_SLOT_SWEEP, read_events);
	if (error == 0)
		error = ebpf_peers_sweep(source->peers, now_ns, &source->sink);
	return error ? error : read_losses(source);
}

static int snapshot(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	int error = run_iterators(source, EBPF_SLOT_SNAPSHOT, read_octets);

	return error ? error : sweep(base);
}

static int ring_fd(const struct source *base)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	return ring_buffer__epoll_fd(source->ring);
}

static const struct source_slot *slots(const struct source *base, size_t *ret_count)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	*ret_count = EBPF_SLOT_COUNT;
	return ebpf_ladder_slots(source->ladder);
}

static void free_source(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	if (!source)
		return;
	ring_buffer__free(source->ring);
	ebpf_ladder_free(source->ladder);
	ebpf_peers_free(source->peers);
	free(source);
}

static const struct source_ops ops = {
	.source = FLOW_SOURCE_EBPF,
	.fd = ring_fd,
	.consume = consume,
	.snapshot = snapshot,
	.sweep = sweep,
	.slots = slots,
	.free = free_source,
};

static int build(struct source_ebpf *source)
{
	int error = ebpf_ladder_new(&source->options, &source->ladder);

	if (error)
		return error;
	error = ebpf_peers_new(ebpf_ladder_map(source->ladder, "peers"),
		source->options.idle_timeout_ns, &source->peers);
	if (error)
		return error;
	source->ring =
		ring_buffer__new(ebpf_ladder_map(source->ladder, "ring"), on_event, source, NULL);
	return source->ring ? ebpf_ladder_climb(source->ladder) : -errno;
}

static int check_options(
	const struct source_ebpf_options *options, struct source_ebpf_error *ret_error)
{
	if (!ebpf_slots_are_slots(options->disable_slots))
		set_error(ret_error, EINVAL, "--disable-slot %s: there is no such slot",
			options->disable_slots);
	else if (!ebpf_slots_are_programs(options->disable_programs))
		set_error(ret_error, EINVAL, "--disable-program %s: there is no such program",
			options->disable_programs);
	else
		return 0;
	ret_error->usage = true;
	return -1;
}

int source_ebpf_new(const struct source_ebpf_options *options, const struct source_sink *sink,
	struct source **ret_source, struct source_ebpf_error *ret_error)
{
	struct source_ebpf *source;
	int error;

	if (check_options(options, ret_error))
		return -1;
	source = calloc(1, sizeof(*source));
	if (!source) {
		set_error(ret_error, ENOMEM, "out of memory");
		return -1;
	}
	source->source.ops = &ops;
	source->options = *options;
	source->sink = *sink;
	error = build(source);
	if (error) {
		explain(ret_error, -error);
		free_source(&source->source);
		return -1;
	}
	*ret_source = &source->source;
	return 0;
}

const char *source_ebpf_library_version(void)
{
	return libbpf_version_string();
}

/* Life of the BPF object: open, load what the kernel takes, attach, read, unload.
 *
 * Loading is tried with all slots at once; only if that fails is each slot tried alone, to learn
 * which ones the kernel refuses (EPERM and EINVAL mean "unsupported" like anything else). */
#include "source/source_ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.skel.h"
#include "source/ebpf_event.h"
#include "source/ebpf_peers.h"
#include "source/ebpf_slots.h"
#include "util/clock.h"

enum { SLOTS_MAX = 16, LINKS_MAX = 24, CPUS_MAX = 4096 };

struct source_ebpf {
	struct flow_bpf *skeleton;
	struct ring_buffer *ring;
	struct ebpf_peers *peers;
	struct source_sink sink;
	struct source_ebpf_options options;
	struct ebpf_slot slots[SLOTS_MAX];
	struct source_slot public_slots[SLOTS_MAX];
	size_t slot_count;
	struct bpf_link *links[LINKS_MAX];
	size_t link_count;
	struct bpf_link *sweep_link;
	int cgroup_fd;
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

/* libbpf's own words would be many lines for each refused program. */
static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static struct flow_bpf *open_skeleton(const struct source_ebpf_options *options)
{
	struct flow_bpf *skeleton = flow_bpf__open();

	if (!skeleton)
		return NULL;
	skeleton->rodata->ring_wakeup_octets = options->ring_octets / 4;
	skeleton->rodata->datagram_idle_ns = (uint64_t)options->idle_timeout_ns;
	bpf_map__set_max_entries(skeleton->maps.ring, (uint32_t)options->ring_octets);
	bpf_map__set_max_entries(skeleton->maps.peers, options->max_peers);
	bpf_map__set_max_entries(skeleton->maps.seen, options->max_processes);
	return skeleton;
}

/* Loads an object with nothing but the one slot, to see whether the kernel takes it. */
static int try_slot(const struct source_ebpf *source, size_t index)
{
	struct flow_bpf *skeleton = open_skeleton(&source->options);
	struct ebpf_slot slots[SLOTS_MAX];
	int error;

	if (!skeleton)
		return errno;
	memcpy(slots, source->slots, sizeof(slots));
	for (size_t i = 0; i < source->slot_count; i++)
		slots[i].public.error = i == index ? 0 : ECANCELED;
	ebpf_slots_select(slots, source->slot_count, skeleton->obj);
	error = -flow_bpf__load(skeleton);
	flow_bpf__destroy(skeleton);
	return error;
}

static int load(struct source_ebpf *source)
{
	source->skeleton = open_skeleton(&source->options);
	if (!source->skeleton)
		return -errno;
	ebpf_slots_select(source->slots, source->slot_count, source->skeleton->obj);
	return flow_bpf__load(source->skeleton);
}

/* Returns 0 or negative errno: that of the required slot, if that one is refused. */
static int load_what_works(struct source_ebpf *source)
{
	int error = load(source);

	if (error == 0)
		return 0;
	flow_bpf__destroy(source->skeleton);
	source->skeleton = NULL;
	for (size_t i = 0; i < source->slot_count; i++) {
		struct ebpf_slot *slot = &source->slots[i];

		if (slot->public.error == 0)
			slot->public.error = try_slot(source, i);
		if (slot->required && slot->public.error)
			return -slot->public.error;
	}
	return load(source);
}

static int open_cgroup_root(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd == -ENOENT && (mount = getmntent(mounts)))
		if (strcmp(mount->mnt_type, "cgroup2") == 0)
			fd = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	endmntent(mounts);
	return fd < 0 && fd != -ENOENT ? -errno : fd;
}

static int attach_program(struct source_ebpf *source, struct bpf_program *program)
{
	enum bpf_prog_type type = bpf_program__type(program);
	struct bpf_link *link;

	if (source->link_count == LINKS_MAX)
		return -E2BIG;
	if (type == BPF_PROG_TYPE_CGROUP_SKB || type == BPF_PROG_TYPE_CGROUP_SOCK) {
		if (source->cgroup_fd < 0)
			return source->cgroup_fd;
		link = bpf_program__attach_cgroup(program, source->cgroup_fd);
	} else {
		link = bpf_program__attach(program);
	}
	if (!link)
		return -errno;
	source->links[source->link_count++] = link;
	return 0;
}

static void detach_from(struct source_ebpf *source, size_t first)
{
	while (source->link_count > first)
		bpf_link__destroy(source->links[--source->link_count]);
}

/* All programs of the slot, or none. */
static int attach_slot(struct source_ebpf *source, struct ebpf_slot *slot)
{
	size_t first = source->link_count;
	int error = 0;

	for (size_t i = 0; error == 0 && i < EBPF_SLOT_PROGRAMS_MAX && slot->programs[i]; i++)
		error = attach_program(source,
			bpf_object__find_program_by_name(source->skeleton->obj, slot->programs[i]));
	if (error)
		detach_from(source, first);
	return error;
}

static int attach_sweep(struct source_ebpf *source)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, options);
	union bpf_iter_link_info info = {
		.map.map_fd = (uint32_t)bpf_map__fd(source->skeleton->maps.sockets)};

	options.link_info = &info;
	options.link_info_len = sizeof(info);
	source->sweep_link =
		bpf_program__attach_iter(source->skeleton->progs.sweep_sockets, &options);
	return source->sweep_link ? 0 : -errno;
}

static int attach(struct source_ebpf *source)
{
	for (size_t i = 0; i < source->slot_count; i++) {
		struct ebpf_slot *slot = &source->slots[i];

		if (slot->public.error)
			continue;
		if (slot->iterator)
			slot->public.error =
				strcmp(slot->public.name, "sweep") ? 0 : -attach_sweep(source);
		else
			slot->public.error = -attach_slot(source, slot);
		if (slot->public.error == 0)
			slot->public.program = slot->programs[0];
		else if (slot->required)
			return -slot->public.error;
	}
	for (size_t i = 0; i < source->slot_count; i++)
		source->public_slots[i] = source->slots[i].public;
	return 0;
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

static int build(struct source_ebpf *source)
{
	int error = load_what_works(source);

	if (error)
		return error;
	source->cgroup_fd = open_cgroup_root();
	error = ebpf_peers_new(bpf_map__fd(source->skeleton->maps.peers),
		source->options.idle_timeout_ns, &source->peers);
	if (error)
		return error;
	source->ring =
		ring_buffer__new(bpf_map__fd(source->skeleton->maps.ring), on_event, source, NULL);
	if (!source->ring)
		return -errno;
	return attach(source);
}

int source_ebpf_new(const struct source_ebpf_options *options, const struct source_sink *sink,
	struct source_ebpf **ret_source, struct source_ebpf_error *ret_error)
{
	struct source_ebpf *source = calloc(1, sizeof(*source));
	int error;

	if (!source) {
		set_error(ret_error, ENOMEM, "out of memory");
		return -1;
	}
	libbpf_set_print(be_quiet);
	source->options = *options;
	source->sink = *sink;
	source->cgroup_fd = -ENOENT;
	source->slot_count = ebpf_slots_all(source->slots, SLOTS_MAX);
	if (ebpf_slots_disable(source->slots, source->slot_count, options->disable_slots) < 0) {
		set_error(ret_error, EINVAL, "there is no slot of that name to disable");
		source_ebpf_free(source);
		return -1;
	}
	error = build(source);
	if (error) {
		explain(ret_error, -error);
		source_ebpf_free(source);
		return -1;
	}
	*ret_source = source;
	return 0;
}

void source_ebpf_free(struct source_ebpf *source)
{
	if (!source)
		return;
	ring_buffer__free(source->ring);
	bpf_link__destroy(source->sweep_link);
	detach_from(source, 0);
	flow_bpf__destroy(source->skeleton);
	ebpf_peers_free(source->peers);
	if (source->cgroup_fd >= 0)
		close(source->cgroup_fd);
	free(source);
}

int source_ebpf_fd(const struct source_ebpf *source)
{
	return ring_buffer__epoll_fd(source->ring);
}

int source_ebpf_consume(struct source_ebpf *source)
{
	return ring_buffer__consume(source->ring);
}

/* Runs an iterator to its end; what it writes are events. */
static int run_iterator(struct source_ebpf *source, const struct bpf_link *link)
{
	struct event_flow events[64];
	int fd = bpf_iter_create(bpf_link__fd(link));
	size_t have = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
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
	close(fd);
	return got < 0 ? -errno : 0;
}

/* Runs an iterator that puts its events into the ring. It writes one octet for each process, so
 * that it stops often enough for the ring to be emptied. */
static int run_once(struct source_ebpf *source, struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	char octets[256];
	ssize_t got;
	int fd, error;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	do {
		got = fd < 0 ? -1 : read(fd, octets, sizeof(octets));
		error = got < 0 ? -errno : 0;
		source_ebpf_consume(source);
	} while (got > 0 || error == -EAGAIN || error == -EINTR);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return error;
}

static bool is_served(const struct source_ebpf *source, const char *name)
{
	for (size_t i = 0; i < source->slot_count; i++)
		if (strcmp(source->slots[i].public.name, name) == 0)
			return source->slots[i].public.program != NULL;
	return false;
}

int source_ebpf_snapshot(struct source_ebpf *source)
{
	int error = 0;

	if (is_served(source, "snapshot")) {
		error = run_once(source, source->skeleton->progs.snapshot_processes);
		if (error == 0)
			error = run_once(source, source->skeleton->progs.snapshot_sockets);
	}
	if (error == 0)
		error = source_ebpf_sweep(source);
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
	int fd = bpf_map__fd(source->skeleton->maps.losses), cpus = libbpf_num_possible_cpus();
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

int source_ebpf_sweep(struct source_ebpf *source)
{
	int64_t now_ns = clock_boottime_ns();
	int error = 0;

	source_ebpf_consume(source);
	if (source->sweep_link)
		error = run_iterator(source, source->sweep_link);
	if (error == 0)
		error = ebpf_peers_sweep(source->peers, now_ns, &source->sink);
	return error ? error : read_losses(source);
}

const struct source_slot *source_ebpf_slots(const struct source_ebpf *source, size_t *ret_count)
{
	*ret_count = source->slot_count;
	return source->public_slots;
}

const char *source_ebpf_library_version(void)
{
	return libbpf_version_string();
}

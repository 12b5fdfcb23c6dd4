/* The kernel source: what the ladder's programs say, from the ring, the iterators and the maps. */
#include "source/source_ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "source/ebpf_event.h"
#include "source/ebpf_ladder.h"
#include "source/ebpf_library_watch.h"
#include "source/ebpf_names.h"
#include "source/ebpf_peers.h"
#include "source/ebpf_pin.h"
#include "source/ebpf_ring.h"
#include "source/ebpf_uprobe.h"
#include "util/clock.h"

enum {
	CPUS_MAX = 4096,
	KEPT_PART = 4,      /* of the ring, for what is read and may be read again */
	SEQ_OCTETS = 32768, /* what one read of an iterator gives at most */
	SEEN_KEY_SIZE = 16,
};

struct source_ebpf {
	struct source source;
	struct source_ebpf_options options;
	struct ebpf_pin *pin; /* NULL: nothing is pinned */
	struct ebpf_ladder *ladder;
	struct ebpf_ring ring, heads;
	struct ebpf_names *names; /* NULL: slot names is not served, and heads not there */
	struct ebpf_peers *peers;
	struct ebpf_library_watch *libraries; /* NULL: slot resolve is not served */
	bool pin_is_held;
	struct source_sink sink;
	uint64_t losses[LOSS_COUNT]; /* as last read */
	uint64_t skips[EBPF_SLOT_COUNT];
	/* Positions: what came before was stored by an earlier daemon, is told, is stored. */
	uint64_t resume, told, stored;
	uint64_t releasable; /* what came before can be given back, once needed is stored */
	uint64_t needed;
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

static void tell_position(struct source_ebpf *source, uint64_t position)
{
	source->told = position;
	source->sink.position(source->sink.ctx, position);
}

static void note_process(struct source_ebpf *source, const void *data, size_t size)
{
	const struct event_process *event = data;

	if (source->libraries && size >= sizeof(*event) && event->type == EVENT_PROCESS)
		ebpf_library_watch_note(source->libraries, event, size);
}

/* What an earlier daemon stored is not told again, but the processes and the owners of sockets that
 * later events may need. */
static void on_event(void *ctx, const void *data, size_t size, uint64_t end)
{
	struct source_ebpf *source = ctx;
	const struct event_flow *event = data;
	bool is_stored = end <= source->resume;

	if (size >= sizeof(*event) &&
		(event->type == EVENT_SOCKET || event->type == EVENT_SOCKET_GONE))
		ebpf_peers_note(source->peers, event);
	else if (!is_stored || ebpf_event_is_process(data, size))
		ebpf_event_dispatch(data, size, &source->sink);
	note_process(source, data, size);
	if (!is_stored)
		tell_position(source, end);
}

/* Then helpers that read the kernel's memory do not exist, and programs with them are invalid. */
static bool is_locked_down(void)
{
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "";
	bool locked;

	if (!file)
		return false;
	locked = fgets(line, sizeof(line), file) && strstr(line, "[confidentiality]");
	fclose(file);
	return locked;
}

static void explain(struct source_ebpf_error *error, int number)
{
	if (is_locked_down())
		set_error(error, number,
			"the kernel is locked down and refuses BPF programs that read its memory: "
			"boot it with lockdown=integrity or none");
	else if (number == EPERM || number == EACCES)
		set_error(error, number,
			"the kernel refuses BPF programs: run as root, or with the capabilities "
			"CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (kernel lockdown refuses them "
			"too, and before Linux 5.11 a small RLIMIT_MEMLOCK)");
	else if (number == ENOENT || number == ESRCH)
		set_error(error, number,
			"the kernel has no BTF type information: it needs CONFIG_DEBUG_INFO_BTF "
			"(and Linux 5.8 or newer)");
	else
		set_error(error, number,
			"the kernel refuses the TCP program: %s; it needs Linux 5.8 or newer with "
			"CONFIG_DEBUG_INFO_BTF",
			strerror(number));
}

static void on_head(void *ctx, const void *data, size_t size, uint64_t end)
{
	struct source_ebpf *source = ctx;

	(void)end;
	ebpf_names_take(source->names, data, size);
}

/* What a flow said comes before its end: so all of that is read first. */
static int consume(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	uint64_t end = ebpf_ring_end(&source->ring);

	if (source->names) {
		ebpf_names_set_clock(source->names, clock_wall_offset_ns());
		ebpf_ring_read(&source->heads, ebpf_ring_end(&source->heads), on_head, source);
	}
	ebpf_ring_read(&source->ring, end, on_event, source);
	return 0;
}

/* Dispatches the whole events; returns how many octets they had. */
static size_t take_events(struct source_ebpf *source, const char *octets, size_t have)
{
	size_t used = 0, size;

	while ((size = ebpf_event_size(octets + used, have - used)) > 0 && size <= have - used) {
		const struct event_flow *event = (const void *)(octets + used);

		if (event->type == EVENT_SOCKET)
			ebpf_peers_note(source->peers, event);
		else
			ebpf_event_dispatch(event, size, &source->sink);
		note_process(source, event, size);
		used += size;
	}
	return used;
}

/* Runs an iterator to its end; what it writes are events. */
static int read_events(struct source_ebpf *source, int fd)
{
	_Alignas(struct event_flow) char octets[SEQ_OCTETS];
	size_t have = 0, used;
	ssize_t got;

	while ((got = read(fd, octets + have, sizeof(octets) - have)) > 0 ||
		(got < 0 && (errno == EAGAIN || errno == EINTR))) {
		if (got < 0)
			continue;
		have += (size_t)got;
		used = take_events(source, octets, have);
		have -= used;
		memmove(octets, octets + used, have);
	}
	return got < 0 ? -errno : 0;
}

/* Runs all iterators that serve the slot. */
static int run_iterators(struct source_ebpf *source, enum ebpf_slot_index slot)
{
	int error = 0;

	for (size_t i = 0; error == 0; i++) {
		int fd = ebpf_ladder_iterate(source->ladder, slot, i);

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		error = read_events(source, fd);
		close(fd);
	}
	return error;
}

static void leave_losses(struct source_ebpf *source)
{
	struct ebpf_pin_state *state;

	if (!source->pin)
		return;
	state = ebpf_pin_state(source->pin);
	memcpy(state->losses, source->losses, sizeof(source->losses));
	memcpy(state->skips, source->skips, sizeof(source->skips));
}

static void take_losses(struct source_ebpf *source)
{
	const struct ebpf_pin_state *state = ebpf_pin_state(source->pin);

	memcpy(source->losses, state->losses, sizeof(source->losses));
	memcpy(source->skips, state->skips, sizeof(source->skips));
}

static void read_skips(struct source_ebpf *source)
{
	for (enum ebpf_slot_index i = 0; i < EBPF_SLOT_COUNT; i++) {
		const struct ebpf_slot *slot = ebpf_slots_at(i);
		uint64_t skips = ebpf_ladder_skips(source->ladder, i);
		char detail[COVERAGE_DETAIL_SIZE];

		snprintf(
			detail, sizeof(detail), "%s: skipped while it was interrupted", slot->name);
		if (skips > source->skips[i])
			source->sink.loss(source->sink.ctx,
				slot->owners_only  ? COVERAGE_OWNERS_UNSURE
				: slot->names_only ? COVERAGE_NAMES_UNSURE
						   : COVERAGE_HOOK_SKIPPED,
				skips - source->skips[i], detail);
		source->skips[i] = skips;
	}
}

/* The state gets what was told one reading before: by now that is stored. */
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
		[LOSS_NAME] = {COVERAGE_NAMES_UNSURE,
			"answers of the C library: too many of a process, or the ring half full"},
		[LOSS_HEAD] = {COVERAGE_NAMES_UNSURE,
			"packets that may tell names found no room in their ring buffer"},
	};
	int fd = ebpf_ladder_map(source->ladder, "losses"), cpus = libbpf_num_possible_cpus();
	uint64_t counts[CPUS_MAX];

	if (cpus < 0 || cpus > CPUS_MAX)
		return cpus < 0 ? cpus : -E2BIG;
	leave_losses(source);
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
	read_skips(source);
	return 0;
}

/* What is stored stays readable until what the sweep after it told is stored, too: a daemon that is
 * killed leaves to the next one the processes of flows that are still to end, and the owners of
 * sockets whose peers are still to be told. */
static void release_stored(struct source_ebpf *source)
{
	if (source->stored < source->needed)
		return;
	ebpf_ring_release(&source->ring, source->releasable & ~UINT64_C(7));
	source->releasable = source->stored;
	source->needed = UINT64_MAX;
}

/* Between two events of the ring, whose positions are multiples of 8, there are 7 more for what
 * sweeps tell. */
static int sweep_peers(struct source_ebpf *source, int64_t now_ns)
{
	uint64_t next = source->told + 1;
	int stay;

	ebpf_peers_stored(source->peers, source->stored);
	stay = ebpf_peers_sweep(
		source->peers, now_ns, source->pin && next % 8 ? next : 0, &source->sink);
	if (stay > 0)
		tell_position(source, next);
	return stay < 0 ? stay : 0;
}

static int sweep(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	int64_t now_ns = clock_boottime_ns();
	int error;

	consume(base);
	release_stored(source);
	if (source->libraries)
		ebpf_library_watch_sweep(source->libraries, &source->sink);
	error = run_iterators(source, EBPF_SLOT_SWEEP);
	if (error == 0)
		error = sweep_peers(source, now_ns);
	if (source->needed == UINT64_MAX)
		source->needed = source->told;
	return error ? error : read_losses(source);
}

static int snapshot(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	int error = run_iterators(source, EBPF_SLOT_SNAPSHOT);

	return error ? error : sweep(base);
}

static int ring_fd(const struct source *base)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	return source->ring.epoll_fd;
}

static bool presses(const struct source *base)
{
	return ebpf_ring_presses(&((const struct source_ebpf *)base)->ring);
}

static const struct source_slot *slots(const struct source *base, size_t *ret_count)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	*ret_count = source->options.hear_names ? EBPF_SLOT_COUNT : EBPF_SLOT_NAMES;
	return ebpf_ladder_slots(source->ladder);
}

/* Keeping */

static struct source_kept kept(const struct source *base)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	if (!source->pin)
		return (struct source_kept){0};
	return (struct source_kept){
		.id = ebpf_pin_state(source->pin)->ring,
		.dropped = ebpf_ring_released(&source->ring),
		.adopted = ebpf_ladder_adopted(source->ladder),
	};
}

static void resume(struct source *base, uint64_t position)
{
	struct source_ebpf *source = (struct source_ebpf *)base;
	uint64_t end = ebpf_ring_end(&source->ring);

	/* those of sweeps lie up to 7 behind their event */
	source->resume = source->stored = position <= end + 7 ? position : end;
	if (position == SOURCE_ALL)
		source->releasable = end; /* not for the database of before */
	tell_position(source, source->resume);
}

static void stored(struct source *base, uint64_t position)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	if (position > source->stored) /* the writer knows nothing of earlier daemons */
		source->stored = position;
}

/* Then the kernel describes each process anew that acts while nobody reads: its description of
 * before would be gone with this daemon. Those that appear meanwhile may be described twice. */
static void forget_processes(const struct source_ebpf *source)
{
	int fd = ebpf_ladder_map(source->ladder, "seen");
	char key[SEEN_KEY_SIZE];

	for (uint32_t i = 0; i < source->options.max_processes; i++)
		if (bpf_map_get_next_key(fd, NULL, key) || bpf_map_delete_elem(fd, key))
			return;
}

/* A thread that did not end keeps the pin. */
static void forget_libraries(struct source_ebpf *source)
{
	source->pin_is_held = !ebpf_library_watch_free(source->libraries);
	source->libraries = NULL;
}

static void forget_pin(struct source_ebpf *source)
{
	if (!source->pin_is_held)
		ebpf_pin_free(source->pin);
	source->pin = NULL;
}

static void leave(struct source *base, bool keep)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	if (!source->pin)
		return;
	if (keep) {
		forget_processes(source);
		return;
	}
	forget_libraries(source);
	ebpf_pin_remove(source->pin);
	forget_pin(source);
}

/* Life */

static void close_all(struct source_ebpf *source)
{
	ebpf_ring_done(&source->ring);
	ebpf_ring_done(&source->heads);
	ebpf_names_free(source->names);
	forget_libraries(source);
	ebpf_ladder_free(source->ladder);
	ebpf_peers_free(source->peers);
	forget_pin(source);
	source->names = NULL;
	source->ladder = NULL;
	source->peers = NULL;
}

static void free_source(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	if (!source)
		return;
	leave_losses(source);
	close_all(source);
	free(source);
}

/* What the kernel wants for it changed with its versions. A map and an iterator stand for all that
 * is read. */
static int may_read(const struct source_ebpf *source)
{
	int fd = ebpf_ladder_map(source->ladder, "seen");
	char key[SEEN_KEY_SIZE];

	if (bpf_map_get_next_key(fd, NULL, key) < 0 && errno != ENOENT)
		return -errno;
	fd = ebpf_ladder_iterate(source->ladder, EBPF_SLOT_SWEEP, 0);
	if (fd >= 0)
		close(fd);
	return fd < 0 && fd != -ENOENT ? fd : 0;
}

static int may(const struct source *base, enum source_act act)
{
	const struct source_ebpf *source = (const struct source_ebpf *)base;

	switch (act) {
	case SOURCE_ACT_READ:
		return may_read(source);
	case SOURCE_ACT_ATTACH:
		break;
	}
	if (!source->libraries)
		return -EOPNOTSUPP;
	return ebpf_uprobe_check(ebpf_ladder_program(source->ladder, EBPF_SLOT_RESOLVE, 0),
		ebpf_ladder_program(source->ladder, EBPF_SLOT_RESOLVE, 1));
}

static int begin(struct source *base)
{
	struct source_ebpf *source = (struct source_ebpf *)base;

	return source->libraries ? ebpf_library_watch_begin(source->libraries) : 0;
}

static const struct source_ops ops = {
	.source = FLOW_SOURCE_EBPF,
	.fd = ring_fd,
	.may = may,
	.begin = begin,
	.consume = consume,
	.snapshot = snapshot,
	.sweep = sweep,
	.presses = presses,
	.slots = slots,
	.kept = kept,
	.resume = resume,
	.stored = stored,
	.leave = leave,
	.free = free_source,
};

/* Those in the usual places from now on, others as processes show up. */
static int watch_libraries(struct source_ebpf *source)
{
	int begin = ebpf_ladder_program(source->ladder, EBPF_SLOT_RESOLVE, 0);
	int end = ebpf_ladder_program(source->ladder, EBPF_SLOT_RESOLVE, 1);

	if (begin < 0 || end < 0)
		return 0;
	return ebpf_library_watch_new(begin, end, source->pin, &source->libraries);
}

/* Beside the ring of events: whoever waits for that is woken for both. */
static int hear_names(struct source_ebpf *source)
{
	struct epoll_event event = {.events = EPOLLIN};
	int error;

	if (!source->options.hear_names ||
		ebpf_ladder_slots(source->ladder)[EBPF_SLOT_NAMES].serving < 0)
		return 0;
	error = ebpf_ring_init(
		&source->heads, ebpf_ladder_map(source->ladder, "heads"), EVENT_HEADS_OCTETS, 0);
	if (error)
		return error;
	if (epoll_ctl(source->ring.epoll_fd, EPOLL_CTL_ADD, source->heads.epoll_fd, &event) < 0)
		return -errno;
	return ebpf_names_new(&source->sink, &source->names);
}

static int build(struct source_ebpf *source)
{
	size_t size = source->options.ring_octets;
	int error = ebpf_ladder_new(&source->options, source->pin, &source->ladder);

	if (error)
		return error;
	error = ebpf_peers_new(ebpf_ladder_map(source->ladder, "peers"),
		source->options.idle_timeout_ns, &source->peers);
	if (error)
		return error;
	error = ebpf_ring_init(&source->ring, ebpf_ladder_map(source->ladder, "ring"), size,
		source->pin ? size / KEPT_PART : 0);
	if (error)
		return error;
	if (ebpf_ladder_adopted(source->ladder))
		take_losses(source);
	error = ebpf_ladder_climb(source->ladder);
	if (!error)
		error = hear_names(source);
	return error ? error : watch_libraries(source);
}

/* With pins, or else without. */
static int build_pinned(struct source_ebpf *source, struct source_ebpf_error *ret_error)
{
	char why[256];
	int error = 0;

	ret_error->text[0] = '\0';
	if (!source->options.pin_directory)
		return build(source);
	if (ebpf_pin_open(source->options.pin_directory, &source->pin, why, sizeof(why)) == 0) {
		error = build(source);
		if (!error)
			return 0;
		ebpf_pin_remove(source->pin);
		close_all(source);
		snprintf(why, sizeof(why), "%s", strerror(-error));
	}
	error = build(source);
	if (!error)
		set_error(ret_error, 0,
			"cannot pin to %.128s: %.128s; what happens during a restart will be "
			"missed",
			source->options.pin_directory, why);
	return error;
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
	source->ring.epoll_fd = source->heads.epoll_fd = -1;
	source->options = *options;
	source->sink = *sink;
	error = build_pinned(source, ret_error);
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

int source_ebpf_unload(const char *pin_directory, struct source_ebpf_error *ret_error)
{
	char why[256];

	if (ebpf_pin_unload(pin_directory, why, sizeof(why)) == 0)
		return 0;
	set_error(ret_error, 0, "%.128s: %.200s", pin_directory, why);
	return -1;
}

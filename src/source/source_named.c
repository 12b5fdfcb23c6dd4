/* Everything is the other source's work but one slot and what packets say.
 *
 * Their losses are gaps in names, not in flows; so nothing is told of what cannot be decoded. */
#include "source/source_named.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "source/names_filter.h"
#include "source/packet_reader.h"
#include "util/clock.h"

enum {
	BUFFER_OCTETS = 1 << 21,
	HOLD_MS = 50,
	SETTLE_MS = 2 * HOLD_MS + 20, /* the kernel looks twice before it hands a block over */
	CONVERSATIONS_MAX = 16384,
	SLOTS_MAX = 32,
};

static const struct source_slot names_slot = {
	.name = SOURCE_SLOT_NAMES,
	.loss = "hosts are known by their addresses only, but for what processes ask themselves",
	.names_only = true,
	.serving = -1,
};

struct source_named {
	struct source source;
	struct source *flows;
	struct source_sink sink; /* of the packets */
	const struct source_sink *receiver;
	struct packet_reader packets;
	struct source_ops ops;
	bool hears;
	int filter; /* for the interfaces that come, too; negative: none */
	int epoll_fd;
	struct source_slot slots[SLOTS_MAX];
	size_t slot_count;
};

static struct source_named *of(struct source *base)
{
	return (struct source_named *)base;
}

/* What packets say. */

static void ignore(void *ctx, const struct observation *observation)
{
	(void)ctx;
	(void)observation;
}

static void on_name(void *ctx, const struct name_evidence *evidence)
{
	const struct source_named *source = ctx;

	source->receiver->name(source->receiver->ctx, evidence);
}

static void on_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	const struct source_named *source = ctx;

	if (what == COVERAGE_NAMES_UNSURE)
		source->receiver->loss(source->receiver->ctx, what, count, detail);
}

/* The operations. */

static int consume(struct source *base)
{
	struct source_named *source = of(base);

	if (source->hears)
		packet_reader_read(&source->packets);
	return source->flows->ops->consume(source->flows);
}

static int may(const struct source *base, enum source_act act)
{
	const struct source *flows = ((const struct source_named *)base)->flows;

	return flows->ops->may(flows, act);
}

static int begin(struct source *base)
{
	return of(base)->flows->ops->begin(of(base)->flows);
}

static int snapshot(struct source *base)
{
	return of(base)->flows->ops->snapshot(of(base)->flows);
}

static int sweep(struct source *base)
{
	struct source_named *source = of(base);

	if (source->hears) {
		packet_reader_read(&source->packets);
		packet_reader_tell_losses(&source->packets);
	}
	return source->flows->ops->sweep(source->flows);
}

static int epoll_of(const struct source *base)
{
	return ((const struct source_named *)base)->epoll_fd;
}

static const struct source_slot *slots(const struct source *base, size_t *ret_count)
{
	*ret_count = ((const struct source_named *)base)->slot_count;
	return ((const struct source_named *)base)->slots;
}

static struct source_kept kept(const struct source *base)
{
	const struct source *flows = ((const struct source_named *)base)->flows;

	return flows->ops->kept(flows);
}

static void resume(struct source *base, uint64_t position)
{
	of(base)->flows->ops->resume(of(base)->flows, position);
}

static void stored(struct source *base, uint64_t position)
{
	of(base)->flows->ops->stored(of(base)->flows, position);
}

static bool presses(const struct source *base)
{
	const struct source *flows = ((const struct source_named *)base)->flows;

	return flows->ops->presses(flows);
}

static void settle(struct source *base)
{
	packet_reader_read(&of(base)->packets);
}

static void leave(struct source *base, bool keep)
{
	static const struct timespec pause = {.tv_nsec = SETTLE_MS * (long)NS_PER_MS};
	struct source_named *source = of(base);

	if (source->hears) {
		source->flows->ops->consume(source->flows);
		nanosleep(&pause, NULL);
		settle(base);
	}
	if (source->flows->ops->leave)
		source->flows->ops->leave(source->flows, keep);
}

static void close_packets(struct source_named *source)
{
	if (source->hears)
		packet_reader_close(&source->packets);
	if (source->filter >= 0)
		close(source->filter);
	if (source->epoll_fd >= 0)
		close(source->epoll_fd);
	free(source);
}

static void free_source(struct source *base)
{
	of(base)->flows->ops->free(of(base)->flows);
	close_packets(of(base));
}

/* What the other one does not offer, the two do not. */
static struct source_ops ops_beside(const struct source_ops *flows)
{
	return (struct source_ops){
		.source = flows->source,
		.fd = epoll_of,
		.may = flows->may ? may : NULL,
		.begin = flows->begin ? begin : NULL,
		.consume = consume,
		.snapshot = snapshot,
		.sweep = sweep,
		.slots = slots,
		.kept = flows->kept ? kept : NULL,
		.resume = flows->resume ? resume : NULL,
		.stored = flows->stored ? stored : NULL,
		.presses = flows->presses ? presses : NULL,
		.leave = leave,
		.free = free_source,
	};
}

/* Making one. */

static int hear(struct source_named *source, const struct source_named_options *options)
{
	char why[CAPTURE_DEVICE_TEXT_SIZE] = "";
	struct packet_reader_options packets = {
		.devices = options->devices,
		.device = {.buffer_octets = BUFFER_OCTETS, .hold_ms = HOLD_MS},
		.max_conversations = CONVERSATIONS_MAX,
		.epoll_fd = source->epoll_fd,
		.sink = &source->sink,
		.lack = COVERAGE_NAMES_UNSURE,
		.may_wait = true,
		.say = options->say,
	};
	int error;

	source->filter = packets.device.filter = names_filter_load();
	if (source->filter < 0)
		return source->filter;
	error = packet_reader_open(&source->packets, &packets, why);
	if (error)
		options->say(why);
	return error;
}

/* The slot in which the other one could not serve, or a new one. */
static struct source_slot *find_slot(struct source_named *source)
{
	const struct source_slot *theirs =
		source_slot_find(source->slots, source->slot_count, names_slot.name);

	if (theirs)
		return &source->slots[theirs - source->slots];
	source->slots[source->slot_count] = names_slot;
	return &source->slots[source->slot_count++];
}

static void serve(struct source_named *source, int error)
{
	struct source_slot *slot = find_slot(source);
	size_t rung = slot->rung_count++;

	slot->rungs[rung] =
		(struct source_rung){.name = "capture", .error = error < 0 ? -error : 0};
	slot->serving = error ? -1 : (int)rung;
	source->hears = error == 0;
}

static int copy_slots(struct source_named *source)
{
	const struct source_slot *theirs =
		source->flows->ops->slots(source->flows, &source->slot_count);

	if (source->slot_count >= SLOTS_MAX)
		return -ENOMEM;
	memcpy(source->slots, theirs, source->slot_count * sizeof(*theirs));
	return 0;
}

static int watch_flows(struct source_named *source)
{
	struct epoll_event event = {.events = EPOLLIN};

	source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll_fd < 0 || epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD,
					    source->flows->ops->fd(source->flows), &event) < 0)
		return -errno;
	return 0;
}

static int build(struct source_named *source, const struct source_named_options *options)
{
	int error = watch_flows(source);

	if (!error)
		error = copy_slots(source);
	if (error)
		return error;
	serve(source, hear(source, options));
	if (source->hears) {
		source->ops.settle = settle;
		source->ops.settle_ms = SETTLE_MS;
	}
	return 0;
}

int source_named_new(const struct source_named_options *options, const struct source_sink *sink,
	struct source **source)
{
	struct source_named *named = calloc(1, sizeof(*named));
	int error;

	if (!named)
		return -ENOMEM;
	named->flows = *source;
	named->receiver = sink;
	named->filter = -1;
	named->sink = (struct source_sink){
		.ctx = named, .observe = ignore, .name = on_name, .loss = on_loss};
	named->ops = ops_beside(named->flows->ops);
	named->source.ops = &named->ops;
	error = build(named, options);
	if (error) {
		close_packets(named);
		return error;
	}
	*source = &named->source;
	return 0;
}

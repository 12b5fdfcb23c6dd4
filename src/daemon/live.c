/* The loop thread: it waits, and calls the stages when there is something to do.
 *
 *   events, every 200 ms            source's consume
 *   sweep-interval                  source's sweep: counters of open flows, losses
 *   1 s                             clocks, flow expiry, watchdog, whether there is NAT, metrics
 *   reconcile-interval              a sweep, and flows compared with the kernel's own counters
 *   every 200 ms, before a batch    what conntrack tells of NAT
 *   flush-interval                  the batch goes to the writer; before that nothing is consumed
 *                                   for as long as the source takes to name what is in it
 *   HUP, USR1, TERM, INT            reload, counters, end
 *
 * Ends by a signal with status 0, or with 1 when the writer gave up or records were lost, or it
 * could not start; 2 is for a database that somebody has to see to. One that is locked or whose
 * disk is full is waited for. */
#include "daemon/live.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/coverage_watch.h"
#include "daemon/live_nat.h"
#include "daemon/live_source.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"
#include "daemon/privilege.h"
#include "daemon/recorder.h"
#include "daemon/status.h"
#include "source/source_ebpf.h"
#include "util/clock.h"
#include "util/log.h"

#define UNIT_PIN_PATH "/sys/fs/bpf/lastconn" /* contrib/lastconnd.service */

enum {
	CONSUME_MS = 200,
	SECOND_MS = 1000,
	SETTLE_LOOK_MS = 10,
	SUSPENDED_S = 5, /* a second that took so long: the machine slept */
	WRITER_DEAD_MS = 30000,
	SIGNAL_COUNT = 4,
	TEXT_SIZE = 256,
	EXIT_HOPELESS = 2,
	OPEN_PAUSE_S = 3,
};

static const int signal_numbers[SIGNAL_COUNT] = {SIGHUP, SIGUSR1, SIGTERM, SIGINT};

struct live {
	struct config *config;
	int argc;
	char *const *argv;
	struct recorder recorder;
	struct coverage_watch watch;
	struct source *source;
	struct live_nat nat;
	struct metrics metrics;
	struct privilege_report privileges;
	uv_loop_t loop;
	uv_poll_t poll;
	uv_timer_t consume_timer, sweep_timer, second_timer, flush_timer, settle_timer;
	uv_signal_t signals[SIGNAL_COUNT];
	uv_async_t writer_failed;
	uint64_t watchdog_us;
	int64_t begin_us;
	int64_t watchdog_ns; /* last sent */
	int64_t second_ns;   /* last on_second */
	uint64_t settled_ms; /* of the loop's clock */
	bool settling;       /* the batch waits for names; nothing is added to it */
	bool sweep_waits;    /* for that */
	bool swept_badly;
	bool counts;      /* every octet: polling cannot */
	bool interrupted; /* by Ctrl-C: leaves nothing behind */
	bool sweeps;      /* without sweeps nothing shows that a flow is still there */
	bool failed;
	bool is_hopeless; /* to start again will not help */
};

/* Work. */

static void consume(struct live *live)
{
	coverage_watch_clocks(&live->watch);
	live->source->ops->consume(live->source);
}

static void sweep(struct live *live)
{
	int error;

	coverage_watch_clocks(&live->watch);
	error = live->source->ops->sweep(live->source);
	if (error >= 0)
		pipeline_losses_read(live->recorder.pipeline);
	if (error < 0 && !live->swept_badly)
		log_warning("cannot read the counters of open sockets: %s; until that works again "
			    "nothing that is not found is evidence",
			strerror(-error));
	live->swept_badly = error < 0;
}

static void log_missing(const struct live *live)
{
	size_t count;
	const struct source_slot *slots = live->source->ops->slots(live->source, &count);

	for (size_t i = 0; i < count; i++)
		if (slots[i].serving < 0)
			log_warning("no hook for '%s' (%s): %s", slots[i].name,
				source_refusal(&slots[i].rungs[slots[i].rung_count - 1]),
				slots[i].loss);
}

static void log_start(const struct live *live)
{
	char served[TEXT_SIZE] = "";
	size_t count, used = 0;
	const struct source_slot *slots = live->source->ops->slots(live->source, &count);
	struct utsname kernel;

	for (size_t i = 0; i < count && used < sizeof(served); i++)
		if (slots[i].serving >= 0)
			used += (size_t)snprintf(
				served + used, sizeof(served) - used, " %s", slots[i].name);
	uname(&kernel);
	log_info("version " LASTCONN_VERSION " records to %s; Linux %s serves%s",
		live->config->db_path, kernel.release, served);
}

static void watch_dog(struct live *live, int64_t now_ns)
{
	if (live->watchdog_us == 0 ||
		now_ns - live->watchdog_ns < (int64_t)live->watchdog_us * NS_PER_US / 3)
		return;
	if (!writer_is_alive(live->recorder.writer, WRITER_DEAD_MS))
		return;
	notify_state("WATCHDOG=1");
	live->watchdog_ns = now_ns;
}

/* Events of the loop. */

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct live *live = poll->data;

	(void)status;
	(void)events;
	consume(live);
}

static void on_consume(uv_timer_t *timer)
{
	struct live *live = timer->data;

	if (!live->settling)
		consume(live);
	live_nat_read(&live->nat);
	if (live->source->ops->stored)
		live->source->ops->stored(live->source, pipeline_stored(live->recorder.pipeline));
}

static void on_sweep(uv_timer_t *timer)
{
	struct live *live = timer->data;

	live->sweep_waits = live->settling;
	if (!live->settling)
		sweep(live);
}

static void on_second(uv_timer_t *timer)
{
	struct live *live = timer->data;
	int64_t now_ns = clock_boottime_ns();

	/* After a sleep every flow looks forgotten: first look which are still there. */
	if (now_ns - live->second_ns > SUSPENDED_S * (int64_t)NS_PER_S)
		sweep(live);
	live->second_ns = now_ns;
	coverage_watch_clocks(&live->watch);
	if (live->sweeps)
		pipeline_expire(live->recorder.pipeline);
	if (live->counts && !live->settling && coverage_watch_is_due(&live->watch, now_ns)) {
		sweep(live);
		coverage_watch_compare(&live->watch);
	}
	live_nat_look(&live->nat);
	live_nat_say(&live->nat);
	metrics_write(&live->metrics, live->config->metrics_path, &live->recorder, live->begin_us,
		now_ns);
	watch_dog(live, now_ns);
}

static void on_settle(uv_timer_t *timer)
{
	struct live *live = timer->data;
	const struct source_ops *ops = live->source->ops;

	if (uv_now(&live->loop) < live->settled_ms && !(ops->presses && ops->presses(live->source)))
		return;
	uv_timer_stop(timer);
	coverage_watch_clocks(&live->watch);
	ops->settle(live->source);
	pipeline_flush(live->recorder.pipeline);
	live->settling = false;
	uv_poll_start(&live->poll, UV_READABLE, on_readable);
	if (live->sweep_waits)
		on_sweep(&live->sweep_timer);
}

static void on_flush(uv_timer_t *timer)
{
	struct live *live = timer->data;

	if (live->settling)
		return;
	consume(live);
	if (!live->source->ops->settle) {
		pipeline_flush(live->recorder.pipeline);
		return;
	}
	live->settling = true;
	uv_poll_stop(&live->poll);
	live->settled_ms = uv_now(&live->loop) + live->source->ops->settle_ms;
	uv_timer_start(&live->settle_timer, on_settle, SETTLE_LOOK_MS, SETTLE_LOOK_MS);
}

static void on_writer_failed(uv_async_t *async)
{
	struct live *live = async->data;

	live->failed = true;
	uv_stop(&live->loop);
}

/* On the writer's thread. */
static void tell_loop(void *ctx)
{
	struct live *live = ctx;

	uv_async_send(&live->writer_failed);
}

static void start_flush_timer(struct live *live)
{
	uint64_t ms = (uint64_t)live->config->flush_interval_ns / NS_PER_MS;

	uv_timer_start(&live->flush_timer, on_flush, ms, ms);
}

static void apply(struct live *live, const struct config *next)
{
	char applied[CONFIG_TEXT_SIZE], kept[CONFIG_TEXT_SIZE];

	config_apply(live->config, next, applied, kept);
	writer_set_limits(live->recorder.writer, live->config->queue_octets,
		recorder_retention(live->config));
	start_flush_timer(live);
	if (*kept)
		log_warning(
			"configuration reread; these change with the next start only: %s", kept);
	log_info("configuration reread; changed: %s", *applied ? applied : "nothing");
	log_set_level((enum log_level)live->config->log_level);
}

static void reload(struct live *live)
{
	char state[64];
	struct config next;
	struct config_error error;

	/* MONOTONIC_USEC: sd_notify(3), Type=notify-reload */
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)(uv_hrtime() / NS_PER_US));
	notify_state(state);
	if (config_load(live->argc, live->argv, &next, &error)) {
		log_error("%s; keeping the running configuration", error.text);
	} else {
		apply(live, &next);
		config_done(&next);
	}
	notify_state("READY=1");
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct live *live = handle->data;

	switch (number) {
	case SIGHUP:
		reload(live);
		break;
	case SIGUSR1:
		status_log(&live->recorder);
		break;
	default:
		live->interrupted = number == SIGINT;
		uv_stop(&live->loop);
		break;
	}
}

/* Life. */

static void init_handles(struct live *live)
{
	uv_timer_t *const timers[] = {&live->consume_timer, &live->sweep_timer, &live->second_timer,
		&live->flush_timer, &live->settle_timer};

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		uv_timer_init(&live->loop, timers[i]);
		timers[i]->data = live;
	}
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		uv_signal_init(&live->loop, &live->signals[i]);
		live->signals[i].data = live;
	}
	uv_async_init(&live->loop, &live->writer_failed, on_writer_failed);
	live->writer_failed.data = live;
}

static int start_handles(struct live *live)
{
	uint64_t sweep_ms = (uint64_t)live->config->sweep_interval_ns / NS_PER_MS;
	int error;

	error = uv_poll_init(&live->loop, &live->poll, live->source->ops->fd(live->source));
	if (error)
		return error;
	live->poll.data = live;
	uv_poll_start(&live->poll, UV_READABLE, on_readable);
	uv_timer_start(&live->consume_timer, on_consume, CONSUME_MS, CONSUME_MS);
	uv_timer_start(&live->sweep_timer, on_sweep, sweep_ms, sweep_ms);
	uv_timer_start(&live->second_timer, on_second, SECOND_MS, SECOND_MS);
	start_flush_timer(live);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		uv_signal_start(&live->signals[i], on_signal, signal_numbers[i]);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_handles(struct live *live)
{
	uv_walk(&live->loop, close_handle, NULL);
	uv_run(&live->loop, UV_RUN_DEFAULT);
}

/* Until then the kernel is done with a connection that nobody has a file of: tcp_fin_timeout,
 * tcp_orphan_retries. */
enum { LOST_UNSEEN_S = 15 * 60 };

static void read_slots(struct live *live)
{
	size_t count;
	const struct source_slot *slots = live->source->ops->slots(live->source, &count);
	const struct source_slot *sweep = source_slot_find(slots, count, "sweep");

	if (sweep)
		live->sweeps = sweep->serving >= 0;
	if (sweep && sweep->partial)
		pipeline_raise_lost_timeout(
			live->recorder.pipeline, LOST_UNSEEN_S * (int64_t)NS_PER_S);
	live->sweeps |= live->source->ops->source == FLOW_SOURCE_PCAP; /* silence ends its flows */
	live->counts = live->sweeps && live->source->ops->source == FLOW_SOURCE_EBPF;
}

/* Not all is needed any more; for the database nothing is. */
static int drop_privileges(struct live *live)
{
	char text[PRIVILEGE_TEXT_SIZE];

	if (privilege_drop(live->config, live->source, &live->privileges, text) < 0) {
		log_error("%s; --privileges keep goes on without that", text);
		return -1;
	}
	return 0;
}

static int become_user(struct live *live)
{
	char why[PRIVILEGE_TEXT_SIZE];
	int error = privilege_become(live->config, &live->privileges, why);

	if (error)
		log_error("%s", why);
	else if (*why)
		log_warning("%s", why);
	return error;
}

static int open_source(struct live *live)
{
	char why[LIVE_SOURCE_TEXT_SIZE];

	if (live_source_open(
		    live->config, pipeline_sink(live->recorder.pipeline), &live->source, why)) {
		log_error("%s", why);
		return -1;
	}
	pipeline_set_source(live->recorder.pipeline, live->source->ops->source);
	if (*why && live->source->ops->source == FLOW_SOURCE_PCAP)
		log_warning("%s; flows come from packets instead, and their processes from "
			    "polling: those that end at once are not known",
			why);
	else if (*why)
		log_warning("%s; polling instead: short connections are missing or lack their "
			    "process, and datagrams are not counted",
			why);
	read_slots(live);
	return 0;
}

static struct source_kept kept_by(const struct source *source)
{
	return source->ops->kept ? source->ops->kept(source) : (struct source_kept){0};
}

/* Where the programs went on without a daemon: after what the last one stored. */
static void go_on(struct live *live)
{
	const struct store_before *before = store_before(live->recorder.store);

	live->source->ops->resume(live->source, before->same_ring ? before->position : SOURCE_ALL);
	if (before->last_us) {
		pipeline_losses_since(live->recorder.pipeline, before->last_us);
		coverage_watch_reattached(
			live->recorder.pipeline, live->source, before->last_us, live->begin_us);
		live_nat_cover_gap(&live->nat, before->last_us, live->begin_us);
	}
	log_info("goes on with the programs of the last run");
}

/* What the kernel kept for this run is judged by its rules, too. */
static void cover_ignored(struct live *live, bool adopted)
{
	int64_t last_us = store_before(live->recorder.store)->last_us;

	pipeline_cover_ignored(live->recorder.pipeline,
		adopted && last_us && last_us < live->begin_us ? last_us : live->begin_us, 0);
}

/* What the sockets from before the start do is not seen as theirs. */
static void cover_no_snapshot(struct live *live, int error)
{
	struct coverage_record record = {
		.from_us = live->begin_us,
		.what = COVERAGE_SLOT_DEGRADED,
		.source = live->source->ops->source,
	};

	snprintf(record.detail, sizeof(record.detail),
		"snapshot: cannot see the sockets from before the start: %s", strerror(-error));
	pipeline_cover(live->recorder.pipeline, &record);
	log_warning("%s", record.detail);
}

/* True: it may pass while we wait. */
static bool judge_database(struct live *live, const struct store_error *error)
{
	switch (error->class) {
	case STORE_RETRY:
	case STORE_FULL:
		return true;
	case STORE_CORRUPT:
	case STORE_FOREIGN:
	case STORE_NEWER:
	case STORE_MISSING:
	case STORE_PERMISSION:
		live->is_hopeless = true;
		break;
	case STORE_OK:
	case STORE_LOCKED:
	case STORE_FATAL:
		break;
	}
	log_error("%s", error->text);
	return false;
}

/* What has changed while we waited is for the next start to look at: it sees a file system that is
 * writable again where ours are mounts of our own. Nothing is read meanwhile: the kernel keeps what
 * finds room in its ring, and counts the rest. A signal ends it at once, as nothing is to be
 * written. */
static int open_recorder(struct live *live, struct store_ring ring)
{
	struct store_error error = {0};
	bool waited = false;

	while (recorder_open(&live->recorder, live->config, ring, tell_loop, live, &error)) {
		if (!judge_database(live, &error)) {
			live->is_hopeless = live->is_hopeless && !waited;
			return -1;
		}
		if (!waited)
			log_warning("%s; waiting for that", error.text);
		waited = true;
		sleep(OPEN_PAUSE_S);
	}
	return 0;
}

/* From nothing to recording; the database is touched last. */
static int start(struct live *live)
{
	struct source_kept kept;
	int snapshot;

	if (recorder_init(&live->recorder, live->config, FLOW_SOURCE_EBPF)) {
		log_error("no memory for the tables: lower max-flows and max-processes");
		return -1;
	}
	live->begin_us = clock_realtime_us();
	coverage_watch_init(
		&live->watch, live->recorder.pipeline, live->config->reconcile_interval_ns);
	if (live_nat_new(&live->nat, live->recorder.pipeline)) {
		log_error("no memory to hear of NAT");
		return -1;
	}
	if (become_user(live) || open_source(live) || drop_privileges(live))
		return -1;
	live->nat.source = live->source->ops->source;
	live->second_ns = clock_boottime_ns();
	coverage_watch_clocks(&live->watch);
	kept = kept_by(live->source);
	if (open_recorder(live, (struct store_ring){kept.id, kept.dropped}))
		return -1;
	coverage_watch_bounds(&live->watch, &store_before(live->recorder.store)->bounds);
	cover_ignored(live, kept.adopted);
	live_nat_look(&live->nat);
	if (kept.adopted)
		go_on(live);
	snapshot = live->source->ops->snapshot(live->source);
	if (snapshot < 0)
		cover_no_snapshot(live, snapshot);
	else
		pipeline_losses_read(live->recorder.pipeline);
	if (snapshot >= 0 && live->sweeps)
		pipeline_resumed(
			live->recorder.pipeline, store_before(live->recorder.store)->last_us);
	return 0;
}

static void say_started(struct live *live)
{
	char privileges[PRIVILEGE_TEXT_SIZE];

	log_start(live);
	privilege_report_brief(&live->privileges, privileges, sizeof(privileges));
	log_info("%s", privileges);
	log_missing(live);
	live_nat_say(&live->nat);
	coverage_watch_slots(live->recorder.pipeline, live->source, live->begin_us);
	coverage_watch_snapshot(live->recorder.pipeline, live->begin_us);
	coverage_watch_begin(&live->watch);
	pipeline_flush(live->recorder.pipeline);
	live->watchdog_us = notify_watchdog_us();
	notify_state("READY=1");
}

static int stop(struct live *live)
{
	struct store_counters counters = {0};
	int lost;

	notify_state("STOPPING=1");
	if (live->source->ops->leave)
		live->source->ops->leave(live->source, !live->interrupted);
	sweep(live);
	metrics_remove(live->config->metrics_path);
	lost = recorder_close(&live->recorder, live->config->shutdown_timeout_ns, &counters);
	log_info("recorded %llu flows of %llu processes", (unsigned long long)counters.flows,
		(unsigned long long)counters.processes);
	return live->failed || lost ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* While the writer lives it may wake the loop, so that the handles are closed after it. */
static int run(struct live *live)
{
	int error;

	if (start(live))
		return live->is_hopeless ? EXIT_HOPELESS : EXIT_FAILURE;
	error = start_handles(live);
	if (error) {
		log_error("cannot watch the kernel's events: %s", uv_strerror(error));
		live->failed = true;
	} else {
		say_started(live);
		uv_run(&live->loop, UV_RUN_DEFAULT);
	}
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		if (signal_numbers[i] == SIGTERM || signal_numbers[i] == SIGINT)
			uv_signal_stop(&live->signals[i]); /* a second Ctrl-C kills */
	return stop(live);
}

int live_run(struct config *config, int argc, char *const argv[])
{
	struct live live = {.config = config, .argc = argc, .argv = argv};
	int status;

	/* Until it can answer them; they would end it. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	if (uv_loop_init(&live.loop)) {
		log_error("cannot make an event loop: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	init_handles(&live);
	status = run(&live);
	recorder_done(&live.recorder);
	close_handles(&live);
	if (live.source)
		live.source->ops->free(live.source);
	live_nat_free(&live.nat);
	uv_loop_close(&live.loop);
	return status;
}

int live_unload(const struct config *config)
{
	const char *directory = config->pin_path ? config->pin_path : UNIT_PIN_PATH;
	struct source_ebpf_error error = {0};

	if (source_ebpf_unload(directory, &error) == 0)
		return EXIT_SUCCESS;
	log_error("%s", error.text);
	return EXIT_FAILURE;
}

const char *live_library_version(char *buf, size_t size)
{
	snprintf(buf, size, "libbpf %s", source_ebpf_library_version());
	return buf;
}

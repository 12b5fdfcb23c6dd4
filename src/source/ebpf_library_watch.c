/* Everything shared is under one mutex; the thread holds it only to take what is queued, never
 * while it looks at a process. */
#include "source/ebpf_library_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "source/ebpf_libraries.h"
#include "util/clock.h"
#include "util/hash.h"

enum {
	QUEUE_MAX = 1024,
	PATIENCE_S = 2, /* with a thread that is to end */
	STUCK_S = 30,
};

struct queued {
	uint64_t key;
	uint32_t pid;
};

struct ebpf_library_watch {
	struct ebpf_libraries *libraries; /* of the thread alone */
	struct hash_key hash_key;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t work, done;

	/* Under the mutex. */
	struct queued queue[QUEUE_MAX]; /* oldest first */
	size_t queued;
	uint64_t unqueued, refused; /* in all */
	bool sweep, stop, ended;

	/* Of the loop alone. */
	bool begun;       /* the thread is */
	uint64_t told;    /* of these */
	int64_t asked_ns; /* when the sweep that is to come was asked for */
};

/* Waits until signalled or until time_ns, INT64_MAX never; with the mutex held. */
static void wait_until(struct ebpf_library_watch *watch, pthread_cond_t *cond, int64_t time_ns)
{
	const struct timespec until = {time_ns / NS_PER_S, time_ns % NS_PER_S};

	if (time_ns == INT64_MAX)
		pthread_cond_wait(cond, &watch->mutex);
	else
		pthread_cond_timedwait(cond, &watch->mutex, &until);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec;
}

/* Takes what is queued; with the mutex held. */
static size_t take(struct ebpf_library_watch *watch, struct queued ret_queued[static QUEUE_MAX],
	bool *ret_sweep)
{
	size_t count = watch->queued;

	memcpy(ret_queued, watch->queue, count * sizeof(*ret_queued));
	watch->queued = 0;
	*ret_sweep = watch->sweep;
	watch->sweep = false;
	return count;
}

static void work(
	struct ebpf_library_watch *watch, const struct queued *queued, size_t count, bool sweep)
{
	for (size_t i = 0; i < count; i++)
		ebpf_libraries_note(watch->libraries, queued[i].key, queued[i].pid);
	if (sweep)
		ebpf_libraries_sweep(watch->libraries);
	ebpf_libraries_look(watch->libraries, now_ns());
}

static void *run(void *arg)
{
	struct ebpf_library_watch *watch = arg;
	struct queued queued[QUEUE_MAX];
	size_t count;
	bool sweep;

	pthread_mutex_lock(&watch->mutex);
	while (!watch->stop) {
		if (!watch->queued && !watch->sweep)
			wait_until(watch, &watch->work, ebpf_libraries_due_ns(watch->libraries));
		count = take(watch, queued, &sweep);
		pthread_mutex_unlock(&watch->mutex);
		work(watch, queued, count, sweep);
		pthread_mutex_lock(&watch->mutex);
		watch->refused = ebpf_libraries_refused(watch->libraries);
	}
	watch->ended = true;
	pthread_cond_signal(&watch->done);
	pthread_mutex_unlock(&watch->mutex);
	return NULL;
}

static void init_locks(struct ebpf_library_watch *watch)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&watch->mutex, NULL);
	pthread_cond_init(&watch->work, &attributes);
	pthread_cond_init(&watch->done, &attributes);
	pthread_condattr_destroy(&attributes);
}

int ebpf_library_watch_new(
	int begin_fd, int end_fd, const struct ebpf_pin *pin, struct ebpf_library_watch **ret_watch)
{
	struct ebpf_library_watch *watch = calloc(1, sizeof(*watch));
	int error;

	if (!watch)
		return -ENOMEM;
	watch->hash_key = hash_key_random();
	error = ebpf_libraries_new(begin_fd, end_fd, pin, &watch->libraries);
	if (error) {
		free(watch);
		return error;
	}
	ebpf_libraries_sweep(watch->libraries);
	init_locks(watch);
	*ret_watch = watch;
	return 0;
}

int ebpf_library_watch_begin(struct ebpf_library_watch *watch)
{
	int error = pthread_create(&watch->thread, NULL, run, watch);

	watch->begun = error == 0;
	return -error;
}

/* Returns whether it ended in time. */
static bool end(struct ebpf_library_watch *watch)
{
	int64_t until_ns = now_ns() + PATIENCE_S * (int64_t)NS_PER_S;
	bool ended;

	pthread_mutex_lock(&watch->mutex);
	watch->stop = true;
	pthread_cond_signal(&watch->work);
	while (!watch->ended && now_ns() < until_ns)
		wait_until(watch, &watch->done, until_ns);
	ended = watch->ended;
	pthread_mutex_unlock(&watch->mutex);
	if (ended)
		pthread_join(watch->thread, NULL);
	else
		pthread_detach(watch->thread);
	return ended;
}

bool ebpf_library_watch_free(struct ebpf_library_watch *watch)
{
	if (!watch)
		return true;
	if (watch->begun && !end(watch))
		return false;
	pthread_cond_destroy(&watch->work);
	pthread_cond_destroy(&watch->done);
	pthread_mutex_destroy(&watch->mutex);
	ebpf_libraries_free(watch->libraries);
	free(watch);
	return true;
}

/* By program and mount namespace. */
static uint64_t key_of(const struct ebpf_library_watch *watch, const struct event_process *event)
{
	uint64_t path =
		hash_octets(&watch->hash_key, (const char *)(event + 1), event->path_length);
	const uint64_t parts[] = {path, event->mntns};

	return hash_octets(&watch->hash_key, parts, sizeof(parts)) | 1; /* 0: none */
}

void ebpf_library_watch_note(
	struct ebpf_library_watch *watch, const struct event_process *event, size_t size)
{
	struct queued queued = {.pid = event->ref.pid};

	if (event->flags & EVENT_PROCESS_KTHREAD || event->path_length > size - sizeof(*event))
		return;
	queued.key = key_of(watch, event);
	pthread_mutex_lock(&watch->mutex);
	if (watch->queued < QUEUE_MAX)
		watch->queue[watch->queued++] = queued;
	else
		watch->unqueued++;
	if (watch->queued == 1)
		pthread_cond_signal(&watch->work);
	pthread_mutex_unlock(&watch->mutex);
}

void ebpf_library_watch_sweep(struct ebpf_library_watch *watch, const struct source_sink *sink)
{
	int64_t time_ns = now_ns();
	uint64_t lost;

	pthread_mutex_lock(&watch->mutex);
	if (!watch->sweep)
		watch->asked_ns = time_ns;
	watch->sweep = true;
	lost = watch->unqueued + watch->refused;
	pthread_cond_signal(&watch->work);
	pthread_mutex_unlock(&watch->mutex);
	if (lost > watch->told)
		sink->loss(sink->ctx, COVERAGE_NAMES_UNSURE, lost - watch->told,
			"C libraries beyond 64, or of processes that begin too fast");
	watch->told = lost;
	if (time_ns - watch->asked_ns > STUCK_S * (int64_t)NS_PER_S)
		sink->loss(sink->ctx, COVERAGE_NAMES_UNSURE, 1,
			"C libraries: a process or a file keeps the thread waiting that looks for "
			"them");
}

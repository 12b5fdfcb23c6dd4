/* The thread between the loop and the disk.
 *
 * Everything shared is under one mutex; the thread holds it only to take a batch and to give it
 * back, never while it is in the store. States: fine, retrying (waits 100 ms to 5 s between
 * attempts, keeps the batch, the queue fills up behind it), failed (a damaged file or a fatal
 * error: nothing more is taken). A change of state is logged once, and trouble that comes and goes
 * once a minute. */
#include "daemon/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "util/clock.h"
#include "util/log.h"

enum {
	QUEUE_MAX = 4096, /* batches; the memory limit comes first unless batches are tiny */
	SPARE_MAX = 2,
	RETRY_FIRST_MS = 100,
	RETRY_LAST_MS = 5000,
	RETRY_STOPPING_MS = 200,
	HEARTBEAT_FIRST_MS = 1000, /* after the start, and then as long as all before it */
	HEARTBEAT_MS = 5000,       /* but not longer; the store itself thins them out */
	GRACE_S = 5,               /* of a store call that began before the deadline */
	PAUSE_MS = 20,             /* between two slices of what the store forgets */
	BUSY_PAUSE_MS = 1000,      /* the same while batches wait */
	ROOM_MS = 2000,            /* for what is forgotten when the disk is full */
	QUIET_S = 60,              /* after a word about trouble */
};

struct writer {
	struct writer_options options;
	uv_thread_t thread;
	uv_mutex_t mutex;
	uv_cond_t work; /* to the thread: a batch came, or stop */
	uv_cond_t done; /* from the thread: a batch is written, or the thread ends */

	/* Under the mutex. */
	struct batch *queue[QUEUE_MAX]; /* ring */
	size_t first, queued;
	uint64_t queue_octets; /* queued and in writing */
	struct batch *spare[SPARE_MAX];
	size_t spares;
	uint64_t refused, lost;
	uint64_t position;
	int64_t marked_us;  /* writer_mark; 0: never */
	int64_t written_us; /* the mark up to which all is written */
	struct store_counters store_counters;
	struct store_retention retention; /* for the thread to pass on */
	bool has_retention;
	enum writer_state state;
	bool stopping, finished;
	uint64_t deadline_ns; /* uv_hrtime, when stopping */
	uint64_t alive_ns;

	/* Of the thread alone. */
	uint64_t trouble_ns; /* since when it retries */
	uint64_t quiet_ns;   /* until then no word about other trouble */
	bool told;           /* of this trouble */
	bool damaged;        /* the file is why it failed */
	uint64_t begin_ns, heartbeat_ns;
	uint64_t maintain_ns; /* when the last slice was over */
	bool maintaining;     /* there is more to do */
};

/* Waits until signalled or until_ns (uv_hrtime); with the mutex held. */
static void wait_until(struct writer *writer, uv_cond_t *cond, uint64_t until_ns)
{
	uint64_t now_ns = uv_hrtime();

	if (until_ns > now_ns)
		uv_cond_timedwait(cond, &writer->mutex, until_ns - now_ns);
}

static void set_state(struct writer *writer, enum writer_state state)
{
	uv_mutex_lock(&writer->mutex);
	writer->state = state;
	writer->alive_ns = uv_hrtime();
	store_counters(writer->options.store, &writer->store_counters);
	uv_mutex_unlock(&writer->mutex);
}

static void say_fine(struct writer *writer)
{
	if (writer->state == WRITER_RETRYING && writer->told)
		log_info("writing again after %llu s",
			(unsigned long long)((uv_hrtime() - writer->trouble_ns) / NS_PER_S));
	set_state(writer, WRITER_FINE);
}

static void say_trouble(struct writer *writer, const struct store_error *error)
{
	uint64_t now_ns = uv_hrtime();

	if (writer->state == WRITER_FINE) {
		writer->trouble_ns = now_ns;
		writer->told = false;
	}
	if (!writer->told && now_ns >= writer->quiet_ns) {
		writer->told = true;
		writer->quiet_ns = now_ns + (uint64_t)QUIET_S * NS_PER_S;
		log_warning("%s; keeping records in memory and trying again", error->text);
	}
	set_state(writer, WRITER_RETRYING);
}

/* As far as it goes in a short time; whether it did shows the next attempt. */
static void make_room(struct writer *writer)
{
	uint64_t until_ns = uv_hrtime() + (uint64_t)ROOM_MS * NS_PER_MS;
	struct store_error error;
	int more;

	do {
		more = store_make_room(writer->options.store, clock_realtime_us(), &error);
		set_state(writer, WRITER_RETRYING);
	} while (more > 0 && uv_hrtime() < until_ns);
}

/* What the state of the store means for the writer; true: it goes on. */
static bool judge(struct writer *writer, int result, const struct store_error *error)
{
	if (result == 0) {
		say_fine(writer);
		return true;
	}
	switch (error->class) {
	case STORE_FULL:
		say_trouble(writer, error);
		make_room(writer);
		return true;
	case STORE_RETRY:
		say_trouble(writer, error);
		return true;
	case STORE_CORRUPT:
		writer->damaged = true;
		break;
	case STORE_OK:
	case STORE_FOREIGN:
	case STORE_NEWER:
	case STORE_MISSING:
	case STORE_PERMISSION:
	case STORE_LOCKED:
	case STORE_FATAL:
		break;
	}
	log_error("%s; cannot record any more", error->text);
	set_state(writer, WRITER_FAILED);
	return false;
}

static bool time_is_up(struct writer *writer)
{
	return writer->stopping && uv_hrtime() >= writer->deadline_ns;
}

/* Between two attempts. False: no time is left. */
static bool wait_for_retry(struct writer *writer, uint64_t wait_ms)
{
	uint64_t until_ns = uv_hrtime() + wait_ms * NS_PER_MS;
	bool go_on;

	uv_mutex_lock(&writer->mutex);
	while (uv_hrtime() < until_ns && !time_is_up(writer)) {
		if (writer->stopping &&
			until_ns > uv_hrtime() + (uint64_t)RETRY_STOPPING_MS * NS_PER_MS)
			until_ns = uv_hrtime() + (uint64_t)RETRY_STOPPING_MS * NS_PER_MS;
		wait_until(writer, &writer->work, until_ns);
	}
	go_on = !time_is_up(writer);
	uv_mutex_unlock(&writer->mutex);
	return go_on;
}

/* Until the store has the batch. False: it was given up. */
static bool write_batch(struct writer *writer, const struct batch *batch)
{
	struct store_error error = {0};
	uint64_t wait_ms = RETRY_FIRST_MS;
	int result;

	for (;;) {
		result = store_write(writer->options.store, batch, &error);
		if (!judge(writer, result, &error))
			return false;
		if (result == 0)
			return true;
		if (!wait_for_retry(writer, wait_ms))
			return false;
		wait_ms = wait_ms * 2 < RETRY_LAST_MS ? wait_ms * 2 : RETRY_LAST_MS;
	}
}

/* Up to when all that was seen is written. */
static int64_t written_until_us(struct writer *writer)
{
	int64_t us;

	uv_mutex_lock(&writer->mutex);
	if (writer->queued == 0)
		writer->written_us = writer->marked_us;
	us = writer->marked_us ? writer->written_us : clock_realtime_us();
	uv_mutex_unlock(&writer->mutex);
	return us;
}

/* Who has just begun to record asks at once what there is. */
static uint64_t next_beat_ns(const struct writer *writer)
{
	uint64_t period_ms = (writer->heartbeat_ns - writer->begin_ns) / NS_PER_MS;

	if (period_ms < HEARTBEAT_FIRST_MS)
		period_ms = HEARTBEAT_FIRST_MS;
	if (period_ms > HEARTBEAT_MS)
		period_ms = HEARTBEAT_MS;
	return writer->heartbeat_ns + period_ms * NS_PER_MS;
}

static bool beat(struct writer *writer, bool last)
{
	struct store_error error = {0};
	uint64_t now_ns = uv_hrtime();
	int64_t until_us;
	int result;

	if (!last && now_ns < next_beat_ns(writer))
		return true;
	writer->heartbeat_ns = now_ns;
	until_us = written_until_us(writer);
	if (until_us == 0)
		return true;
	result = store_heartbeat(writer->options.store, until_us, &error);
	return judge(writer, result, &error);
}

/* When there is something to do without a batch. */
static uint64_t next_work_ns(const struct writer *writer)
{
	if (writer->maintaining)
		return writer->maintain_ns + (uint64_t)PAUSE_MS * NS_PER_MS;
	return next_beat_ns(writer);
}

/* Also passes on what was told meanwhile. */
static bool is_time_to_maintain(struct writer *writer)
{
	uint64_t pause_ms = PAUSE_MS;

	uv_mutex_lock(&writer->mutex);
	if (writer->queued > 0)
		pause_ms = BUSY_PAUSE_MS;
	if (writer->has_retention)
		store_set_retention(writer->options.store, &writer->retention);
	writer->has_retention = false;
	uv_mutex_unlock(&writer->mutex);
	return uv_hrtime() >= writer->maintain_ns + pause_ms * NS_PER_MS;
}

static void say_too_large(struct writer *writer)
{
	struct store_counters counters;

	store_counters(writer->options.store, &counters);
	if (counters.too_large && !writer->store_counters.too_large)
		log_warning("the history is over max-size, and nothing more can be forgotten; "
			    "raise it or keep less (see lastconn.conf(5))");
}

/* A slice of what the store forgets, where batches need not wait for it. */
static bool maintain(struct writer *writer)
{
	struct store_error error = {0};
	int result;

	if (!is_time_to_maintain(writer))
		return true;
	result = store_maintain(writer->options.store, clock_realtime_us(), &error);
	writer->maintaining = result > 0;
	writer->maintain_ns = uv_hrtime();
	say_too_large(writer);
	return judge(writer, result < 0 ? -1 : 0, &error);
}

/* The next batch, with its octets still counted as queued; NULL: none within the heartbeat. */
static struct batch *next_batch(struct writer *writer, bool *ret_stop)
{
	struct batch *batch = NULL;

	uv_mutex_lock(&writer->mutex);
	if (writer->queued == 0 && !writer->stopping)
		wait_until(writer, &writer->work, next_work_ns(writer));
	if (writer->queued > 0) {
		batch = writer->queue[writer->first];
		writer->first = (writer->first + 1) % QUEUE_MAX;
		writer->queued--;
	}
	writer->alive_ns = uv_hrtime();
	*ret_stop = !batch && writer->stopping;
	uv_mutex_unlock(&writer->mutex);
	return batch;
}

static void give_back(struct writer *writer, struct batch *batch, bool written)
{
	uv_mutex_lock(&writer->mutex);
	writer->queue_octets -= batch_octets(batch);
	if (!written)
		writer->lost += batch_count(batch);
	else if (batch_position(batch))
		writer->position = batch_position(batch);
	if (writer->spares < SPARE_MAX) {
		batch_clear(batch);
		writer->spare[writer->spares++] = batch;
		batch = NULL;
	}
	uv_cond_broadcast(&writer->done);
	uv_mutex_unlock(&writer->mutex);
	batch_free(batch);
}

/* Counts and frees what nobody will write. */
static void drop_queue(struct writer *writer)
{
	uv_mutex_lock(&writer->mutex);
	for (; writer->queued > 0; writer->queued--) {
		struct batch *batch = writer->queue[writer->first];

		writer->first = (writer->first + 1) % QUEUE_MAX;
		writer->lost += batch_count(batch);
		writer->queue_octets -= batch_octets(batch);
		batch_free(batch);
	}
	uv_mutex_unlock(&writer->mutex);
}

static void run(void *argument)
{
	struct writer *writer = argument;
	bool stop = false, alive = true;

	while (!stop && alive) {
		struct batch *batch = next_batch(writer, &stop);

		if (batch) {
			bool written = write_batch(writer, batch);

			give_back(writer, batch, written);
			alive = written;
		}
		alive = alive && beat(writer, stop) && (stop || maintain(writer));
	}
	drop_queue(writer);
	if (writer->state == WRITER_FAILED && writer->options.failed)
		writer->options.failed(writer->options.ctx);
	uv_mutex_lock(&writer->mutex);
	writer->finished = true;
	uv_cond_broadcast(&writer->done);
	uv_mutex_unlock(&writer->mutex);
}

static void destroy(struct writer *writer)
{
	uv_cond_destroy(&writer->done);
	uv_cond_destroy(&writer->work);
	uv_mutex_destroy(&writer->mutex);
	free(writer);
}

int writer_new(const struct writer_options *options, struct writer **ret_writer)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int error;

	if (!writer)
		return -ENOMEM;
	writer->options = *options;
	if (uv_mutex_init(&writer->mutex) || uv_cond_init(&writer->work) ||
		uv_cond_init(&writer->done))
		abort(); /* glibc cannot fail here */
	writer->alive_ns = writer->begin_ns = writer->heartbeat_ns = uv_hrtime();
	store_counters(options->store, &writer->store_counters);
	error = uv_thread_create(&writer->thread, run, writer);
	if (error) {
		destroy(writer);
		return error;
	}
	*ret_writer = writer;
	return 0;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	while (writer->spares > 0)
		batch_free(writer->spare[--writer->spares]);
	destroy(writer);
}

void writer_set_limits(
	struct writer *writer, uint64_t queue_octets, struct store_retention retention)
{
	uv_mutex_lock(&writer->mutex);
	writer->options.queue_octets = queue_octets;
	writer->retention = retention;
	writer->has_retention = true;
	uv_mutex_unlock(&writer->mutex);
}

int writer_take(struct writer *writer, struct batch **ret_batch)
{
	struct batch *batch = NULL;
	int64_t look;

	uv_mutex_lock(&writer->mutex);
	if (writer->spares > 0)
		batch = writer->spare[--writer->spares];
	look = writer->store_counters.looks;
	uv_mutex_unlock(&writer->mutex);
	if (!batch && batch_new(WRITER_BATCH_RECORDS, &batch) < 0)
		return -ENOMEM;
	batch_set_look(batch, look);
	*ret_batch = batch;
	return 0;
}

/* With the mutex held. One batch always finds room, however small the limit. */
static int put(struct writer *writer, struct batch *batch, uint64_t limit)
{
	uint64_t octets = batch_octets(batch);

	if (writer->state == WRITER_FAILED || writer->finished || writer->stopping)
		return -EIO;
	if (writer->queued == QUEUE_MAX ||
		(writer->queue_octets > 0 && writer->queue_octets + octets > limit))
		return -ENOBUFS;
	writer->queue[(writer->first + writer->queued++) % QUEUE_MAX] = batch;
	writer->queue_octets += octets;
	uv_cond_signal(&writer->work);
	return 0;
}

int writer_put(struct writer *writer, struct batch *batch)
{
	int result;

	uv_mutex_lock(&writer->mutex);
	result = put(writer, batch, writer->options.queue_octets);
	if (result)
		writer->refused++;
	uv_mutex_unlock(&writer->mutex);
	return result;
}

int writer_put_wait(struct writer *writer, struct batch *batch)
{
	int result;

	uv_mutex_lock(&writer->mutex);
	while ((result = put(writer, batch, writer->options.queue_octets)) == -ENOBUFS)
		uv_cond_wait(&writer->done, &writer->mutex);
	uv_mutex_unlock(&writer->mutex);
	return result;
}

int writer_put_last(struct writer *writer, struct batch *batch)
{
	int result;

	uv_mutex_lock(&writer->mutex);
	result = put(writer, batch, UINT64_MAX);
	uv_mutex_unlock(&writer->mutex);
	return result;
}

void writer_mark(struct writer *writer, int64_t seen_us)
{
	uv_mutex_lock(&writer->mutex);
	writer->marked_us = seen_us;
	uv_mutex_unlock(&writer->mutex);
}

uint64_t writer_stored(struct writer *writer, uint64_t position)
{
	uv_mutex_lock(&writer->mutex);
	if (writer->queue_octets > 0 || writer->state == WRITER_FAILED)
		position = writer->position;
	uv_mutex_unlock(&writer->mutex);
	return position;
}

bool writer_is_alive(struct writer *writer, int64_t within_ms)
{
	uint64_t age_ns;

	uv_mutex_lock(&writer->mutex);
	age_ns = uv_hrtime() - writer->alive_ns;
	uv_mutex_unlock(&writer->mutex);
	return age_ns <= (uint64_t)within_ms * NS_PER_MS;
}

int writer_stop(struct writer *writer, int64_t timeout_ns, uint64_t *ret_lost)
{
	bool finished;
	uint64_t last_ns;

	uv_mutex_lock(&writer->mutex);
	writer->stopping = true;
	writer->deadline_ns = uv_hrtime() + (uint64_t)timeout_ns;
	last_ns = writer->deadline_ns + (uint64_t)GRACE_S * NS_PER_S;
	uv_cond_signal(&writer->work);
	while (!writer->finished && uv_hrtime() < last_ns)
		wait_until(writer, &writer->done, last_ns);
	finished = writer->finished;
	*ret_lost = writer->lost;
	for (size_t i = 0; i < writer->queued; i++)
		*ret_lost += batch_count(writer->queue[(writer->first + i) % QUEUE_MAX]);
	uv_mutex_unlock(&writer->mutex);
	if (!finished)
		return -ETIMEDOUT;
	uv_thread_join(&writer->thread);
	return 0;
}

void writer_counters(struct writer *writer, struct writer_counters *ret_counters)
{
	uv_mutex_lock(&writer->mutex);
	ret_counters->store = writer->store_counters;
	ret_counters->refused = writer->refused;
	ret_counters->queue_octets = writer->queue_octets;
	ret_counters->queued = writer->queued;
	ret_counters->state = writer->state;
	ret_counters->damaged = writer->damaged;
	uv_mutex_unlock(&writer->mutex);
}

/* The writer: one thread that owns the store while it runs, fed with batches by the loop thread.
 *
 * Batches wait in a queue of bounded memory. A store that is busy or full is tried again until it
 * takes the batch; any other error ends the writer, which says so once. */
#ifndef LASTCONN_DAEMON_WRITER_H
#define LASTCONN_DAEMON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { WRITER_BATCH_RECORDS = 5000 };

struct writer;

struct writer_options {
	struct store *store; /* borrowed; nobody else may touch it until writer_stop returned 0 */
	uint64_t queue_octets;
	void (*failed)(void *ctx); /* called once, on the writer's thread, when it gave up */
	void *ctx;
};

enum writer_state {
	WRITER_FINE,
	WRITER_RETRYING, /* the store is busy or full */
	WRITER_FAILED,
};

struct writer_counters {
	struct store_counters store; /* as of the last batch */
	uint64_t refused;            /* batches that found no room */
	uint64_t queue_octets;
	size_t queued; /* batches */
	enum writer_state state;
	bool damaged; /* the file is why it failed */
};

/* Starts the thread. Returns 0 or negative errno. */
int writer_new(const struct writer_options *options, struct writer **ret_writer);

/* After writer_stop returned 0, or if nothing was ever put. */
void writer_free(struct writer *writer);

/* Of the queue and of the history, from now on. */
void writer_set_limits(
	struct writer *writer, uint64_t queue_octets, struct store_retention retention);

/* An empty batch to fill, owned by the caller. Returns 0 or -ENOMEM. */
int writer_take(struct writer *writer, struct batch **ret_batch);

/* Hands a batch over. On failure the caller keeps it: -ENOBUFS, the queue is full; -EIO, the
 * writer gave up. */
int writer_put(struct writer *writer, struct batch *batch);

/* The same, but waits for room. */
int writer_put_wait(struct writer *writer, struct batch *batch);

/* The same for the last batch of a run: the limit does not hold for it. */
int writer_put_last(struct writer *writer, struct batch *batch);

/* All that happened before seen_us was put: once it is written, the heartbeat says so. Where nobody
 * says it, heartbeats tell the time. */
void writer_mark(struct writer *writer, int64_t seen_us);

/* Up to which position of the source all is written: position, if every batch that was put is,
 * else the batch_position of the last that is. */
uint64_t writer_stored(struct writer *writer, uint64_t position);

/* Has the thread shown a sign of life within the last within_ms? */
bool writer_is_alive(struct writer *writer, int64_t within_ms);

/* Writes what is queued, for at most timeout_ns, then ends the thread. *ret_lost: records that
 * were not written. Returns 0, or -ETIMEDOUT when the thread hangs in the store: then neither
 * store nor writer may be freed, the process can only leave. */
int writer_stop(struct writer *writer, int64_t timeout_ns, uint64_t *ret_lost);

void writer_counters(struct writer *writer, struct writer_counters *ret_counters);

#endif

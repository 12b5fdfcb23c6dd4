/* What live recording and file reading share: pipeline, writer and store, opened and closed in the
 * right order. */
#ifndef LASTCONN_DAEMON_RECORDER_H
#define LASTCONN_DAEMON_RECORDER_H

#include "daemon/config.h"
#include "daemon/pipeline.h"
#include "daemon/writer.h"
#include "store/store.h"

struct recorder {
	struct pipeline *pipeline;
	struct writer *writer; /* NULL until opened */
	struct store *store;
	enum flow_source source;
	int64_t file_from_us, file_until_us; /* of the packets that were read; 0: none */
};

struct store_retention recorder_retention(const struct config *config);

/* The pipeline alone, so that a source can be made before the database is touched. Returns 0 or
 * -ENOMEM. */
int recorder_init(struct recorder *recorder, const struct config *config, enum flow_source source);

/* Opens the database, resumes what earlier runs left open and starts the writer. The pipeline knows
 * its clock. ring: what the source keeps. failed (may be NULL) is called on the writer's thread
 * when it gave up. Returns 0, or -1 with the reason in ret_error; it may be tried again. */
int recorder_open(struct recorder *recorder, const struct config *config, struct store_ring ring,
	void (*failed)(void *), void *ctx, struct store_error *ret_error);

/* Ends the pipeline, writes what is left for at most timeout_ns, closes the database. Logs what was
 * lost. *ret_counters: what was recorded. Returns 0, or -1 if anything was lost. A writer that
 * hangs in the kernel cannot be ended: then the process leaves here, with status 1. */
int recorder_close(
	struct recorder *recorder, int64_t timeout_ns, struct store_counters *ret_counters);

void recorder_done(struct recorder *recorder); /* after _close, or what _init and _open left */

#endif

/* Watches over what a source cannot notice by itself: the clocks, and hooks that went blind. Tells
 * the pipeline's coverage. On the loop thread. */
#ifndef LASTCONN_DAEMON_COVERAGE_WATCH_H
#define LASTCONN_DAEMON_COVERAGE_WATCH_H

#include <stdbool.h>

#include "daemon/coverage_clock.h"
#include "daemon/pipeline.h"
#include "daemon/reconcile.h"

struct coverage_watch {
	struct pipeline *pipeline;
	struct coverage_clock clock;
	struct reconcile_sample before;
	int64_t before_us, before_ns; /* wall clock and CLOCK_BOOTTIME of before */
	int64_t interval_ns;
	bool comparable; /* before could be read */
	bool said;       /* that something is unaccounted for */
};

/* pipeline: borrowed. */
void coverage_watch_init(
	struct coverage_watch *watch, struct pipeline *pipeline, int64_t interval_ns);

/* Before it is told no step corrects. After the first reading. */
void coverage_watch_bounds(struct coverage_watch *watch, const struct clock_bounds *bounds);

/* Reads the clocks: the only place where the pipeline's are set. Before anything is read from the
 * source, and at least about once a second. */
void coverage_watch_clocks(struct coverage_watch *watch);

/* Begins the first interval. */
void coverage_watch_begin(struct coverage_watch *watch);

/* Is it time to compare? Then sweep, so that all flows are up to date, and compare. */
bool coverage_watch_is_due(const struct coverage_watch *watch, int64_t now_ns);
void coverage_watch_compare(struct coverage_watch *watch);

/* Tells of the hooks that the source lacks, or has second best, from from_us to the end of the run.
 */
void coverage_watch_slots(struct pipeline *pipeline, const struct source *source, int64_t from_us);

/* Tells of the hooks that went off and on again from from_us to until_us, while no daemon ran. */
void coverage_watch_reattached(
	struct pipeline *pipeline, const struct source *source, int64_t from_us, int64_t until_us);

/* Tells of the flows that the snapshot found, made from_us to now. */
void coverage_watch_snapshot(struct pipeline *pipeline, int64_t from_us);

#endif

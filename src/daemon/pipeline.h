/* The whole chain: source -> flow table -> attribution -> batch -> writer. The only file that knows
 * it; sources push into pipeline_sink. Runs on one thread; times are arguments. */
#ifndef LASTCONN_DAEMON_PIPELINE_H
#define LASTCONN_DAEMON_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/writer.h"
#include "flow/flow_table.h"
#include "flow/nat_table.h"
#include "process/cmdline.h"
#include "process/ignore_rule.h"
#include "process/name_table.h"
#include "process/process_table.h"
#include "source/source.h"

struct pipeline;

struct pipeline_options {
	size_t max_flows;
	size_t max_processes;
	size_t max_listeners;
	size_t max_names;
	size_t max_nat; /* mappings */
	int64_t active_timeout_ns;
	int64_t idle_timeout_ns;
	int64_t lost_timeout_ns;
	uint32_t netns;        /* our own, see flow_table.h; 0 all */
	uint64_t flush_octets; /* of the source's position: flush so often; 0 never */
	enum flow_source source;
	enum cmdline_mode cmdline;        /* what is kept of processes' arguments */
	const struct ignore_rule *ignore; /* borrowed; flows that fit one are not stored */
	size_t ignore_count;
	bool wait_for_room; /* a full queue makes the source wait, instead of losing records */
};

struct pipeline_counters {
	struct flow_table_counters flows;
	struct process_table_counters processes;
	struct name_table_counters names;
	struct nat_table_counters nat;
	size_t listeners;
	uint64_t listeners_refused;
	uint64_t process_events; /* exec, fork, exit and first socket acts */
	uint64_t listener_events;
	uint64_t lost[COVERAGE_COUNT]; /* by what was lost */
	uint64_t snapshot_flows;       /* open flows that only the snapshot knew */
	uint64_t ignored;              /* flows that ended and that a rule left out */
	uint64_t nameless;             /* flows whose name or translated ends found no memory */
};

/* Returns 0 or -ENOMEM. Events may come only after pipeline_connect. */
int pipeline_new(const struct pipeline_options *options, struct pipeline **ret_pipeline);
void pipeline_free(struct pipeline *pipeline); /* forgets what was not flushed */

/* Which source pushes, once that is known; for the coverage. */
void pipeline_set_source(struct pipeline *pipeline, enum flow_source source);
/* Of a source whose sweeps do not show every open flow. */
void pipeline_raise_lost_timeout(struct pipeline *pipeline, int64_t timeout_ns);

/* Called before flows are handed over, so that what others than their source know of them is asked
 * for in time. It may push names, mappings of NAT and losses only. */
void pipeline_ask_before(struct pipeline *pipeline, void (*ask)(void *ctx), void *ctx);

/* Where sources push; valid as long as the pipeline. */
const struct source_sink *pipeline_sink(const struct pipeline *pipeline);

/* After pipeline_set_clock. writer: borrowed. Returns 0 or -ENOMEM. */
int pipeline_connect(struct pipeline *pipeline, struct writer *writer);

/* Goes on with the flows and listeners in batch, which an earlier run left open. After
 * pipeline_set_clock. */
void pipeline_resume(struct pipeline *pipeline, const struct batch *batch);

/* The source has shown every listener that is there: those of the earlier run that were not among
 * them ended by last_us, when it was last alive. */
void pipeline_resumed(struct pipeline *pipeline, int64_t last_us);

/* What the source told before this position of its own is stored, and so is the position. */
uint64_t pipeline_stored(struct pipeline *pipeline);

/* What the source loses was last asked for at since_us, by an earlier run. */
void pipeline_losses_since(struct pipeline *pipeline, int64_t since_us);

/* The source's clock now, and wall clock minus source clock. */
void pipeline_set_clock(struct pipeline *pipeline, int64_t now_ns, int64_t wall_offset_ns);

int64_t pipeline_wall_offset_ns(const struct pipeline *pipeline);

/* The wall clock was set; pipeline_set_clock knows the new one already. What is still here becomes
 * right by it, the writer is told with the next batch. */
void pipeline_clock_step(struct pipeline *pipeline, const struct clock_step *step);

/* The source has just told all that happened or was lost until pipeline_set_clock. */
void pipeline_losses_read(struct pipeline *pipeline);

/* Ends what timed out, tells what is due. Call about once a second, after pipeline_set_clock. */
void pipeline_expire(struct pipeline *pipeline);

/* The clock is about to be set back: ends the flows of packets as pipeline_end does, for else they
 * would end before they began. */
void pipeline_end_flows(struct pipeline *pipeline);

/* An interval in which something may have been missed. */
void pipeline_cover(struct pipeline *pipeline, const struct coverage_record *record);

/* The coverage tells of the rules that leave flows out, from now on and for this time; 0: as long
 * as the run. */
void pipeline_cover_ignored(struct pipeline *pipeline, int64_t from_us, int64_t until_us);

/* Hands over what is there. Up to the clock of the last pipeline_losses_read all that happened
 * counts as stored from then on. */
void pipeline_flush(struct pipeline *pipeline);

/* The source is over: ends the flows of packets, leaves those of sockets open, and flushes. Returns
 * the records that found no room. */
uint64_t pipeline_end(struct pipeline *pipeline);

void pipeline_counters(const struct pipeline *pipeline, struct pipeline_counters *ret_counters);

#endif

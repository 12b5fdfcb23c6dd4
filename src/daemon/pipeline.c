/* Joins the stages, and keeps account of what is lost between them.
 *
 * What was lost becomes coverage records. They wait in a short list of their own, where intervals
 * of the same kind grow together, and go out with the next batch; so they survive the very batches
 * whose loss they tell of. A full batch that the writer refuses is dropped whole: its records are
 * counted, its coverage records go back to the list, and the processes in it are handed over again
 * with the next flow that names them.
 *
 * Flows are named, and joined to the mapping of NAT that changes them, when their batch is handed
 * over: what a flow says, who asked for its name, or what became of its ends on the way, may be
 * seen a little later than the flow. */
#include "daemon/pipeline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ignored.h"
#include "process/attribute.h"
#include "process/listener_table.h"
#include "util/clock.h"

enum {
	PENDING_MAX = 64, /* intervals of different kinds; past it the last ones grow together */
	ATTRIBUTION_RECORDS_MAX = 2 * PROCESS_ANCESTORS_MAX + 1, /* of one flow */
};
#define NAT_KEEP_US INT64_C(60000000) /* that a record may come after its time */

static_assert((int)ATTRIBUTION_RECORDS_MAX < (int)WRITER_BATCH_RECORDS, "a flow fits a batch");

struct pipeline {
	struct pipeline_options options;
	struct source_sink sink;          /* from the source */
	struct attribute_sink attributed; /* from attribution */
	struct flow_table *flows;
	struct process_table *processes;
	struct listener_table *listeners;
	struct name_table *names;
	struct nat_table *nat;
	struct ignored *ignored;
	void (*ask)(void *ctx); /* may be NULL */
	void *ask_ctx;
	struct writer *writer;
	struct batch *batch; /* being filled; NULL when there is no memory for one */
	size_t described;    /* of the flows in it name and NAT were sought */
	int64_t look;        /* batch_look of the last one */
	int64_t now_ns, wall_offset_ns;
	struct clock_step step; /* that the writer does not know of yet */
	int64_t losses_read_us; /* up to then all that was seen or lost is told */
	int64_t batch_from_us;  /* what the batch tells of happened since, or is open in others */
	uint64_t position;      /* of the source: what came before is in a batch */
	uint64_t put;           /* the same, of the last batch that the writer has */
	uint64_t flushed;       /* the same, of the last flush */
	struct coverage_record pending[PENDING_MAX];
	size_t pending_count;
	struct pipeline_counters counters;
	/* As last told. */
	uint64_t flows_evicted, processes_evicted, listeners_refused, nat_evicted;
	uint64_t no_room; /* records dropped since the last batch that found room */
};

static int64_t wall_of(const struct pipeline *pipeline, int64_t time_ns)
{
	return (time_ns + pipeline->wall_offset_ns) / NS_PER_US;
}

static int64_t wall_us(const struct pipeline *pipeline)
{
	return wall_of(pipeline, pipeline->now_ns);
}

/* Coverage. */

static bool same_kind(const struct coverage_record *a, const struct coverage_record *b)
{
	return a->what == b->what && a->source == b->source && strcmp(a->detail, b->detail) == 0;
}

static void merge(struct coverage_record *into, const struct coverage_record *record)
{
	if (record->from_us < into->from_us)
		into->from_us = record->from_us;
	if (into->until_us && (!record->until_us || record->until_us > into->until_us))
		into->until_us = record->until_us;
	into->count += record->count;
}

static void keep_coverage(struct pipeline *pipeline, const struct coverage_record *record)
{
	for (size_t i = 0; i < pipeline->pending_count; i++)
		if (same_kind(&pipeline->pending[i], record)) {
			merge(&pipeline->pending[i], record);
			return;
		}
	if (pipeline->pending_count == PENDING_MAX)
		merge(&pipeline->pending[PENDING_MAX - 1], record);
	else
		pipeline->pending[pipeline->pending_count++] = *record;
}

void pipeline_cover(struct pipeline *pipeline, const struct coverage_record *record)
{
	keep_coverage(pipeline, record);
	pipeline->counters.lost[record->what] += record->count;
}

static void lose(struct pipeline *pipeline, enum coverage_what what, int64_t from_us,
	uint64_t count, const char *detail)
{
	struct coverage_record record = {
		.from_us = from_us,
		.until_us = wall_us(pipeline),
		.count = count,
		.what = what,
		.source = pipeline->options.source,
	};

	snprintf(record.detail, sizeof(record.detail), "%s", detail);
	pipeline_cover(pipeline, &record);
}

/* Batches. */

static void drop_batch(struct pipeline *pipeline)
{
	const struct coverage_record *record;
	size_t covered = 0;

	for (; (record = batch_coverage(pipeline->batch, covered)); covered++)
		keep_coverage(pipeline, record);
	pipeline->no_room += batch_count(pipeline->batch) - covered;
	batch_clear(pipeline->batch);
	pipeline->described = 0;
	process_table_forget_stored(pipeline->processes);
}

/* An empty batch. What the store has of processes may go, if nothing names them: all are described
 * again from then on. */
static int take_batch(struct pipeline *pipeline)
{
	int error = writer_take(pipeline->writer, &pipeline->batch);

	if (!error && batch_look(pipeline->batch) != pipeline->look) {
		pipeline->look = batch_look(pipeline->batch);
		process_table_forget_stored(pipeline->processes);
	}
	return error;
}

static void describe_flow(struct pipeline *pipeline, size_t index, const struct flow_record *record)
{
	struct flow_name name;
	struct nat_ends ends;

	if (name_table_flow(pipeline->names, record, &name) &&
		batch_name_flow(pipeline->batch, index, &name))
		pipeline->counters.nameless++;
	if (nat_table_flow(pipeline->nat, record, &ends) &&
		batch_translate_flow(pipeline->batch, index, &ends))
		pipeline->counters.nameless++;
}

/* Those that were added since the last time. */
static void describe_flows(struct pipeline *pipeline)
{
	const struct flow_record *record;

	if (!pipeline->batch)
		return;
	if (pipeline->ask)
		pipeline->ask(pipeline->ask_ctx);
	for (; (record = batch_flow(pipeline->batch, pipeline->described)); pipeline->described++)
		if (record->kind != FLOW_RECORD_FORGET)
			describe_flow(pipeline, pipeline->described, record);
}

/* Gives the batch to the writer and takes an empty one. Returns 0, or the writer's refusal. */
static int hand_over(struct pipeline *pipeline, int (*put)(struct writer *, struct batch *))
{
	int error;

	describe_flows(pipeline);
	batch_set_position(pipeline->batch, pipeline->position);
	batch_set_step(pipeline->batch, &pipeline->step);
	error = put(pipeline->writer, pipeline->batch);
	if (error)
		return error;
	pipeline->batch_from_us = pipeline->losses_read_us;
	pipeline->put = pipeline->position;
	pipeline->step = (struct clock_step){0};
	pipeline->batch = NULL;
	pipeline->described = 0;
	take_batch(pipeline); /* if not now, then with the next record */
	return 0;
}

/* Makes sure that count more records fit. False: there is no memory. */
static bool make_room(struct pipeline *pipeline, size_t count)
{
	if (pipeline->batch && batch_count(pipeline->batch) + count > WRITER_BATCH_RECORDS &&
		hand_over(pipeline, pipeline->options.wait_for_room ? writer_put_wait : writer_put))
		drop_batch(pipeline);
	return pipeline->batch || take_batch(pipeline) == 0;
}

/* A record that could not be copied for want of memory is as lost as one without room. */
static void count_failed(struct pipeline *pipeline, int error)
{
	if (!error)
		return;
	pipeline->no_room++;
	process_table_forget_stored(pipeline->processes);
}

static void add_process(void *ctx, const struct process_info *info)
{
	struct pipeline *pipeline = ctx;

	count_failed(pipeline, batch_add_process(pipeline->batch, info));
}

static void add_flow(void *ctx, const struct flow_record *record)
{
	struct pipeline *pipeline = ctx;

	count_failed(pipeline, batch_add_flow(pipeline->batch, record));
	name_table_client(pipeline->names, record);
}

static void add_listener(void *ctx, const struct listener_record *record)
{
	struct pipeline *pipeline = ctx;

	count_failed(pipeline, batch_add_listener(pipeline->batch, record));
}

static void add_name(void *ctx, const struct name_record *record)
{
	struct pipeline *pipeline = ctx;

	count_failed(pipeline, batch_add_name(pipeline->batch, record));
}

/* What was stored of the flow while it was open, perhaps before its process was known, goes too. */
static bool is_wanted(void *ctx, const struct flow_record *record)
{
	struct pipeline *pipeline = ctx;
	struct process_info info;
	bool known = process_ref_known(&record->user) &&
		     process_table_find(pipeline->processes, &record->user, &info);
	struct flow_record forget = *record;

	if (!ignored_take(pipeline->ignored, record, known ? &info : NULL))
		return true;
	forget.kind = FLOW_RECORD_FORGET;
	if (record->was_open || record->kind == FLOW_RECORD_UPDATE)
		count_failed(pipeline, batch_add_flow(pipeline->batch, &forget));
	return false;
}

/* From the name table. */
static void on_name(void *ctx, const struct name_record *record)
{
	struct pipeline *pipeline = ctx;

	if (make_room(pipeline, ATTRIBUTION_RECORDS_MAX))
		attribute_name(pipeline->processes, record, &pipeline->attributed);
	else
		pipeline->no_room++;
}

/* From the flow table. */
static void on_flow(void *ctx, const struct flow_record *record)
{
	struct pipeline *pipeline = ctx;

	pipeline->counters.snapshot_flows +=
		record->kind == FLOW_RECORD_OPEN && record->method == FLOW_METHOD_SNAPSHOT;
	if (make_room(pipeline, ATTRIBUTION_RECORDS_MAX))
		attribute_flow(
			pipeline->processes, pipeline->listeners, record, &pipeline->attributed);
	else
		pipeline->no_room++;
}

/* From the source. */

static void take_observation(void *ctx, const struct observation *observation)
{
	struct pipeline *pipeline = ctx;

	flow_table_observe(pipeline->flows, observation);
}

static void take_process(void *ctx, const struct process_info *info)
{
	struct pipeline *pipeline = ctx;
	struct process_info kept;
	char cmdline[PROCESS_CMDLINE_MAX];

	pipeline->counters.process_events++;
	kept = cmdline_keep(pipeline->options.cmdline, info, cmdline);
	process_table_put(pipeline->processes, &kept);
}

static void take_fork(void *ctx, const struct process_ref *child, const struct process_ref *parent)
{
	struct pipeline *pipeline = ctx;

	pipeline->counters.process_events++;
	process_table_fork(pipeline->processes, child, parent);
}

static void take_exit(void *ctx, const struct process_ref *process)
{
	struct pipeline *pipeline = ctx;

	pipeline->counters.process_events++;
	process_table_exit(pipeline->processes, process);
}

static void take_listener(
	void *ctx, const struct listener_record *record, int64_t time_ns, bool gone)
{
	struct pipeline *pipeline = ctx;
	struct listener_record timed = *record;
	int64_t time_us = wall_of(pipeline, time_ns);

	pipeline->counters.listener_events++;
	timed.from_us = time_us;
	timed.until_us = gone ? time_us : 0;
	listener_table_put(pipeline->listeners, &timed);
	if (make_room(pipeline, ATTRIBUTION_RECORDS_MAX))
		attribute_listener(pipeline->processes, &timed, &pipeline->attributed);
	else
		pipeline->no_room++;
}

static void take_name(void *ctx, const struct name_evidence *evidence)
{
	struct pipeline *pipeline = ctx;

	name_table_put(pipeline->names, evidence);
}

static void take_asked(void *ctx, const struct name_evidence *evidence, int64_t time_ns)
{
	struct pipeline *pipeline = ctx;
	struct name_evidence timed = *evidence;

	timed.time_us = (time_ns + pipeline->wall_offset_ns) / NS_PER_US;
	name_table_put(pipeline->names, &timed);
}

static void take_nat(void *ctx, const struct nat_mapping *mapping, int64_t time_ns, bool gone)
{
	struct pipeline *pipeline = ctx;
	int64_t time_us = wall_of(pipeline, time_ns);

	if (gone)
		nat_table_gone(pipeline->nat, mapping, time_us);
	else
		nat_table_put(pipeline->nat, mapping, time_us);
	ignored_translate(pipeline->ignored);
}

static void take_nat_all(void *ctx, int64_t time_ns, bool complete)
{
	struct pipeline *pipeline = ctx;

	if (complete)
		nat_table_end_all(pipeline->nat, wall_of(pipeline, time_ns));
	else
		nat_table_begin_all(pipeline->nat);
}

static void take_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	struct pipeline *pipeline = ctx;

	lose(pipeline, what, pipeline->losses_read_us, count, detail);
}

static void take_position(void *ctx, uint64_t position)
{
	struct pipeline *pipeline = ctx;

	pipeline->position = position;
	if (pipeline->options.flush_octets &&
		position - pipeline->flushed >= pipeline->options.flush_octets)
		pipeline_flush(pipeline);
}

/* What datagram sockets did, and what was lost, is known only by the sweep. */
static void mark(struct pipeline *pipeline)
{
	if (!pipeline->options.wait_for_room) /* else the clock is that of a file */
		writer_mark(pipeline->writer, pipeline->losses_read_us);
}

/* Life. */

static int make_tables(struct pipeline *pipeline)
{
	const struct pipeline_options *options = &pipeline->options;
	struct flow_table_options flow_options = {
		.max_flows = options->max_flows,
		.active_timeout_ns = options->active_timeout_ns,
		.idle_timeout_ns = options->idle_timeout_ns,
		.lost_timeout_ns = options->lost_timeout_ns,
		.netns = options->netns,
		.hash_key = hash_key_random(),
		.emit = on_flow,
		.ctx = pipeline,
	};
	struct name_table_options name_options = {
		.max_names = options->max_names,
		.hash_key = hash_key_random(),
		.tell = on_name,
		.ctx = pipeline,
	};
	struct nat_table_options nat_options = {
		.max_mappings = options->max_nat,
		.keep_us = NAT_KEEP_US +
			   (options->active_timeout_ns + options->idle_timeout_ns) / NS_PER_US,
		.hash_key = hash_key_random(),
	};

	if (flow_table_new(&flow_options, &pipeline->flows) ||
		process_table_new(
			options->max_processes, hash_key_random(), &pipeline->processes) ||
		listener_table_new(
			options->max_listeners, hash_key_random(), &pipeline->listeners) ||
		name_table_new(&name_options, &pipeline->names) ||
		nat_table_new(&nat_options, &pipeline->nat) ||
		ignored_new(options->ignore, options->ignore_count, &pipeline->ignored))
		return -ENOMEM;
	return 0;
}

int pipeline_new(const struct pipeline_options *options, struct pipeline **ret_pipeline)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (!pipeline)
		return -ENOMEM;
	pipeline->options = *options;
	pipeline->sink = (struct source_sink){
		.ctx = pipeline,
		.observe = take_observation,
		.process = take_process,
		.fork = take_fork,
		.exit = take_exit,
		.listener = take_listener,
		.name = take_name,
		.asked = take_asked,
		.nat = take_nat,
		.nat_all = take_nat_all,
		.loss = take_loss,
		.position = take_position,
	};
	pipeline->attributed = (struct attribute_sink){
		.ctx = pipeline,
		.wanted = is_wanted,
		.process = add_process,
		.flow = add_flow,
		.listener = add_listener,
		.name = add_name,
	};
	if (make_tables(pipeline)) {
		pipeline_free(pipeline);
		return -ENOMEM;
	}
	*ret_pipeline = pipeline;
	return 0;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	flow_table_free(pipeline->flows);
	process_table_free(pipeline->processes);
	listener_table_free(pipeline->listeners);
	name_table_free(pipeline->names);
	nat_table_free(pipeline->nat);
	ignored_free(pipeline->ignored);
	batch_free(pipeline->batch);
	free(pipeline);
}

void pipeline_set_source(struct pipeline *pipeline, enum flow_source source)
{
	pipeline->options.source = source;
}

void pipeline_raise_lost_timeout(struct pipeline *pipeline, int64_t timeout_ns)
{
	flow_table_raise_lost_timeout(pipeline->flows, timeout_ns);
}

void pipeline_ask_before(struct pipeline *pipeline, void (*ask)(void *ctx), void *ctx)
{
	pipeline->ask = ask;
	pipeline->ask_ctx = ctx;
}

const struct source_sink *pipeline_sink(const struct pipeline *pipeline)
{
	return &pipeline->sink;
}

int pipeline_connect(struct pipeline *pipeline, struct writer *writer)
{
	pipeline->writer = writer;
	pipeline->batch_from_us = pipeline->losses_read_us;
	mark(pipeline);
	return writer_take(writer, &pipeline->batch);
}

void pipeline_set_clock(struct pipeline *pipeline, int64_t now_ns, int64_t wall_offset_ns)
{
	pipeline->now_ns = now_ns;
	pipeline->wall_offset_ns = wall_offset_ns;
	flow_table_set_wall_offset(pipeline->flows, wall_offset_ns);
	if (pipeline->losses_read_us == 0)
		pipeline->losses_read_us = wall_us(pipeline);
}

int64_t pipeline_wall_offset_ns(const struct pipeline *pipeline)
{
	return pipeline->wall_offset_ns;
}

/* Processes are handed over again with the next flow that names them: when they started is known
 * better now. */
void pipeline_clock_step(struct pipeline *pipeline, const struct clock_step *step)
{
	clock_step_add(&pipeline->step, step);
	name_table_shift(pipeline->names, step->us);
	nat_table_shift(pipeline->nat, step->us);
	ignored_shift(pipeline->ignored, step->us);
	process_table_forget_stored(pipeline->processes);
	if (pipeline->batch)
		batch_shift(pipeline->batch, step->us);
	for (size_t i = 0; i < pipeline->pending_count; i++) {
		struct coverage_record *record = &pipeline->pending[i];

		record->from_us += step->us;
		if (record->until_us)
			record->until_us += step->us;
	}
	pipeline->losses_read_us += step->us;
	pipeline->batch_from_us += step->us;
}

void pipeline_losses_since(struct pipeline *pipeline, int64_t since_us)
{
	pipeline->losses_read_us = since_us;
}

void pipeline_losses_read(struct pipeline *pipeline)
{
	pipeline->losses_read_us = wall_us(pipeline);
}

/* Tells by how much a table's counter has grown. */
static void tell_growth(
	struct pipeline *pipeline, uint64_t counter, uint64_t *told, const char *detail)
{
	if (counter > *told)
		lose(pipeline, COVERAGE_TABLE_FULL, pipeline->losses_read_us, counter - *told,
			detail);
	*told = counter;
}

static void tell_full_tables(struct pipeline *pipeline)
{
	struct pipeline_counters now;

	pipeline_counters(pipeline, &now);
	tell_growth(pipeline, now.flows.evicted, &pipeline->flows_evicted,
		"flows ended early, their table was full: raise max-flows");
	tell_growth(pipeline, now.processes.evicted + now.processes.failed,
		&pipeline->processes_evicted,
		"processes forgotten, their table was full: raise max-processes");
	tell_growth(pipeline, now.listeners_refused, &pipeline->listeners_refused,
		"listeners not remembered, their table was full: raise max-listeners");
	if (now.nat.evicted > pipeline->nat_evicted)
		lose(pipeline, COVERAGE_OWNERS_UNSURE, pipeline->losses_read_us,
			now.nat.evicted - pipeline->nat_evicted,
			"nat: the table of connections was full: translated ends may be missing");
	pipeline->nat_evicted = now.nat.evicted;
}

static void tell_ignored(struct pipeline *pipeline)
{
	struct coverage_record record;

	while (ignored_tell(pipeline->ignored, &record)) {
		record.source = pipeline->options.source;
		if (!make_room(pipeline, 1) || batch_add_coverage(pipeline->batch, &record))
			keep_coverage(pipeline, &record);
	}
}

void pipeline_cover_ignored(struct pipeline *pipeline, int64_t from_us, int64_t until_us)
{
	ignored_begin(pipeline->ignored, from_us, until_us);
	tell_ignored(pipeline);
}

void pipeline_expire(struct pipeline *pipeline)
{
	flow_table_expire(pipeline->flows, pipeline->now_ns);
	name_table_tell(pipeline->names, wall_us(pipeline));
	nat_table_expire(pipeline->nat, wall_us(pipeline));
	tell_full_tables(pipeline);
	tell_ignored(pipeline);
}

/* Puts the pending coverage records into the batch. */
static void add_coverage(struct pipeline *pipeline)
{
	size_t added = 0;

	if (!make_room(pipeline, pipeline->pending_count))
		return;
	while (added < pipeline->pending_count &&
		batch_add_coverage(pipeline->batch, &pipeline->pending[added]) == 0)
		added++;
	pipeline->pending_count -= added;
	memmove(pipeline->pending, pipeline->pending + added,
		pipeline->pending_count * sizeof(pipeline->pending[0]));
}

static void tell_no_room(struct pipeline *pipeline)
{
	if (pipeline->no_room == 0)
		return;
	lose(pipeline, COVERAGE_QUEUE_FULL, pipeline->batch_from_us, pipeline->no_room,
		"records dropped, the disk was too slow, full or locked: raise queue-memory");
	pipeline->no_room = 0;
}

/* The position alone is worth a batch when what the source told left nothing to store for so long.
 */
static bool is_worth_a_batch(const struct pipeline *pipeline)
{
	uint64_t moved = pipeline->position - pipeline->put;

	return batch_count(pipeline->batch) > 0 ||
	       (pipeline->options.flush_octets && moved >= pipeline->options.flush_octets);
}

/* What is refused stays until the batch is full. */
static void flush(struct pipeline *pipeline, int (*put)(struct writer *, struct batch *))
{
	tell_no_room(pipeline);
	add_coverage(pipeline);
	if (pipeline->batch && is_worth_a_batch(pipeline) && hand_over(pipeline, put))
		return;
	mark(pipeline);
}

void pipeline_flush(struct pipeline *pipeline)
{
	pipeline->flushed = pipeline->position;
	flush(pipeline, writer_put);
}

uint64_t pipeline_stored(struct pipeline *pipeline)
{
	return writer_stored(pipeline->writer, pipeline->put);
}

void pipeline_resume(struct pipeline *pipeline, const struct batch *batch)
{
	const struct flow_record *flow;
	const struct listener_record *listener;

	for (size_t i = 0; (flow = batch_flow(batch, i)); i++)
		flow_table_resume(pipeline->flows, flow, pipeline->now_ns);
	for (size_t i = 0; (listener = batch_listener(batch, i)); i++)
		listener_table_resume(pipeline->listeners, listener);
}

struct resumed {
	struct pipeline *pipeline;
	int64_t last_us;
};

static void end_listener(void *ctx, const struct flow_key *key)
{
	const struct resumed *resumed = ctx;
	const struct listener_record record = {.key = *key, .until_us = resumed->last_us};

	if (make_room(resumed->pipeline, 1))
		add_listener(resumed->pipeline, &record);
	else
		resumed->pipeline->no_room++;
}

void pipeline_resumed(struct pipeline *pipeline, int64_t last_us)
{
	struct resumed resumed = {pipeline, last_us};

	listener_table_end_resumed(pipeline->listeners, end_listener, &resumed);
}

void pipeline_end_flows(struct pipeline *pipeline)
{
	flow_table_end_all(pipeline->flows);
}

uint64_t pipeline_end(struct pipeline *pipeline)
{
	flow_table_end_all(pipeline->flows);
	describe_flows(pipeline);
	name_table_tell_all(pipeline->names);
	tell_full_tables(pipeline);
	tell_ignored(pipeline);
	flush(pipeline, writer_put_last);
	return pipeline->no_room + (pipeline->batch ? batch_count(pipeline->batch) : 0);
}

void pipeline_counters(const struct pipeline *pipeline, struct pipeline_counters *ret_counters)
{
	*ret_counters = pipeline->counters;
	ret_counters->ignored = ignored_flows(pipeline->ignored);
	flow_table_counters(pipeline->flows, &ret_counters->flows);
	process_table_counters(pipeline->processes, &ret_counters->processes);
	name_table_counters(pipeline->names, &ret_counters->names);
	nat_table_counters(pipeline->nat, &ret_counters->nat);
	ret_counters->listeners = listener_table_count(pipeline->listeners);
	ret_counters->listeners_refused = listener_table_refused(pipeline->listeners);
}

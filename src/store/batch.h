/* Records on their way from the loop to the writer. A batch is filled by one thread, then handed
 * over whole; whoever has it owns it. */
#ifndef LASTCONN_STORE_BATCH_H
#define LASTCONN_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "flow/clock_step.h"
#include "flow/coverage.h"
#include "flow/flow_name.h"
#include "flow/flow_record.h"
#include "flow/nat_mapping.h"
#include "process/listener.h"
#include "process/name_record.h"
#include "process/process.h"

struct batch; /* growing arrays; strings in an arena of its own */

int batch_new(size_t max_records, struct batch **ret_batch); /* 0 or -ENOMEM */
void batch_free(struct batch *batch);
void batch_clear(struct batch *batch); /* keeps its memory, gives back what grew far beyond use */

/* Copies the record. Returns 0; -ENOSPC if the batch holds max_records; -ENOMEM. */
int batch_add_process(struct batch *batch, const struct process_info *info);
int batch_add_flow(struct batch *batch, const struct flow_record *record);
int batch_add_listener(struct batch *batch, const struct listener_record *record);
int batch_add_coverage(struct batch *batch, const struct coverage_record *record);
int batch_add_name(struct batch *batch, const struct name_record *record);

/* Names the flow of that index. Returns 0 or -ENOMEM. */
int batch_name_flow(struct batch *batch, size_t index, const struct flow_name *name);

/* Tells what the ends of the flow of that index are beyond a NAT. Returns 0 or -ENOMEM. */
int batch_translate_flow(struct batch *batch, size_t index, const struct nat_ends *ends);

/* What the source had told before this position of its own is in this batch or an earlier one; 0
 * after batch_new and batch_clear. */
void batch_set_position(struct batch *batch, uint64_t position);
uint64_t batch_position(const struct batch *batch);

/* The wall clock was set: the times of all records become those of the new one. */
void batch_shift(struct batch *batch, int64_t step_us);

/* A step of the wall clock: batches before this one were filled by the old clock, this one has the
 * times of the new one. No step after batch_new and batch_clear. */
void batch_set_step(struct batch *batch, const struct clock_step *step);
const struct clock_step *batch_step(const struct batch *batch);

/* Of store_counters, when the first record was added; 0 after batch_new and batch_clear. */
void batch_set_look(struct batch *batch, int64_t look);
int64_t batch_look(const struct batch *batch);

size_t batch_count(const struct batch *batch);  /* all records */
size_t batch_octets(const struct batch *batch); /* memory held */
size_t batch_flows(const struct batch *batch);  /* flow records of kind END */
size_t batch_processes(const struct batch *batch);

/* The records, in the order they were added; each returns NULL past the end. */
const struct process_info *batch_process(const struct batch *batch, size_t index);
const struct flow_record *batch_flow(const struct batch *batch, size_t index);
const struct listener_record *batch_listener(const struct batch *batch, size_t index);
const struct coverage_record *batch_coverage(const struct batch *batch, size_t index);
const struct name_record *batch_name(const struct batch *batch, size_t index);

/* The name of the flow of that index; its text is NULL if it has none. */
struct flow_name batch_flow_name(const struct batch *batch, size_t index);

/* The ends of the flow of that index beyond a NAT; NULL if no NAT is known. */
const struct nat_ends *batch_flow_nat(const struct batch *batch, size_t index);

#endif

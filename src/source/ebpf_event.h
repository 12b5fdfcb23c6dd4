/* Translates the events of the BPF programs (bpf/flow_event.h) into what a source says. Knows no
 * libbpf, so that it can be tested with made-up events. */
#ifndef LASTCONN_SOURCE_EBPF_EVENT_H
#define LASTCONN_SOURCE_EBPF_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/flow_event.h"
#include "source/source.h"

/* Process, fork, exit, listener, flow and name events go to the sink. Events of the other types,
 * and what is too short for its type, are left alone: returns false for them. */
bool ebpf_event_dispatch(const void *data, size_t size, const struct source_sink *sink);

/* Does the event only say who the processes are? */
bool ebpf_event_is_process(const void *data, size_t size);

/* Octets of the event that begins at data, as iterators write them: padded to 8; 0 if there are not
 * enough to tell. */
size_t ebpf_event_size(const void *data, size_t size);

/* The observation that a flow event tells. */
void ebpf_event_observation(const struct event_flow *event, struct observation *ret_observation);

#endif

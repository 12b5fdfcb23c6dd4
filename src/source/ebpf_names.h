/* Names out of the packets that the kernel source hands over: struct event_head in, evidence out.
 * Nothing of a packet is believed but what the kernel put beside it: ends, direction, namespace. */
#ifndef LASTCONN_SOURCE_EBPF_NAMES_H
#define LASTCONN_SOURCE_EBPF_NAMES_H

#include <stddef.h>

#include "source/source.h"

struct ebpf_names;

/* The sink is borrowed and has a name. Returns 0 or -ENOMEM. */
int ebpf_names_new(const struct source_sink *sink, struct ebpf_names **ret_names);
void ebpf_names_free(struct ebpf_names *names); /* NULL is fine */

/* Before a lot of packets: what the wall clock is ahead of theirs. */
void ebpf_names_set_clock(struct ebpf_names *names, int64_t wall_offset_ns);

/* An event as the kernel wrote it, size octets. Events of other types are passed over. */
void ebpf_names_take(struct ebpf_names *names, const void *data, size_t size);

#endif

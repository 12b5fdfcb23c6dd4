/* Climbs the ladder: loads and attaches, slot by slot, the best programs that the kernel takes.
 *
 * Each slot is an object of its own that shares its maps with the others, so that one refused
 * program costs nobody else anything and nothing has to be guessed or loaded twice. */
#ifndef LASTCONN_SOURCE_EBPF_LADDER_H
#define LASTCONN_SOURCE_EBPF_LADDER_H

#include <stddef.h>

#include "source/ebpf_pin.h"
#include "source/ebpf_slots.h"
#include "source/source_ebpf.h"

struct ebpf_ladder;

/* Makes the maps and serves the slots tcp and use, which tell what maps the kernel lets us have; or
 * takes over the maps in pin. Returns 0 or negative errno. options and pin are borrowed for good;
 * pin may be NULL. */
int ebpf_ladder_new(const struct source_ebpf_options *options, struct ebpf_pin *pin,
	struct ebpf_ladder **ret_ladder);
void ebpf_ladder_free(struct ebpf_ladder *ladder); /* detaches everything that is not pinned */

bool ebpf_ladder_adopted(const struct ebpf_ladder *ladder); /* the maps were there before */

/* Serves the other slots, in order. Returns 0, or negative errno of the first required slot that no
 * rung serves. */
int ebpf_ladder_climb(struct ebpf_ladder *ladder);

const struct source_slot *ebpf_ladder_slots(const struct ebpf_ladder *ladder);

int ebpf_ladder_map(const struct ebpf_ladder *ladder, const char *name); /* its descriptor */

/* A new run of the index-th iterator of the slot's serving rung. Returns its descriptor, -ENOENT
 * where there is no such iterator, or negative errno. */
int ebpf_ladder_iterate(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot, size_t index);

/* The descriptor of the index-th program of the slot's serving rung, or -ENOENT. */
int ebpf_ladder_program(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot, size_t index);

/* How often, in all, the kernel ran past the slot's programs without running them because one was
 * interrupted right then (bpf_prog_info.recursion_misses); 0 before Linux 5.12. */
uint64_t ebpf_ladder_skips(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot);

#endif

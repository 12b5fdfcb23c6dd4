/* The slots of the kernel source, the programs that can serve them, and the trying out. */
#ifndef LASTCONN_SOURCE_EBPF_SLOTS_H
#define LASTCONN_SOURCE_EBPF_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "source/source_ebpf.h"

struct bpf_object;

enum { EBPF_SLOT_PROGRAMS_MAX = 3 };

struct ebpf_slot {
	struct source_slot public;
	bool required;                                /* without it there is no kernel source */
	bool iterator;                                /* attached by whoever runs it */
	const char *programs[EBPF_SLOT_PROGRAMS_MAX]; /* all of them serve the slot together */
};

/* Fills slots[] (at most max) with all slots, none served yet. Returns their number. */
size_t ebpf_slots_all(struct ebpf_slot *slots, size_t max);

/* Marks the slots named in the comma separated list as not to be used (error ECANCELED). Returns 0,
 * or -EINVAL if a name is not one of a slot. */
int ebpf_slots_disable(struct ebpf_slot *slots, size_t count, const char *names);

/* Sets which programs of the object are loaded: those of slots without an error. */
void ebpf_slots_select(const struct ebpf_slot *slots, size_t count, struct bpf_object *object);

#endif

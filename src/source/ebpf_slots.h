/* The slots of the kernel source and the programs that can serve them: the whole policy of what is
 * loaded. */
#ifndef LASTCONN_SOURCE_EBPF_SLOTS_H
#define LASTCONN_SOURCE_EBPF_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "source/source.h"

enum { EBPF_RUNG_PROGRAMS_MAX = 10 };

struct ebpf_rung {
	const char *name;
	const char *loss; /* against the rung above; NULL nothing */
	/* All of them serve the slot together; with '?' before its name: if the kernel has the
	 * function that it is attached to. */
	const char *programs[EBPF_RUNG_PROGRAMS_MAX];
};

enum ebpf_slot_index {
	EBPF_SLOT_TCP,
	EBPF_SLOT_CONNECT,
	EBPF_SLOT_USE,
	EBPF_SLOT_SPLICE,
	EBPF_SLOT_ACCEPT,
	EBPF_SLOT_DATAGRAM,
	EBPF_SLOT_ERROR,
	EBPF_SLOT_PACKET,
	EBPF_SLOT_BIND,
	EBPF_SLOT_RELEASE,
	EBPF_SLOT_PROCESS,
	EBPF_SLOT_RESOLVE,
	EBPF_SLOT_SNAPSHOT,
	EBPF_SLOT_SWEEP,
	EBPF_SLOT_NAMES, /* by the programs of slot datagram; not there if nobody wants names */
	EBPF_SLOT_COUNT,
};

struct ebpf_slot {
	const char *name;
	const char *loss; /* without it, in words */
	bool required;    /* without it there is no kernel source */
	bool owners_only; /* see source_slot */
	bool names_only;
	struct ebpf_rung rungs[SOURCE_RUNGS_MAX];
	/* Indexes of rungs, 0 none: fits only where the state of sockets is in the hash
	 * (maps.bpf.h); is partial, see source_slot. */
	size_t hash_rung, partial_rung;
};

const struct ebpf_slot *ebpf_slots_at(enum ebpf_slot_index index);

/* The index-th program's name, and may it be missing? */
const char *ebpf_slots_program(const struct ebpf_rung *rung, size_t index);
bool ebpf_slots_is_optional(const struct ebpf_rung *rung, size_t index);

/* Is one of the rung's programs in the comma separated list? list may be NULL. */
bool ebpf_slots_has_program(const struct ebpf_rung *rung, const char *list);

/* Is name in the comma separated list? list may be NULL. */
bool ebpf_slots_listed(const char *list, const char *name);

/* Is there a slot (a program) for each name in the list? NULL is fine. */
bool ebpf_slots_are_slots(const char *list);
bool ebpf_slots_are_programs(const char *list);

/* What is told of the slot: no rung tried yet. */
struct source_slot ebpf_slots_public(const struct ebpf_slot *slot);

#endif

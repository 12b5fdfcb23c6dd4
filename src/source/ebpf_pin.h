/* What is left in a BPF file system, so that the programs go on when lastconnd ends: maps, links
 * and a map with the state that the next lastconnd needs to take them over.
 *
 * The directory is lastconnd's alone: mode 0700, owned by its user, locked with flock(2) by the
 * daemon that uses it. */
#ifndef LASTCONN_SOURCE_EBPF_PIN_H
#define LASTCONN_SOURCE_EBPF_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/flow_event.h"
#include "source/ebpf_slots.h"

struct ebpf_pin;

enum { EBPF_PIN_PATH_MAX = 512, EBPF_PIN_LIBRARIES_MAX = 8 };

/* The value of the map "state": memory that lives on when the daemon is killed. */
struct ebpf_pin_state {
	uint64_t layout;             /* stands for programs, maps and options; 0: not complete */
	uint64_t ring;               /* random, tells this ring from others; never 0 */
	uint64_t starts;             /* of daemons that used it */
	uint64_t losses[LOSS_COUNT]; /* as told by a daemon whose word is stored */
	uint64_t skips[EBPF_SLOT_COUNT]; /* as losses */
	struct {
		int32_t serving; /* rung, -1 none */
		int32_t errors[SOURCE_RUNGS_MAX];
	} slots[EBPF_SLOT_COUNT];
	struct {
		uint64_t device, inode;
	} libraries[EBPF_PIN_LIBRARIES_MAX]; /* in which probes are pinned; inode 0: none */
};

/* Makes the directory if need be and locks it. Returns 0, or -1 with one line in why. */
int ebpf_pin_open(const char *directory, struct ebpf_pin **ret_pin, char *why, size_t why_size);
void ebpf_pin_free(struct ebpf_pin *pin); /* unlocks; leaves what is pinned. NULL is fine */

/* Is all there that a lastconnd of this layout left? Removes it if not. */
bool ebpf_pin_adopt(struct ebpf_pin *pin, uint64_t layout);

/* Begins anew, with a state of zeros and a new ring id. Returns 0 or negative errno. */
int ebpf_pin_begin(struct ebpf_pin *pin);

struct ebpf_pin_state *ebpf_pin_state(const struct ebpf_pin *pin); /* after either of these */

/* The path of a pinned map, link or program. Returns path. */
enum ebpf_pin_kind { EBPF_PIN_MAP, EBPF_PIN_LINK, EBPF_PIN_PROGRAM };
const char *ebpf_pin_path(const struct ebpf_pin *pin, enum ebpf_pin_kind kind, const char *name,
	char path[static EBPF_PIN_PATH_MAX]);

/* Is there a link under this name, and not something foreign? */
bool ebpf_pin_has_link(const struct ebpf_pin *pin, const char *name);

void ebpf_pin_drop(const struct ebpf_pin *pin, enum ebpf_pin_kind kind, const char *name);

/* Removes all that lastconnd pinned: programs without another reference are detached. */
void ebpf_pin_remove(struct ebpf_pin *pin);

/* The same for a daemon that is not running, and the directory. Root may do it for another user.
 * Returns 0, also if there is nothing, or -1 with one line in why. */
int ebpf_pin_unload(const char *directory, char *why, size_t why_size);

#endif

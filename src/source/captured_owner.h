/* The processes that packets name: gives each a reference, and tells the sink who it is.
 *
 * A capture has no start times and no execs: programs of one pid are told apart by what is said of
 * them, which makes the reference's exec_id, by a key that is drawn for each capture. So the same
 * pid in two captures is two processes. A process is told again when another one took its place in
 * told[]; that changes nothing but costs time.
 *
 * Limit: CAPTURED_OWNER_BLOCKS process blocks a section, or what memory there is; packets that name
 * a later one have no process, counted in refused. */
#ifndef LASTCONN_SOURCE_CAPTURED_OWNER_H
#define LASTCONN_SOURCE_CAPTURED_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/captured.h"
#include "source/source.h"
#include "util/hash.h"

enum { CAPTURED_OWNER_TOLD = 4096, CAPTURED_OWNER_BLOCKS = 65536 };

struct captured_owners {
	const struct source_sink *sink;
	struct hash_key hash_key;
	uint64_t told[CAPTURED_OWNER_TOLD]; /* hashes of what the sink heard */
	struct process_ref *blocks;         /* of this section, in order */
	size_t block_count, block_room;
	bool full;        /* a block of this section was refused: those behind it have no place */
	uint64_t refused; /* process blocks without room */
};

/* The sink must outlive the owners. */
void captured_owners_init(
	struct captured_owners *owners, const struct source_sink *sink, struct hash_key hash_key);
void captured_owners_done(struct captured_owners *owners);

/* All zero if pid is 0. */
struct process_ref captured_owners_ref(
	struct captured_owners *owners, const struct captured_process *process);

/* The process blocks of pcapng files: a new section, the next block, what its packets name. */
void captured_owners_begin_section(struct captured_owners *owners);
void captured_owners_add_block(
	struct captured_owners *owners, const struct captured_process *process);
struct process_ref captured_owners_of_block(const struct captured_owners *owners, int64_t index);

#endif

/* The processes that flows may name: the living ones, and the dead ones for as long as there is
 * room. Pure. Fed by exec, fork and exit; asked by attribution.
 *
 * Limits: max_processes entries, and PROCESS_TABLE_TEXT_OCTETS for each of them on average, so that
 * long command lines cannot fill the memory. At a limit the entry dead for longest goes, and if
 * none is dead the oldest, counted in evicted. A forked child shares its parent's strings until it
 * execs. */
#ifndef LASTCONN_PROCESS_PROCESS_TABLE_H
#define LASTCONN_PROCESS_PROCESS_TABLE_H

#include <stddef.h>

#include "process/process.h"
#include "util/hash.h"

struct process_table;

enum { PROCESS_TABLE_TEXT_OCTETS = 512 };

struct process_table_counters {
	uint64_t added;
	uint64_t evicted; /* table full */
	uint64_t failed;  /* out of memory */
	size_t count;
	size_t text_octets; /* of all strings held */
};

int process_table_new(size_t max_processes, struct hash_key hash_key,
	struct process_table **ret_table); /* 0 or -ENOMEM */
void process_table_free(struct process_table *table);

/* A record made at exec or at a process's first socket act; replaces what was known of info->ref.
 * Strings are copied. Parts that info lacks ("", 0, no uid) are kept from the entry before. */
void process_table_put(struct process_table *table, const struct process_info *info);

/* child shares what is known of parent, under its own pid. */
void process_table_fork(struct process_table *table, const struct process_ref *child,
	const struct process_ref *parent);

void process_table_exit(struct process_table *table, const struct process_ref *ref);

/* The entry of ref; not another run of the same process, which would name the wrong program.
 * Returns false if there is none. *ret_info borrows strings until the next call that changes the
 * table. */
bool process_table_find(const struct process_table *table, const struct process_ref *ref,
	struct process_info *ret_info);

/* Which entries the store has: set when handed over, all forgotten when a batch was lost. */
bool process_table_is_stored(const struct process_table *table, const struct process_ref *ref);
void process_table_set_stored(struct process_table *table, const struct process_ref *ref);
void process_table_forget_stored(struct process_table *table);

void process_table_counters(
	const struct process_table *table, struct process_table_counters *ret_counters);

#endif

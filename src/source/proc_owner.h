/* Which process holds a socket: looks for the socket's inode among the descriptors in /proc. For
 * any source that knows sockets, and not who uses them.
 *
 * Strangers' descriptors need CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. A look is bounded in time;
 * what it did not reach is looked at by the next. */
#ifndef LASTCONN_SOURCE_PROC_OWNER_H
#define LASTCONN_SOURCE_PROC_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/process_ref.h"

struct proc_owner;

struct proc_owner_want {
	uint32_t inode;
	bool sought;      /* out: everybody who may hold it was looked at */
	int64_t since_ns; /* the socket is not older than this, CLOCK_BOOTTIME; 0 unknown */
	/* Out: who holds it, all zero nobody known. Of several that hold it, the one from which the
	 * others inherited it; if they are no family, none. */
	struct process_ref owner;
};

/* proc: "/proc", borrowed. */
int proc_owner_new(const char *proc, struct proc_owner **ret_owner); /* 0 or -ENOMEM */
void proc_owner_free(struct proc_owner *owner);

/* Fills in the wants, and sorts them by inode. likely: processes, sorted by pid, that are looked at
 * first. Returns 0, or negative errno if /proc cannot be read. */
int proc_owner_find(struct proc_owner *owner, struct proc_owner_want *wants, size_t want_count,
	const struct process_ref *likely, size_t likely_count);

/* May we read the descriptors of other users' processes? 0 or negative errno. */
int proc_owner_check(const char *proc);

#endif

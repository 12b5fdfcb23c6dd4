/* Which process holds a socket: looks for the socket's inode among the descriptors in /proc. For
 * any source that knows sockets, and not who uses them.
 *
 * Strangers' descriptors need CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. A look goes on in slices of
 * bounded time until it is over. */
#ifndef LASTCONN_SOURCE_PROC_OWNER_H
#define LASTCONN_SOURCE_PROC_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/process_ref.h"

struct proc_owner;

struct proc_owner_want {
	uint32_t inode;
	int64_t since_ns; /* the socket is not older than this, CLOCK_BOOTTIME; 0 unknown */
	/* Out: who holds it, all zero nobody known. Of several that hold it, the one from which the
	 * others inherited it; if they are no family, none. */
	struct process_ref owner;
};

/* proc: "/proc", borrowed. */
int proc_owner_new(const char *proc, struct proc_owner **ret_owner); /* 0 or -ENOMEM */
void proc_owner_free(struct proc_owner *owner);

/* Begins a look. The wants, which are sorted by inode, are borrowed until it is over. likely:
 * processes, sorted by pid, that are looked at first. Returns 0, -ENOMEM, or the error of reading
 * /proc. */
int proc_owner_begin(struct proc_owner *owner, struct proc_owner_want *wants, size_t want_count,
	const struct process_ref *likely, size_t likely_count);
bool proc_owner_is_looking(const struct proc_owner *owner);
/* Goes on until end_ns (CLOCK_BOOTTIME). True: the look is over, and the owners are filled in. */
bool proc_owner_look(struct proc_owner *owner, int64_t end_ns);

/* May we read the descriptors of other users' processes? 0 or negative errno. */
int proc_owner_check(const char *proc);

#endif

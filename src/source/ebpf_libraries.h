/* The C libraries whose getaddrinfo is watched (slot resolve): those in the usual places of this
 * machine, and those that its processes load, of containers say.
 *
 * A library is found when a process that has it loaded is looked at, soon after it began or first
 * used a socket: what was asked for before, and what short-lived processes with a library of their
 * own ask for, is not seen. It is let go when no process has it loaded any more, within a sweep,
 * for a probe keeps its file system busy; those in the usual places stay, and what takes their
 * place (an upgrade) is watched with the next sweep. The probes in those places go on without a
 * daemon, if they can be pinned (Linux 5.15); none else do, for nobody would let them go. Programs
 * that are linked with their C library, or have none (Go), are not seen.
 *
 * It may wait: for processes, file systems and the kernel. See ebpf_library_watch.h for who calls.
 *
 * Limits: EBPF_LIBRARIES_MAX libraries at a time; further ones are counted. Programs that were
 * looked at are remembered by a hash, in a table without chains: at worst they are looked at again.
 */
#ifndef LASTCONN_SOURCE_EBPF_LIBRARIES_H
#define LASTCONN_SOURCE_EBPF_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

#include "source/ebpf_pin.h"

enum { EBPF_LIBRARIES_MAX = 64 };

struct ebpf_libraries;

/* begin_fd and end_fd: the programs, borrowed for the call. pin: borrowed for good, may be NULL.
 * Returns 0 or negative errno. */
int ebpf_libraries_new(int begin_fd, int end_fd, const struct ebpf_pin *pin,
	struct ebpf_libraries **ret_libraries);
void ebpf_libraries_free(
	struct ebpf_libraries *libraries); /* takes the probes away; NULL is fine */

/* A process appeared: it will be looked at, unless that was done with one of the same key, which
 * stands for program and mount namespace; not 0. */
void ebpf_libraries_note(struct ebpf_libraries *libraries, uint64_t key, uint32_t pid);

/* Looks at the processes that were noted and are due. now_ns: any clock. */
void ebpf_libraries_look(struct ebpf_libraries *libraries, int64_t now_ns);

/* When the next one is due, on that clock; INT64_MAX never. */
int64_t ebpf_libraries_due_ns(const struct ebpf_libraries *libraries);

/* What changed in the usual places; which libraries nobody has loaded any more. */
void ebpf_libraries_sweep(struct ebpf_libraries *libraries);

/* Libraries so far that found no room, and processes. */
uint64_t ebpf_libraries_refused(const struct ebpf_libraries *libraries);

#endif

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
 * Limits: EBPF_LIBRARIES_MAX libraries at a time; further ones are told as a loss. Programs that
 * were looked at are remembered by a hash, in a table without chains: at worst they are looked at
 * again.
 */
#ifndef LASTCONN_SOURCE_EBPF_LIBRARIES_H
#define LASTCONN_SOURCE_EBPF_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/flow_event.h"
#include "source/ebpf_pin.h"
#include "source/source.h"

enum { EBPF_LIBRARIES_MAX = 64 };

struct ebpf_libraries;

/* begin_fd and end_fd: the programs, borrowed for good as is pin, which may be NULL. Returns 0 or
 * -ENOMEM. */
int ebpf_libraries_new(int begin_fd, int end_fd, const struct ebpf_pin *pin,
	struct ebpf_libraries **ret_libraries);
void ebpf_libraries_free(
	struct ebpf_libraries *libraries); /* takes the probes away; NULL is fine */

/* What is in the pin goes: it is not used any more. */
void ebpf_libraries_forget_pin(struct ebpf_libraries *libraries);

/* A process appeared: it will be looked at. size: of the whole event. */
void ebpf_libraries_note(
	struct ebpf_libraries *libraries, const struct event_process *event, size_t size);

/* Looks at the processes that were noted, a few at a time, and reads one library at most: anybody
 * can make large ones. now_ns: any clock. */
void ebpf_libraries_look(
	struct ebpf_libraries *libraries, int64_t now_ns, const struct source_sink *sink);

/* What changed in the usual places; which libraries nobody has loaded any more. */
void ebpf_libraries_sweep(struct ebpf_libraries *libraries, const struct source_sink *sink);

#endif

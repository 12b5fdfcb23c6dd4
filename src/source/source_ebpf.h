/* The kernel source: BPF programs that see every socket together with its process. Linux only.
 *
 * Owner of the programs and maps; nothing is pinned, so all is gone with the process. Needs
 * CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and, to read strangers' /proc at the start, CAP_SYS_PTRACE.
 */
#ifndef LASTCONN_SOURCE_SOURCE_EBPF_H
#define LASTCONN_SOURCE_SOURCE_EBPF_H

#include <stddef.h>
#include <stdint.h>

#include "source/source.h"

struct source_ebpf;

struct source_ebpf_options {
	size_t ring_octets;      /* ring buffer, power of two and a multiple of the page size */
	uint32_t max_peers;      /* peers of datagram sockets beyond the first of each socket */
	uint32_t max_processes;  /* processes remembered as already reported */
	int64_t idle_timeout_ns; /* ends a datagram flow */
	const char
		*disable_slots; /* comma separated slot names to leave out, for tests; NULL none */
};

/* One slot: a thing to observe, and the program that serves it. */
struct source_slot {
	const char *name;    /* "tcp", "use", "datagram", ... */
	const char *program; /* name of the BPF program, NULL: the slot is not served */
	const char *loss;    /* what a user loses without it, in words */
	int error;           /* errno of the last refusal, positive; 0 none */
};

struct source_ebpf_error {
	int error;      /* errno, positive */
	char text[384]; /* one line with the mend */
};

/* Loads and attaches. 0 or -1.
 * The sink must outlive the source. Events come from source_ebpf_consume and _sweep only. */
int source_ebpf_new(const struct source_ebpf_options *options, const struct source_sink *sink,
	struct source_ebpf **ret_source, struct source_ebpf_error *ret_error);
void source_ebpf_free(struct source_ebpf *source);

/* Readable when the ring is a quarter full; consume on a timer too. */
int source_ebpf_fd(const struct source_ebpf *source);

/* Hands what is in the ring to the sink. Returns the number of events or negative errno. */
int source_ebpf_consume(struct source_ebpf *source);

/* Snapshot of what was there before: call once after _new, when the sink is ready. */
int source_ebpf_snapshot(struct source_ebpf *source);

/* Reports every open flow's counters so far, and what was lost since the last sweep. */
int source_ebpf_sweep(struct source_ebpf *source);

const struct source_slot *source_ebpf_slots(const struct source_ebpf *source, size_t *ret_count);

const char *source_ebpf_library_version(void); /* of libbpf */

#endif

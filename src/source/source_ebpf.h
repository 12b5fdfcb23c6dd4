/* The kernel source: BPF programs that see every socket together with its process. Linux only.
 *
 * Owner of the programs and maps; unless they are pinned all is gone with the process. Needs
 * CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and, to read strangers' /proc at the start, CAP_SYS_PTRACE.
 */
#ifndef LASTCONN_SOURCE_SOURCE_EBPF_H
#define LASTCONN_SOURCE_SOURCE_EBPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/source.h"

struct source_ebpf_options {
	const char *pin_directory; /* in a BPF file system; NULL: nothing is pinned */
	size_t ring_octets;        /* ring buffer, power of two and a multiple of the page size */
	uint32_t max_peers;        /* peers of datagram sockets beyond the first of each socket */
	uint32_t max_processes;    /* processes remembered as already reported */
	int64_t idle_timeout_ns;   /* ends a datagram flow */
	bool hear_names;           /* what sockets say hosts are called; the sink has a name */
	/* For tests: comma separated names of slots to leave out, and of programs whose rungs are
	 * to be taken as refused; NULL none. */
	const char *disable_slots;
	const char *disable_programs;
};

struct source_ebpf_error {
	int error;      /* errno, positive */
	bool usage;     /* a mistake in the options */
	char text[384]; /* one line with the mend */
};

/* Loads and attaches, or takes over what a former daemon pinned. 0 or -1. After 0 ret_error->text
 * is a warning, "" none. The sink must outlive the source. */
int source_ebpf_new(const struct source_ebpf_options *options, const struct source_sink *sink,
	struct source **ret_source, struct source_ebpf_error *ret_error);

/* Removes what a daemon left in the kernel. Returns 0, also if there is nothing, or -1. */
int source_ebpf_unload(const char *pin_directory, struct source_ebpf_error *ret_error);

const char *source_ebpf_library_version(void); /* of libbpf */

#endif

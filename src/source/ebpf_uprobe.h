/* Probes at functions of programs and libraries (uprobes), set by hand: libbpf wants the object of
 * the program, which is closed by the time that a file is found to set one in. */
#ifndef LASTCONN_SOURCE_EBPF_UPROBE_H
#define LASTCONN_SOURCE_EBPF_UPROBE_H

#include <stdbool.h>
#include <stdint.h>

/* BPF_TRACE_UPROBE_MULTI, which the programs are to be loaded with; kernels that do not know it do
 * not mind. */
enum { EBPF_UPROBE_ATTACH_TYPE = 48 };

/* Runs the program whenever the function at this offset of the open file begins, or returns, in any
 * process. Returns a descriptor whose close(2) ends that, unless it is pinned; or negative errno.
 * Needs CAP_PERFMON. */
int ebpf_uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return);

/* Are probes granted, with the capabilities that this thread has now? Tries the programs on a
 * function of our own. Returns 0 or negative errno. */
int ebpf_uprobe_check(int begin_fd, int end_fd);

/* The same, and: can a process return from a probed function whose system calls are restricted?
 * -ENOTRECOVERABLE: that kills it (Linux 6.11 to 6.13, where a probed function returns by a system
 * call of its own, before seccomp let that pass). */
int ebpf_uprobe_try(int begin_fd, int end_fd);

#endif

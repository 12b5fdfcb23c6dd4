/* Reads of /proc, a process at a time. proc is the directory: "/proc". */
#ifndef LASTCONN_SOURCE_PROC_READ_H
#define LASTCONN_SOURCE_PROC_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/process_ref.h"

enum { PROC_COMM_SIZE = 64 }; /* kernel threads' are longer than TASK_COMM_LEN */

struct proc_stat {
	/* start_ns is cut to a clock tick. exec_id is made of the place of the stack, which execve
	 * throws anew, and of the program's end, for those without ASLR: the kernel's own count is
	 * not told. 0 for strangers without CAP_SYS_PTRACE. */
	struct process_ref ref;
	uint32_t parent_pid;
	bool kernel_thread;
	char comm[PROC_COMM_SIZE]; /* any octets but NUL */
};

/* Returns 0 or negative errno; -ESRCH or -ENOENT if there is no such process. */
int proc_read_stat(const char *proc, uint32_t pid, struct proc_stat *ret_stat);

/* A small file of the process, e.g. "cgroup", or the target of a link, e.g. "exe"; cut at dst_size,
 * not NUL-terminated. Return the number of octets or negative errno. */
int proc_read_file(const char *proc, uint32_t pid, const char *name, char *dst, size_t dst_size);
int proc_read_link(const char *proc, uint32_t pid, const char *name, char *dst, size_t dst_size);

/* Arguments of the process as in memory (NUL-ended each), if it is still the one that started at
 * start_ns (CLOCK_BOOTTIME; /proc tells it to a clock tick). Returns the number of octets, or
 * negative errno; -ESRCH if the pid is another process by now. */
int proc_read_cmdline(
	const char *proc, uint32_t pid, uint64_t start_ns, char *dst, size_t dst_size);

int64_t proc_tick_ns(void);

#endif

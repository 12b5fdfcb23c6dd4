/* Reads of /proc for what the kernel side cannot give: another process's command line. */
#ifndef LASTCONN_SOURCE_PROC_READ_H
#define LASTCONN_SOURCE_PROC_READ_H

#include <stddef.h>
#include <stdint.h>

/* Arguments of the process as in memory (NUL-ended each), if it is still the one that started at
 * start_ns (CLOCK_BOOTTIME; /proc tells it to a clock tick). proc: "/proc". Returns the number of
 * octets, or negative errno; -ESRCH if the pid is another process by now. */
int proc_read_cmdline(
	const char *proc, uint32_t pid, uint64_t start_ns, char *dst, size_t dst_size);

#endif

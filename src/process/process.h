/* One program run as a source describes it. Plain value with borrowed strings. */
#ifndef LASTCONN_PROCESS_PROCESS_H
#define LASTCONN_PROCESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/process_ref.h"

#define PROCESS_UID_NONE UINT32_MAX /* loginuid of what no login started; uid that is unknown */

enum {
	PROCESS_PATH_MAX = 4096,    /* octets of a path, with NUL */
	PROCESS_CMDLINE_MAX = 4096, /* octets of a stored command line, with NUL */
	PROCESS_ANCESTORS_MAX = 32, /* generations followed */
};

enum process_flags {
	PROCESS_EXE_DELETED = 0x01,   /* the file was unlinked when the record was made */
	PROCESS_EXE_MEMFD = 0x02,     /* memfd_create(2): there never was a file */
	PROCESS_EXE_TRUNCATED = 0x04, /* path deeper or longer than the kernel side follows */
	PROCESS_CMDLINE_TRUNCATED = 0x08,
	PROCESS_KERNEL_THREAD = 0x10,
	PROCESS_POLLED = 0x20, /* read from /proc, not made in the kernel */
};

struct process_info {
	struct process_ref ref;
	struct process_ref parent; /* real_parent; exec_id as of then */
	uint32_t uid;              /* real uid, initial user namespace */
	uint32_t loginuid;         /* audit login uid; PROCESS_UID_NONE */
	uint32_t netns;            /* inode number */
	uint32_t inner_pid;        /* in its own pid namespace */
	uint32_t flags;            /* enum process_flags */
	const char *comm;          /* of the group leader; "" unknown. This, exe, cmdline and cgroup
				    * are valid UTF-8 */
	const char *exe; /* absolute path as the process's own root shows it; a name without slash
			  * where the source knows no path; "" unknown */
	const char *arguments; /* as the source has them, with all secrets: each ended by NUL (the
				* last one perhaps not). Not UTF-8. NULL once cmdline is made */
	size_t arguments_length;
	const char *cmdline; /* what may be stored of them, see cmdline.h; "" unknown */
	const char *cgroup;  /* path in the cgroup v2 hierarchy, or in a v1 one if that is its
			      * root; "" unknown or the root of all; of
			      * a capture file: a slash and the container's id */
};

#endif

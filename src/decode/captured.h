/* What a capture file says of a process. Plain value with borrowed texts.
 *
 * The texts are octets of a stranger: without NUL at the end, of any length, not always UTF-8. */
#ifndef LASTCONN_DECODE_CAPTURED_H
#define LASTCONN_DECODE_CAPTURED_H

#include <stddef.h>
#include <stdint.h>

#define CAPTURED_UID_NONE UINT32_MAX

struct captured_text {
	const char *at; /* NULL only if length is 0 */
	size_t length;
};

struct captured_process {
	uint32_t pid;              /* 0: nobody is named */
	uint32_t uid;              /* CAPTURED_UID_NONE: not told */
	uint32_t parent_pid;       /* 0: not told */
	struct captured_text name; /* as the kernel calls it, short */
	struct captured_text exe, cmdline;
	struct captured_text parent_exe, parent_cmdline;
	struct captured_text container; /* id: 64 hex digits */
};

/* A pid as written by a kernel whose pid_t is signed: -1 is nobody. Nor can 0, the kernel itself,
 * be told from nobody. */
static inline uint32_t captured_pid(uint32_t pid)
{
	return pid > INT32_MAX ? 0 : pid;
}

#endif

/* Which system calls are granted: a pure table. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_CALLS_H
#define LASTCONN_DAEMON_PRIVILEGE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the process does. */
enum privilege_calls {
	PRIVILEGE_CALLS_ALWAYS = 1 << 0,
	PRIVILEGE_CALLS_LIVE = 1 << 1,       /* records this machine */
	PRIVILEGE_CALLS_CAPTURE = 1 << 2,    /* captures packets */
	PRIVILEGE_CALLS_BPF = 1 << 3,        /* reads maps and iterators */
	PRIVILEGE_CALLS_PROBE = 1 << 4,      /* attaches probes */
	PRIVILEGE_CALLS_NAMESPACES = 1 << 5, /* enters network namespaces */
	PRIVILEGE_CALLS_SANITIZER = 1 << 6,  /* what AddressSanitizer does at the end */
};

/* A call, or some uses of it: an argument, masked, has this value. */
struct privilege_call {
	const char *name;
	uint64_t mask, value;
	uint64_t mask2, value2; /* of a second condition */
	unsigned for_what;      /* any of enum privilege_calls */
	unsigned argument, argument2;
	bool some, further; /* has the first, the second condition */
};

/* NULL past the end. */
const struct privilege_call *privilege_calls_at(size_t index);

/* For these needs, enum privilege_need. 0: reads files. */
unsigned privilege_calls_for(unsigned needs);

#endif

/* Which capability is kept for what: a pure table. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_NEED_H
#define LASTCONN_DAEMON_PRIVILEGE_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/source.h"

/* What a running lastconnd does that may want a capability. */
enum privilege_need {
	PRIVILEGE_NEED_NAT = 1 << 0,        /* conntrack is asked */
	PRIVILEGE_NEED_CAPTURE = 1 << 1,    /* interfaces are captured on */
	PRIVILEGE_NEED_POLL = 1 << 2,       /* owners of sockets are found in /proc */
	PRIVILEGE_NEED_NAMESPACES = 1 << 3, /* network namespaces are entered */
	PRIVILEGE_NEED_BPF = 1 << 4,        /* maps and iterators are read */
	PRIVILEGE_NEED_LIBRARIES = 1 << 5,  /* C libraries are looked for in /proc and probed */
	PRIVILEGE_NEED_FOREIGN = 1 << 6,    /* the history belongs to another than root */
	PRIVILEGE_NEED_FILES = 1 << 7,      /* capture files are others' */
	/* How little the kernel grants, as found by trying. */
	PRIVILEGE_WANTS_BPF = 1 << 8,
	PRIVILEGE_WANTS_PERFMON = 1 << 9,
	PRIVILEGE_WANTS_ADMIN = 1 << 10,
};

/* What a source that is open needs, but for what is to be tried. */
unsigned privilege_need_of(enum flow_source kind, const struct source_slot *slots, size_t count);

/* The needs that are those of the source's own threads, with what the kernel wants for them; the
 * rest is the loop's. */
unsigned privilege_need_threads(unsigned needs, unsigned wants);

/* The capabilities, 1 << number, that these needs keep. */
uint64_t privilege_need_set(unsigned needs);

/* The index-th capability of the table, with the reason for which these needs keep it, NULL if they
 * do not. False past the end. */
bool privilege_need_at(size_t index, unsigned needs, int *ret_capability, const char **ret_name,
	const char **ret_why);

#endif

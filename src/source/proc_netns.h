/* The network namespaces, and a way to ask each for its sockets. Plain table.
 *
 * Namespaces other than our own are found through the processes in them, and entered with setns(2)
 * for as long as it takes to open descriptors: that needs CAP_SYS_ADMIN and, to see where strangers
 * are, CAP_SYS_PTRACE. A descriptor keeps its namespace alive: proc_netns_drop it in time. */
#ifndef LASTCONN_SOURCE_PROC_NETNS_H
#define LASTCONN_SOURCE_PROC_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROC_NETNS_MAX = 256 };

struct proc_netns_one {
	uint32_t inode;
	int diag_fd;
	int events_fd; /* sock_diag_subscribe; negative errno if that is refused */
	bool inhabited;
};

struct proc_netns {
	const char *proc;
	int own_fd;                               /* of /proc/self/ns/net */
	struct proc_netns_one at[PROC_NETNS_MAX]; /* our own first */
	size_t count;
	size_t refused; /* namespaces beyond the limit, or that cannot be entered; of the last look
			 */
};

/* Opens our own. Returns 0 or negative errno; then there is nothing to close. */
int proc_netns_init(struct proc_netns *table, const char *proc);
void proc_netns_done(struct proc_netns *table);

/* May others be entered? 0 or negative errno. */
int proc_netns_check(const struct proc_netns *table);

/* Looks for new namespaces, and which of the known ones have processes. Returns 0, or negative
 * errno if this thread could not come back: then nothing may be opened any more. */
int proc_netns_refresh(struct proc_netns *table);

void proc_netns_drop(struct proc_netns *table, size_t index); /* the last one takes its place */

#endif

/* The sockets of this moment: tells the difference between two polls. Pure: no system calls, time
 * is an argument.
 *
 * A poll is begin, seen for each socket of the dumps, then report. A socket that two polls did not
 * show is gone, for a dump may skip one (sock_diag.h): its flow ends LOST at its last sighting,
 * unless word of its destruction came before. Of a flow that no poll saw only that word is told.
 *
 * A datagram socket that is not connected, and whose port the kernel chose (socket.given), is no
 * listener: it is told as a flow without remote end, for who knows its peers from elsewhere.
 *
 * Limit: max_sockets; past it new sockets are not followed, and counted as a loss. */
#ifndef LASTCONN_SOURCE_PROC_SOCKETS_H
#define LASTCONN_SOURCE_PROC_SOCKETS_H

#include "source/proc_owner.h"
#include "source/sock_diag.h"
#include "source/source.h"

struct proc_sockets;

/* The sink must outlive it. Returns 0 or -ENOMEM. */
int proc_sockets_new(
	size_t max_sockets, const struct source_sink *sink, struct proc_sockets **ret_sockets);
void proc_sockets_free(struct proc_sockets *sockets);

void proc_sockets_begin(struct proc_sockets *sockets, int64_t now_ns);
void proc_sockets_seen(struct proc_sockets *sockets, const struct sock_diag_socket *socket);

/* The sockets of this poll whose owner is to be looked for; at most max. */
size_t proc_sockets_wants(
	const struct proc_sockets *sockets, struct proc_owner_want *wants, size_t max);
/* The answer, sorted by inode. */
void proc_sockets_own(
	struct proc_sockets *sockets, const struct proc_owner_want *wants, size_t count);
/* Processes ended: does somebody else hold the sockets of those that do not live? */
void proc_sockets_orphan(struct proc_sockets *sockets,
	bool (*lives)(const void *ctx, const struct process_ref *owner), const void *ctx);

/* Observations of all sockets of this poll, and of those that are gone. complete: no dump failed,
 * so that what was not seen may be gone. */
void proc_sockets_report(struct proc_sockets *sockets, bool complete);

/* Word of a destroyed socket, at any time. */
void proc_sockets_destroyed(
	struct proc_sockets *sockets, const struct sock_diag_socket *socket, int64_t now_ns);

/* Is a socket of this network namespace followed? */
bool proc_sockets_has_netns(const struct proc_sockets *sockets, uint32_t netns);

#endif

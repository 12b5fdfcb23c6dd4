/* The source without BPF: polls the kernel for its sockets (sock_diag) and /proc for who holds
 * them. Linux only; needs no privileges at all, and sees more with CAP_SYS_PTRACE and
 * CAP_DAC_READ_SEARCH (owners of strangers' sockets) and CAP_SYS_ADMIN (other network namespaces);
 * with CAP_NET_ADMIN a storm loses fewer ends.
 *
 * What comes and goes between two polls is missed, or known without its process. Datagrams are not
 * counted. Owners are those who held the socket when it was polled: never guessed, but never better
 * than that either (FLOW_METHOD_PROCFS, PROCESS_POLLED). */
#ifndef LASTCONN_SOURCE_SOURCE_PROCFS_H
#define LASTCONN_SOURCE_SOURCE_PROCFS_H

#include "source/source.h"

struct source_procfs_options {
	size_t max_sockets;
	size_t max_processes;
	/* Datagram sockets that are not connected, and whose port the kernel chose, are sighted
	 * too, without remote end: for who sees their packets. */
	bool tell_given;
};

/* Returns 0 or negative errno. The sink must outlive the source. */
int source_procfs_new(const struct source_procfs_options *options, const struct source_sink *sink,
	struct source **ret_source);

#endif

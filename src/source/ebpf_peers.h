/* The peers of datagram sockets beyond each socket's first: reads the kernel's map, and joins its
 * rows with the owners of their sockets. */
#ifndef LASTCONN_SOURCE_EBPF_PEERS_H
#define LASTCONN_SOURCE_EBPF_PEERS_H

#include <stdint.h>

#include "bpf/flow_event.h"
#include "source/source.h"

struct ebpf_peers;

int ebpf_peers_new(int map_fd, int64_t idle_timeout_ns, struct ebpf_peers **ret_peers);
void ebpf_peers_free(struct ebpf_peers *peers);

/* Notes the owner of a socket (EVENT_SOCKET), or that it is gone (EVENT_SOCKET_GONE). */
void ebpf_peers_note(struct ebpf_peers *peers, const struct event_flow *socket);

/* Reports every peer: the end of those whose socket is gone or that are idle, a sighting of the
 * others; forgets the noted sockets. Those whose socket is gone stay in the map, marked as told at
 * this position of the source, until that is stored; 0: they do not. Returns how many stay more
 * than before, or negative errno. */
int ebpf_peers_sweep(struct ebpf_peers *peers, int64_t now_ns, uint64_t position,
	const struct source_sink *sink);

/* What was told up to this position is stored. */
void ebpf_peers_stored(struct ebpf_peers *peers, uint64_t position);

#endif

/* What the counters of a TCP socket tell of its connection, beyond themselves. Pure. */
#ifndef LASTCONN_SOURCE_SOCK_DIAG_TCP_H
#define LASTCONN_SOURCE_SOCK_DIAG_TCP_H

#include "source/sock_diag.h"

/* Who began: what was acknowledged beyond the payload is our SYN, and our FIN. */
enum flow_direction sock_diag_tcp_direction(const struct sock_diag_socket *socket);

/* Octets of payload received. before: the same socket earlier, or NULL. Exact for a living socket;
 * of a destroyed one (state CLOSE) one too few if the peer sent data since before but no FIN. */
uint64_t sock_diag_tcp_octets_in(
	const struct sock_diag_socket *socket, const struct sock_diag_socket *before);

/* How the destroyed socket's connection ended, as far as can be told; LOST if it cannot. */
enum flow_outcome sock_diag_tcp_outcome(const struct sock_diag_socket *socket,
	const struct sock_diag_socket *before, enum flow_direction direction);

/* connect(2) failed, SO_LINGER 0 or AF_UNSPEC: the kernel forgot the counters, tcp_disconnect(). */
bool sock_diag_tcp_forgotten(const struct sock_diag_socket *socket);

#endif

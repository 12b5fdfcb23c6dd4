/* Asks the kernel for its sockets, sock_diag(7): dumps, and word of each socket that is destroyed.
 *
 * A descriptor belongs to the network namespace in which it was opened. None of this needs
 * privileges; CAP_NET_ADMIN makes the buffer for destroyed sockets larger. A dump is no snapshot: a
 * socket may be skipped if its neighbours in the kernel's table go while it is read. */
#ifndef LASTCONN_SOURCE_SOCK_DIAG_H
#define LASTCONN_SOURCE_SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_key.h"

/* What struct tcp_info tells. acked counts our SYN (of a connect) and FIN as one octet each,
 * received the peer's FIN. */
struct sock_diag_tcp {
	uint64_t sent; /* payload, without retransmissions */
	uint64_t acked;
	uint64_t received;
	uint32_t segments_out;
	uint32_t segments_in;
	uint32_t data_segments_in;
	uint32_t retransmits;
	uint32_t rtt_us;
	bool unanswered; /* retransmissions or probes go without an answer */
};

struct sock_diag_socket {
	struct flow_key key; /* netns is left to who knows it */
	uint32_t inode;      /* of the socket's file; 0 none, or not told */
	uint32_t unread;     /* received; counts the peer's FIN */
	uint32_t unacked;    /* sent or to be sent; counts our FIN */
	uint8_t state;       /* TCP_ESTABLISHED, ..., of every protocol */
	bool counted;        /* tcp is filled in */
	bool given; /* the kernel chose the port of this datagram socket; left to who asks so */
	struct sock_diag_tcp tcp;
};

struct sock_diag_query {
	uint32_t states;  /* bits: 1 << TCP_ESTABLISHED, ... */
	uint8_t protocol; /* IANA number; IPPROTO_RAW: raw sockets of all protocols */
	bool bound_only;  /* only those with a port of their own choice */
	bool given_only;  /* only the others: the kernel chose their port */
};

typedef void sock_diag_visit(void *ctx, const struct sock_diag_socket *socket);

/* Return a descriptor or negative errno. */
int sock_diag_open(void);
int sock_diag_subscribe(void); /* non-blocking */

/* Visits the sockets of one family (AF_INET, AF_INET6). Returns 0 or negative errno; -ENOENT if the
 * kernel cannot dump this protocol. */
int sock_diag_dump(
	int fd, int family, const struct sock_diag_query *query, sock_diag_visit *visit, void *ctx);

/* Visits the sockets destroyed since the last call; of very many some only, the others wait.
 * Returns 0 or negative errno; -ENOBUFS if some were lost, after visiting the others. */
int sock_diag_destroyed(int fd, sock_diag_visit *visit, void *ctx);

/* From the payload of one netlink message. False if it is no socket. Pure. */
bool sock_diag_parse(
	const void *payload, size_t size, uint8_t protocol, struct sock_diag_socket *ret_socket);

#endif

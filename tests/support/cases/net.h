/* Sockets and processes for cases. What fails, ends the case with a reason. */
#ifndef LASTCONN_TESTS_CASES_NET_H
#define LASTCONN_TESTS_CASES_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

struct net_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length;
};

/* From text, IPv4 or IPv6 (v4-mapped too). */
struct net_address net_address(const char *ip, int port);
struct net_address net_name(int sock);
struct net_address net_peer(int sock);
int net_port(int sock);

int net_socket(const char *ip, int type, int protocol);
int net_bind(const char *ip, int type);      /* to a free port */
int net_listen(const char *ip, int backlog); /* TCP, at a free port */
int net_accept(int listener);
int net_connect(const char *ip, int port);                       /* TCP */
int net_connect_error(int sock, const struct net_address *peer); /* 0 or errno */

void net_option(int sock, int level, int name, int value);
void net_send(int sock, long octets);
void net_receive(int sock, long octets); /* exactly so many */
long net_receive_all(int sock);          /* until the end or a reset */
void net_splice_all(int sock);           /* the same by splice(2) */
void net_abort_on_close(int sock);       /* by a reset */

pid_t net_fork(void);
void net_reap(pid_t pid);   /* which must end well */
void net_finish(pid_t pid); /* kills and reaps it */
/* Hands a descriptor to whoever reads the other end of a Unix socket. */
void net_pass(int through, int fd);
int net_take(int through);

/* A gate between processes: closed until somebody opens it, once. */
struct net_gate {
	int fds[2];
};
struct net_gate net_gate(void);
void net_gate_open(struct net_gate *gate);
void net_gate_wait(struct net_gate *gate);

/* The calling process goes into a network namespace of its own; its loopback is up. */
void net_namespace(void);
void net_ip(const char *commands);                    /* ip -batch */
void net_sysctl(const char *name, const char *value); /* /proc/sys/net/NAME */

#endif

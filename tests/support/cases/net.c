/* Sockets and processes for cases. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

static int check(int result, const char *what)
{
	if (result < 0)
		truth_fail("%s: %s", what, strerror(errno));
	return result;
}

struct net_address net_address(const char *ip, int port)
{
	struct net_address address = {
		.v4 = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)},
		.length = sizeof(struct sockaddr_in)};

	if (inet_pton(AF_INET, ip, &address.v4.sin_addr) == 1)
		return address;
	address = (struct net_address){
		.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)},
		.length = sizeof(struct sockaddr_in6)};
	if (inet_pton(AF_INET6, ip, &address.v6.sin6_addr) != 1)
		truth_fail("%s is no address", ip);
	return address;
}

struct net_address net_name(int sock)
{
	struct net_address address = {.length = sizeof(struct sockaddr_in6)};

	check(getsockname(sock, &address.any, &address.length), "getsockname");
	return address;
}

struct net_address net_peer(int sock)
{
	struct net_address address = {.length = sizeof(struct sockaddr_in6)};

	check(getpeername(sock, &address.any, &address.length), "getpeername");
	return address;
}

int net_port(int sock)
{
	return ntohs(net_name(sock).v4.sin_port); /* at the same place for IPv6 */
}

int net_socket(const char *ip, int type, int protocol)
{
	int family = net_address(ip, 0).any.sa_family;
	int sock = socket(family, type | SOCK_CLOEXEC, protocol);

	if (sock < 0 && (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ||
				errno == EAFNOSUPPORT || errno == ENOPROTOOPT))
		truth_skip("this kernel has no family %d, type %d, protocol %d", family, type,
			protocol);
	return check(sock, "socket");
}

int net_bind(const char *ip, int type)
{
	struct net_address address = net_address(ip, 0);
	int sock = net_socket(ip, type, 0);

	if (strcmp(ip, "::") == 0)
		net_option(sock, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (bind(sock, &address.any, address.length) < 0 && errno == EADDRNOTAVAIL)
		truth_skip("this machine has no address %s", ip);
	return sock;
}

int net_listen(const char *ip, int backlog)
{
	int sock = net_bind(ip, SOCK_STREAM);

	check(listen(sock, backlog), "listen");
	return sock;
}

int net_accept(int listener)
{
	return check(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
}

int net_connect_error(int sock, const struct net_address *peer)
{
	return connect(sock, &peer->any, peer->length) < 0 ? errno : 0;
}

int net_connect(const char *ip, int port)
{
	struct net_address peer = net_address(ip, port);
	int sock = net_socket(ip, SOCK_STREAM, 0);

	check(connect(sock, &peer.any, peer.length), "connect");
	return sock;
}

void net_option(int sock, int level, int name, int value)
{
	check(setsockopt(sock, level, name, &value, sizeof(value)), "setsockopt");
}

void net_send(int sock, long octets)
{
	static const char data[65536];

	while (octets > 0) {
		size_t size = octets < (long)sizeof(data) ? (size_t)octets : sizeof(data);

		octets -= check((int)send(sock, data, size, MSG_NOSIGNAL), "send");
	}
}

void net_receive(int sock, long octets)
{
	char data[65536];

	while (octets > 0) {
		size_t size = octets < (long)sizeof(data) ? (size_t)octets : sizeof(data);
		int got = check((int)recv(sock, data, size, 0), "recv");

		if (got == 0)
			truth_fail("the other end closed with %ld octets to come", octets);
		octets -= got;
	}
}

long net_receive_all(int sock)
{
	char data[65536];
	long total = 0;
	ssize_t got;

	while ((got = recv(sock, data, sizeof(data), 0)) > 0)
		total += got;
	if (got < 0 && errno != ECONNRESET)
		truth_fail("recv: %s", strerror(errno));
	return total;
}

void net_splice_all(int sock)
{
	int sink = open("/dev/null", O_WRONLY | O_CLOEXEC), fds[2];
	ssize_t moved;

	if (sink < 0 || pipe2(fds, O_CLOEXEC) < 0)
		truth_fail("pipe: %s", strerror(errno));
	while ((moved = splice(sock, NULL, fds[1], NULL, 65536, 0)) > 0)
		if (splice(fds[0], NULL, sink, NULL, (size_t)moved, 0) != moved)
			truth_fail("splice: %s", strerror(errno));
	if (moved < 0)
		truth_fail("splice: %s", strerror(errno));
}

void net_abort_on_close(int sock)
{
	struct linger linger = {.l_onoff = 1};

	check(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), "SO_LINGER");
}

pid_t net_fork(void)
{
	return check(fork(), "fork");
}

void net_reap(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, 0), "waitpid");
	if (status != 0)
		truth_fail("a process of the case ended with status 0x%x", status);
}

void net_finish(pid_t pid)
{
	kill(pid, SIGKILL);
	check(waitpid(pid, NULL, 0), "waitpid");
}

union control {
	char octets[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

void net_pass(int through, int fd)
{
	union control control = {0};
	struct iovec octet = {.iov_base = (char[1]){0}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &octet,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	check((int)sendmsg(through, &message, 0), "sendmsg");
}

int net_take(int through)
{
	union control control = {0};
	struct iovec octet = {.iov_base = (char[1]){0}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &octet,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fd;

	check((int)recvmsg(through, &message, MSG_CMSG_CLOEXEC), "recvmsg");
	if (!CMSG_FIRSTHDR(&message))
		truth_fail("no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

struct net_gate net_gate(void)
{
	struct net_gate gate;

	check(pipe2(gate.fds, O_CLOEXEC), "pipe");
	return gate;
}

void net_gate_open(struct net_gate *gate)
{
	check((int)write(gate->fds[1], "", 1), "write");
}

void net_gate_wait(struct net_gate *gate)
{
	char octet;

	check((int)read(gate->fds[0], &octet, 1), "read");
}

void net_namespace(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int sock;

	if (unshare(CLONE_NEWNET) < 0)
		truth_skip("no network namespace of its own: %s", strerror(errno));
	sock = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
	check(ioctl(sock, SIOCSIFFLAGS, &request), "loopback");
	close(sock);
}

void net_ip(const char *commands)
{
	int fds[2];
	pid_t pid;

	check(pipe2(fds, O_CLOEXEC), "pipe");
	pid = net_fork();
	if (pid == 0) {
		dup2(fds[0], STDIN_FILENO);
		execlp("ip", "ip", "-batch", "-", (char *)NULL);
		truth_skip("needs the program ip");
	}
	check((int)write(fds[1], commands, strlen(commands)), "write");
	close(fds[0]);
	close(fds[1]);
	net_reap(pid);
}

void net_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		truth_skip("%s: %s", path, strerror(errno));
	close(fd);
}

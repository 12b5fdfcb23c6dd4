/* Each conversation is one server and one client process. The server tells its port through the
 * shared memory and a pipe; a process that hangs is ended by its alarm. */
#include "daemon/selftest_traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/selftest_uring.h"

enum { PATIENCE_S = 10, ANSWER = 700, QUESTION_MAX = 64 };

enum trait {
	OVER_IPV6 = 0x01,
	OVER_MAPPED = 0x02,  /* IPv4 through an IPv6 socket of the client */
	CHILD_SERVES = 0x04, /* accepted by one process, used by its child */
	PASSED_ON = 0x08,    /* the client's socket is connected by one process, used by another */
	BY_URING = 0x10,     /* the question goes through io_uring */
	OTHER_NAMESPACE = 0x20, /* in a network namespace of its own */
};

static const struct plan {
	const char *what;
	uint8_t protocol;
	unsigned int traits; /* enum trait */
} plans[] = {
	{"TCP between short-lived processes", IPPROTO_TCP, 0},
	{"TCP over IPv6", IPPROTO_TCP, OVER_IPV6},
	{"TCP to an IPv4-mapped address", IPPROTO_TCP, OVER_MAPPED},
	{"TCP accepted by a parent, used by its child", IPPROTO_TCP, CHILD_SERVES},
	{"TCP connected by one process, used by another", IPPROTO_TCP, PASSED_ON},
	{"TCP through io_uring", IPPROTO_TCP, BY_URING},
	{"TCP in another network namespace", IPPROTO_TCP, OTHER_NAMESPACE},
	{"UDP question and answer", IPPROTO_UDP, 0},
	{"UDP over IPv6", IPPROTO_UDP, OVER_IPV6},
};
_Static_assert(sizeof(plans) / sizeof(plans[0]) <= SELFTEST_TALKS_MAX, "room for all");

/* What the processes of one conversation share. */
struct stage {
	const struct plan *plan;
	struct selftest_talk *talk;
	int listening[2]; /* a pipe: an octet says that the server listens */
};

static void give_up(struct stage *stage, int error)
{
	stage->talk->skipped = error ? error : EIO;
	_exit(1);
}

static int must(struct stage *stage, int result)
{
	if (result < 0)
		give_up(stage, errno);
	return result;
}

/* Sockets. */

static socklen_t loopback(int family, uint16_t port, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};

	if (family == AF_INET) {
		memcpy(ret_address, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(ret_address, &v6, sizeof(v6));
	return sizeof(v6);
}

static uint16_t own_port(struct stage *stage, int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	uint16_t port;

	must(stage, getsockname(fd, (struct sockaddr *)&address, &size));
	/* sin_port and sin6_port are at the same place */
	memcpy(&port, (char *)&address + offsetof(struct sockaddr_in, sin_port), sizeof(port));
	return ntohs(port);
}

static int make_socket(struct stage *stage, int family)
{
	int type = stage->plan->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;

	return must(stage, socket(family, type | SOCK_CLOEXEC, 0));
}

static void read_exactly(struct stage *stage, int fd, size_t length)
{
	char octets[ANSWER];

	while (length > 0) {
		ssize_t got = recv(fd, octets, length, 0);

		if (got <= 0)
			give_up(stage, got < 0 ? errno : EPIPE);
		length -= (size_t)got;
	}
}

static pid_t fork_child(struct stage *stage)
{
	pid_t pid = must(stage, fork());

	if (pid == 0)
		alarm(PATIENCE_S);
	return pid;
}

/* A process that did not end well and did not say why had its alarm. */
static void wait_for(struct stage *stage, pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0 && !stage->talk->skipped)
		stage->talk->skipped = ETIMEDOUT;
}

/* The server. */

static void serve_stream(struct stage *stage, int listener)
{
	static const char answer[ANSWER];
	int fd = must(stage, accept(listener, NULL, NULL));
	bool child_serves = stage->plan->traits & CHILD_SERVES;
	pid_t child = child_serves ? fork_child(stage) : 0;

	if (child > 0) {
		close(fd);
		wait_for(stage, child);
		return;
	}
	stage->talk->server = getpid();
	read_exactly(stage, fd, stage->talk->question);
	must(stage, (int)send(fd, answer, ANSWER, MSG_NOSIGNAL));
	close(fd);
	if (child_serves)
		_exit(0);
}

static void serve_datagram(struct stage *stage, int fd)
{
	static const char answer[ANSWER];
	char question[QUESTION_MAX];
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);

	stage->talk->server = getpid();
	must(stage,
		(int)recvfrom(fd, question, sizeof(question), 0, (struct sockaddr *)&from, &size));
	must(stage, (int)sendto(fd, answer, ANSWER, 0, (struct sockaddr *)&from, size));
}

static void serve(struct stage *stage)
{
	int family = stage->plan->traits & OVER_IPV6 ? AF_INET6 : AF_INET;
	struct sockaddr_storage address = {0};
	socklen_t size = loopback(family, 0, &address);
	int fd = make_socket(stage, family);

	must(stage, bind(fd, (struct sockaddr *)&address, size));
	if (stage->plan->protocol == IPPROTO_TCP)
		must(stage, listen(fd, 1));
	stage->talk->server_port = own_port(stage, fd);
	must(stage, (int)write(stage->listening[1], "", 1));
	if (stage->plan->protocol == IPPROTO_TCP)
		serve_stream(stage, fd);
	else
		serve_datagram(stage, fd);
	close(fd);
	_exit(0);
}

/* The client. */

static int connect_to_server(struct stage *stage)
{
	int family = stage->plan->traits & (OVER_IPV6 | OVER_MAPPED) ? AF_INET6 : AF_INET;
	struct sockaddr_storage address = {0};
	socklen_t size = loopback(family, stage->talk->server_port, &address);
	int fd = make_socket(stage, family);

	if (stage->plan->traits & OVER_MAPPED)
		inet_pton(AF_INET6, "::ffff:127.0.0.1",
			&((struct sockaddr_in6 *)&address)->sin6_addr);
	must(stage, connect(fd, (struct sockaddr *)&address, size));
	stage->talk->client_port = own_port(stage, fd);
	return fd;
}

static void ask(struct stage *stage, int fd)
{
	static const char question[QUESTION_MAX];
	size_t length = stage->talk->question;
	int sent;

	stage->talk->client = getpid();
	if (stage->plan->traits & BY_URING) {
		sent = selftest_uring_send(fd, question, length);
		if (sent < 0)
			give_up(stage, -sent);
	} else {
		must(stage, (int)send(fd, question, length, MSG_NOSIGNAL));
	}
	read_exactly(stage, fd, ANSWER);
	close(fd);
}

/* unix(7), SCM_RIGHTS */
union passenger {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr aligned;
};

static void send_socket(struct stage *stage, int through, int fd)
{
	union passenger passenger = {0};
	char octet = 0;
	struct iovec from = {.iov_base = &octet, .iov_len = 1};
	struct msghdr message = {.msg_iov = &from,
		.msg_iovlen = 1,
		.msg_control = passenger.room,
		.msg_controllen = sizeof(passenger.room)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	must(stage, (int)sendmsg(through, &message, MSG_NOSIGNAL));
}

static int receive_socket(struct stage *stage, int through)
{
	union passenger passenger = {0};
	char octet;
	struct iovec into = {.iov_base = &octet, .iov_len = 1};
	struct msghdr message = {.msg_iov = &into,
		.msg_iovlen = 1,
		.msg_control = passenger.room,
		.msg_controllen = sizeof(passenger.room)};
	int fd = -1;

	must(stage, (int)recvmsg(through, &message, MSG_CMSG_CLOEXEC));
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return must(stage, fd);
}

static void ask_through_another(struct stage *stage)
{
	int ends[2], fd;
	pid_t user;

	must(stage, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	user = fork_child(stage);
	if (user == 0) {
		close(ends[1]);
		ask(stage, receive_socket(stage, ends[0]));
		_exit(0);
	}
	fd = connect_to_server(stage);
	send_socket(stage, ends[1], fd);
	close(fd);
	wait_for(stage, user);
}

static void be_client(struct stage *stage)
{
	char octet;

	close(stage->listening[1]);
	if (read(stage->listening[0], &octet, 1) != 1)
		_exit(1); /* the server has said why */
	if (stage->plan->traits & PASSED_ON)
		ask_through_another(stage);
	else
		ask(stage, connect_to_server(stage));
	_exit(0);
}

/* Both. */

static void enter_namespace(struct stage *stage)
{
	struct ifreq loopback_interface = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	must(stage, unshare(CLONE_NEWNET));
	fd = must(stage, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(stage, ioctl(fd, SIOCSIFFLAGS, &loopback_interface));
	close(fd);
}

/* A process that begins both ends, so that a namespace of its own is theirs only. */
static void direct(struct stage *stage)
{
	pid_t server, client;

	if (stage->plan->traits & OTHER_NAMESPACE)
		enter_namespace(stage);
	must(stage, pipe(stage->listening));
	server = fork_child(stage);
	if (server == 0)
		serve(stage);
	client = fork_child(stage);
	if (client == 0)
		be_client(stage);
	close(stage->listening[1]);
	wait_for(stage, client);
	if (stage->talk->skipped)
		kill(server, SIGTERM); /* it would wait for its alarm */
	wait_for(stage, server);
	_exit(0);
}

static const char *why_unpolled(const struct plan *plan)
{
	if (plan->traits & OTHER_NAMESPACE)
		return "polls miss a namespace that is gone at once, captures all but their own";
	if (plan->protocol == IPPROTO_UDP)
		return "polling does not see datagrams of a socket that is not connected, or short";
	return NULL;
}

static void make_talk(const struct plan *plan, struct selftest_talk *talk)
{
	struct stage stage = {.plan = plan, .talk = talk};
	pid_t director = fork();

	if (director == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		direct(&stage);
	}
	if (director < 0)
		talk->skipped = errno;
	else
		wait_for(&stage, director);
}

size_t selftest_traffic(struct selftest_talk talks[static SELFTEST_TALKS_MAX])
{
	size_t count = sizeof(plans) / sizeof(plans[0]);
	struct selftest_talk *shared = mmap(NULL, count * sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < count; i++) {
		shared[i] = (struct selftest_talk){.what = plans[i].what,
			.unpolled = why_unpolled(&plans[i]),
			.protocol = plans[i].protocol,
			.question = i + 1,
			.answer = ANSWER};
		make_talk(&plans[i], &shared[i]);
		talks[i] = shared[i];
	}
	munmap(shared, count * sizeof(*shared));
	return count;
}

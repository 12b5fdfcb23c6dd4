/* TCP: families, and the ways to connect and to move octets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

enum { BULK = 1048577, EARLY = 100 };

static void run_v4(void)
{
	pair_run(&(struct pair){0});
}

static void run_v6(void)
{
	pair_run(&(struct pair){.listen_on = "::1", .connect_to = "::1"});
}

static void run_mapped_client(void)
{
	pair_run(&(struct pair){.connect_to = "::ffff:127.0.0.1"});
}

static void run_mapped_server(void)
{
	pair_run(&(struct pair){.listen_on = "::"});
}

static void run_mapped(void)
{
	pair_run(&(struct pair){.listen_on = "::", .connect_to = "::ffff:127.0.0.1"});
}

static void run_two_addresses(void)
{
	pair_run(&(struct pair){.listen_on = "127.0.0.2", .connect_to = "127.0.0.2"});
}

static int connect_nonblocking(const char *ip, int port)
{
	int sock = net_socket(ip, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct net_address peer = net_address(ip, port);
	struct pollfd poll_for = {.fd = sock, .events = POLLOUT};
	int error = net_connect_error(sock, &peer);

	if (error != 0 && error != EINPROGRESS)
		truth_fail("connect: %s", strerror(error));
	poll(&poll_for, 1, -1);
	fcntl(sock, F_SETFL, 0);
	return sock;
}

static void run_nonblocking(void)
{
	pair_run(&(struct pair){.connect = connect_nonblocking});
}

static void nothing(int sock)
{
	(void)sock;
}

static void read_all(int sock)
{
	net_receive_all(sock);
}

static void run_silent(void)
{
	pair_run(&(struct pair){.ask = nothing, .serve = read_all});
}

static void send_bulk(int sock)
{
	net_send(sock, BULK);
}

static void run_bulk(void)
{
	pair_run(&(struct pair){.ask = send_bulk, .serve = read_all, .asked = BULK});
}

static void send_by_sendfile(int sock)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	off_t offset = 0;

	if (file < 0 || ftruncate(file, BULK) < 0)
		truth_fail("memfd: %s", strerror(errno));
	while (offset < BULK)
		if (sendfile(sock, file, &offset, (size_t)(BULK - offset)) <= 0)
			truth_fail("sendfile: %s", strerror(errno));
}

static void run_sendfile(void)
{
	pair_run(&(struct pair){.ask = send_by_sendfile, .serve = read_all, .asked = BULK});
}

static void run_splice(void)
{
	pair_run(&(struct pair){.ask = send_bulk, .serve = net_splice_all, .asked = BULK});
}

static int listen_fast(const char *ip)
{
	int sock = net_listen(ip, 8);

	net_option(sock, IPPROTO_TCP, TCP_FASTOPEN, 8);
	return sock;
}

static int connect_fast(const char *ip, int port)
{
	int sock = net_socket(ip, SOCK_STREAM, 0);
	struct net_address peer = net_address(ip, port);
	struct tcp_info info;
	socklen_t length = sizeof(info);
	char early[EARLY] = {0};

	if (sendto(sock, early, EARLY, MSG_FASTOPEN, &peer.any, peer.length) != EARLY)
		truth_fail("MSG_FASTOPEN: %s", strerror(errno));
	if (getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
		!(info.tcpi_options & TCPI_OPT_SYN_DATA))
		truth_skip("the kernel sent no data with the SYN");
	return sock;
}

static void run_fastopen(void)
{
	net_namespace();
	net_sysctl("ipv4/tcp_fastopen", "519"); /* both sides, no cookies */
	pair_run(&(struct pair){.listen = listen_fast,
		.connect = connect_fast,
		.ask = pair_ask,
		.asked = EARLY + PAIR_ASKED,
		.answered = PAIR_ANSWERED});
}

static int listen_multipath(const char *ip)
{
	struct net_address address = net_address(ip, 0);
	int sock = net_socket(ip, SOCK_STREAM, IPPROTO_MPTCP);

	if (bind(sock, &address.any, address.length) < 0 || listen(sock, 8) < 0)
		truth_fail("listen: %s", strerror(errno));
	return sock;
}

static int connect_multipath(const char *ip, int port)
{
	struct net_address peer = net_address(ip, port);
	int sock = net_socket(ip, SOCK_STREAM, IPPROTO_MPTCP);

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	return sock;
}

static void run_multipath(void)
{
	pair_run(&(struct pair){.listen = listen_multipath, .connect = connect_multipath});
}

static const char request[] = "GET / HTTP/1.1\r\nHost: named.example\r\n\r\n";

/* In two segments. */
static void ask_by_name(int sock)
{
	enum { FIRST = 24 };

	net_option(sock, IPPROTO_TCP, TCP_NODELAY, 1);
	if (send(sock, request, FIRST, 0) != FIRST ||
		write(sock, request + FIRST, strlen(request + FIRST)) < 0)
		truth_fail("send: %s", strerror(errno));
}

static void run_named(void)
{
	pair_run(&(struct pair){.ask = ask_by_name,
		.serve = read_all,
		.asked = (long)strlen(request),
		.name = "named.example"});
}

static void run_named_v6(void)
{
	pair_run(&(struct pair){.listen_on = "::1",
		.connect_to = "::1",
		.ask = ask_by_name,
		.serve = read_all,
		.asked = (long)strlen(request),
		.name = "named.example"});
}

static const struct case_entry entries[] = {
	{"tcp_v4", run_v4},
	{"tcp_v6", run_v6},
	{"tcp_mapped_client", run_mapped_client},
	{"tcp_mapped_server", run_mapped_server},
	{"tcp_mapped_both", run_mapped},
	{"tcp_two_addresses", run_two_addresses},
	{"tcp_nonblocking", run_nonblocking},
	{"tcp_silent", run_silent},
	{"tcp_named", run_named},
	{"tcp_named_v6", run_named_v6},
	{"tcp_bulk", run_bulk},
	{"tcp_sendfile", run_sendfile},
	{"tcp_splice", run_splice},
	{"tcp_fastopen", run_fastopen},
	{"tcp_multipath", run_multipath},
	{0},
};

const struct case_entry *case_tcp(void)
{
	return entries;
}

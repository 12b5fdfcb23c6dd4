/* TCP between two processes: the families, the ways to move octets, the ways to end. The server is
 * the case's own process, the client its child. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { REQUEST = 1000, ANSWER = 500 };

struct pair {
	const char *listen_on, *connect_to;
	int (*connect)(const char *ip, int port); /* default: net_connect */
	void (*ask)(int sock);                    /* client and server close afterwards */
	void (*serve)(int sock);
	long asked, answered; /* octets */
	const char *outcome;  /* default: closed on both sides */
};

static void ask(int sock)
{
	net_send(sock, REQUEST);
	shutdown(sock, SHUT_WR);
	net_receive_all(sock);
}

static void serve(int sock)
{
	net_receive_all(sock);
	net_send(sock, ANSWER);
}

static void run_client(const struct pair *pair, int port)
{
	int (*connect_by)(const char *, int) = pair->connect ? pair->connect : net_connect;
	int sock = connect_by(pair->connect_to, port);
	struct truth *truth = truth_flow("client", sock, NULL, "out");

	truth_octets(truth, pair->asked, pair->answered);
	truth->outcome = pair->outcome ? pair->outcome : "closed";
	(pair->ask ? pair->ask : ask)(sock);
	close(sock);
}

static void run_pair(const struct pair *pair)
{
	int listener = net_listen(pair->listen_on, 8);
	struct truth *truth;
	pid_t client;
	int sock;

	client = net_fork();
	if (client == 0) {
		run_client(pair, net_port(listener));
		_exit(0);
	}
	sock = net_accept(listener);
	truth = truth_flow("server", sock, NULL, "in");
	truth_octets(truth, pair->answered, pair->asked);
	truth->outcome = pair->outcome ? pair->outcome : "closed";
	(pair->serve ? pair->serve : serve)(sock);
	close(sock);
	net_reap(client);
}

static void talk(const char *listen_on, const char *connect_to)
{
	run_pair(&(struct pair){.listen_on = listen_on,
		.connect_to = connect_to,
		.asked = REQUEST,
		.answered = ANSWER});
}

static void run_v4(void)
{
	talk("127.0.0.1", "127.0.0.1");
}

static void run_v6(void)
{
	talk("::1", "::1");
}

static void run_mapped_client(void)
{
	talk("127.0.0.1", "::ffff:127.0.0.1");
}

static void run_mapped_server(void)
{
	talk("::", "127.0.0.1");
}

static void run_mapped(void)
{
	talk("::", "::ffff:127.0.0.1");
}

static int connect_nonblocking(const char *ip, int port)
{
	int sock = net_socket(ip, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct net_address peer = net_address(ip, port);
	struct pollfd poll_for = {.fd = sock, .events = POLLOUT};
	int error = net_connect_error(sock, &peer);

	if (error != 0 && error != EINPROGRESS)
		truth_fail("connect: error %d", error);
	poll(&poll_for, 1, -1);
	fcntl(sock, F_SETFL, 0);
	return sock;
}

static void run_nonblocking(void)
{
	run_pair(&(struct pair){.listen_on = "127.0.0.1",
		.connect_to = "127.0.0.1",
		.connect = connect_nonblocking,
		.asked = REQUEST,
		.answered = ANSWER});
}

static void do_nothing(int sock)
{
	(void)sock;
}

static void read_to_end(int sock)
{
	net_receive_all(sock);
}

static void run_silent(void)
{
	run_pair(&(struct pair){.listen_on = "127.0.0.1",
		.connect_to = "127.0.0.1",
		.ask = do_nothing,
		.serve = read_to_end});
}

static const struct case_entry entries[] = {
	{"tcp_v4", run_v4},
	{"tcp_v6", run_v6},
	{"tcp_mapped_client", run_mapped_client},
	{"tcp_mapped_server", run_mapped_server},
	{"tcp_mapped_both", run_mapped},
	{"tcp_nonblocking", run_nonblocking},
	{"tcp_silent", run_silent},
	{0},
};

const struct case_entry *case_tcp(void)
{
	return entries;
}

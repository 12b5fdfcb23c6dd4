/* How TCP connections end that do not end well, and those that never begin. */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

/* Behind the veth of in_own_network(): answers ARP, or not, but nothing else. */
#define SILENT_HOST "198.51.100.8"
#define ABSENT_HOST "198.51.100.9"

static void ask_and_abort(int sock)
{
	net_send(sock, 9);
	net_receive(sock, 1);
	net_abort_on_close(sock);
}

static void serve_until_reset(int sock)
{
	net_receive(sock, 9);
	net_send(sock, 1);
	net_receive_all(sock);
}

static void run_abort(void)
{
	pair_run(&(struct pair){.ask = ask_and_abort,
		.serve = serve_until_reset,
		.asked = 9,
		.answered = 1,
		.outcome = "reset",
		.client_error = TRUTH_UNKNOWN, /* the state changes before or after sk_err */
		.server_error = ECONNRESET});
}

static void ask_until_reset(int sock)
{
	net_send(sock, 9);
	net_receive_all(sock);
}

static void leave_unread(int sock)
{
	int waiting = 0;

	while (waiting < 9) {
		poll(&(struct pollfd){.fd = sock, .events = POLLIN}, 1, -1);
		ioctl(sock, FIONREAD, &waiting);
	}
}

static void run_unread(void)
{
	pair_run(&(struct pair){.ask = ask_until_reset,
		.serve = leave_unread,
		.asked = 9,
		.outcome = "reset",
		.client_error = ECONNRESET});
}

static void send_and_die(int sock)
{
	net_send(sock, 9);
	raise(SIGKILL);
}

static void read_all(int sock)
{
	net_receive_all(sock);
}

static void run_killed(void)
{
	pair_run(&(struct pair){
		.ask = send_and_die, .serve = read_all, .asked = 9, .suicide = true});
}

static void send_and_abort(int sock)
{
	net_send(sock, 9);
	net_abort_on_close(sock);
}

/* The connection is over before anybody accepts it. */
static void run_reset_before_accept(void)
{
	int listener = net_listen("127.0.0.1", 8);
	struct truth *truth;

	net_reap(pair_start_client(&(struct pair){.ask = send_and_abort,
					   .asked = 9,
					   .outcome = "reset",
					   .client_error = TRUTH_UNKNOWN},
		net_port(listener)));
	truth = truth_mirror("server", truth_at(0));
	truth->error = ECONNRESET;
	truth->methods = "exact,inherited";
	close(net_accept(listener));
}

static void talk_and_disconnect(int sock, int port, long octets)
{
	struct net_address peer = net_address("127.0.0.1", port);
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct truth *truth;

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("client", sock, NULL, "out");
	truth_octets(truth, octets, 1);
	truth->outcome = "reset";
	truth->error = TRUTH_UNKNOWN;
	net_send(sock, octets);
	net_receive(sock, 1);
	if (connect(sock, &nobody, sizeof(nobody)) < 0)
		truth_fail("disconnect: %s", strerror(errno));
}

static void serve_until_disconnect(int listener, long octets)
{
	int sock = net_accept(listener);
	struct truth *truth = truth_flow("server", sock, NULL, "in");

	truth_octets(truth, 1, octets);
	truth->outcome = "reset";
	truth->error = ECONNRESET;
	net_receive(sock, octets);
	net_send(sock, 1);
	net_receive_all(sock);
	close(sock);
}

/* One socket, disconnected by AF_UNSPEC and connected again: two flows. */
static void run_reconnect(void)
{
	int first = net_listen("127.0.0.1", 8), second = net_listen("127.0.0.1", 8);
	pid_t client = net_fork();

	if (client == 0) {
		int sock = net_socket("127.0.0.1", SOCK_STREAM, 0);

		talk_and_disconnect(sock, net_port(first), 3);
		talk_and_disconnect(sock, net_port(second), 5);
		close(sock);
		_exit(0);
	}
	serve_until_disconnect(first, 3);
	serve_until_disconnect(second, 5);
	net_reap(client);
}

static int connect_later(int port)
{
	int sock = net_socket("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct net_address peer = net_address("127.0.0.1", port);
	int error = net_connect_error(sock, &peer);

	if (error && error != EINPROGRESS)
		truth_fail("connect: %s", strerror(error));
	return sock;
}

/* The queue holds one that nobody accepts; the SYN of the second is dropped until it gives up. */
static void run_queue_overflow(void)
{
	int listener = net_listen("127.0.0.1", 0);
	int port = net_port(listener);
	int queued, dropped;
	struct net_address peer = net_address("127.0.0.1", port);
	struct truth *truth;

	queued = net_connect("127.0.0.1", port);
	truth = truth_flow("queued client", queued, NULL, "out");
	truth_octets(truth, 0, 0);
	truth->outcome = "reset";
	truth->error = ECONNRESET;
	truth = truth_mirror("never accepted", truth);
	truth->error = TRUTH_UNKNOWN;
	truth->methods = "exact,inherited";

	dropped = connect_later(port);
	truth = truth_flow("dropped client", dropped, &peer.any, "out");
	truth_octets(truth, 0, 0);
	truth->outcome = "aborted";
	close(dropped);
	close(listener);
	net_receive_all(queued);
	close(queued);
}

/* Connects, which must fail with this error at once or later. Of a socket that was not bound the
 * port is not known: it is free again. */
static void fail_to_connect(const char *ip, int port, int want, const char *outcome, bool is_bound)
{
	int sock = net_socket(ip, SOCK_STREAM, 0), error;
	struct net_address peer = net_address(ip, port);
	struct net_address any = net_address(peer.any.sa_family == AF_INET ? "0.0.0.0" : "::", 0);
	struct truth *truth;

	if (is_bound && bind(sock, &any.any, any.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	if (want == ETIMEDOUT) /* else Linux 5.10 gives up before ARP does */
		net_option(sock, IPPROTO_TCP, TCP_SYNCNT, 1);
	truth = truth_flow("client", sock, &peer.any, "out");
	truth->local.ip[0] = '\0';
	if (!is_bound)
		truth->local.port = TRUTH_UNKNOWN;
	truth_octets(truth, 0, 0);
	truth->outcome = outcome;
	truth->error = want;
	error = net_connect_error(sock, &peer);
	if (error != want)
		truth_fail("connect: %s", error ? strerror(error) : "it did not fail");
	close(sock);
}

static void refuse(const char *ip, bool is_bound)
{
	int holder = net_bind(ip, SOCK_STREAM); /* nobody else may listen there */

	fail_to_connect(ip, net_port(holder), ECONNREFUSED, "refused", is_bound);
	close(holder);
}

static void run_refused_v4(void)
{
	refuse("127.0.0.1", false);
}

static void run_refused_v6(void)
{
	refuse("::1", false);
}

static void run_refused_bound(void)
{
	refuse("127.0.0.1", true);
}

/* A namespace with a network behind whose only link nobody is: one address has an ARP entry. */
static void enter_silent_network(void)
{
	net_namespace();
	net_ip("link add silent0 type veth peer name silent1\n"
	       "link set silent0 up\n"
	       "link set silent1 up\n"
	       "addr add 198.51.100.1/24 dev silent0\n"
	       "neigh add " SILENT_HOST " lladdr 02:00:00:00:00:08 dev silent0\n"
	       "route add unreachable 203.0.113.0/24\n");
}

static void run_timeout(void)
{
	enter_silent_network();
	fail_to_connect(SILENT_HOST, 7, ETIMEDOUT, "timeout", false);
}

static void run_unreachable_arp(void)
{
	enter_silent_network();
	net_sysctl("ipv4/neigh/silent0/mcast_solicit", "1");
	fail_to_connect(ABSENT_HOST, 7, EHOSTUNREACH, "unreachable", false);
}

static void run_unreachable_route_v4(void)
{
	net_namespace();
	fail_to_connect("203.0.113.1", 7, ENETUNREACH, "unreachable", false);
}

static void run_unreachable_route_v6(void)
{
	net_namespace();
	fail_to_connect("2001:db8::1", 7, ENETUNREACH, "unreachable", false);
}

static void run_unreachable_host(void)
{
	enter_silent_network();
	fail_to_connect("203.0.113.1", 7, EHOSTUNREACH, "unreachable", true);
}

static const struct case_entry entries[] = {
	{"end_abort", run_abort},
	{"end_unread", run_unread},
	{"end_killed", run_killed},
	{"end_reset_before_accept", run_reset_before_accept},
	{"end_queue_overflow", run_queue_overflow},
	{"end_reconnect", run_reconnect},
	{"end_refused_v4", run_refused_v4},
	{"end_refused_v6", run_refused_v6},
	{"end_refused_bound", run_refused_bound},
	{"end_timeout", run_timeout},
	{"end_unreachable_arp", run_unreachable_arp},
	{"end_unreachable_route_v4", run_unreachable_route_v4},
	{"end_unreachable_route_v6", run_unreachable_route_v6},
	{"end_unreachable_host", run_unreachable_host},
	{0},
};

const struct case_entry *case_end(void)
{
	return entries;
}

/* Sockets that are there before lastconnd is. Each case holds them until it records, and then uses
 * them: TCP's counters are those of the whole connection, those of datagrams begin with lastconnd.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

enum { BEFORE = 50, AFTER = 7 };

static const char *const seen_at_start = "exact,snapshot";

static void run_tcp(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	struct net_gate gate = net_gate();
	pid_t client = net_fork();
	struct truth *truth;

	if (client == 0) {
		sock = net_connect("127.0.0.1", net_port(listener));
		truth = truth_flow("client", sock, NULL, "out");
		truth_octets(truth, BEFORE + AFTER, AFTER);
		truth->methods = seen_at_start;
		net_send(sock, BEFORE);
		net_gate_wait(&gate);
		net_send(sock, AFTER);
		net_receive(sock, AFTER);
		close(sock);
		_exit(0);
	}
	sock = net_accept(listener);
	net_receive(sock, BEFORE);
	truth_hold();
	net_gate_open(&gate);
	net_receive(sock, AFTER);
	truth_mirror("server", truth_at(0));
	net_send(sock, AFTER);
	net_receive_all(sock);
	close(sock);
	net_reap(client);
}

static void run_listener(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	struct truth *truth;
	pid_t client;

	truth_hold();
	client = pair_start_client(&(struct pair){0}, net_port(listener));
	sock = net_accept(listener);
	truth = truth_flow("server", sock, NULL, "in");
	truth_octets(truth, PAIR_ANSWERED, PAIR_ASKED);
	pair_serve(sock);
	close(sock);
	net_reap(client);
}

static void send_and_abort(int sock)
{
	net_send(sock, AFTER);
	net_abort_on_close(sock);
}

/* All that is known of the server's end is who held the listener at the start. */
static void run_listener_unused(void)
{
	int listener = net_listen("127.0.0.1", 8);
	struct truth *truth;

	truth_hold();
	net_reap(pair_start_client(&(struct pair){.ask = send_and_abort,
					   .asked = AFTER,
					   .outcome = "reset",
					   .client_error = TRUTH_UNKNOWN},
		net_port(listener)));
	truth = truth_mirror("server", truth_at(0));
	truth->error = ECONNRESET;
	truth->methods = "exact,listener";
	close(net_accept(listener));
}

/* Both ends are bound and connected, and have talked. */
static void run_udp(void)
{
	int server = net_bind("127.0.0.1", SOCK_DGRAM);
	struct net_address peer = net_name(server);
	struct net_gate sent = net_gate(), gate = net_gate();
	pid_t client = net_fork();

	if (client == 0) {
		int sock = net_bind("127.0.0.1", SOCK_DGRAM);
		struct truth *truth;

		if (net_connect_error(sock, &peer))
			truth_fail("connect: %s", strerror(errno));
		net_send(sock, BEFORE);
		net_gate_open(&sent);
		net_gate_wait(&gate);
		truth = truth_flow("client", sock, NULL, "out");
		truth_octets(truth, AFTER, 0);
		truth_packets(truth, 1, 0);
		truth->methods = seen_at_start;
		net_send(sock, AFTER);
		close(sock);
		_exit(0);
	}
	net_gate_wait(&sent);
	net_receive(server, BEFORE);
	truth_hold();
	net_gate_open(&gate);
	net_receive(server, AFTER);
	net_reap(client);
	truth_mirror("server", truth_at(0));
	close(server);
}

static const struct case_entry entries[] = {
	{"before_tcp", run_tcp},
	{"before_listener", run_listener},
	{"before_listener_unused", run_listener_unused},
	{"before_udp", run_udp},
	{0},
};

const struct case_entry *case_before(void)
{
	return entries;
}

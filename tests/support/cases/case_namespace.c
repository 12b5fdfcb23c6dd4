/* Network and pid namespaces: of flows, the host's pid counts and the namespace of the socket. */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

enum { SERVER_PORT = 7001, CLIENT_PORT = 7002 };

static void run_network(void)
{
	net_namespace();
	pair_run(&(struct pair){0});
}

static int socket_at(const char *ip, int port)
{
	struct net_address address = net_address(ip, port);
	int sock = net_socket(ip, SOCK_STREAM, 0);

	if (bind(sock, &address.any, address.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	return sock;
}

static int listen_at_port(const char *ip)
{
	int sock = socket_at(ip, SERVER_PORT);

	if (listen(sock, 8) < 0)
		truth_fail("listen: %s", strerror(errno));
	return sock;
}

static int connect_from_port(const char *ip, int port)
{
	struct net_address peer = net_address(ip, port);
	int sock = socket_at(ip, CLIENT_PORT);

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	return sock;
}

/* The same four ends at the same time in two namespaces are different flows. */
static void run_same_tuple(void)
{
	pid_t children[2];

	for (int i = 0; i < 2; i++) {
		children[i] = net_fork();
		if (children[i] != 0)
			continue;
		net_namespace();
		pair_run(&(struct pair){.listen = listen_at_port, .connect = connect_from_port});
		_exit(0);
	}
	for (int i = 0; i < 2; i++)
		net_reap(children[i]);
}

/* Client and server in two namespaces with a cable between them. */
static void run_two_networks(void)
{
	struct net_gate inside = net_gate(), connected = net_gate();
	char commands[256];
	int listener, sock;
	pid_t client;

	net_namespace();
	client = net_fork();
	if (client == 0) {
		net_namespace();
		net_gate_open(&inside);
		net_gate_wait(&connected);
		net_ip("addr add 198.51.100.2/24 dev cable1\nlink set cable1 up\n");
		sock = net_connect("198.51.100.1", SERVER_PORT);
		truth_octets(truth_flow("client", sock, NULL, "out"), PAIR_ASKED, PAIR_ANSWERED);
		pair_ask(sock);
		close(sock);
		_exit(0);
	}
	net_gate_wait(&inside);
	snprintf(commands, sizeof(commands),
		"link add cable0 type veth peer name cable1 netns %d\n"
		"addr add 198.51.100.1/24 dev cable0\nlink set cable0 up\n",
		client);
	net_ip(commands);
	listener = listen_at_port("198.51.100.1");
	net_gate_open(&connected);
	sock = net_accept(listener);
	truth_octets(truth_flow("server", sock, NULL, "in"), PAIR_ANSWERED, PAIR_ASKED);
	pair_serve(sock);
	close(sock);
	net_reap(client);
}

/* A socket stays in its namespace when its process goes to another one. */
static void run_moved_process(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	pid_t client = net_fork();
	struct truth *truth;

	if (client == 0) {
		sock = net_connect("127.0.0.1", net_port(listener));
		truth = truth_flow("client", sock, NULL, "out");
		truth_octets(truth, PAIR_ASKED, PAIR_ANSWERED);
		net_namespace();
		pair_ask(sock);
		close(sock);
		_exit(0);
	}
	sock = net_accept(listener);
	truth_octets(truth_flow("server", sock, NULL, "in"), PAIR_ANSWERED, PAIR_ASKED);
	pair_serve(sock);
	close(sock);
	net_reap(client);
}

static void run_pid(void)
{
	pid_t init;

	if (unshare(CLONE_NEWPID) < 0)
		truth_skip("no pid namespace of its own: %s", strerror(errno));
	init = net_fork();
	if (init == 0) {
		pair_run(&(struct pair){0});
		_exit(0);
	}
	net_reap(init);
}

static const struct case_entry entries[] = {
	{"namespace_network", run_network},
	{"namespace_same_tuple", run_same_tuple},
	{"namespace_two_networks", run_two_networks},
	{"namespace_moved_process", run_moved_process},
	{"namespace_pid", run_pid},
	{0},
};

const struct case_entry *case_namespace(void)
{
	return entries;
}

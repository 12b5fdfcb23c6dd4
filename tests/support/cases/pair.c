/* A TCP conversation between two processes. */
#include "pair.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "truth.h"

static const char *const localhost = "127.0.0.1";

void pair_ask(int sock)
{
	net_send(sock, PAIR_ASKED);
	shutdown(sock, SHUT_WR);
	net_receive_all(sock);
}

void pair_serve(int sock)
{
	net_receive_all(sock);
	net_send(sock, PAIR_ANSWERED);
}

static void run_client(const struct pair *pair, int port)
{
	const char *ip = pair->connect_to ? pair->connect_to : localhost;
	int sock = pair->connect ? pair->connect(ip, port) : net_connect(ip, port);
	struct truth *truth = truth_flow("client", sock, NULL, "out");

	if (pair->ask)
		truth_octets(truth, pair->asked, pair->answered);
	else
		truth_octets(truth, PAIR_ASKED, PAIR_ANSWERED);
	truth->outcome = pair->outcome ? pair->outcome : "closed";
	truth->error = pair->client_error;
	truth->remote_name = pair->name;
	(pair->ask ? pair->ask : pair_ask)(sock);
	close(sock);
}

pid_t pair_start_client(const struct pair *pair, int port)
{
	pid_t pid = net_fork();

	if (pid == 0) {
		run_client(pair, port);
		_exit(0);
	}
	return pid;
}

static void run_server(const struct pair *pair, int listener)
{
	int sock = pair->accept ? pair->accept(listener) : net_accept(listener);
	struct truth *truth = truth_flow("server", sock, NULL, "in");

	if (pair->ask)
		truth_octets(truth, pair->answered, pair->asked);
	else
		truth_octets(truth, PAIR_ANSWERED, PAIR_ASKED);
	truth->outcome = pair->outcome ? pair->outcome : "closed";
	truth->error = pair->server_error;
	(pair->serve ? pair->serve : pair_serve)(sock);
	close(sock);
}

void pair_run(const struct pair *pair)
{
	const char *ip = pair->listen_on ? pair->listen_on : localhost;
	int listener = pair->listen ? pair->listen(ip) : net_listen(ip, 8);
	pid_t client = pair_start_client(pair, net_port(listener));

	run_server(pair, listener);
	if (pair->suicide)
		net_finish(client);
	else
		net_reap(client);
	close(listener);
}

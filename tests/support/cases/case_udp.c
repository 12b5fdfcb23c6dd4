/* UDP between two processes. The server is the case's own process, the client its child. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

/* A client of a connected socket: 3 datagrams there, 2 back. */
static void ask(const char *ip, int port)
{
	struct net_address peer = net_address(ip, port);
	int sock = net_socket(ip, SOCK_DGRAM, 0);
	struct truth *truth;

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("client", sock, NULL, "out");
	truth_octets(truth, 300, 100);
	truth_packets(truth, 3, 2);
	for (int i = 0; i < 3; i++)
		net_send(sock, 100);
	for (int i = 0; i < 2; i++)
		net_receive(sock, 50);
	close(sock);
}

static void serve(int sock, int datagrams, int answers)
{
	struct sockaddr_storage peer;
	socklen_t length;
	char data[2048];

	for (int i = 0; i < datagrams; i++) {
		length = sizeof(peer);
		if (recvfrom(sock, data, sizeof(data), 0, (struct sockaddr *)&peer, &length) < 0)
			truth_fail("recvfrom: %s", strerror(errno));
	}
	for (int i = 0; i < answers; i++)
		if (sendto(sock, data, 50, 0, (struct sockaddr *)&peer, length) < 0)
			truth_fail("sendto: %s", strerror(errno));
}

static void talk(const char *listen_on, const char *connect_to)
{
	int sock = net_bind(listen_on, SOCK_DGRAM);
	pid_t client = net_fork();

	if (client == 0) {
		ask(connect_to, net_port(sock));
		_exit(0);
	}
	serve(sock, 3, 2);
	net_reap(client);
	truth_mirror("server", truth_at(0));
	close(sock);
}

static void run_v4(void)
{
	talk("127.0.0.1", "127.0.0.1");
}

static void run_v6(void)
{
	talk("::1", "::1");
}

static void run_mapped(void)
{
	talk("::", "::ffff:127.0.0.1");
}

static const struct case_entry entries[] = {
	{"udp_v4", run_v4},
	{"udp_v6", run_v6},
	{"udp_mapped", run_mapped},
	{0},
};

const struct case_entry *case_udp(void)
{
	return entries;
}

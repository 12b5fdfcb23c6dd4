/* Transport protocols that few use: UDP-Lite, and SCTP in its two styles. Octets are what the
 * programs sent. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { REQUEST = 300, ANSWER = 100 };

struct style {
	const char *ip, *name;
	int type, protocol;
	bool listens, accepts;
};

static int open_server(const struct style *style)
{
	struct net_address address = net_address(style->ip, 0);
	int sock = net_socket(style->ip, style->type, style->protocol);

	if (bind(sock, &address.any, address.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	if (style->listens && listen(sock, 8) < 0)
		truth_fail("listen: %s", strerror(errno));
	return sock;
}

/* To peer, or to whom the socket is connected. */
static void send_to(int sock, const char *data, size_t size, const struct net_address *peer)
{
	if (sendto(sock, data, size, 0, peer ? &peer->any : NULL, peer ? peer->length : 0) < 0)
		truth_fail("sendto: %s", strerror(errno));
}

static void ask(const struct style *style, int port, struct net_gate *accepted)
{
	struct net_address peer = net_address(style->ip, port);
	int sock = net_socket(style->ip, style->type, style->protocol);
	char data[REQUEST] = {0};
	struct truth *truth;

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("client", sock, &peer.any, "out");
	truth->protocol = style->name;
	truth_octets(truth, REQUEST, ANSWER);
	if (style->accepts)
		net_gate_wait(accepted); /* data that comes before is the listener's */
	send_to(sock, data, REQUEST, style->accepts ? NULL : &peer);
	net_receive(sock, ANSWER);
	close(sock);
}

static void run(const struct style *style)
{
	int sock, served;
	struct net_address peer;
	char data[REQUEST];
	struct net_gate accepted;
	pid_t client;

	net_namespace();
	accepted = net_gate();
	sock = open_server(style);
	client = net_fork();
	if (client == 0) {
		ask(style, net_port(sock), &accepted);
		_exit(0);
	}
	served = style->accepts ? net_accept(sock) : sock;
	net_gate_open(&accepted);
	peer.length = sizeof(peer.v6);
	if (recvfrom(served, data, sizeof(data), 0, &peer.any, &peer.length) != REQUEST)
		truth_fail("recvfrom: %s", strerror(errno));
	send_to(served, data, ANSWER, style->accepts ? NULL : &peer);
	net_reap(client);
	truth_mirror("server", truth_at(0));
	close(served);
	if (served != sock)
		close(sock);
}

static void run_udplite_v4(void)
{
	run(&(struct style){"127.0.0.1", "udplite", SOCK_DGRAM, IPPROTO_UDPLITE, false, false});
}

static void run_udplite_v6(void)
{
	run(&(struct style){"::1", "udplite", SOCK_DGRAM, IPPROTO_UDPLITE, false, false});
}

static void run_sctp_v4(void)
{
	run(&(struct style){"127.0.0.1", "sctp", SOCK_STREAM, IPPROTO_SCTP, true, true});
}

static void run_sctp_v6(void)
{
	run(&(struct style){"::1", "sctp", SOCK_STREAM, IPPROTO_SCTP, true, true});
}

static void run_sctp_many(void)
{
	run(&(struct style){"127.0.0.1", "sctp", SOCK_SEQPACKET, IPPROTO_SCTP, true, false});
}

static const struct case_entry entries[] = {
	{"udplite_v4", run_udplite_v4},
	{"udplite_v6", run_udplite_v6},
	{"sctp_v4", run_sctp_v4},
	{"sctp_v6", run_sctp_v6},
	{"sctp_one_to_many", run_sctp_many},
	{0},
};

const struct case_entry *case_transport(void)
{
	return entries;
}

/* What comes to nothing: connects that fail at once, datagrams that ICMP answers. All in a network
 * namespace that has nothing but its loopback, so that nobody but the case decides what fails. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { PORT = 4711 };

/* A flow that never was. */
static struct truth *failed(int sock, const struct net_address *peer, int error)
{
	struct truth *truth = truth_flow("client", sock, &peer->any, "out");

	truth_octets(truth, 0, 0);
	truth_packets(truth, 0, 0);
	truth->outcome = "unreachable";
	truth->error = error;
	return truth;
}

static struct truth *connect_fails(int sock, const char *ip, int port, int error)
{
	struct net_address peer = net_address(ip, port);
	int found = net_connect_error(sock, &peer);

	if (found != error)
		truth_fail("connect to %s: %s", ip, strerror(found));
	return failed(sock, &peer, error);
}

static void no_route(const char *ip, int type, int error)
{
	int sock = net_socket(ip, type, 0);

	connect_fails(sock, ip, PORT, error);
	close(sock);
}

static void run_tcp_v4(void)
{
	net_namespace();
	no_route("198.51.100.1", SOCK_STREAM, ENETUNREACH);
}

static void run_tcp_v6(void)
{
	net_namespace();
	no_route("2001:db8::1", SOCK_STREAM, ENETUNREACH);
}

static void run_tcp_mapped(void)
{
	net_namespace();
	no_route("::ffff:198.51.100.1", SOCK_STREAM, ENETUNREACH);
}

static void run_udp_v4(void)
{
	net_namespace();
	no_route("198.51.100.1", SOCK_DGRAM, ENETUNREACH);
}

static void run_udp_v6(void)
{
	net_namespace();
	no_route("2001:db8::1", SOCK_DGRAM, ENETUNREACH);
}

static void run_nonblocking(void)
{
	net_namespace();
	no_route("198.51.100.1", SOCK_STREAM | SOCK_NONBLOCK, ENETUNREACH);
}

static void run_multipath(void)
{
	int sock;

	net_namespace();
	sock = net_socket("198.51.100.1", SOCK_STREAM, IPPROTO_MPTCP);
	connect_fails(sock, "198.51.100.1", PORT, ENETUNREACH)->protocol = "tcp";
	close(sock);
}

/* Routes that say no. */
static void run_forbidden(void)
{
	net_namespace();
	net_ip("route add unreachable 198.51.100.1\n"
	       "route add prohibit 198.51.100.2\n");
	no_route("198.51.100.1", SOCK_STREAM, EHOSTUNREACH);
	no_route("198.51.100.2", SOCK_STREAM, EACCES);
	no_route("198.51.100.2", SOCK_DGRAM, EACCES);
}

/* In good order, first the client. */
static void hang_up(int client, int server)
{
	shutdown(client, SHUT_WR);
	net_receive_all(server);
	close(server);
	net_receive_all(client);
	close(client);
}

/* Each connect of a socket that fails is a flow, the one that works at last, too. */
static void run_retried(void)
{
	struct net_address peer;
	int listener, sock, accepted;

	net_namespace();
	sock = net_socket("127.0.0.1", SOCK_STREAM, 0);
	listener = net_listen("127.0.0.1", 8);
	peer = net_address("127.0.0.1", net_port(listener));
	connect_fails(sock, "198.51.100.1", PORT, ENETUNREACH);
	connect_fails(sock, "198.51.100.2", PORT, ENETUNREACH);
	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	truth_octets(truth_flow("client", sock, NULL, "out"), 0, 0);
	accepted = net_accept(listener);
	truth_octets(truth_mirror("server", truth_at(2)), 0, 0);
	hang_up(sock, accepted);
	close(listener);
}

/* The only port is taken. */
static void run_no_port(void)
{
	int listener, first, accepted, second;
	struct truth *truth;

	net_namespace();
	net_sysctl("ipv4/ip_local_port_range", "40000 40000");
	listener = net_socket("127.0.0.1", SOCK_STREAM, 0);
	net_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	struct net_address address = net_address("127.0.0.1", PORT);
	if (bind(listener, &address.any, address.length) < 0 || listen(listener, 8) < 0)
		truth_fail("listen: %s", strerror(errno));
	first = net_connect("127.0.0.1", PORT);
	truth_octets(truth_flow("first", first, NULL, "out"), 0, 0);
	accepted = net_accept(listener);
	truth_octets(truth_mirror("server", truth_at(0)), 0, 0);
	second = net_socket("127.0.0.1", SOCK_STREAM, 0);
	truth = connect_fails(second, "127.0.0.1", PORT, EADDRNOTAVAIL);
	truth->outcome = "aborted";
	truth->local.ip[0] = '\0';
	close(second);
	hang_up(first, accepted);
	close(listener);
}

/* Connects of UDP that work leave no flow, though nothing is sent, whatever becomes of the socket.
 */
static void run_no_phantoms(void)
{
	struct net_address none = {.any = {.sa_family = AF_UNSPEC}, .length = sizeof(none.v6)};
	struct net_address peer = net_address("127.0.0.1", PORT);
	int sock = net_socket("127.0.0.1", SOCK_DGRAM, 0);
	int bound = net_bind("127.0.0.1", SOCK_DGRAM);

	for (int i = 0; i < 2; i++) {
		net_connect_error(sock, &peer);
		net_connect_error(bound, &peer);
		net_connect_error(sock, &none);
		net_connect_error(bound, &none);
	}
	close(bound);
	close(sock);
	sock = net_socket("127.0.0.1", SOCK_DGRAM, 0);
	net_connect_error(sock, &peer);
	close(sock);
	net_namespace();
	no_route("198.51.100.1", SOCK_STREAM, ENETUNREACH); /* the only flow of this process */
}

static void await_error(int sock, int error)
{
	struct pollfd poll_for = {.fd = sock, .events = POLLERR};
	int found = 0;
	socklen_t length = sizeof(found);

	poll(&poll_for, 1, -1);
	getsockopt(sock, SOL_SOCKET, SO_ERROR, &found, &length);
	if (found != error)
		truth_fail("SO_ERROR: %s", strerror(found));
}

static struct truth *answered(
	int sock, const struct net_address *peer, const char *outcome, int error)
{
	struct truth *truth = truth_flow("client", sock, peer ? &peer->any : NULL, "out");

	truth_octets(truth, 10, 0);
	truth_packets(truth, 1, 0);
	truth->outcome = outcome;
	truth->error = error;
	return truth;
}

static void refused(const char *ip)
{
	struct net_address peer = net_address(ip, PORT);
	int sock;

	net_namespace();
	sock = net_socket(ip, SOCK_DGRAM, 0);
	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	answered(sock, NULL, "refused", ECONNREFUSED);
	net_send(sock, 10);
	await_error(sock, ECONNREFUSED);
	close(sock);
}

static void run_udp_refused_v4(void)
{
	refused("127.0.0.1");
}

static void run_udp_refused_v6(void)
{
	refused("::1");
}

static void run_udp_refused_mapped(void)
{
	refused("::ffff:127.0.0.1");
}

static void send_to(int sock, const struct net_address *peer)
{
	char data[10] = {0};

	if (sendto(sock, data, sizeof(data), 0, &peer->any, peer->length) != sizeof(data))
		truth_fail("sendto: %s", strerror(errno));
}

/* Of the peers of one socket only the one that ICMP speaks of. */
static void one_of_three(const char *ip, int level, int option)
{
	struct net_address peer;
	int open[2], sock;

	net_namespace();
	open[0] = net_bind(ip, SOCK_DGRAM);
	open[1] = net_bind(ip, SOCK_DGRAM);
	sock = net_bind(ip, SOCK_DGRAM);
	net_option(sock, level, option, 1);
	for (int i = 0; i < 3; i++) {
		peer = i == 1 ? net_address(ip, PORT) : net_name(open[i / 2]);
		send_to(sock, &peer);
		if (i == 1)
			await_error(sock, ECONNREFUSED);
		answered(sock, &peer, i == 1 ? "refused" : "closed", i == 1 ? ECONNREFUSED : 0);
	}
	close(sock);
	for (int i = 0; i < 2; i++) {
		net_receive(open[i], 10);
		truth_mirror("server", truth_at(i * 2));
		close(open[i]);
	}
}

static void run_udp_recverr_v4(void)
{
	one_of_three("127.0.0.1", IPPROTO_IP, IP_RECVERR);
}

static void run_udp_recverr_v6(void)
{
	one_of_three("::1", IPPROTO_IPV6, IPV6_RECVERR);
}

/* Nobody answers ARP at the other end of the cable. */
static void run_udp_no_neighbour(void)
{
	struct net_address peer = net_address("192.0.2.9", PORT);
	int sock;

	net_namespace();
	net_ip("link add v0 type veth peer name v1\n"
	       "addr add 192.0.2.1/24 dev v0\n"
	       "link set v0 up\n"
	       "link set v1 up\n");
	net_sysctl("ipv4/neigh/v0/mcast_solicit", "1");
	net_sysctl("ipv4/neigh/v0/retrans_time_ms", "100");
	sock = net_socket("192.0.2.9", SOCK_DGRAM, 0);
	net_option(sock, IPPROTO_IP, IP_RECVERR, 1);
	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	answered(sock, NULL, "unreachable", EHOSTUNREACH);
	net_send(sock, 10);
	await_error(sock, EHOSTUNREACH);
	close(sock);
}

static const struct case_entry entries[] = {
	{"no_route_tcp_v4", run_tcp_v4},
	{"no_route_tcp_v6", run_tcp_v6},
	{"no_route_tcp_mapped", run_tcp_mapped},
	{"no_route_tcp_nonblocking", run_nonblocking},
	{"no_route_udp_v4", run_udp_v4},
	{"no_route_udp_v6", run_udp_v6},
	{"no_route_multipath", run_multipath},
	{"connect_forbidden", run_forbidden},
	{"connect_retried", run_retried},
	{"connect_no_port", run_no_port},
	{"connect_no_phantoms", run_no_phantoms},
	{"udp_refused_v4", run_udp_refused_v4},
	{"udp_refused_v6", run_udp_refused_v6},
	{"udp_refused_mapped", run_udp_refused_mapped},
	{"udp_refused_unconnected_v4", run_udp_recverr_v4},
	{"udp_refused_unconnected_v6", run_udp_recverr_v6},
	{"udp_no_neighbour", run_udp_no_neighbour},
	{0},
};

const struct case_entry *case_failed(void)
{
	return entries;
}

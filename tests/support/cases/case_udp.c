/* UDP between two processes: every way to send and to receive. The server is the case's own
 * process, the client its child. */
#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "truth.h"

enum { SIZE = 100, COUNT = 8, SEGMENT = 1000, SEGMENTS = 5, PEERS = 200, STREAMS = 50 };

/* What is NULL is the default: 3 datagrams there, 2 back, through a connected socket. */
struct exchange {
	const char *listen_on, *connect_to;
	void (*ask)(int sock, const struct net_address *server);
	void (*serve)(int sock);
	void (*prepare)(int server);
	bool unconnected;
	long octets_asked, octets_answered, asked, answered;
};

static void check(ssize_t result, const char *what)
{
	if (result < 0)
		truth_fail("%s: %s", what, strerror(errno));
}

static void send_to(int sock, const struct net_address *peer, size_t size)
{
	static const char data[2048];

	check(sendto(sock, data, size, 0, &peer->any, peer->length), "sendto");
}

static struct net_address receive_from(int sock)
{
	struct net_address peer = {.length = sizeof(peer.v6)};
	char data[2048];

	check(recvfrom(sock, data, sizeof(data), 0, &peer.any, &peer.length), "recvfrom");
	return peer;
}

static void ask(int sock, const struct net_address *server)
{
	(void)server;
	for (int i = 0; i < 3; i++)
		net_send(sock, SIZE);
	for (int i = 0; i < 2; i++)
		net_receive(sock, SIZE);
}

static void serve(int sock)
{
	struct net_address peer;

	for (int i = 0; i < 3; i++)
		peer = receive_from(sock);
	for (int i = 0; i < 2; i++)
		send_to(sock, &peer, SIZE);
}

static void run_client(const struct exchange *exchange, int port)
{
	const char *ip = exchange->connect_to ? exchange->connect_to : "127.0.0.1";
	struct net_address server = net_address(ip, port);
	int sock = exchange->unconnected ? net_bind(ip, SOCK_DGRAM) : net_socket(ip, SOCK_DGRAM, 0);
	struct truth *truth;

	if (!exchange->unconnected && net_connect_error(sock, &server))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("client", sock, &server.any, "out");
	if (exchange->ask) {
		truth_octets(truth, exchange->octets_asked, exchange->octets_answered);
		truth_packets(truth, exchange->asked, exchange->answered);
	} else {
		truth_octets(truth, 3 * SIZE, 2 * SIZE);
		truth_packets(truth, 3, 2);
	}
	(exchange->ask ? exchange->ask : ask)(sock, &server);
	close(sock);
	_exit(0);
}

static void run_exchange(const struct exchange *exchange)
{
	int sock = net_bind(exchange->listen_on ? exchange->listen_on : "127.0.0.1", SOCK_DGRAM);
	pid_t client;

	if (exchange->prepare)
		exchange->prepare(sock);
	client = net_fork();
	if (client == 0)
		run_client(exchange, net_port(sock));
	(exchange->serve ? exchange->serve : serve)(sock);
	net_reap(client);
	truth_mirror("server", truth_at(0));
	close(sock);
}

static void run_v4(void)
{
	run_exchange(&(struct exchange){0});
}

static void run_v6(void)
{
	run_exchange(&(struct exchange){.listen_on = "::1", .connect_to = "::1"});
}

static void run_mapped(void)
{
	run_exchange(&(struct exchange){.listen_on = "::", .connect_to = "::ffff:127.0.0.1"});
}

static void run_mapped_server(void)
{
	run_exchange(&(struct exchange){.listen_on = "::"});
}

static void ask_unconnected(int sock, const struct net_address *server)
{
	for (int i = 0; i < 3; i++)
		send_to(sock, server, SIZE);
	for (int i = 0; i < 2; i++)
		receive_from(sock);
}

static void run_unconnected(void)
{
	run_exchange(&(struct exchange){.ask = ask_unconnected,
		.unconnected = true,
		.octets_asked = 3 * SIZE,
		.octets_answered = 2 * SIZE,
		.asked = 3,
		.answered = 2});
}

static void run_unconnected_v6(void)
{
	run_exchange(&(struct exchange){.listen_on = "::1",
		.connect_to = "::1",
		.ask = ask_unconnected,
		.unconnected = true,
		.octets_asked = 3 * SIZE,
		.octets_answered = 2 * SIZE,
		.asked = 3,
		.answered = 2});
}

/* By sendmmsg(2) to the other end of a connected socket. */
static void send_many(int sock, const struct net_address *server)
{
	static char data[SIZE];
	struct iovec part = {.iov_base = data, .iov_len = SIZE};
	struct mmsghdr messages[COUNT];

	(void)server;
	for (int i = 0; i < COUNT; i++)
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	if (sendmmsg(sock, messages, COUNT, 0) != COUNT)
		truth_fail("sendmmsg: %s", strerror(errno));
}

static void receive_many(int sock)
{
	static char data[SIZE];
	struct iovec part = {.iov_base = data, .iov_len = SIZE};
	struct mmsghdr messages[COUNT];
	int got = 0;

	for (int i = 0; i < COUNT; i++)
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	while (got < COUNT) {
		int now = recvmmsg(sock, messages, (unsigned)(COUNT - got), MSG_WAITFORONE, NULL);

		check(now, "recvmmsg");
		got += now;
	}
}

static void run_mmsg(void)
{
	run_exchange(&(struct exchange){.ask = send_many,
		.serve = receive_many,
		.octets_asked = COUNT * SIZE,
		.asked = COUNT});
}

/* One send(2) that leaves as SEGMENTS datagrams. */
static void send_segmented(int sock, const struct net_address *server)
{
	static const char data[SEGMENTS * SEGMENT];

	(void)server;
	if (setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &(int){SEGMENT}, sizeof(int)) < 0)
		truth_skip("UDP_SEGMENT: %s", strerror(errno));
	check(send(sock, data, sizeof(data), 0), "send");
}

static void receive_segments(int sock)
{
	for (int i = 0; i < SEGMENTS; i++)
		net_receive(sock, SEGMENT);
}

static void run_gso(void)
{
	run_exchange(&(struct exchange){.ask = send_segmented,
		.serve = receive_segments,
		.octets_asked = SEGMENTS * SEGMENT,
		.asked = SEGMENTS});
}

static void allow_gro(int sock)
{
	if (setsockopt(sock, IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int)) < 0)
		truth_skip("UDP_GRO: %s", strerror(errno));
}

static void receive_together(int sock)
{
	net_receive(sock, SEGMENTS * SEGMENT);
}

static void run_gro(void)
{
	run_exchange(&(struct exchange){.prepare = allow_gro,
		.ask = send_segmented,
		.serve = receive_together,
		.octets_asked = SEGMENTS * SEGMENT,
		.asked = SEGMENTS});
}

/* Two calls, one datagram. */
static void send_in_parts(int sock, const struct net_address *server)
{
	static const char data[SIZE];

	(void)server;
	check(send(sock, data, SIZE, MSG_MORE), "send");
	check(send(sock, data, SIZE / 2, 0), "send");
}

static void receive_one(int sock)
{
	receive_from(sock);
}

static void run_more(void)
{
	run_exchange(&(struct exchange){.ask = send_in_parts,
		.serve = receive_one,
		.octets_asked = SIZE + SIZE / 2,
		.asked = 1});
}

static void send_one(int sock, const struct net_address *server)
{
	(void)server;
	net_send(sock, SIZE);
}

static void peek_and_receive(int sock)
{
	char data[SIZE];

	for (int i = 0; i < 3; i++)
		check(recv(sock, data, sizeof(data), MSG_PEEK), "recv");
	receive_from(sock);
}

static void run_peek(void)
{
	run_exchange(&(struct exchange){
		.ask = send_one, .serve = peek_and_receive, .octets_asked = SIZE, .asked = 1});
}

/* The server never learns who sends. */
static void receive_blindly(int sock)
{
	net_receive(sock, SIZE);
}

static void run_recv_only(void)
{
	run_exchange(&(struct exchange){
		.ask = send_one, .serve = receive_blindly, .octets_asked = SIZE, .asked = 1});
}

static void run_recvfrom_only(void)
{
	run_exchange(&(struct exchange){
		.ask = send_one, .serve = receive_one, .octets_asked = SIZE, .asked = 1});
}

static void send_empty(int sock, const struct net_address *server)
{
	(void)server;
	check(send(sock, "", 0, 0), "send");
}

static void run_empty(void)
{
	run_exchange(&(struct exchange){.ask = send_empty, .serve = receive_one, .asked = 1});
}

/* Opened by the parent, used by the child, closed last by either. */
static void run_parent_and_child(void)
{
	int sock = net_bind("127.0.0.1", SOCK_DGRAM);
	pid_t parent = getpid(), child, client;

	client = net_fork();
	if (client == 0)
		run_client(&(struct exchange){0}, net_port(sock));
	child = net_fork();
	if (child == 0) {
		serve(sock);
		truth_mirror("server", truth_at(0))->opener = parent;
		_exit(0);
	}
	net_reap(child);
	net_reap(client);
	close(sock);
}

/* Both send to the same peer through one socket: either is right. */
static void run_two_processes(void)
{
	int server = net_bind("127.0.0.1", SOCK_DGRAM),
	    sock = net_socket("127.0.0.1", SOCK_DGRAM, 0);
	struct net_address peer = net_name(server);
	struct truth *truth;
	pid_t child;

	if (net_connect_error(sock, &peer))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("clients", sock, NULL, "out");
	truth_octets(truth, 2 * SIZE, 0);
	truth_packets(truth, 2, 0);
	net_send(sock, SIZE);
	child = net_fork();
	if (child == 0) {
		net_send(sock, SIZE);
		_exit(0);
	}
	net_reap(child);
	net_receive(server, SIZE);
	net_receive(server, SIZE);
	truth_mirror("server", truth);
	close(sock);
	close(server);
}

static void connect_and_send(int sock, const struct net_address *peer, int count)
{
	struct truth *truth;

	if (net_connect_error(sock, peer))
		truth_fail("connect: %s", strerror(errno));
	truth = truth_flow("client", sock, NULL, "out");
	truth_octets(truth, count * SIZE, 0);
	truth_packets(truth, count, 0);
	for (int i = 0; i < count; i++)
		net_send(sock, SIZE);
}

/* One socket connected to one peer, then to another. */
static void run_reconnect(void)
{
	int first = net_bind("127.0.0.1", SOCK_DGRAM), second = net_bind("127.0.0.1", SOCK_DGRAM);
	struct net_address first_name = net_name(first), second_name = net_name(second);
	pid_t client = net_fork();

	if (client == 0) {
		int sock = net_bind("127.0.0.1", SOCK_DGRAM);

		connect_and_send(sock, &first_name, 2);
		connect_and_send(sock, &second_name, 3);
		close(sock);
		_exit(0);
	}
	for (int i = 0; i < 5; i++)
		receive_from(i < 2 ? first : second);
	net_reap(client);
	for (int i = 0; i < 2; i++)
		truth_mirror("server", truth_at(i));
}

static void note_peer(int sock, const struct net_address *peer, int index)
{
	struct truth *truth = truth_flow("asking", sock, &peer->any, "out");
	int asked = 1 + index % 3;

	truth_octets(truth, asked * (10 + index), asked * (5 + index));
	truth_packets(truth, asked, asked);
}

static void ask_peers(const struct net_address *peers)
{
	int sock = net_bind("127.0.0.1", SOCK_DGRAM);

	for (int i = 0; i < PEERS; i++) {
		note_peer(sock, &peers[i], i);
		for (int j = 0; j <= i % 3; j++) {
			send_to(sock, &peers[i], (size_t)(10 + i));
			receive_from(sock);
		}
	}
	close(sock);
	_exit(0);
}

/* One socket that asks PEERS others; each has its own flow with its own counters. */
static void run_many_peers(void)
{
	struct net_address names[PEERS], asking;
	int socks[PEERS];
	pid_t client;

	for (int i = 0; i < PEERS; i++) {
		socks[i] = net_bind("127.0.0.1", SOCK_DGRAM);
		names[i] = net_name(socks[i]);
	}
	client = net_fork();
	if (client == 0)
		ask_peers(names);
	for (int i = 0; i < PEERS; i++) {
		for (int j = 0; j <= i % 3; j++) {
			asking = receive_from(socks[i]);
			send_to(socks[i], &asking, (size_t)(5 + i));
		}
	}
	net_reap(client);
	for (int i = 0; i < PEERS; i++)
		truth_mirror("answering", truth_at(i));
}

static void open_streams(int port)
{
	struct net_address server = net_address("127.0.0.1", port);
	int socks[STREAMS];

	for (int i = 0; i < STREAMS; i++) {
		struct truth *truth;

		socks[i] = net_socket("127.0.0.1", SOCK_DGRAM, 0);
		if (net_connect_error(socks[i], &server))
			truth_fail("connect: %s", strerror(errno));
		truth = truth_flow("client", socks[i], NULL, "out");
		truth_octets(truth, 3 * (SIZE + i), 3 * 2 * SIZE);
		truth_packets(truth, 3, 6);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < STREAMS; i++) {
			net_send(socks[i], SIZE + i);
			net_receive(socks[i], SIZE);
			net_receive(socks[i], SIZE);
		}
	_exit(0);
}

/* As a QUIC server: one socket, STREAMS clients that come again and again. */
static void run_streams(void)
{
	int sock = net_bind("127.0.0.1", SOCK_DGRAM);
	pid_t client = net_fork();

	if (client == 0)
		open_streams(net_port(sock));
	for (int i = 0; i < 3 * STREAMS; i++) {
		struct net_address peer = receive_from(sock);

		send_to(sock, &peer, SIZE);
		send_to(sock, &peer, SIZE);
	}
	net_reap(client);
	for (int i = 0; i < STREAMS; i++)
		truth_mirror("server", truth_at(i));
	close(sock);
}

/* Nobody has the port: the answer is an ICMP port unreachable. */
static void run_refused(void)
{
	int holder = net_bind("127.0.0.1", SOCK_DGRAM), sock;
	struct net_address closed = net_name(holder);
	struct truth *truth;
	char octet;

	sock = net_socket("127.0.0.1", SOCK_DGRAM, 0);
	if (net_connect_error(sock, &closed))
		truth_fail("connect: %s", strerror(errno));
	close(holder);
	truth = truth_flow("client", sock, NULL, "out");
	truth_octets(truth, SIZE, 0);
	truth_packets(truth, 1, 0);
	truth->outcome = "refused";
	truth->error = ECONNREFUSED;
	net_send(sock, SIZE);
	if (recv(sock, &octet, 1, 0) >= 0 || errno != ECONNREFUSED)
		truth_fail("the port was not closed");
	close(sock);
}

static const struct case_entry entries[] = {
	{"udp_v4", run_v4},
	{"udp_v6", run_v6},
	{"udp_mapped", run_mapped},
	{"udp_mapped_server", run_mapped_server},
	{"udp_unconnected_v4", run_unconnected},
	{"udp_unconnected_v6", run_unconnected_v6},
	{"udp_mmsg", run_mmsg},
	{"udp_gso", run_gso},
	{"udp_gro", run_gro},
	{"udp_more", run_more},
	{"udp_peek", run_peek},
	{"udp_recv_only", run_recv_only},
	{"udp_recvfrom_only", run_recvfrom_only},
	{"udp_empty", run_empty},
	{"udp_parent_and_child", run_parent_and_child},
	{"udp_two_processes", run_two_processes},
	{"udp_reconnect", run_reconnect},
	{"udp_many_peers", run_many_peers},
	{"udp_streams", run_streams},
	{"udp_refused", run_refused},
	{0},
};

const struct case_entry *case_udp(void)
{
	return entries;
}

/* One short-lived connection: what `storm spawn` forks and execs thousands of times.
 *
 *   storm_client tcp|udp IPV4 PORT ID
 *
 * tcp: connects, sends one octet, exits. udp: sends one datagram of 1 + ID % 64 octets, by connect
 * and send if ID is even, by sendto if it is odd. If descriptor 3 is open it gets the truth that
 * only the client knows, one line in one write: "client PID ID LOCAL_PORT OCTETS", tab separated.
 * Linked statically, so that its start costs as little as a start can. Exit status 1: no luck. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TRUTH_FD = 3,
	DATAGRAM_MAX = 64,
};

static void report(int sock, unsigned long id, ssize_t octets)
{
	struct sockaddr_in own;
	socklen_t length = sizeof(own);
	char line[96];

	if (getsockname(sock, (struct sockaddr *)&own, &length) < 0)
		_exit(1);
	int used = snprintf(line, sizeof(line), "client\t%d\t%lu\t%u\t%zd\n", (int)getpid(), id,
		ntohs(own.sin_port), octets);
	if (write(TRUTH_FD, line, (size_t)used) != used)
		_exit(1);
}

static ssize_t send_tcp(int sock, const struct sockaddr_in *peer)
{
	if (connect(sock, (const struct sockaddr *)peer, sizeof(*peer)) < 0)
		return -1;
	return write(sock, "x", 1);
}

static ssize_t send_udp(int sock, const struct sockaddr_in *peer, unsigned long id)
{
	char data[DATAGRAM_MAX];
	size_t length = 1 + id % DATAGRAM_MAX;

	memset(data, 'x', sizeof(data));
	if (id % 2)
		return sendto(sock, data, length, 0, (const struct sockaddr *)peer, sizeof(*peer));
	if (connect(sock, (const struct sockaddr *)peer, sizeof(*peer)) < 0)
		return -1;
	return send(sock, data, length, 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer = {.sin_family = AF_INET};

	if (argc != 5 || inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1)
		return 2;
	peer.sin_port = htons((uint16_t)atoi(argv[3]));
	unsigned long id = strtoul(argv[4], NULL, 10);
	int udp = strcmp(argv[1], "udp") == 0;
	int wanted = fcntl(TRUTH_FD, F_GETFD) >= 0; /* asked before a socket takes the number */
	int sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (sock < 0)
		return 1;
	ssize_t octets = udp ? send_udp(sock, &peer, id) : send_tcp(sock, &peer);
	if (octets < 0)
		return 1;
	if (wanted)
		report(sock, id, octets);
	return 0;
}

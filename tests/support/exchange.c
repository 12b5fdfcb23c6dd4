/* One long conversation over the loopback, for measuring what lastconnd costs each packet of it.
 *
 *   exchange serve rr|bulk|udp COUNT         prints its port, serves one client, exits
 *   exchange talk rr|bulk|udp PORT COUNT     the client
 *
 * rr: COUNT times one octet there and one back over one TCP connection. bulk: COUNT MiB over one
 * TCP connection. udp: COUNT datagrams of 100 octets over a connected socket, with a receipt after
 * each WINDOW of them, so that none is dropped and both ends do the same work in every run. Exit
 * status 1 with a word on stderr if something failed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 64, DATAGRAM = 100, PIECE = 1 << 16, PATIENCE_S = 60 };

static char piece[PIECE];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "exchange: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_patience(int sock)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		die("SO_RCVTIMEO");
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void must_send(int sock, size_t length)
{
	if (send(sock, piece, length, 0) != (ssize_t)length)
		die("send");
}

static void must_receive(int sock)
{
	if (recv(sock, piece, sizeof(piece), 0) <= 0)
		die("recv");
}

static void serve(int sock, char mode, long count)
{
	ssize_t got;

	if (mode == 'b') {
		while ((got = recv(sock, piece, sizeof(piece), 0)) > 0)
			;
		if (got < 0)
			die("recv");
		return;
	}
	for (long i = 1; i <= count; i++) {
		must_receive(sock);
		if (mode == 'r' || i % WINDOW == 0)
			must_send(sock, 1);
	}
}

static void talk(int sock, char mode, long count)
{
	if (mode == 'b') {
		for (long i = 0; i < count * ((1 << 20) / PIECE); i++)
			must_send(sock, PIECE);
		return;
	}
	for (long i = 1; i <= count; i++) {
		must_send(sock, mode == 'u' ? DATAGRAM : 1);
		if (mode == 'r' || i % WINDOW == 0)
			must_receive(sock);
	}
}

/* Returns the socket that talks to the client. */
static int wait_for_client(int type)
{
	struct sockaddr_in own = loopback(0);
	socklen_t length = sizeof(own);
	int sock = socket(AF_INET, type, 0), accepted = sock;

	if (sock < 0 || bind(sock, (struct sockaddr *)&own, length) < 0 ||
		(type == SOCK_STREAM && listen(sock, 1) < 0) ||
		getsockname(sock, (struct sockaddr *)&own, &length) < 0)
		die("bind");
	printf("%d\n", ntohs(own.sin_port));
	fflush(stdout);
	set_patience(sock);
	length = sizeof(own);
	if (type == SOCK_STREAM) {
		accepted = accept(sock, NULL, NULL);
	} else if (recvfrom(sock, piece, 1, MSG_PEEK, (struct sockaddr *)&own, &length) < 0 ||
		   connect(sock, (struct sockaddr *)&own, length) < 0) {
		die("connect");
	}
	if (accepted < 0)
		die("accept");
	set_patience(accepted);
	return accepted;
}

static int connect_to(int type, int port)
{
	struct sockaddr_in peer = loopback(port);
	int sock = socket(AF_INET, type, 0), on = 1;

	if (sock < 0 || connect(sock, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		die("connect");
	if (type == SOCK_STREAM)
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	set_patience(sock);
	return sock;
}

int main(int argc, char *argv[])
{
	char mode = argc > 2 ? argv[2][0] : '\0';
	int type = mode == 'u' ? SOCK_DGRAM : SOCK_STREAM;

	if (argc == 4 && strcmp(argv[1], "serve") == 0 && strchr("rbu", mode)) {
		serve(wait_for_client(type), mode, atol(argv[3]));
	} else if (argc == 5 && strcmp(argv[1], "talk") == 0 && strchr("rbu", mode)) {
		talk(connect_to(type, atoi(argv[3])), mode, atol(argv[4]));
	} else {
		fprintf(stderr, "usage: exchange serve rr|bulk|udp COUNT\n"
				"       exchange talk rr|bulk|udp PORT COUNT\n");
		return 1;
	}
	return 0;
}

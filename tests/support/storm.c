/* The storm: thousands of processes with one connection each, and the truth about them.
 *
 *   storm serve COUNT TRUTH          TCP server: accepts, reads until end of file, closes
 *   storm receive COUNT TRUTH        UDP server: receives datagrams on one socket
 *   storm spawn tcp|udp IPV4 PORT COUNT PARALLEL TRUTH CLIENT
 *                                    forks and execs CLIENT tcp|udp IPV4 PORT ID for every ID
 *   storm loop IPV4 PORT COUNT       one process: connect, send one octet, close, again
 *   storm hold IPV4 PORT COUNT       one process: COUNT connections, held until standard input ends
 *   storm sink                       TCP server that accepts and keeps everything until killed
 *
 * Servers listen on 127.0.0.1 on a free port, which is the only line of their output, and exit
 * after COUNT. TRUTH is a file to append to, of this process only, or "-": server lines are
 * "server PID PEER_PORT OCTETS", tab separated; the clients write theirs (storm_client.c). Nothing
 * here asks lastconn for anything. Exit status 1 with a word on stderr if a connection failed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TRUTH_FD = 3, /* of the clients */
	BACKLOG = 4096,
	RECEIVE_BUFFER = 4 << 20,
	READ_SIZE = 4096,
	ID_SIZE = 24,
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static FILE *open_truth(const char *path)
{
	if (strcmp(path, "-") == 0)
		return NULL;
	FILE *truth = fopen(path, "ae");
	if (!truth)
		die(path);
	return truth;
}

static int bind_any_port(int type)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(own);
	int size = RECEIVE_BUFFER;
	int sock = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (sock < 0 || bind(sock, (struct sockaddr *)&own, length) < 0)
		die("bind");
	if (type == SOCK_STREAM && listen(sock, BACKLOG) < 0)
		die("listen");
	if (type == SOCK_DGRAM)
		setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (getsockname(sock, (struct sockaddr *)&own, &length) < 0)
		die("getsockname");
	printf("%u\n", ntohs(own.sin_port));
	fflush(stdout);
	return sock;
}

static void tell(FILE *truth, const struct sockaddr_in *peer, ssize_t octets)
{
	if (truth)
		fprintf(truth, "server\t%d\t%u\t%zd\n", (int)getpid(), ntohs(peer->sin_port),
			octets);
}

static int serve(char **argv)
{
	long count = atol(argv[0]);
	FILE *truth = open_truth(argv[1]);
	int listener = bind_any_port(SOCK_STREAM);
	char data[READ_SIZE];

	for (long i = 0; i < count; i++) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		ssize_t got, total = 0;
		int sock = accept(listener, (struct sockaddr *)&peer, &length);
		if (sock < 0)
			die("accept");
		while ((got = read(sock, data, sizeof(data))) > 0)
			total += got;
		close(sock);
		tell(truth, &peer, total);
	}
	return truth && fclose(truth) ? 1 : 0;
}

static int receive(char **argv)
{
	long count = atol(argv[0]);
	FILE *truth = open_truth(argv[1]);
	int sock = bind_any_port(SOCK_DGRAM);
	char data[READ_SIZE];

	for (long i = 0; i < count; i++) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		ssize_t got =
			recvfrom(sock, data, sizeof(data), 0, (struct sockaddr *)&peer, &length);
		if (got < 0)
			die("recvfrom");
		tell(truth, &peer, got);
	}
	return truth && fclose(truth) ? 1 : 0;
}

static void exec_client(char **argv, long id, int truth_fd)
{
	char text[ID_SIZE];

	snprintf(text, sizeof(text), "%ld", id);
	if (truth_fd >= 0 && truth_fd != TRUTH_FD && dup2(truth_fd, TRUTH_FD) < 0)
		_exit(1);
	execl(argv[6], argv[6], argv[0], argv[1], argv[2], text, (char *)NULL);
	_exit(1);
}

static int wait_one(void)
{
	int status;

	if (wait(&status) < 0)
		die("wait");
	return status != 0;
}

/* argv: MODE IPV4 PORT COUNT PARALLEL TRUTH CLIENT */
static int spawn(char **argv)
{
	long count = atol(argv[3]), parallel = atol(argv[4]), running = 0, failed = 0;
	int truth_fd = -1;

	if (strcmp(argv[5], "-") != 0) {
		truth_fd = open(argv[5], O_WRONLY | O_APPEND | O_CREAT, 0644);
		if (truth_fd < 0)
			die(argv[5]);
	}
	for (long id = 0; id < count; id++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0)
			exec_client(argv, id, truth_fd);
		if (++running == parallel) {
			failed += wait_one();
			running--;
		}
	}
	for (; running > 0; running--)
		failed += wait_one();
	if (failed)
		fprintf(stderr, "storm: %ld of %ld clients failed\n", failed, count);
	return failed ? 1 : 0;
}

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || inet_pton(AF_INET, address, &peer.sin_addr) != 1 ||
		connect(sock, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		die("connect");
	return sock;
}

static int loop(char **argv)
{
	for (long i = atol(argv[2]); i > 0; i--) {
		int sock = connect_to(argv[0], argv[1]);
		if (write(sock, "x", 1) != 1)
			die("write");
		close(sock);
	}
	return 0;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int hold(char **argv)
{
	char octet;

	allow_descriptors();
	for (long i = atol(argv[2]); i > 0; i--)
		if (write(connect_to(argv[0], argv[1]), "x", 1) != 1)
			die("write");
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
	return 0;
}

static int sink(char **argv)
{
	(void)argv;
	allow_descriptors();
	int listener = bind_any_port(SOCK_STREAM);
	while (accept(listener, NULL, NULL) >= 0)
		;
	die("accept");
	return 1;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} modes[] = {
	{"serve", 2, serve},
	{"receive", 2, receive},
	{"spawn", 7, spawn},
	{"loop", 3, loop},
	{"hold", 3, hold},
	{"sink", 0, sink},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[1], modes[i].name) == 0 && argc - 2 == modes[i].arguments)
			return modes[i].run(argv + 2);
	fprintf(stderr, "storm: how to call it stands at the head of storm.c\n");
	return 2;
}

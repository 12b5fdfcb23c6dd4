/* Sockets that go from one process to another: the user is whoever sends, receives or closes first,
 * the opener whoever connected or listened. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases.h"
#include "net.h"
#include "pair.h"
#include "truth.h"

static struct truth *note_server(int sock, pid_t opener)
{
	struct truth *truth = truth_flow("server", sock, NULL, "in");

	truth_octets(truth, PAIR_ANSWERED, PAIR_ASKED);
	truth->opener = opener;
	return truth;
}

static void serve_and_exit(int sock, pid_t opener)
{
	note_server(sock, opener);
	pair_serve(sock);
	close(sock);
	_exit(0);
}

static void run_fork_server(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	pid_t client = pair_start_client(&(struct pair){0}, net_port(listener)), child;
	pid_t parent = getpid();

	sock = net_accept(listener);
	child = net_fork();
	if (child == 0)
		serve_and_exit(sock, parent);
	close(sock);
	net_reap(child);
	net_reap(client);
}

static void run_pre_fork(void)
{
	int listener = net_listen("127.0.0.1", 8);
	pid_t parent = getpid(), worker = net_fork(), client;

	if (worker == 0)
		serve_and_exit(net_accept(listener), parent);
	client = pair_start_client(&(struct pair){0}, net_port(listener));
	net_reap(worker);
	net_reap(client);
}

/* Reset before anybody sent or received: who accepted it. */
static void run_reset_after_accept(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	struct net_gate gate = net_gate();
	pid_t parent = getpid(), worker = net_fork();
	struct truth *truth;

	if (worker == 0) {
		sock = net_accept(listener);
		truth = truth_flow("server", sock, NULL, "in");
		truth_octets(truth, 0, 0);
		truth->opener = parent;
		truth->outcome = "reset";
		truth->error = ECONNRESET;
		net_gate_open(&gate);
		poll(&(struct pollfd){.fd = sock}, 1, -1);
		_exit(0);
	}
	sock = net_connect("127.0.0.1", net_port(listener));
	truth = truth_flow("client", sock, NULL, "out");
	truth_octets(truth, 0, 0);
	truth->outcome = "reset";
	truth->error = TRUTH_UNKNOWN; /* the state changes before or after sk_err */
	net_gate_wait(&gate);
	net_abort_on_close(sock);
	close(sock);
	net_reap(worker);
}

static void read_all(int sock)
{
	net_receive_all(sock);
}

static void run_accept_and_close(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	pid_t client = pair_start_client(&(struct pair){.ask = read_all}, net_port(listener));
	struct truth *truth;

	sock = net_accept(listener);
	truth = truth_flow("server", sock, NULL, "in");
	truth_octets(truth, 0, 0);
	close(sock);
	net_reap(client);
}

static void run_pass_accepted(void)
{
	int listener = net_listen("127.0.0.1", 8), through[2], sock;
	pid_t parent = getpid(), receiver, client;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through) < 0)
		truth_fail("socketpair: %s", strerror(errno));
	receiver = net_fork();
	if (receiver == 0)
		serve_and_exit(net_take(through[1]), parent);
	client = pair_start_client(&(struct pair){0}, net_port(listener));
	sock = net_accept(listener);
	net_pass(through[0], sock);
	close(sock);
	net_reap(receiver);
	net_reap(client);
}

static void ask_and_exit(int sock, pid_t opener)
{
	struct truth *truth = truth_flow("client", sock, NULL, "out");

	truth_octets(truth, PAIR_ASKED, PAIR_ANSWERED);
	truth->opener = opener;
	pair_ask(sock);
	close(sock);
	_exit(0);
}

static void serve_here(int listener)
{
	int sock = net_accept(listener);

	note_server(sock, getpid());
	pair_serve(sock);
	close(sock);
}

static void run_pass_connected(void)
{
	int listener = net_listen("127.0.0.1", 8), through[2];
	pid_t opener, receiver;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through) < 0)
		truth_fail("socketpair: %s", strerror(errno));
	opener = net_fork();
	if (opener == 0) {
		net_pass(through[0], net_connect("127.0.0.1", net_port(listener)));
		_exit(0);
	}
	receiver = net_fork();
	if (receiver == 0)
		ask_and_exit(net_take(through[1]), opener);
	serve_here(listener);
	net_reap(opener);
	net_reap(receiver);
}

/* The child begins when its parent, who connected, is gone. */
static void connect_fork_and_exit(int port, struct net_gate *gate)
{
	int sock = net_connect("127.0.0.1", port);
	pid_t opener = getpid();

	if (net_fork() == 0) {
		net_gate_wait(gate);
		ask_and_exit(sock, opener);
	}
	_exit(0);
}

static void run_outlives_opener(void)
{
	int listener = net_listen("127.0.0.1", 8);
	struct net_gate gate = net_gate();
	pid_t opener = net_fork();

	if (opener == 0)
		connect_fork_and_exit(net_port(listener), &gate);
	net_reap(opener);
	net_gate_open(&gate);
	serve_here(listener);
}

static void *talk_as_thread(void *port)
{
	int sock;

	prctl(PR_SET_NAME, "Socket Thread");
	sock = net_connect("127.0.0.1", *(int *)port);
	ask_and_exit(sock, getpid());
	return NULL;
}

/* Whether the process's first thread is gone. */
static bool is_headless(void)
{
	char text[512] = "", *state;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		truth_fail("/proc/self/stat: %s", strerror(errno));
	close(fd);
	state = strrchr(text, ')');
	return state && state[2] == 'Z';
}

static void *talk_when_headless(void *port)
{
	while (!is_headless())
		usleep(1000);
	return talk_as_thread(port);
}

static void talk_by_thread(void *(*run)(void *), bool leave)
{
	int listener = net_listen("127.0.0.1", 8), port = net_port(listener);
	pid_t client = net_fork();
	pthread_t thread;

	if (client == 0) {
		if (pthread_create(&thread, NULL, run, &port) != 0)
			truth_fail("pthread_create");
		if (leave)
			syscall(SYS_exit, 0);
		pthread_join(thread, NULL);
	}
	serve_here(listener);
	net_reap(client);
}

static void run_thread_name(void)
{
	talk_by_thread(talk_as_thread, false);
}

static void run_main_thread_gone(void)
{
	talk_by_thread(talk_when_headless, true);
}

static int listen_shared(int port)
{
	int sock = net_socket("127.0.0.1", SOCK_STREAM, 0);
	struct net_address address = net_address("127.0.0.1", port);

	net_option(sock, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(sock, &address.any, address.length) < 0 || listen(sock, 8) < 0)
		truth_fail("listen: %s", strerror(errno));
	return sock;
}

static pid_t start_sharing_server(int port, struct net_gate *ready)
{
	pid_t pid = net_fork();
	int listener;

	if (pid != 0) {
		net_gate_wait(ready);
		return pid;
	}
	listener = listen_shared(port);
	net_gate_open(ready);
	for (;;)
		serve_here(listener);
}

/* The kernel chooses by a hash of the ports which of the two servers gets a client. */
static void run_reuseport(void)
{
	int holder = net_socket("127.0.0.1", SOCK_STREAM, 0);
	struct net_address address = net_address("127.0.0.1", 0);
	struct net_gate ready = net_gate();
	pid_t servers[2];

	net_option(holder, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(holder, &address.any, address.length) < 0)
		truth_fail("bind: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		servers[i] = start_sharing_server(net_port(holder), &ready);
	for (int i = 0; i < 6; i++)
		net_reap(pair_start_client(&(struct pair){0}, net_port(holder)));
	for (int i = 0; i < 2; i++)
		net_finish(servers[i]);
}

static void send_request(int sock)
{
	net_send(sock, PAIR_ASKED);
}

/* Accepted by the parent, read by splice(2) in the child. No tracepoint tells of
 * that: it is known because the child is also the last one to close it. */
static void run_splice_in_child(void)
{
	int listener = net_listen("127.0.0.1", 8), sock;
	struct net_gate closed = net_gate();
	pid_t client, child, parent = getpid();

	client = pair_start_client(
		&(struct pair){.ask = send_request, .asked = PAIR_ASKED}, net_port(listener));
	sock = net_accept(listener);
	child = net_fork();
	if (child == 0) {
		truth_octets(note_server(sock, parent), 0, PAIR_ASKED);
		net_gate_wait(&closed);
		net_splice_all(sock);
		close(sock);
		_exit(0);
	}
	close(sock);
	net_gate_open(&closed);
	net_reap(child);
	net_reap(client);
}

static const struct case_entry entries[] = {
	{"owner_fork_server", run_fork_server},
	{"owner_pre_fork", run_pre_fork},
	{"owner_reset_after_accept", run_reset_after_accept},
	{"owner_accept_and_close", run_accept_and_close},
	{"owner_pass_accepted", run_pass_accepted},
	{"owner_pass_connected", run_pass_connected},
	{"owner_outlives_opener", run_outlives_opener},
	{"owner_thread_name", run_thread_name},
	{"owner_main_thread_gone", run_main_thread_gone},
	{"owner_reuseport", run_reuseport},
	{"owner_splice_in_child", run_splice_in_child},
	{0},
};

const struct case_entry *case_owner(void)
{
	return entries;
}

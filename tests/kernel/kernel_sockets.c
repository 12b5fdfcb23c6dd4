/* Kernel behaviour that the kernel source leans on, as far as a program can see it from outside:
 * when one of these fails on a new kernel, bpf/ needs another rung of its ladder. */
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	int client, server;
};

static uint64_t cookie(int sock)
{
	uint64_t value = 0;
	socklen_t length = sizeof(value);

	assert_int_equal(getsockopt(sock, SOL_SOCKET, SO_COOKIE, &value, &length), 0);
	return value;
}

static struct tcp_info info(int sock)
{
	struct tcp_info value = {0};
	socklen_t length = sizeof(value);

	assert_int_equal(getsockopt(sock, IPPROTO_TCP, TCP_INFO, &value, &length), 0);
	return value;
}

static int listen_any(struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	*ret_address = address;
	return listener;
}

static struct pair connected(void)
{
	struct sockaddr_in address;
	struct pair pair;
	int listener = listen_any(&address);

	pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair.client, (struct sockaddr *)&address, sizeof(address)), 0);
	pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.server >= 0);
	close(listener);
	return pair;
}

static void read_exactly(int sock, size_t wanted)
{
	char data[4096];

	while (wanted > 0) {
		ssize_t got = read(sock, data, wanted < sizeof(data) ? wanted : sizeof(data));
		assert_true(got > 0);
		wanted -= (size_t)got;
	}
}

/* The flow key of the kernel source. */
static void every_socket_has_its_own_lasting_cookie(void **state)
{
	struct sockaddr_in address;
	int listener = listen_any(&address);
	uint64_t before = cookie(listener);
	struct pair pair = connected();

	(void)state;
	assert_int_not_equal(cookie(pair.client), cookie(pair.server));
	assert_int_not_equal(cookie(listener), cookie(pair.server));
	assert_int_equal(cookie(listener), before);
	int copy = dup(pair.client);
	assert_int_equal(cookie(copy), cookie(pair.client));
	close(copy);
	close(listener);
	close(pair.client);
	close(pair.server);
}

/* After AF_UNSPEC the same socket may connect again: two flows may share one cookie. */
static void a_reconnected_socket_keeps_its_cookie(void **state)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_in address;
	int listener = listen_any(&address);
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	uint64_t first = cookie(sock);
	assert_int_equal(connect(sock, &none, sizeof(none)), 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(cookie(sock), first);
	close(sock);
	close(listener);
}

/* Octets of a flow are read from these counters at its close. */
static void payload_is_counted_to_the_octet_and_a_fin_as_one(void **state)
{
	struct pair pair = connected();

	(void)state;
	assert_int_equal(info(pair.client).tcpi_bytes_sent, 0);
	assert_int_equal(info(pair.server).tcpi_bytes_received, 0);
	assert_int_equal(write(pair.client, "0123456789", 10), 10);
	read_exactly(pair.server, 10);
	assert_int_equal(info(pair.client).tcpi_bytes_sent, 10);
	assert_int_equal(info(pair.client).tcpi_bytes_retrans, 0);
	assert_int_equal(info(pair.server).tcpi_bytes_received, 10);
	assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
	char octet;
	assert_int_equal(read(pair.server, &octet, 1), 0);
	assert_int_equal(info(pair.client).tcpi_bytes_sent, 10);
	uint64_t received = info(pair.server).tcpi_bytes_received;
	assert_in_range(received, 10, 11); /* with or without the FIN: CLOSE_WAIT tells */
	close(pair.client);
	close(pair.server);
}

/* pid and start time tell processes apart: /proc and task_struct must speak of the same clock. */
static void the_start_time_in_proc_is_of_the_boot_time_clock(void **state)
{
	char text[1024];
	struct timespec now;
	int field = 2;

	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	clock_gettime(CLOCK_BOOTTIME, &now);
	snprintf(text, sizeof(text), "/proc/%d/stat", (int)pid);
	int fd = open(text, O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(got > 0);
	text[got] = '\0';
	char *at = strrchr(text, ')');
	assert_non_null(at);
	for (char *word = strtok(at + 1, " "); word; word = strtok(NULL, " "))
		if (++field == 22)
			assert_true(llabs(atoll(word) * 1000 / sysconf(_SC_CLK_TCK) -
					    (now.tv_sec * 1000LL + now.tv_nsec / 1000000)) < 1000);
	assert_true(field >= 22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_socket_has_its_own_lasting_cookie),
		cmocka_unit_test(a_reconnected_socket_keeps_its_cookie),
		cmocka_unit_test(payload_is_counted_to_the_octet_and_a_fin_as_one),
		cmocka_unit_test(the_start_time_in_proc_is_of_the_boot_time_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

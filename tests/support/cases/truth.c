/* The shared memory of a case, and its printing. A case that writes more flows than the book has
 * room for fails. */
#include "truth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FLOWS_MAX = 512 };

struct truth_book {
	char reason[256];
	bool skip;
	atomic_bool holds, released;
	char directory[64]; /* "": none was needed */
	int flows;
	struct truth flow[FLOWS_MAX];
};

static struct truth_book *book;

struct truth_book *truth_book_new(void)
{
	void *memory = mmap(NULL, sizeof(struct truth_book), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void truth_book_use(struct truth_book *given)
{
	book = given;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

void truth_book_free(struct truth_book *given)
{
	if (given->directory[0])
		nftw(given->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	munmap(given, sizeof(*given));
}

bool truth_book_holds(const struct truth_book *of)
{
	return of->holds;
}

void truth_book_release(struct truth_book *of)
{
	of->released = true;
}

__attribute__((noreturn)) static void give_up(const char *format, va_list arguments, bool skip)
{
	if (!book) { /* executed by a case */
		vfprintf(stderr, format, arguments);
		kill(0, SIGKILL);
	}
	if (!book->reason[0]) {
		vsnprintf(book->reason, sizeof(book->reason), format, arguments);
		book->skip = skip;
	}
	kill(0, SIGKILL); /* the case is a process group */
	_exit(1);
}

void truth_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	give_up(format, arguments, false);
}

void truth_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	give_up(format, arguments, true);
}

const char *truth_directory(void)
{
	snprintf(book->directory, sizeof(book->directory), "/tmp/lastconn-cases-XXXXXX");
	if (!mkdtemp(book->directory))
		truth_fail("%s: %s", book->directory, strerror(errno));
	return book->directory;
}

void truth_hold(void)
{
	book->holds = true;
	while (!book->released)
		usleep(10000);
}

static size_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (got < 0)
		truth_fail("%s: %s", path, strerror(errno));
	text[got] = '\0';
	close(fd);
	return (size_t)got;
}

static int64_t clock_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Wall clock time of the boot; read anew if somebody else ran between the two looks. */
static int64_t boot_us(void)
{
	int64_t before, wall, after;

	do {
		before = clock_us(CLOCK_BOOTTIME);
		wall = clock_us(CLOCK_REALTIME);
		after = clock_us(CLOCK_BOOTTIME);
	} while (after - before > 1000);
	return wall - after;
}

/* Field 22 of proc(5) stat: ticks since the boot. */
static int64_t start_of(const char *path)
{
	char text[1024];
	long long ticks;
	char *at;

	read_file(path, text, sizeof(text));
	at = strrchr(text, ')');
	if (!at || sscanf(at,
			   ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			   "%*s %*s %*s %lld",
			   &ticks) != 1)
		truth_fail("%s has another form", path);
	return boot_us() + ticks * 1000000 / sysconf(_SC_CLK_TCK);
}

void truth_self(struct truth_process *process)
{
	char text[64];
	ssize_t length = readlink("/proc/self", text, sizeof(text) - 1);

	if (length <= 0)
		truth_fail("/proc is not mounted");
	text[length] = '\0';
	process->pid = atoi(text);
	process->inner_pid = getpid();
	process->uid = getuid();
	process->start_us = start_of("/proc/self/stat");
	length = readlink("/proc/thread-self/exe", process->exe, sizeof(process->exe) - 1);
	if (length <= 0)
		truth_fail("/proc/thread-self/exe: %s", strerror(errno));
	process->exe[length] = '\0';
	process->argv_length =
		read_file("/proc/thread-self/cmdline", process->argv, sizeof(process->argv));
	length = (ssize_t)read_file("/proc/self/comm", text, sizeof(text));
	memcpy(process->comm, text, (size_t)length - 1);
	process->comm[length - 1] = '\0';
}

void truth_child(struct truth *truth, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	truth->user.start_us = start_of(path);
	truth->user.pid = truth->user.inner_pid = truth->opener = pid;
}

void truth_program(struct truth *truth, const char *path, const char *const argv[])
{
	const char *name = strrchr(path, '/');

	snprintf(truth->user.comm, sizeof(truth->user.comm), "%.15s", name ? name + 1 : path);
	snprintf(truth->user.exe, sizeof(truth->user.exe), "%s", path);
	truth->user.argv_length = 0;
	for (; *argv; argv++) {
		size_t size = strlen(*argv) + 1;

		if (truth->user.argv_length + size > sizeof(truth->user.argv))
			truth_fail("%s: too many arguments", path);
		memcpy(truth->user.argv + truth->user.argv_length, *argv, size);
		truth->user.argv_length += size;
	}
}

static void set_end(struct truth_end *end, const struct sockaddr *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, end->ip, sizeof(end->ip));
		end->port = ntohs(v4->sin_port);
		return;
	}
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], end->ip, sizeof(end->ip));
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, end->ip, sizeof(end->ip));
	end->port = ntohs(v6->sin6_port);
}

static const char *protocol_of(int sock)
{
	int protocol = 0;
	socklen_t length = sizeof(protocol);

	getsockopt(sock, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	default:
		return NULL;
	}
}

static int64_t own_netns(void)
{
	struct stat status;

	return stat("/proc/self/ns/net", &status) == 0 ? (int64_t)status.st_ino : TRUTH_UNKNOWN;
}

static struct truth *new_flow(void)
{
	int index = __sync_fetch_and_add(&book->flows, 1);

	if (index >= FLOWS_MAX)
		truth_fail("more than %d flows", FLOWS_MAX);
	return &book->flow[index];
}

struct truth *truth_flow(
	const char *end, int sock, const struct sockaddr *peer, const char *direction)
{
	struct truth *truth = new_flow();
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	*truth = (struct truth){
		.end = end,
		.protocol = protocol_of(sock),
		.direction = direction,
		.outcome = "closed",
		.methods = "exact",
		.netns = own_netns(),
	};
	truth_self(&truth->user);
	truth->opener = truth->user.pid;
	if (getsockname(sock, (struct sockaddr *)&address, &length) == 0)
		set_end(&truth->local, (struct sockaddr *)&address);
	length = sizeof(address);
	if (peer)
		set_end(&truth->remote, peer);
	else if (getpeername(sock, (struct sockaddr *)&address, &length) == 0)
		set_end(&truth->remote, (struct sockaddr *)&address);
	else
		truth_fail("%s: not connected: %s", end, strerror(errno));
	truth_octets(truth, TRUTH_UNKNOWN, TRUTH_UNKNOWN);
	truth_packets(truth, TRUTH_UNKNOWN, TRUTH_UNKNOWN);
	return truth;
}

struct truth *truth_mirror(const char *end, const struct truth *other)
{
	struct truth *truth = new_flow();

	*truth = *other;
	truth->end = end;
	truth->direction = strcmp(other->direction, "out") == 0 ? "in" : "out";
	truth->local = other->remote;
	truth->remote = other->local;
	truth_self(&truth->user);
	truth->opener = truth->user.pid;
	truth->error = 0;
	truth_octets(truth, other->octets_in, other->octets_out);
	truth_packets(truth, other->packets_in, other->packets_out);
	return truth;
}

struct truth *truth_at(int index)
{
	return &book->flow[index];
}

void truth_octets(struct truth *truth, long out, long in)
{
	truth->octets_out = out;
	truth->octets_in = in;
}

void truth_packets(struct truth *truth, long out, long in)
{
	truth->packets_out = out;
	truth->packets_in = in;
}

static void print_octets(const char *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		unsigned char octet = (unsigned char)text[i];

		if (octet < ' ' || octet >= 127 || octet == '"' || octet == '\\')
			printf("\\u%04x", octet);
		else
			putchar(octet);
	}
	putchar('"');
}

static void print_text(const char *key, const char *text)
{
	if (!text || !text[0])
		return;
	printf(",\"%s\":", key);
	print_octets(text, strlen(text));
}

static void print_number(const char *key, int64_t number)
{
	if (number != TRUTH_UNKNOWN)
		printf(",\"%s\":%lld", key, (long long)number);
}

static void print_process(const struct truth_process *process)
{
	const char *end = process->argv + process->argv_length;

	print_number("pid", process->pid);
	print_number("inner_pid", process->inner_pid);
	print_number("uid", process->uid);
	print_number("process_start_us", process->start_us);
	print_text("comm", process->comm);
	print_text("exe", process->exe);
	if (process->argv_length == 0)
		return;
	printf(",\"argv\":[");
	for (const char *at = process->argv; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
		if (at != process->argv)
			putchar(',');
		print_octets(at, strnlen(at, (size_t)(end - at)));
	}
	putchar(']');
}

static void print_methods(const char *methods)
{
	printf(",\"method\":[");
	for (const char *at = methods; *at; at += strcspn(at, ","), at += *at == ',')
		printf("%s\"%.*s\"", at == methods ? "" : ",", (int)strcspn(at, ","), at);
	putchar(']');
}

static void print_flow(const char *name, const struct truth *truth)
{
	printf("{\"case\":\"%s\",\"end\":\"%s\"", name, truth->end);
	print_text("protocol", truth->protocol);
	print_text("direction", truth->direction);
	print_text("local_ip", truth->local.ip);
	print_number("local_port", truth->local.port);
	print_text("remote_ip", truth->remote.ip);
	print_number("remote_port", truth->remote.port);
	print_process(&truth->user);
	if (truth->opener)
		print_number("opener_pid", truth->opener == truth->user.pid && !truth->opener_exe[0]
						   ? 0
						   : truth->opener);
	print_text("opener_exe", truth->opener_exe);
	print_text("outcome", truth->outcome);
	print_text("remote_name", truth->remote_name);
	print_number("error", truth->error);
	print_number("octets_out", truth->octets_out);
	print_number("octets_in", truth->octets_in);
	print_number("packets_out", truth->packets_out);
	print_number("packets_in", truth->packets_in);
	print_methods(truth->methods);
	print_number("netns", truth->netns);
	puts("}");
}

bool truth_book_print(const struct truth_book *of, const char *name, int status)
{
	const char *reason = of->reason;

	if (status == 0) {
		for (int i = 0; i < of->flows; i++)
			print_flow(name, &of->flow[i]);
	} else {
		if (!reason[0])
			reason = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "failed";
		printf("{\"case\":\"%s\",\"%s\":", name, of->skip ? "skip" : "fail");
		print_octets(reason, strlen(reason));
		puts("}");
	}
	fflush(stdout);
	return status == 0 || of->skip;
}

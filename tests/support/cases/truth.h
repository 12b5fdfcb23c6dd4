/* What a case knows to be true of its flows, and how it ends. All processes of a case share one
 * memory: whoever holds a socket writes down what it does with it, main prints it.
 *
 * A line of truth has the columns of the view "flows" that are certain; what is not deterministic
 * stays away. "method" is a list of what is acceptable, texts are octets (U+00FF: octet 255), and
 * "argv" stands for cmdline. */
#ifndef LASTCONN_TESTS_CASES_TRUTH_H
#define LASTCONN_TESTS_CASES_TRUTH_H

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { TRUTH_UNKNOWN = -1, TRUTH_ARGV_SIZE = 512 };

struct truth_process {
	pid_t pid;       /* in the pid namespace of the mounted procfs */
	pid_t inner_pid; /* in its own */
	long uid;
	int64_t start_us; /* wall clock, to 10 ms */
	char comm[16];
	char exe[PATH_MAX];
	char argv[TRUTH_ARGV_SIZE]; /* as in /proc/PID/cmdline */
	size_t argv_length;
};

struct truth_end {
	char ip[INET6_ADDRSTRLEN]; /* "": unknown */
	int port;                  /* TRUTH_UNKNOWN */
};

struct truth {
	const char *end;       /* "client", "server", ... */
	const char *protocol;  /* as in flows */
	const char *direction; /* "out" or "in" */
	const char *outcome;
	const char *remote_name; /* NULL: not told */
	const char *methods;     /* acceptable, separated by commas */
	struct truth_end local, remote;
	struct truth_process user;
	pid_t opener; /* 0: not told; the user's pid: nobody else */
	char opener_exe[PATH_MAX];
	int error; /* errno; TRUTH_UNKNOWN */
	int64_t octets_out, octets_in, packets_out, packets_in;
	int64_t netns; /* inode number */
};

/* The calling process, also from one of its threads. */
void truth_self(struct truth_process *ret_process);

/* A new flow of this socket, used by the calling process alone; peer may be NULL if the socket is
 * connected. Counters are unknown. */
struct truth *truth_flow(
	const char *end, int sock, const struct sockaddr *peer, const char *direction);

/* The flow that the other end sees, used by the calling process alone, in the same namespace. */
struct truth *truth_mirror(const char *end, const struct truth *other);

/* The flow's user is this child of the calling process, which may be a zombie; the same program, or
 * (with this base name as comm) another one. */
void truth_child(struct truth *truth, pid_t pid);
void truth_program(struct truth *truth, const char *path, const char *const argv[]);

/* What the processes of the case have written so far: a flow that is known to be complete. */
struct truth *truth_at(int index);

/* A directory of the case, removed after it. */
const char *truth_directory(void);

/* Waits, where the case began before lastconnd, until that records. */
void truth_hold(void);

/* Sets what was sent and received. */
void truth_octets(struct truth *truth, long out, long in);
void truth_packets(struct truth *truth, long out, long in);

/* The calling process cannot go on: ends the whole case. */
__attribute__((noreturn, format(printf, 1, 2))) void truth_fail(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void truth_skip(const char *format, ...);

/* For main: before the case is started, and after it ended well or not. */
struct truth_book;
struct truth_book *truth_book_new(void);
void truth_book_use(struct truth_book *book);
bool truth_book_holds(const struct truth_book *book);
void truth_book_release(struct truth_book *book);
bool truth_book_print(const struct truth_book *book, const char *name, int status);
void truth_book_free(struct truth_book *book);

#endif

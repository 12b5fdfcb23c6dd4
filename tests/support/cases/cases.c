/* Makes the traffic of every case that lastconn must have right, both ends of it, and prints one
 * JSON line for each flow record that lastconn must have afterwards (see truth.h).
 *
 *     cases               all of them, several at a time
 *     cases NAME...       these
 *     cases --list        their names
 *     cases --before      those with sockets from before lastconnd's start: prints {"held":
 * NUMBER}, goes on when a line or the end comes from standard input
 *
 * What this kernel or user cannot do is {"case": NAME, "skip": REASON}. A case that cannot go on,
 * or takes longer than its bound, is {"case": NAME, "fail": REASON}, and the exit status is 1.
 * LASTCONN_SLOW multiplies the bound; LASTCONN_PARALLEL is how many run at a time, 8 at most (the
 * default). C and static: within an emulated machine a Python would take seconds to start. Traffic
 * stays on the loopback and in network namespaces that end with the case. */
#include "cases.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role.h"
#include "truth.h"

enum { PARALLEL = 8, BOUND_S = 30, HOLD_S = 300 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct running {
	pid_t pid; /* 0: free */
	const char *name;
	struct truth_book *book;
};

static const struct case_entry *(*const themes[])(void) = {
	case_failed,
	case_packet,
	case_tcp,
	case_transport,
	case_end,
	case_owner,
	case_program,
	case_udp,
	case_uring,
	case_raw,
	case_namespace,
};

static struct running running[PARALLEL];
static bool failed;

static unsigned slowly(unsigned seconds)
{
	const char *slow = getenv("LASTCONN_SLOW");
	double factor = slow ? atof(slow) : 1;

	return (unsigned)(seconds * (factor > 1 ? factor : 1));
}

static void start(struct running *slot, const struct case_entry *entry, unsigned bound_s)
{
	slot->name = entry->name;
	slot->book = truth_book_new();
	slot->pid = slot->book ? fork() : -1;
	if (slot->pid < 0) {
		perror("cases");
		exit(2);
	}
	if (slot->pid > 0) {
		setpgid(slot->pid, slot->pid);
		return;
	}
	setpgid(0, 0);
	alarm(slowly(bound_s));
	truth_book_use(slot->book);
	entry->run();
	_exit(0);
}

/* The end of any case; its group is killed: a process of it may be left. */
static void finish_one(int options)
{
	int status;
	pid_t pid = waitpid(-1, &status, options);

	for (size_t i = 0; i < PARALLEL; i++) {
		if (running[i].pid != pid || pid <= 0)
			continue;
		kill(-pid, SIGKILL);
		failed |= !truth_book_print(running[i].book, running[i].name, status);
		truth_book_free(running[i].book);
		running[i].pid = 0;
	}
}

static size_t parallel(void)
{
	const char *text = getenv("LASTCONN_PARALLEL");
	int count = text ? atoi(text) : PARALLEL;

	return count >= 1 && count <= PARALLEL ? (size_t)count : PARALLEL;
}

/* The next of the first so many; waits until one is free. */
static struct running *free_slot(size_t count)
{
	for (;;) {
		for (size_t i = 0; i < count; i++)
			if (running[i].pid == 0)
				return &running[i];
		finish_one(0);
	}
}

static void finish_all(void)
{
	for (size_t i = 0; i < PARALLEL; i++)
		while (running[i].pid)
			finish_one(0);
}

static bool is_asked(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static int run_all(char **names)
{
	int count = 0;

	for (size_t i = 0; i < COUNT(themes); i++) {
		for (const struct case_entry *entry = themes[i](); entry->name; entry++) {
			if (!is_asked(entry->name, names))
				continue;
			start(free_slot(parallel()), entry, BOUND_S);
			count++;
		}
	}
	finish_all();
	if (count == 0)
		fprintf(stderr, "cases: no such case; see cases --list\n");
	return count == 0 ? 2 : failed;
}

/* How many hold; waits until nobody is on the way to it any more. */
static int wait_until_held(void)
{
	int held, going;

	do {
		finish_one(WNOHANG);
		usleep(10000);
		held = going = 0;
		for (size_t i = 0; i < PARALLEL; i++) {
			held += running[i].pid && truth_book_holds(running[i].book);
			going += running[i].pid && !truth_book_holds(running[i].book);
		}
	} while (going > 0);
	return held;
}

static int run_before(void)
{
	char octet;

	for (const struct case_entry *entry = case_before(); entry->name; entry++)
		start(free_slot(PARALLEL), entry, HOLD_S);
	printf("{\"held\":%d}\n", wait_until_held());
	fflush(stdout);
	if (read(STDIN_FILENO, &octet, 1) < 0)
		perror("cases: standard input");
	for (size_t i = 0; i < PARALLEL; i++)
		if (running[i].pid)
			truth_book_release(running[i].book);
	finish_all();
	return failed;
}

static int list(void)
{
	for (size_t i = 0; i < COUNT(themes); i++)
		for (const struct case_entry *entry = themes[i](); entry->name; entry++)
			puts(entry->name);
	return 0;
}

int main(int argc, char **argv)
{
	role_run(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc == 2 && strcmp(argv[1], "--before") == 0)
		return run_before();
	return run_all(argv + 1);
}

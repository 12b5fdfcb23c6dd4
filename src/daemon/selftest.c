/* The recorder is this very program in a child process, with everything that a real one has, so
 * that nothing but the whole chain is tested. */
#include "daemon/selftest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config_option.h"
#include "daemon/live.h"
#include "daemon/selftest_traffic.h"
#include "flow/flow_names.h"
#include "store/store_report.h"
#include "util/clock.h"
#include "util/log.h"

#define LOG "log"

enum { START_S = 60, RECORD_S = 8, POLL_MS = 20, PATH_SIZE = 4096 };

enum verdict { RIGHT, INEXACT, UNSEEN, WRONG, MISSING, SKIPPED, VERDICT_COUNT };

static const char *const verdict_words[VERDICT_COUNT] = {
	"right", "inexact", "unseen", "wrong", "missing", "skipped"};

/* One end of a conversation, as it must be recorded. */
struct expected_flow {
	const struct selftest_talk *talk;
	const char *direction;
	uint16_t local_port, remote_port;
	pid_t pid;
	uint64_t octets_out, octets_in;
};

struct selftest {
	char directory[PATH_SIZE / 2];
	int directory_fd; /* nothing but what is in this very directory is written or removed */
	char database[PATH_SIZE];
	pid_t recorder;
	struct selftest_talk talks[SELFTEST_TALKS_MAX];
	size_t talk_count;
	unsigned int verdicts[VERDICT_COUNT];
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Reading back. */

static struct expected_flow end_of(const struct selftest_talk *talk, bool client)
{
	return (struct expected_flow){
		.talk = talk,
		.direction = client ? "out" : "in",
		.local_port = client ? talk->client_port : talk->server_port,
		.remote_port = client ? talk->server_port : talk->client_port,
		.pid = client ? talk->client : talk->server,
		.octets_out = client ? talk->question : talk->answer,
		.octets_in = client ? talk->answer : talk->question,
	};
}

static bool same_text(const struct store_report *report, size_t column, const char *text)
{
	size_t length;
	const char *found = store_report_text(report, column, &length);

	return found && strlen(text) == length && memcmp(found, text, length) == 0;
}

/* A record that calls itself exact and is not is a lie, one that says how it knows is merely
 * inexact; so is one that does not say which way the connection went. */
static enum verdict judge_row(const struct store_report *report,
	const struct expected_flow *expected, char *why, size_t size)
{
	int64_t pid = store_report_integer(report, 0);
	int64_t out = store_report_integer(report, 1), in = store_report_integer(report, 2);
	size_t length;
	const char *method = store_report_text(report, 3, &length);
	bool exact = same_text(report, 3, "exact");
	const char *direction = store_report_text(report, 4, &length);
	bool directed = same_text(report, 4, expected->direction);

	snprintf(why, size, "%s, pid %lld, %lld B out, %lld B in%s%s", method ? method : "",
		(long long)pid, (long long)out, (long long)in, directed ? "" : ", direction ",
		directed ? "" : direction);
	if (exact && (pid != expected->pid || (uint64_t)out != expected->octets_out ||
			     (uint64_t)in != expected->octets_in))
		return WRONG;
	if (!directed)
		return same_text(report, 4, "unknown") ? INEXACT : WRONG;
	return exact ? RIGHT : INEXACT;
}

static int prepare(struct store_reader *reader, const struct expected_flow *expected,
	struct store_report **ret_report, struct store_error *error)
{
	char name[FLOW_PROTOCOL_NAME_SIZE];

	if (store_report_new(reader,
		    "SELECT pid, octets_out, octets_in, method, direction FROM flows WHERE"
		    " open = 0 AND protocol = :protocol AND local_port = :local_port AND "
		    "remote_port = :remote_port",
		    ret_report, error))
		return -1;
	store_report_bind_text(
		*ret_report, "protocol", flow_protocol_name(expected->talk->protocol, name));
	store_report_bind_integer(*ret_report, "local_port", expected->local_port);
	store_report_bind_integer(*ret_report, "remote_port", expected->remote_port);
	return 0;
}

static bool is_polled(struct store_reader *reader)
{
	struct store_report *report = NULL;
	struct store_error error;
	bool polled = false;

	if (store_report_new(reader, "SELECT 1 FROM coverage WHERE source IN ('procfs', 'pcap')",
		    &report, &error) == 0)
		polled = store_report_step(report, &error) == 1;
	store_report_free(report);
	return polled;
}

static enum verdict judge(
	struct store_reader *reader, const struct expected_flow *expected, char *why, size_t size)
{
	struct store_report *report = NULL;
	struct store_error error = {0};
	enum verdict verdict = MISSING;

	why[0] = '\0';
	if (prepare(reader, expected, &report, &error)) {
		snprintf(why, size, "%s", error.text);
		return MISSING;
	}
	if (store_report_step(report, &error) == 1) {
		verdict = judge_row(report, expected, why, size);
		if (store_report_step(report, &error) == 1) {
			snprintf(why, size, "recorded more than once");
			verdict = WRONG;
		}
	}
	store_report_free(report);
	if (verdict == MISSING && expected->talk->unpolled && is_polled(reader)) {
		snprintf(why, size, "%s", expected->talk->unpolled);
		verdict = UNSEEN;
	}
	return verdict;
}

static bool all_recorded(const struct selftest *test, struct store_reader *reader)
{
	char why[128];

	for (size_t i = 0; i < test->talk_count; i++)
		for (int client = 0; client < 2; client++) {
			struct expected_flow expected = end_of(&test->talks[i], client);

			if (!test->talks[i].skipped &&
				judge(reader, &expected, why, sizeof(why)) == MISSING)
				return false;
		}
	return true;
}

/* The recorder. */

static void sleep_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * NS_PER_MS}, NULL);
}

static int set_option(struct config *config, const char *name, const char *value)
{
	char why[CONFIG_TEXT_SIZE];

	return config_option_set(config, config_option_at(config_option_find(name)), value, why);
}

static int configure(struct config *config, const struct selftest *test)
{
	static const char *const fast[][2] = {
		{"flush-interval", "50ms"}, {"sweep-interval", "200ms"}};

	for (size_t i = 0; i < sizeof(fast) / sizeof(fast[0]); i++)
		if (set_option(config, fast[i][0], fast[i][1]))
			return -1;
	free(config->pin_path); /* that is the service's own */
	config->pin_path = NULL;
	return set_option(config, "db", test->database);
}

static void record(struct config *config, const struct selftest *test)
{
	int fd = openat(test->directory_fd, LOG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGTERM); /* never longer than the test */
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	unsetenv("NOTIFY_SOCKET"); /* that is the service's own */
	_exit(live_run(config, 0, NULL));
}

static bool recorder_lives(const struct selftest *test)
{
	return !interrupted && waitpid(test->recorder, NULL, WNOHANG) == 0;
}

/* Opens the database as soon as the recorder has made it, which it does when its hooks are
 * attached; NULL: it ended, or took too long. */
static struct store_reader *wait_for_recorder(const struct selftest *test)
{
	int64_t deadline_ns = clock_boottime_ns() + START_S * (int64_t)NS_PER_S;
	struct store_reader *reader;
	struct store_error error;

	while (recorder_lives(test) && clock_boottime_ns() < deadline_ns) {
		if (store_reader_open(test->database, &reader, &error) == 0)
			return reader;
		sleep_a_little();
	}
	return NULL;
}

static void end_recorder(struct selftest *test)
{
	kill(test->recorder, SIGTERM);
	while (waitpid(test->recorder, NULL, 0) < 0 && errno == EINTR)
		;
}

static void make_and_wait(struct selftest *test, struct store_reader *reader)
{
	int64_t deadline_ns;

	test->talk_count = selftest_traffic(test->talks);
	deadline_ns = clock_boottime_ns() + RECORD_S * (int64_t)NS_PER_S;
	while (!interrupted && !all_recorded(test, reader) && clock_boottime_ns() < deadline_ns)
		sleep_a_little();
}

/* The answer. */

static void print_end(struct selftest *test, struct store_reader *reader,
	const struct selftest_talk *talk, bool client)
{
	struct expected_flow expected = end_of(talk, client);
	enum verdict verdict = SKIPPED;
	char why[512];

	if (talk->skipped)
		snprintf(why, sizeof(why), "not possible here: %s", strerror(talk->skipped));
	else
		verdict = judge(reader, &expected, why, sizeof(why));
	test->verdicts[verdict]++;
	printf("%-8s  %-46s  %s  %s\n", verdict_words[verdict], talk->what,
		client ? "client" : "server", why);
	if (verdict != RIGHT && verdict != UNSEEN && verdict != SKIPPED)
		printf("%-8s  expected: exact, pid %lld, %llu B out, %llu B in\n", "",
			(long long)expected.pid, (unsigned long long)expected.octets_out,
			(unsigned long long)expected.octets_in);
}

static void print_log(const struct selftest *test)
{
	int fd = openat(test->directory_fd, LOG, O_RDONLY | O_CLOEXEC);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
	char line[1024];

	while (stream && fgets(line, sizeof(line), stream))
		fputs(line, stdout);
	if (stream)
		fclose(stream);
}

static enum selftest_status print_verdicts(const struct selftest *test)
{
	const unsigned int *count = test->verdicts;

	for (size_t i = 0; i < VERDICT_COUNT; i++)
		printf("%s%u %s", i ? ", " : "", count[i], verdict_words[i]);
	putchar('\n');
	if (count[WRONG] || count[MISSING] || count[RIGHT] + count[INEXACT] == 0)
		return SELFTEST_FAILED;
	return count[INEXACT] || count[UNSEEN] ? SELFTEST_INEXACT : SELFTEST_RIGHT;
}

static enum selftest_status test_and_print(struct selftest *test)
{
	struct store_reader *reader;
	struct utsname kernel;

	signal(SIGINT, on_interrupt); /* the recorder has its own way to end */
	signal(SIGTERM, on_interrupt);
	uname(&kernel);
	printf("lastconnd " LASTCONN_VERSION " on Linux %s\n", kernel.release);
	reader = wait_for_recorder(test);
	if (reader)
		make_and_wait(test, reader);
	end_recorder(test);
	for (size_t i = 0; i < test->talk_count; i++)
		for (int client = 1; client >= 0; client--)
			print_end(test, reader, &test->talks[i], client);
	store_reader_close(reader);
	printf("\nwhat the recorder said\n");
	print_log(test);
	return print_verdicts(test);
}

/* The scratch directory. */

static int make_directory(struct selftest *test)
{
	const char *base = getenv("TMPDIR");
	struct stat found;

	snprintf(test->directory, sizeof(test->directory), "%s/lastconn-selftest-XXXXXX",
		base && *base ? base : "/tmp");
	if (!mkdtemp(test->directory))
		return -errno;
	test->directory_fd = open(test->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (test->directory_fd < 0 || fstat(test->directory_fd, &found) < 0)
		return -errno;
	if (found.st_uid != geteuid())
		return -EPERM; /* whoever may write to TMPDIR has put another in its place */
	snprintf(test->database, sizeof(test->database), "%s/history.db", test->directory);
	return 0;
}

static void remove_directory(const struct selftest *test)
{
	DIR *directory = fdopendir(test->directory_fd);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(test->directory);
}

enum selftest_status selftest_run(struct config *config)
{
	struct selftest test = {0};
	enum selftest_status status = SELFTEST_FAILED;
	int error = make_directory(&test);

	if (error) {
		log_error("%s: cannot make a directory for the scratch database: %s; set TMPDIR",
			test.directory, strerror(-error));
		return SELFTEST_FAILED;
	}
	if (configure(config, &test)) {
		log_error("out of memory");
	} else {
		test.recorder = fork();
		if (test.recorder == 0)
			record(config, &test);
		if (test.recorder > 0)
			status = test_and_print(&test);
		else
			log_error("cannot start a process: %s", strerror(errno));
	}
	remove_directory(&test);
	return status;
}

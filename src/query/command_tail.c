/* "tail": prints flows as they open and as they end, from now on, by asking every POLL_MS.
 *
 * A flow's key is when it ended, not when it was written: flows that idled out or were written by a
 * later batch come late. So each poll looks back a little, and now and then further, and leaves out
 * what was printed: the ids are handed to the query as a JSON array. A flow that opens is looked
 * for by its start in the same way. Limits: SEEN_MAX ids; when they are reached the oldest are
 * forgotten and the look back becomes as short as what is left. A missing database is waited for;
 * every other error ends. */
#include "query/command.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "query/message.h"
#include "query/output.h"
#include "query/report_find.h"
#include "query/report_run.h"
#include "util/clock.h"

enum {
	POLL_MS = 500,
	FAR_EVERY = 10, /* polls */
	SEEN_MAX = 200000,
};

#define NEAR_US (5LL * US_PER_S)
#define FAR_US  (300LL * US_PER_S)
#define OPEN_US (60LL * US_PER_S) /* an open flow is first written well within */

/* The key of an open flow is its run and its number in it. A new run that goes on with it keeps the
 * number, and its start but for what the clock was slewed. */
#define SERIAL(id) ((id) & ((1LL << 40) - 1))
#define SLEW_US    (US_PER_S / 10)

struct sight {
	int64_t time_us; /* of a flow that ended its end, of an open one its start */
	int64_t id;
};

struct seen {
	struct sight *sights; /* ascending after seen_tidy */
	size_t count, size;
	int64_t forgotten_us; /* nothing older is looked for */
};

struct tail {
	const struct options *options;
	const struct report *report;
	struct report_args *args;
	struct output *output;
	struct seen ended;
	struct seen open;
	int64_t printed;
	int64_t limit;
	bool silent; /* the first poll: what is there already */
};

static volatile sig_atomic_t tail_stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	tail_stopped = 1;
}

static int seen_add(struct seen *seen, int64_t time_us, int64_t id)
{
	if (seen->count == seen->size) {
		size_t size = seen->size ? seen->size * 2 : 256;
		struct sight *sights = realloc(seen->sights, size * sizeof(*sights));

		if (!sights)
			return -ENOMEM;
		seen->sights = sights;
		seen->size = size;
	}
	seen->sights[seen->count++] = (struct sight){time_us, id};
	return 0;
}

static int compare_sights(const void *a, const void *b)
{
	const struct sight *left = a, *right = b;

	return left->time_us < right->time_us ? -1 : left->time_us > right->time_us;
}

static size_t seen_before(const struct seen *seen, int64_t time_us)
{
	size_t low = 0, high = seen->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (seen->sights[middle].time_us < time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Sorts, and forgets what no look back will meet again. */
static void seen_tidy(struct seen *seen, int64_t oldest_us)
{
	size_t drop;

	if (seen->count == 0)
		return;
	qsort(seen->sights, seen->count, sizeof(*seen->sights), compare_sights);
	drop = seen_before(seen, oldest_us);
	if (seen->count - drop > SEEN_MAX) {
		drop = seen->count - SEEN_MAX;
		seen->forgotten_us = seen->sights[drop - 1].time_us + 1;
	}
	memmove(seen->sights, seen->sights + drop, (seen->count - drop) * sizeof(*seen->sights));
	seen->count -= drop;
}

/* Binds when to look from, and what was seen since then, as JSON. */
static int bind_look(
	struct tail *tail, struct seen *seen, int64_t after_us, const char *after, const char *ids)
{
	struct strbuf list = {0};
	int result;

	if (after_us < seen->forgotten_us)
		after_us = seen->forgotten_us;
	strbuf_add_char(&list, '[');
	for (size_t i = seen_before(seen, after_us); i < seen->count; i++)
		strbuf_printf(&list, "%s%" PRId64, list.length > 1 ? "," : "", seen->sights[i].id);
	strbuf_add_char(&list, ']');
	result = list.failed ? -ENOMEM : report_args_text(tail->args, ids, strbuf_text(&list));
	strbuf_done(&list);
	return result < 0 ? result : report_args_integer(tail->args, after, after_us);
}

/* Whether an open flow was seen, as one of an earlier run. */
static bool went_on(const struct seen *open, int64_t start_us, int64_t id)
{
	for (size_t i = 0; i < open->count; i++)
		if (SERIAL(open->sights[i].id) == SERIAL(id) &&
			llabs(open->sights[i].time_us - start_us) < SLEW_US)
			return true;
	return false;
}

/* The report's first columns: flow_id (NULL: open), open_id (NULL: ended), start_us. */
static int take_row(struct tail *tail, const struct store_report *row)
{
	int64_t flow_id = store_report_integer(row, 0), open_id = store_report_integer(row, 1);
	int64_t start_us = store_report_integer(row, 2);
	bool known = false;
	int result;

	if (store_report_type(row, 0) == STORE_INTEGER) {
		result = seen_add(&tail->ended, flow_id, flow_id);
	} else {
		known = !tail->silent && went_on(&tail->open, start_us, open_id);
		result = seen_add(&tail->open, start_us, open_id);
	}
	if (result < 0 || tail->silent || known)
		return result;
	tail->printed++;
	return output_row(tail->output, row);
}

static int take_rows(struct tail *tail, struct store_report *statement)
{
	struct store_error error;
	int step, result = 0;

	if (!tail->output &&
		output_new(tail->options, tail->report, statement, true, &tail->output) < 0)
		return message_error("out of memory");
	while (!(tail->limit && tail->printed == tail->limit)) {
		step = store_report_step(statement, &error);
		if (step < 0)
			return message_error("%s", error.text);
		if (step == 0)
			break;
		result = take_row(tail, statement);
		if (result < 0)
			return message_error("cannot write the output: %s", strerror(-result));
	}
	return EXIT_FOUND;
}

static int poll_once(struct tail *tail, struct store_reader *reader, int64_t look_back_us)
{
	int64_t now_us = clock_realtime_us();
	struct store_report *statement;
	struct store_error error;
	int status;

	seen_tidy(&tail->ended, now_us - FAR_US);
	seen_tidy(&tail->open, now_us - OPEN_US);
	if (bind_look(tail, &tail->ended, now_us - look_back_us, "after", "seen") < 0 ||
		bind_look(tail, &tail->open, now_us - OPEN_US, "open_after", "open_seen") < 0)
		return message_error("out of memory");
	if (report_prepare(reader, tail->report, tail->args, &statement, &error) < 0)
		return message_error(
			"report %s (%s): %s", tail->report->name, tail->report->origin, error.text);
	status = take_rows(tail, statement);
	store_report_free(statement);
	return status;
}

static void nap(void)
{
	struct timespec time = {.tv_nsec = POLL_MS * NS_PER_MS};

	nanosleep(&time, NULL);
}

/* Returns NULL when stopped, or with the error said. */
static struct store_reader *wait_for_reader(const struct options *options, bool *ret_waited)
{
	struct store_reader *reader;
	struct store_error error;
	bool said = false;

	while (!tail_stopped) {
		if (store_reader_open(options->db, &reader, &error) == 0) {
			*ret_waited = said;
			return reader;
		}
		if (error.class != STORE_MISSING && error.class != STORE_RETRY) {
			message("%s", error.text);
			return NULL;
		}
		if (!said)
			message("%s; waiting for it", error.text);
		said = true;
		nap();
	}
	return NULL;
}

static int follow(struct tail *tail)
{
	bool waited;
	struct store_reader *reader = wait_for_reader(tail->options, &waited);
	int status = EXIT_FOUND;

	if (!reader)
		return tail_stopped ? EXIT_FOUND : EXIT_ERROR;
	tail->silent = !waited;
	for (unsigned poll = 0; !tail_stopped && status == EXIT_FOUND; poll++) {
		status = poll_once(tail, reader, poll % FAR_EVERY == 0 ? FAR_US : NEAR_US);
		tail->silent = false;
		if (tail->limit && tail->printed == tail->limit)
			break;
		if (status == EXIT_FOUND)
			nap();
	}
	store_reader_close(reader);
	return status;
}

static int run(const struct command *command, const struct options *options,
	const struct report *report, struct report_args *args)
{
	struct tail tail = {.options = options, .report = report, .args = args};
	int status, end = 0;

	if (command_args(command, options, report, args) < 0)
		return EXIT_ERROR;
	tail.limit = args->limit;
	status = follow(&tail);
	if (tail.output)
		end = output_end(tail.output);
	free(tail.ended.sights);
	free(tail.open.sights);
	if (end < 0 && status == EXIT_FOUND)
		return message_error("cannot write the output: %s", strerror(-end));
	return status;
}

int command_tail(const struct command *command, const struct options *options)
{
	struct sigaction action = {.sa_handler = stop};
	struct report_args args = {0};
	struct report_error error;
	struct report *report;
	int status;

	if (report_find(options->queries, command->name, &report, &error) < 0)
		return message_error("%s", error.text);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = run(command, options, report, &args);
	report_args_done(&args);
	report_free(report);
	return status;
}

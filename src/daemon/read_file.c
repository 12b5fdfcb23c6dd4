/* Pumps capture files through the pipeline, one after the other, by the clock of the files.
 *
 * The database is opened after the first file: what is no capture leaves no database behind. The
 * queue makes the reader wait, nothing is dropped. A damaged file is read up to the damage, which
 * goes into the coverage, and one that cannot be read is named; the next ones are read all the
 * same, and the exit status is then 1, as after Ctrl-C.
 *
 * Flows go on from file to file. If a file begins before the one before it ended, by more than what
 * packets of one capture are out of order, the flows that are open end there: they would end before
 * they began, and every packet would look long overdue. */
#include "daemon/read_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/privilege.h"
#include "daemon/read_cover.h"
#include "daemon/read_progress.h"
#include "daemon/recorder.h"
#include "source/source_pcap.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	SLICE_PACKETS = 4096,
	STEP_BACK_S = 1,
	EXIT_USAGE = 2,
};

struct reading {
	const struct config *config;
	struct recorder recorder;
	struct source_pcap *source;
	struct source_pcap_range *local;
	struct read_progress progress;
	struct read_span *spans; /* of the files that had packets */
	size_t span_count;
	size_t at;                       /* index of the file */
	bool begun;                      /* it had a packet: the last span is its */
	bool opened;                     /* the database is */
	bool failed;                     /* a file was damaged or could not be read */
	bool cut;                        /* by Ctrl-C */
	struct source_pcap_error damage; /* of the last file that has any; text "" if none */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* The second Ctrl-C kills. */
static void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void check_order(
	struct reading *reading, const struct read_span *before, const struct read_span *now)
{
	int64_t back_ns = before->until_ns - now->from_ns;
	bool step = back_ns > STEP_BACK_S * (int64_t)NS_PER_S;

	if (back_ns <= 0)
		return;
	read_progress_clear(&reading->progress);
	log_warning("%s begins %.6g s before the end of %s%s", now->path,
		(double)back_ns / NS_PER_S, before->path,
		step ? ": open flows end there; name the files in the order of their times" : "");
	if (step)
		pipeline_end_flows(reading->recorder.pipeline);
}

/* Called before a file's first packet. */
static void file_begins(void *ctx, int64_t first_ns)
{
	struct reading *reading = ctx;
	struct read_span *span = &reading->spans[reading->span_count];

	*span = (struct read_span){first_ns, first_ns, reading->config->read_paths[reading->at]};
	reading->begun = true;
	if (reading->span_count++ > 0)
		check_order(reading, span - 1, span);
}

static void show_progress(struct reading *reading, const struct source_pcap_counters *counters)
{
	struct pipeline_counters piped;
	struct read_state state = {.octets = counters->octets, .packets = counters->packets};

	if (!read_progress_due(&reading->progress))
		return;
	pipeline_counters(reading->recorder.pipeline, &piped);
	state.flows = piped.flows.created;
	read_progress_show(&reading->progress, &state);
}

/* The clock of the file goes on to its last packet. */
static void after_slice(struct reading *reading)
{
	struct source_pcap_counters counters;

	source_pcap_counters(reading->source, &counters);
	if (counters.packets == 0)
		return;
	if (reading->begun)
		reading->spans[reading->span_count - 1].until_ns = counters.clock_ns;
	pipeline_set_clock(reading->recorder.pipeline, counters.clock_ns, 0);
	pipeline_expire(reading->recorder.pipeline);
	reading->recorder.file_from_us = counters.first_ns / NS_PER_US;
	reading->recorder.file_until_us = counters.last_ns / NS_PER_US;
	show_progress(reading, &counters);
}

/* Of one file alone the result says it. */
static void say_damage(struct reading *reading)
{
	struct source_pcap_counters counters;

	source_pcap_counters(reading->source, &counters);
	read_cover_damage(reading->recorder.pipeline, counters.clock_ns, reading->damage.text);
	reading->failed = true;
	read_progress_clear(&reading->progress);
	if (reading->config->read_count > 1)
		log_error("%s; what came before is kept", reading->damage.text);
}

static void pump(struct reading *reading)
{
	struct source_pcap_error error;
	int more;

	do {
		more = source_pcap_read(reading->source, SLICE_PACKETS, &error);
		after_slice(reading);
	} while (more > 0 && !interrupted);
	if (more != 0 && interrupted) { /* which a read(2) takes for an error */
		reading->cut = true;
	} else if (more < 0) {
		reading->damage = error;
		say_damage(reading);
	}
}

static int copy_local(struct reading *reading)
{
	const struct config *config = reading->config;

	if (config->local_count == 0)
		return 0;
	reading->local = calloc(config->local_count, sizeof(*reading->local));
	if (!reading->local)
		return -1;
	for (size_t i = 0; i < config->local_count; i++) {
		reading->local[i].first = config->local[i].first;
		reading->local[i].last = config->local[i].last;
	}
	return 0;
}

static int make_tables(struct reading *reading)
{
	const struct config *config = reading->config;
	struct source_pcap_options options = {
		.local_count = config->local_count,
		.filter = config->filter,
		.begins = file_begins,
		.ctx = reading,
	};

	reading->spans = calloc(config->read_count, sizeof(*reading->spans));
	if (!reading->spans || copy_local(reading) ||
		recorder_init(&reading->recorder, config, FLOW_SOURCE_FILE))
		return -1;
	options.local = reading->local;
	return source_pcap_new(
		&options, pipeline_sink(reading->recorder.pipeline), &reading->source);
}

static int open_database(struct reading *reading)
{
	struct store_error error = {0};

	if (reading->opened)
		return 0;
	if (recorder_open(&reading->recorder, reading->config, (struct store_ring){0}, NULL, NULL,
		    &error)) {
		log_error("%s", error.text);
		return -1;
	}
	reading->opened = true;
	catch_interrupts();
	return 0;
}

/* Returns 0, or the exit status if there is no going on. */
static int read_one(struct reading *reading)
{
	struct source_pcap_error error = {0};
	const char *path = reading->config->read_paths[reading->at];
	size_t span_count = reading->span_count;

	reading->begun = false;
	if (source_pcap_open_file(reading->source, path, &error)) {
		reading->span_count = span_count;
		reading->failed = true;
		reading->cut = interrupted;
		read_progress_clear(&reading->progress);
		if (!reading->cut)
			log_error("%s", error.text);
		return error.filter && !reading->opened ? EXIT_USAGE : 0;
	}
	if (open_database(reading))
		return EXIT_FAILURE;
	pump(reading);
	return 0;
}

/* A mistyped name is told before hours of reading. *ret_octets: of all files, 0 unknown. */
static int look_at_files(const struct config *config, uint64_t *ret_octets)
{
	uint64_t octets = 0;
	bool known = true;
	struct stat status;

	for (size_t i = 0; i < config->read_count; i++) {
		const char *path = config->read_paths[i];
		bool input = strcmp(path, "-") == 0;

		if (input ? fstat(STDIN_FILENO, &status) : stat(path, &status)) {
			log_error("%.220s: %s%s", input ? "standard input" : path, strerror(errno),
				i > 0 ? "; nothing was read (a filter is written --filter)" : "");
			return -1;
		}
		known = known && S_ISREG(status.st_mode);
		octets += (uint64_t)status.st_size;
	}
	*ret_octets = known ? octets : 0;
	return 0;
}

static void format_skipped(const struct source_pcap_counters *counters, const char *filter,
	char *ret_text, size_t size)
{
	int used = snprintf(ret_text, size,
		"skipped: %" PRIu64 " truncated, %" PRIu64 " malformed, %" PRIu64
		" unsupported, %" PRIu64 " ARP, %" PRIu64 " not IP",
		counters->truncated, counters->malformed, counters->unsupported, counters->arp,
		counters->not_ip);

	if (filter && used > 0)
		snprintf(ret_text + used, size - (size_t)used, ", %" PRIu64 " filtered",
			counters->filtered);
}

static void say_result(struct reading *reading, const struct store_counters *stored)
{
	const struct config *config = reading->config;
	struct source_pcap_counters counters;
	char skipped[256], what[32];

	source_pcap_counters(reading->source, &counters);
	format_skipped(&counters, config->filter, skipped, sizeof(skipped));
	snprintf(what, sizeof(what), "%" PRIu64 " files", config->read_count);
	if (counters.unfit > 0)
		log_error("the filter could not be applied to %" PRIu64
			  " packets, which were left out: %s",
			counters.unfit, source_pcap_unfit(reading->source));
	if (reading->damage.text[0] && config->read_count == 1)
		log_error("%s; %" PRIu64 " flows recorded up to there (%s)", reading->damage.text,
			stored->flows, skipped);
	else
		log_info("%s: %s%" PRIu64 " packets, %" PRIu64 " flows in %.1f s (%s)",
			config->read_count == 1 ? config->read_paths[0] : what,
			reading->cut ? "interrupted after " : "", counters.packets, stored->flows,
			read_progress_seconds(&reading->progress), skipped);
}

/* Returns the exit status. */
static int finish(struct reading *reading)
{
	const struct config *config = reading->config;
	struct store_counters stored = {0};
	struct source_pcap_counters counters;
	const char *unfit = source_pcap_unfit(reading->source);
	bool lost;

	source_pcap_counters(reading->source, &counters);
	read_cover_holes(reading->recorder.pipeline, reading->spans, reading->span_count);
	read_cover_packets(reading->recorder.pipeline, &counters, config->filter, unfit);
	read_progress_clear(&reading->progress);
	lost = recorder_close(&reading->recorder, config->shutdown_timeout_ns, &stored) != 0;
	say_result(reading, &stored);
	return lost || reading->failed || reading->cut || unfit ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int read_all(struct reading *reading)
{
	int status = 0;

	if (make_tables(reading)) {
		log_error("no memory for the tables: lower max-flows and max-processes");
		return EXIT_FAILURE;
	}
	for (; reading->at < reading->config->read_count && !status && !reading->cut; reading->at++)
		status = read_one(reading);
	if (status || !reading->opened)
		return status ? status : EXIT_FAILURE;
	return finish(reading);
}

/* Strangers made the files: nothing of them is read with more than that takes. */
static int drop_privileges(const struct config *config)
{
	char text[PRIVILEGE_TEXT_SIZE];
	int error = privilege_drop_all(config, text);

	if (error)
		log_error("%s", text);
	else
		log_debug("%s", text);
	return error;
}

int read_file_run(const struct config *config)
{
	struct reading reading = {.config = config};
	uint64_t octets;
	int status;

	if (look_at_files(config, &octets) || drop_privileges(config))
		return EXIT_FAILURE;
	read_progress_init(&reading.progress, octets);
	status = read_all(&reading);
	source_pcap_free(reading.source);
	recorder_done(&reading.recorder);
	free(reading.spans);
	free(reading.local);
	return status;
}

/* Pumps a capture file through the pipeline, by the clock of the file.
 *
 * The database is opened after the file: what is no capture leaves no database behind. The queue
 * makes the reader wait, nothing is dropped. A damaged file is read up to the damage, which goes
 * into the coverage; the exit status is then 1, as after Ctrl-C. */
#include "daemon/read_file.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/recorder.h"
#include "source/source_pcap.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	SLICE_PACKETS = 4096,
	PROGRESS_MS = 250,
};

struct reading {
	const struct config *config;
	struct recorder recorder;
	struct source_pcap *source;
	struct source_pcap_range *local;
	int64_t start_ns, progress_ns;
	bool terminal;
	bool cut;                        /* by Ctrl-C */
	struct source_pcap_error damage; /* text "" if there is none */
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

static double seconds_since(int64_t start_ns)
{
	double seconds = (double)(clock_boottime_ns() - start_ns) / NS_PER_S;

	return seconds > 0.001 ? seconds : 0.001;
}

static void show_progress(struct reading *reading, const struct source_pcap_counters *counters)
{
	int64_t now_ns = clock_boottime_ns();
	double megaoctets = (double)counters->file_octets / 1e6;
	double rate = (double)counters->packets / seconds_since(reading->start_ns);

	if (!reading->terminal || now_ns - reading->progress_ns < PROGRESS_MS * (int64_t)NS_PER_MS)
		return;
	reading->progress_ns = now_ns;
	if (counters->file_size > 0)
		fprintf(stderr, "\r%.1f MB, %.0f %%, %" PRIu64 " packets, %.0f packets/s\033[K",
			megaoctets,
			100.0 * (double)counters->file_octets / (double)counters->file_size,
			counters->packets, rate);
	else
		fprintf(stderr, "\r%.1f MB, %" PRIu64 " packets, %.0f packets/s\033[K", megaoctets,
			counters->packets, rate);
}

static void clear_progress(const struct reading *reading)
{
	if (reading->terminal && reading->progress_ns > 0)
		fputs("\r\033[K", stderr);
}

/* The clock of the file goes on to its last packet. */
static void after_slice(struct reading *reading)
{
	struct source_pcap_counters counters;

	source_pcap_counters(reading->source, &counters);
	pipeline_set_clock(reading->recorder.pipeline, counters.last_ns, 0);
	pipeline_expire(reading->recorder.pipeline);
	reading->recorder.file_from_us = counters.first_ns / NS_PER_US;
	reading->recorder.file_until_us = counters.last_ns / NS_PER_US;
	show_progress(reading, &counters);
}

static void cover_damage(struct reading *reading)
{
	struct source_pcap_counters counters;
	struct coverage_record record = {
		.what = COVERAGE_FILE_TRUNCATED,
		.source = FLOW_SOURCE_FILE,
	};

	source_pcap_counters(reading->source, &counters);
	record.from_us = record.until_us = counters.last_ns / NS_PER_US;
	snprintf(record.detail, sizeof(record.detail), "%.*s", COVERAGE_DETAIL_SIZE - 1,
		reading->damage.text);
	pipeline_cover(reading->recorder.pipeline, &record);
}

static void cover(
	struct reading *reading, enum coverage_what what, uint64_t count, const char *detail)
{
	struct coverage_record record = {
		.from_us = reading->recorder.file_from_us,
		.until_us = reading->recorder.file_until_us,
		.count = count,
		.what = what,
		.source = FLOW_SOURCE_FILE,
	};

	snprintf(record.detail, sizeof(record.detail), "%s", detail);
	pipeline_cover(reading->recorder.pipeline, &record);
}

/* What a capture file cannot vouch for, good as it may be. */
static void cover_file(struct reading *reading)
{
	struct source_pcap_counters counters;
	uint64_t skipped;

	source_pcap_counters(reading->source, &counters);
	skipped = counters.truncated + counters.malformed + counters.unsupported;
	if (counters.packets == 0)
		return;
	cover(reading, COVERAGE_OWNERS_UNSURE, 0,
		"capture file: only PKTAP and ptcpdump tell processes, and not of all packets");
	if (counters.processes_refused > 0)
		cover(reading, COVERAGE_TABLE_FULL, counters.processes_refused,
			"processes of the capture file not remembered: too many in one section");
	if (skipped > 0)
		cover(reading, COVERAGE_PACKETS_SKIPPED, skipped, "");
}

static void pump(struct reading *reading)
{
	int more;

	do {
		more = source_pcap_read(reading->source, SLICE_PACKETS, &reading->damage);
		after_slice(reading);
	} while (more > 0 && !interrupted);
	reading->cut = more > 0;
	cover_file(reading);
	if (more < 0)
		cover_damage(reading);
	else
		reading->damage.text[0] = '\0';
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

static int open_all(struct reading *reading)
{
	const struct config *config = reading->config;
	struct source_pcap_options options = {.local_count = config->local_count};
	struct source_pcap_error source_error = {0};
	struct store_error store_error = {0};

	if (copy_local(reading) || recorder_init(&reading->recorder, config, FLOW_SOURCE_FILE)) {
		log_error("no memory for the tables: lower max-flows and max-processes");
		return -1;
	}
	options.local = reading->local;
	if (source_pcap_open_file(config->read_path, &options,
		    pipeline_sink(reading->recorder.pipeline), &reading->source, &source_error)) {
		log_error("%s", source_error.text);
		return -1;
	}
	if (recorder_open(
		    &reading->recorder, config, (struct store_ring){0}, NULL, NULL, &store_error)) {
		log_error("%s", store_error.text);
		return -1;
	}
	return 0;
}

static void say_result(struct reading *reading, const struct store_counters *stored)
{
	struct source_pcap_counters counters;
	char skipped[192];

	source_pcap_counters(reading->source, &counters);
	snprintf(skipped, sizeof(skipped),
		"skipped: %" PRIu64 " truncated, %" PRIu64 " malformed, %" PRIu64
		" unsupported, %" PRIu64 " ARP, %" PRIu64 " not IP",
		counters.truncated, counters.malformed, counters.unsupported, counters.arp,
		counters.not_ip);
	if (reading->damage.text[0])
		log_error("%s; %" PRIu64 " flows recorded up to there (%s)", reading->damage.text,
			stored->flows, skipped);
	else
		log_info("%s: %s%" PRIu64 " packets, %" PRIu64 " flows in %.1f s (%s)",
			reading->config->read_path, reading->cut ? "interrupted after " : "",
			counters.packets, stored->flows, seconds_since(reading->start_ns), skipped);
}

int read_file_run(const struct config *config)
{
	struct reading reading = {.config = config, .terminal = isatty(STDERR_FILENO)};
	struct store_counters stored = {0};
	int status = EXIT_FAILURE;

	reading.start_ns = clock_boottime_ns();
	if (open_all(&reading) == 0) {
		catch_interrupts();
		pump(&reading);
		clear_progress(&reading);
		if (recorder_close(&reading.recorder, config->shutdown_timeout_ns, &stored) == 0 &&
			!reading.damage.text[0] && !reading.cut)
			status = EXIT_SUCCESS;
		say_result(&reading, &stored);
	}
	source_pcap_free(reading.source);
	recorder_done(&reading.recorder);
	free(reading.local);
	return status;
}

/* One metric a row of a table, by the conventions of Prometheus: units in the names, counters end
 * in _total and begin anew with each run, lastconn_start_time_seconds says when that was.
 *
 * The file is written beside its place and renamed, so that a reader sees the old one or the new
 * one. It is no part of the history: a disk that does not take it is logged, and nothing waits for
 * it (no fsync). The collector looks at *.prom only, so it never takes the unfinished one. */
#include "daemon/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

#define INTERVAL_NS ((int64_t)60 * NS_PER_S)

enum kind { COUNTER, GAUGE };

static void head(struct strbuf *text, const char *name, enum kind kind, const char *help)
{
	strbuf_printf(text, "# HELP lastconn_%s %s\n# TYPE lastconn_%s %s\n", name, help, name,
		kind == COUNTER ? "counter" : "gauge");
}

static void plain(
	struct strbuf *text, const char *name, enum kind kind, const char *help, uint64_t value)
{
	head(text, name, kind, help);
	strbuf_printf(text, "lastconn_%s %llu\n", name, (unsigned long long)value);
}

static void seconds(
	struct strbuf *text, const char *name, enum kind kind, const char *help, int64_t us)
{
	head(text, name, kind, help);
	strbuf_printf(text, "lastconn_%s %lld.%06lld\n", name, (long long)(us / 1000000),
		(long long)(us % 1000000));
}

static void labelled(struct strbuf *text, const char *name, const char *label, const char *value,
	uint64_t number)
{
	strbuf_printf(text, "lastconn_%s{%s=\"%s\"} %llu\n", name, label, value,
		(unsigned long long)number);
}

/* What went into the coverage with a number: each is evidence that "nothing found" is none. */
static void losses(struct strbuf *text, const uint64_t *lost)
{
	static const enum coverage_what kinds[] = {COVERAGE_RING_FULL, COVERAGE_MAP_FULL,
		COVERAGE_TABLE_FULL, COVERAGE_QUEUE_FULL, COVERAGE_HOOK_SKIPPED,
		COVERAGE_OWNERS_UNSURE, COVERAGE_NAMES_UNSURE};

	head(text, "missed_total", COUNTER,
		"Events and records that were missed, see lastconn coverage.");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		labelled(
			text, "missed_total", "what", coverage_what_name(kinds[i]), lost[kinds[i]]);
}

static void flows(struct strbuf *text, const struct pipeline_counters *counters)
{
	const struct flow_table_counters *flows = &counters->flows;

	plain(text, "observations_total", COUNTER, "What the source told of flows.",
		flows->observations);
	plain(text, "flows_started_total", COUNTER, "Flows that were seen first.", flows->created);
	plain(text, "flows_ended_total", COUNTER, "Flows that are over.", flows->ended);
	plain(text, "flows_ignored_total", COUNTER,
		"Flows that are over and not stored, because of a rule.", counters->ignored);
	plain(text, "flows_open", GAUGE, "Flows that are not over.", flows->open);
	plain(text, "listeners", GAUGE, "Listening sockets that are known.", counters->listeners);
}

static void owners(struct strbuf *text, const struct pipeline_counters *counters)
{
	uint64_t named = 0;

	for (int i = 0; i < NAME_SOURCE_COUNT; i++)
		named += counters->names.named[i];
	plain(text, "process_events_total", COUNTER,
		"Begins, ends and first socket acts of processes.", counters->process_events);
	plain(text, "processes", GAUGE, "Processes that are remembered.",
		counters->processes.count);
	plain(text, "names_seen_total", COUNTER, "Times that a name was seen to stand for a host.",
		counters->names.evidence);
	plain(text, "names", GAUGE, "Names of hosts that are remembered.", counters->names.count);
	plain(text, "flow_records_named_total", COUNTER, "Records of flows that were given a name.",
		named);
	plain(text, "nat_mappings", GAUGE, "Translated connections that are remembered.",
		counters->nat.count);
}

static void table_losses(struct strbuf *text, const struct pipeline_counters *counters)
{
	static const char name[] = "table_evicted_total";

	head(text, name, COUNTER, "Entries that a full table forgot early.");
	labelled(text, name, "table", "flows", counters->flows.evicted);
	labelled(text, name, "table", "processes", counters->processes.evicted);
	labelled(text, name, "table", "listeners", counters->listeners_refused);
	labelled(text, name, "table", "names", counters->names.evicted);
	labelled(text, name, "table", "nat", counters->nat.evicted);
}

static void store(struct strbuf *text, const struct writer_counters *writer)
{
	plain(text, "store_batches_total", COUNTER, "Batches that were committed.",
		writer->store.batches);
	plain(text, "store_flows_total", COUNTER, "Flows that were committed at their end.",
		writer->store.flows);
	plain(text, "store_retries_total", COUNTER, "Commits that failed and were tried again.",
		writer->store.retries);
	seconds(text, "store_longest_batch_seconds", GAUGE, "Longest time that a commit took.",
		writer->store.longest_batch_us);
	plain(text, "store_queue_batches", GAUGE, "Batches that wait for their commit.",
		writer->queued);
	plain(text, "store_queue_bytes", GAUGE, "Memory of the batches that wait.",
		writer->queue_octets);
	plain(text, "store_up", GAUGE, "1: commits succeed. 0: the last one failed.",
		writer->state == WRITER_FINE);
}

void metrics_text(struct strbuf *text, const struct pipeline_counters *counters,
	const struct writer_counters *writer, int64_t begin_us)
{
	head(text, "build_info", GAUGE, "The version of lastconnd.");
	labelled(text, "build_info", "version", LASTCONN_VERSION, 1);
	seconds(text, "start_time_seconds", GAUGE,
		"Since when this run counts, seconds since 1970.", begin_us);
	flows(text, counters);
	owners(text, counters);
	table_losses(text, counters);
	losses(text, counters->lost);
	store(text, writer);
}

/* Readable by all, whatever the umask: the collector is another user. */
static int write_file(int fd, const struct strbuf *text)
{
	size_t done = 0;

	if (fchmod(fd, 0644) < 0)
		return -errno;
	while (done < text->length) {
		ssize_t written = write(fd, text->text + done, text->length - done);

		if (written < 0 && errno != EINTR)
			return -errno;
		done += written > 0 ? (size_t)written : 0;
	}
	return 0;
}

/* O_EXCL after unlink: a link that somebody put there is not followed. */
static int replace(const char *path, const struct strbuf *text)
{
	char *unfinished;
	int fd, error;

	if (text->failed || asprintf(&unfinished, "%s.new", path) < 0)
		return -ENOMEM;
	unlink(unfinished);
	fd = open(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	error = fd < 0 ? -errno : write_file(fd, text);
	if (fd >= 0 && close(fd) < 0 && !error)
		error = -errno;
	if (!error && rename(unfinished, path) < 0)
		error = -errno;
	if (error && fd >= 0)
		unlink(unfinished);
	free(unfinished);
	return error;
}

static int write_now(const char *path, const struct recorder *recorder, int64_t begin_us)
{
	struct strbuf text = {0};
	struct pipeline_counters counters;
	struct writer_counters writer;
	int error;

	pipeline_counters(recorder->pipeline, &counters);
	writer_counters(recorder->writer, &writer);
	metrics_text(&text, &counters, &writer, begin_us);
	error = replace(path, &text);
	strbuf_done(&text);
	return error;
}

void metrics_write(struct metrics *metrics, const char *path, const struct recorder *recorder,
	int64_t begin_us, int64_t now_ns)
{
	int error;

	if (!path || (metrics->written_ns && now_ns - metrics->written_ns < INTERVAL_NS))
		return;
	metrics->written_ns = now_ns;
	error = write_now(path, recorder, begin_us);
	if (error && !metrics->failing)
		log_warning("cannot write the metrics to %s: %s; recording goes on", path,
			strerror(-error));
	metrics->failing = error != 0;
}

void metrics_remove(const char *path)
{
	if (path)
		unlink(path);
}

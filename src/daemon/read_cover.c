/* Holes are told apart by the files around them, so that the pipeline and the store, which join
 * what is alike, do not make one of two with a file between them. */
#include "daemon/read_cover.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/clock.h"

enum {
	HOLE_S = 60,
	HOLES_AT_ONCE = 32, /* the pipeline keeps not many more */
	PATH_OCTETS = 64,   /* of each path in a detail */
};

void read_cover_damage(struct pipeline *pipeline, int64_t time_ns, const char *what)
{
	struct coverage_record record = {
		.from_us = time_ns / NS_PER_US,
		.until_us = time_ns / NS_PER_US,
		.what = COVERAGE_FILE_TRUNCATED,
		.source = FLOW_SOURCE_FILE,
	};

	snprintf(record.detail, sizeof(record.detail), "%.*s", COVERAGE_DETAIL_SIZE - 1, what);
	pipeline_cover(pipeline, &record);
}

static int by_begin(const void *a, const void *b)
{
	const struct read_span *first = a, *second = b;

	return (first->from_ns > second->from_ns) - (first->from_ns < second->from_ns);
}

/* The end of a long path tells more than its begin. */
static const char *tail(const char *path)
{
	size_t length = 0;

	while (path[length])
		length++;
	return length > PATH_OCTETS ? path + length - PATH_OCTETS : path;
}

static void cover_hole(
	struct pipeline *pipeline, const struct read_span *before, const struct read_span *after)
{
	struct coverage_record record = {
		.from_us = before->until_ns / NS_PER_US,
		.until_us = after->from_ns / NS_PER_US,
		.what = COVERAGE_NOT_IN_FILE,
		.source = FLOW_SOURCE_FILE,
	};

	snprintf(record.detail, sizeof(record.detail), "between %s and %s", tail(before->path),
		tail(after->path));
	pipeline_cover(pipeline, &record);
}

void read_cover_holes(struct pipeline *pipeline, struct read_span *spans, size_t count)
{
	struct read_span *reached = spans;
	size_t holes = 0;

	if (count == 0)
		return;
	qsort(spans, count, sizeof(*spans), by_begin);
	for (size_t i = 1; i < count; i++) {
		if (spans[i].from_ns - reached->until_ns > HOLE_S * (int64_t)NS_PER_S) {
			cover_hole(pipeline, reached, &spans[i]);
			if (++holes % HOLES_AT_ONCE == 0)
				pipeline_flush(pipeline);
		}
		if (spans[i].until_ns > reached->until_ns)
			reached = &spans[i];
	}
}

static void cover(struct pipeline *pipeline, const struct source_pcap_counters *counters,
	enum coverage_what what, uint64_t count, const char *detail)
{
	struct coverage_record record = {
		.from_us = counters->first_ns / NS_PER_US,
		.until_us = counters->last_ns / NS_PER_US,
		.count = count,
		.what = what,
		.source = FLOW_SOURCE_FILE,
	};

	snprintf(record.detail, sizeof(record.detail), "%.*s", COVERAGE_DETAIL_SIZE - 1, detail);
	pipeline_cover(pipeline, &record);
}

void read_cover_packets(struct pipeline *pipeline, const struct source_pcap_counters *counters,
	const char *filter, const char *unfit)
{
	uint64_t skipped = counters->truncated + counters->malformed + counters->unsupported;

	if (counters->packets == 0)
		return;
	cover(pipeline, counters, COVERAGE_OWNERS_UNSURE, 0,
		"capture file: only PKTAP and ptcpdump tell processes, and not of all packets");
	if (counters->processes_refused > 0)
		cover(pipeline, counters, COVERAGE_TABLE_FULL, counters->processes_refused,
			"processes of the capture file not remembered: too many in one section");
	pipeline_cover_ignored(
		pipeline, counters->first_ns / NS_PER_US, counters->last_ns / NS_PER_US);
	if (skipped > 0)
		cover(pipeline, counters, COVERAGE_PACKETS_SKIPPED, skipped, "");
	if (counters->filtered > 0)
		cover(pipeline, counters, COVERAGE_FILTERED, counters->filtered, filter);
	if (counters->unfit > 0)
		cover(pipeline, counters, COVERAGE_FILTERED, counters->unfit, unfit);
}

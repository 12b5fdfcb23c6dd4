/* An interval in which something may have been missed, or in which times are not what they seem.
 * Plain value. The store joins intervals of one kind that follow on one another. */
#ifndef LASTCONN_FLOW_COVERAGE_H
#define LASTCONN_FLOW_COVERAGE_H

#include <stdint.h>

#include "flow/flow_key.h"

/* Stored as names; append only. */
enum coverage_what {
	COVERAGE_DOWN,      /* lastconnd did not run */
	COVERAGE_RING_FULL, /* count events lost between kernel and daemon */
	COVERAGE_MAP_FULL,  /* count sockets, peers or processes that found no room in the kernel */
	COVERAGE_TABLE_FULL,     /* count entries evicted from a table of the daemon */
	COVERAGE_QUEUE_FULL,     /* count records lost because the writer was too slow */
	COVERAGE_FILE_TRUNCATED, /* the capture file ends within a packet, or is damaged */
	COVERAGE_SLOT_MISSING,   /* no program serves a hook: detail names it */
	COVERAGE_SNAPSHOT,    /* count flows were open before the start: what they did is unknown */
	COVERAGE_CLOCK_STEP,  /* the wall clock was set, by count ms; detail: which way */
	COVERAGE_SUSPEND,     /* the machine slept for count ms */
	COVERAGE_UNACCOUNTED, /* the kernel moved count packets or octets that no flow explains */
	COVERAGE_SLOT_DEGRADED, /* a program that sees less serves a hook */
	COVERAGE_OWNERS_UNSURE, /* flows are seen, but less of whose they are: detail names the hook
				 */
	COVERAGE_PACKETS_SKIPPED, /* of a capture file, count: cut off, malformed or not supported
				   */
	COVERAGE_HOOK_SKIPPED,    /* the kernel ran past a hook count times: detail names it */
	COVERAGE_NAMES_UNSURE, /* flows are seen, but fewer of their names: detail names the hook */
	COVERAGE_FILTERED,     /* count packets of a capture file that a filter left out */
	COVERAGE_NOT_IN_FILE,  /* between two capture files: nobody looked */
	COVERAGE_IGNORED,      /* count flows that a rule left out, by intent: detail is the rule */
	COVERAGE_COUNT,
};

enum { COVERAGE_DETAIL_SIZE = 160 };

struct coverage_record {
	int64_t from_us;  /* wall clock */
	int64_t until_us; /* 0: as long as the run, or until a record of its kind says otherwise */
	uint64_t count;   /* of what was lost; 0: not countable */
	enum coverage_what what;
	enum flow_source source;
	char detail[COVERAGE_DETAIL_SIZE]; /* what a user should know of it; may be "" */
};

const char *coverage_what_name(enum coverage_what what); /* "down", "ring full", ... */

#endif

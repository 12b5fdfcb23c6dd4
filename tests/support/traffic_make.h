/* Made-up but skewed traffic, the same for the same seed: 300 executables, 20,000 processes a day,
 * 250,000 remote hosts, all with a few that make up most of it (Zipf's law). For benchmarks. */
#ifndef LASTCONN_TESTS_TRAFFIC_MAKE_H
#define LASTCONN_TESTS_TRAFFIC_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"

enum {
	TRAFFIC_EXECUTABLES = 300,
	TRAFFIC_PROCESSES_A_DAY = 20000,
	TRAFFIC_REMOTES = 250000,
	TRAFFIC_BATCH = 5000, /* records */
};

struct traffic {
	uint64_t state; /* of the random numbers */
	uint64_t flows_a_day;
	int64_t now_us;
	double step_us; /* mean time between the ends of flows */
	uint64_t processes, serial;
	struct process_ref running[TRAFFIC_EXECUTABLES]; /* of each program the newest process */
};

void traffic_init(struct traffic *traffic, uint64_t seed, int64_t begin_us, uint64_t flows_a_day);

/* Fills the batch with flows that ended, at most max_flows, each after the process that it needs.
 * Returns how many flows. */
size_t traffic_fill(struct traffic *traffic, struct batch *batch, size_t max_flows);

/* Remote host number rank (0 is the one met most often). */
struct addr traffic_remote(uint64_t rank);

#endif

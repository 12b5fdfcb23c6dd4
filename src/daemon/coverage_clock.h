/* Notices that the wall clock was set and that the machine slept. Pure: the clocks are arguments.
 */
#ifndef LASTCONN_DAEMON_COVERAGE_CLOCK_H
#define LASTCONN_DAEMON_COVERAGE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/clock_step.h"
#include "flow/coverage.h"

enum { COVERAGE_CLOCK_RECORDS = 2 }; /* that one reading makes at most */

struct coverage_clock_reading {
	int64_t boottime_ns;    /* CLOCK_BOOTTIME */
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_BOOTTIME */
	int64_t asleep_ns; /* CLOCK_BOOTTIME less CLOCK_MONOTONIC: time in suspend since boot */
};

struct coverage_clock {
	/* boottime_ns 0: none yet. Its wall_offset_ns is what wall times are made with: as constant
	 * as the true one, however readings were disturbed. */
	struct coverage_clock_reading last;
	struct clock_bounds bounds;
};

/* Is what the clock tells impossible? Then all times are in doubt until it is set: the store ends
 * the interval when a step corrects them. */
bool coverage_clock_is_wrong(
	const struct coverage_clock *clock, struct coverage_record *ret_record);

/* Compares with the reading before. Returns the number of records made. */
size_t coverage_clock_read(struct coverage_clock *clock,
	const struct coverage_clock_reading *reading, struct clock_step *ret_step,
	struct coverage_record ret_records[static COVERAGE_CLOCK_RECORDS]);

#endif

/* Notices that the wall clock was set and that the machine slept. Pure: the clocks are arguments.
 */
#ifndef LASTCONN_DAEMON_COVERAGE_CLOCK_H
#define LASTCONN_DAEMON_COVERAGE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "flow/coverage.h"

enum { COVERAGE_CLOCK_RECORDS = 2 }; /* that one reading makes at most */

struct coverage_clock_reading {
	int64_t boottime_ns;    /* CLOCK_BOOTTIME */
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_BOOTTIME */
	int64_t asleep_ns; /* CLOCK_BOOTTIME less CLOCK_MONOTONIC: time in suspend since boot */
};

struct coverage_clock {
	struct coverage_clock_reading last; /* boottime_ns 0: none yet */
};

/* Compares with the reading before. What is below a second is slewing, or the time that reading
 * takes. Returns the number of records made. */
size_t coverage_clock_read(struct coverage_clock *clock,
	const struct coverage_clock_reading *reading,
	struct coverage_record ret_records[static COVERAGE_CLOCK_RECORDS]);

#endif

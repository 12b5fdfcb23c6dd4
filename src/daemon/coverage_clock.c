/* The kernel slews the wall clock by at most 500 ppm (kernel/time/ntp.c, MAXFREQ) plus what
 * adjtime(3) adds, together far below a second from one reading to the next; only settimeofday(2)
 * and its like, by hand or by a time daemon at its start, make a step.
 *
 * A step puts all times of the second before it in doubt: its interval covers that second on both
 * the old and the new clock, and what lies between. */
#include "daemon/coverage_clock.h"

#include <stdbool.h>
#include <stdio.h>

#include "util/clock.h"

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool note_step(const struct coverage_clock_reading *last,
	const struct coverage_clock_reading *now, struct coverage_record *ret_record)
{
	int64_t step_ns = now->wall_offset_ns - last->wall_offset_ns;
	int64_t size_ns = step_ns < 0 ? -step_ns : step_ns;

	if (size_ns <= NS_PER_S)
		return false;
	*ret_record = (struct coverage_record){
		.from_us =
			(last->boottime_ns + smaller(last->wall_offset_ns, now->wall_offset_ns)) /
			NS_PER_US,
		.until_us = (now->boottime_ns + larger(last->wall_offset_ns, now->wall_offset_ns)) /
			    NS_PER_US,
		.count = (uint64_t)size_ns / NS_PER_MS,
		.what = COVERAGE_CLOCK_STEP,
	};
	snprintf(ret_record->detail, sizeof(ret_record->detail), "%s",
		step_ns > 0 ? "forward" : "backward");
	return true;
}

static bool note_suspend(const struct coverage_clock_reading *last,
	const struct coverage_clock_reading *now, struct coverage_record *ret_record)
{
	int64_t asleep_ns = now->asleep_ns - last->asleep_ns;

	if (asleep_ns <= NS_PER_S)
		return false;
	*ret_record = (struct coverage_record){
		.from_us = (last->boottime_ns + now->wall_offset_ns) / NS_PER_US,
		.until_us = (now->boottime_ns + now->wall_offset_ns) / NS_PER_US,
		.count = (uint64_t)asleep_ns / NS_PER_MS,
		.what = COVERAGE_SUSPEND,
	};
	return true;
}

size_t coverage_clock_read(struct coverage_clock *clock,
	const struct coverage_clock_reading *reading,
	struct coverage_record ret_records[static COVERAGE_CLOCK_RECORDS])
{
	struct coverage_clock_reading last = clock->last;
	size_t count = 0;

	clock->last = *reading;
	if (last.boottime_ns == 0)
		return 0;
	count += note_step(&last, reading, &ret_records[count]);
	count += note_suspend(&last, reading, &ret_records[count]);
	return count;
}

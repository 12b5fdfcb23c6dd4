/* What the kernel slews, it slews on CLOCK_REALTIME and CLOCK_BOOTTIME alike (kernel/time/
 * timekeeping.c: both are one timekeeper with different offsets); only settimeofday(2) and its
 * like, by hand or by a time daemon at its start, make a step, and a leap second one of a second.
 *
 * A step puts all times of the second before it in doubt: its interval covers that second on both
 * the old and the new clock, and what lies between. One that corrects leaves no doubt but of that
 * second; so does one of more than a year, for it is a mistake, made or mended, and what lies
 * between is the history as it was. */
#include "daemon/coverage_clock.h"

#include <stdbool.h>
#include <stdio.h>

#include "util/clock.h"

#define LONG_US  (366 * 86400 * (int64_t)US_PER_S)
#define NOISE_NS (10 * (int64_t)NS_PER_MS) /* of a reading, on a busy machine */

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What is smaller than a step is followed, but not told. */
static int64_t settled_offset(int64_t old_ns, int64_t new_ns)
{
	return new_ns - old_ns > -NOISE_NS && new_ns - old_ns < NOISE_NS ? old_ns : new_ns;
}

static struct clock_step step_of(const struct clock_bounds *bounds,
	const struct coverage_clock_reading *last, const struct coverage_clock_reading *now)
{
	return clock_step_of(bounds, now->boottime_ns / NS_PER_US,
		(now->boottime_ns + last->wall_offset_ns) / NS_PER_US,
		(now->boottime_ns + now->wall_offset_ns) / NS_PER_US);
}

static void describe_step(const struct clock_step *step, const struct coverage_clock_reading *last,
	const struct coverage_clock_reading *now, struct coverage_record *ret_record)
{
	int64_t size_us = step->us < 0 ? -step->us : step->us;
	bool lies_between = !step->corrects && size_us <= LONG_US;
	int64_t old_ns = lies_between ? last->wall_offset_ns : now->wall_offset_ns;

	*ret_record = (struct coverage_record){
		.from_us = (last->boottime_ns + smaller(old_ns, now->wall_offset_ns)) / NS_PER_US,
		.until_us = (now->boottime_ns + larger(old_ns, now->wall_offset_ns)) / NS_PER_US,
		.count = (uint64_t)size_us / US_PER_MS,
		.what = COVERAGE_CLOCK_STEP,
	};
	snprintf(ret_record->detail, sizeof(ret_record->detail), "%s%s",
		step->us > 0 ? "forward" : "backward",
		step->corrects ? "; the times from before it were corrected" : "");
}

bool coverage_clock_is_wrong(const struct coverage_clock *clock, struct coverage_record *ret_record)
{
	int64_t now_us = (clock->last.boottime_ns + clock->last.wall_offset_ns) / NS_PER_US;

	if (now_us >= clock->bounds.built_us)
		return false;
	*ret_record = (struct coverage_record){
		.from_us = now_us,
		.what = COVERAGE_CLOCK_STEP,
		.detail = "not set yet: it is behind the day on which lastconnd was built",
	};
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
	const struct coverage_clock_reading *reading, struct clock_step *ret_step,
	struct coverage_record ret_records[static COVERAGE_CLOCK_RECORDS])
{
	struct coverage_clock_reading last = clock->last;
	size_t count = 0;

	*ret_step = (struct clock_step){0};
	clock->last = *reading;
	if (last.boottime_ns == 0)
		return 0;
	clock->last.wall_offset_ns = settled_offset(last.wall_offset_ns, reading->wall_offset_ns);
	*ret_step = step_of(&clock->bounds, &last, reading);
	if (ret_step->us)
		describe_step(ret_step, &last, reading, &ret_records[count++]);
	count += note_suspend(&last, reading, &ret_records[count]);
	return count;
}

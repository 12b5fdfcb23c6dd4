/* Reads the clocks of the system. */
#include "util/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_boottime_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_realtime_us(void)
{
	return read_clock(CLOCK_REALTIME) / NS_PER_US;
}

static int64_t difference(clockid_t of, clockid_t from)
{
	int64_t best_width = INT64_MAX, best_offset = 0;

	for (int i = 0; i < 3; i++) {
		int64_t before = read_clock(from);
		int64_t middle = read_clock(of);
		int64_t after = read_clock(from);

		if (after - before < best_width) {
			best_width = after - before;
			best_offset = middle - (before + (after - before) / 2);
		}
	}
	return best_offset;
}

int64_t clock_wall_offset_ns(void)
{
	return difference(CLOCK_REALTIME, CLOCK_BOOTTIME);
}

int64_t clock_asleep_ns(void)
{
	return difference(CLOCK_BOOTTIME, CLOCK_MONOTONIC);
}

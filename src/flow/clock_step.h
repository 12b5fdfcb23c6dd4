/* The wall clock was set: what becomes of the times that were made with the old one. Plain value,
 * pure.
 *
 * Inside all time is CLOCK_BOOTTIME, which goes on in suspend; a wall time is that plus an offset,
 * which only a step changes (the kernel slews both clocks alike). The rule:
 *
 *   What the clock tells after a step is taken for the truth. All that is still going on, or in
 *   memory, has it for its whole life: open flows and listeners, processes that are named again,
 *   what is not yet handed to the writer. So no flow ends before it began, and each is as long as
 *   it was.
 *
 *   What is in the history keeps the times as they were known then, and the coverage tells the
 *   step, unless it is plain that they were wrong: the clock was behind the day on which lastconn
 *   was built, or behind what earlier boots had recorded, and is not any more; or it was set within
 *   CLOCK_STEP_EARLY_US of the boot, so that it was that of a battery, or of a file, until then.
 *   Then the step corrects: all that this boot recorded by the old clock moves along with it. */
#ifndef LASTCONN_FLOW_CLOCK_STEP_H
#define LASTCONN_FLOW_CLOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_STEP_MIN_US   INT64_C(1000000) /* a smaller one is none; leap seconds are one */
#define CLOCK_STEP_EARLY_US INT64_C(3600000000)

struct clock_step {
	int64_t us;    /* new clock minus old clock; 0: no step */
	int64_t at_us; /* since the boot: it came after the reading before, up to then */
	bool corrects;
};

/* What is known of the true time without a clock. */
struct clock_bounds {
	int64_t built_us;  /* no earlier than that; 0: no clock is ever held wrong */
	int64_t newest_us; /* what earlier boots recorded last, by their clocks; 0 nothing */
};

/* Is a clock that tells now_us wrong for sure, or behind the history? */
bool clock_is_behind(const struct clock_bounds *bounds, int64_t now_us);

/* A step at at_us since the boot, from the clock that would tell before_us to the one that tells
 * after_us. */
struct clock_step clock_step_of(
	const struct clock_bounds *bounds, int64_t at_us, int64_t before_us, int64_t after_us);

/* One more step, before anything was done about the first. */
void clock_step_add(struct clock_step *step, const struct clock_step *more);

#endif

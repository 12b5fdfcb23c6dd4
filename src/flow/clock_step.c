/* Where no build date is given (capture files have clocks of their own) no step corrects. */
#include "flow/clock_step.h"

bool clock_is_behind(const struct clock_bounds *bounds, int64_t now_us)
{
	return bounds->built_us && (now_us < bounds->built_us || now_us < bounds->newest_us);
}

/* A clock that goes on being behind the history may well be right: the one before it was ahead. But
 * none is right before the program was built. */
static bool corrects(
	const struct clock_bounds *bounds, int64_t at_us, int64_t before_us, int64_t after_us)
{
	if (!bounds->built_us)
		return false;
	if (before_us < bounds->built_us)
		return true;
	return !clock_is_behind(bounds, after_us) &&
	       (clock_is_behind(bounds, before_us) || at_us < CLOCK_STEP_EARLY_US);
}

struct clock_step clock_step_of(
	const struct clock_bounds *bounds, int64_t at_us, int64_t before_us, int64_t after_us)
{
	int64_t us = after_us - before_us;

	if (us >= -CLOCK_STEP_MIN_US && us <= CLOCK_STEP_MIN_US)
		return (struct clock_step){0};
	return (struct clock_step){
		.us = us,
		.at_us = at_us,
		.corrects = corrects(bounds, at_us, before_us, after_us),
	};
}

void clock_step_add(struct clock_step *step, const struct clock_step *more)
{
	if (step->us == 0)
		step->at_us = more->at_us;
	step->us += more->us;
	step->corrects |= more->corrects;
}

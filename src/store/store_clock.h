/* What a step of the wall clock does to the rows of this boot; the rule is in flow/clock_step.h.
 * Internal to store/.
 *
 * boot.start_us is the offset between the two clocks as last known: the wall time at which this
 * boot began. A step that came while no lastconnd ran shows in it. */
#ifndef LASTCONN_STORE_STORE_CLOCK_H
#define LASTCONN_STORE_STORE_CLOCK_H

#include <stdbool.h>

#include "flow/clock_step.h"

/* Flows that are corrected in one transaction: at most, and where that finds no room. */
enum { STORE_CLOCK_SLICE = 5000, STORE_CLOCK_SLICE_MIN = 32 };

struct store;
struct store_options;

/* In the transaction that begins the run, after rollup_recover: the bounds, what an earlier run
 * left to correct, and a step since the last run. Returns 0 or -1. */
int store_clock_begin(struct store *store, const struct store_options *options, int64_t now_us);

/* In a transaction; before one that corrects nothing may be pending in the roll-ups. Returns 0 or
 * -1. */
int store_clock_step(struct store *store, const struct clock_step *step);

/* The next slice of flows, in a transaction, with nothing pending in the roll-ups. Returns 0 or -1.
 */
bool store_clock_has_more(const struct store *store);
int store_clock_more(struct store *store);

/* The rest is of another boot: it is to be done before this one records anything. */
bool store_clock_is_of_another_boot(const struct store *store);
void store_clock_leave(struct store *store); /* the rest, to the next run */

/* The slice was committed, or could not be written: the next one is larger, or smaller. */
void store_clock_grow(struct store *store);
void store_clock_shrink(struct store *store);
bool store_clock_is_stuck(const struct store *store); /* it could become no smaller */

void store_clock_committed(struct store *store);
void store_clock_revert(struct store *store); /* the transaction was rolled back */

#endif

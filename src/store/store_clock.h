/* What a step of the wall clock does to the rows of this boot; the rule is in flow/clock_step.h.
 * Internal to store/.
 *
 * boot.start_us is the offset between the two clocks as last known: the wall time at which this
 * boot began. A step that came while no lastconnd ran shows in it. */
#ifndef LASTCONN_STORE_STORE_CLOCK_H
#define LASTCONN_STORE_STORE_CLOCK_H

#include <sqlite3.h>
#include <stdbool.h>

#include "flow/clock_step.h"

/* Flows that are corrected in one transaction: at most, and where that finds no room. */
enum { STORE_CLOCK_SLICE = 5000, STORE_CLOCK_SLICE_MIN = 32 };

struct store;
struct store_options;

/* In a transaction before the run begins, after rollup_recover: the bounds, and the first of what
 * earlier runs left to correct. Returns 0 or -1. */
int store_clock_take_up(struct store *store, const struct store_options *options, int64_t now_us);

/* It is to be done before this run records anything: the rest is of another boot, or the clock was
 * set once more. */
bool store_clock_goes_first(const struct store *store);

/* What the next boot left, this one the last. Returns 0 or -1. */
int store_clock_next(struct store *store);

/* That, when the rest at hand cannot be done and waits for the next run. False: there is none, or
 * it is of this boot, of which a step needs all that came before it. */
bool store_clock_leave(struct store *store);

/* In the transaction that begins the run: a step since the last run. Returns 0 or -1. */
int store_clock_begin(struct store *store, const struct store_options *options, int64_t now_us);

/* In a transaction; before one that corrects nothing may be pending in the roll-ups. Returns 0 or
 * -1. */
int store_clock_step(struct store *store, const struct clock_step *step);

/* The next slice of flows, in a transaction, with nothing pending in the roll-ups. Returns 0 or -1.
 */
bool store_clock_has_more(const struct store *store);
int store_clock_more(struct store *store);

/* The slice was committed, or could not be written: the next one is larger, or smaller. */
void store_clock_grow(struct store *store);
void store_clock_shrink(struct store *store);
void store_clock_fail(struct store *store); /* and if it is the smallest one, after a pause */
bool store_clock_is_stuck(const struct store *store); /* the smallest one failed */
bool store_clock_rests(const struct store *store);    /* that pause is not over */

/* Nothing goes by its age while times are wrong: what is being corrected, or was left by runs that
 * this one does not make up for, as it was found at the start. */
int store_clock_find_left(struct store *store); /* 0 or -1 */
bool store_clock_holds_ages(const struct store *store);
int store_clock_is_kept(sqlite3 *db, bool *ret_kept); /* for one who only reads; 0 or -1 */

void store_clock_committed(struct store *store);
void store_clock_revert(struct store *store); /* the transaction was rolled back */

#endif

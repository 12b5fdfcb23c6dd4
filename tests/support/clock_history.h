/* What a boot records whose wall clock is wrong at first, for the tests of what a step of it does.
 * It began at HISTORY_BOOT by the old clock. */
#ifndef LASTCONN_TESTS_CLOCK_HISTORY_H
#define LASTCONN_TESTS_CLOCK_HISTORY_H

#include "store/store_clock.h"
#include "support/store_fixture.h"
#include "util/clock.h"

#define HISTORY_BOOT  FIXTURE_BOOT_US
#define HISTORY_HOUR  (3600 * (int64_t)US_PER_S)
#define HISTORY_AT    (HISTORY_HOUR / 2)        /* since the boot, when the clock is set */
#define HISTORY_BUILT INT64_C(4102444800000000) /* 2100-01-01: the old clock is wrong */
#define HISTORY_RIGHT                                             \
	(HISTORY_BUILT + 100 * 24 * HISTORY_HOUR - HISTORY_BOOT + \
		7) /* the step that makes it right */

enum { HISTORY_MANY = 600, HISTORY_SLICES = 2 * STORE_CLOCK_SLICE + 100 };

/* A flow by process pid (0 nobody known), into the batch. */
void clock_history_flow(struct store_fixture *fixture, uint32_t pid, const char *remote,
	int64_t end_us, enum flow_outcome outcome);

/* What a run records whose boot began at boot_us: some of all, HISTORY_MANY flows. */
void clock_history_record(struct store_fixture *fixture, int64_t boot_us);

/* And flows of two slices and some, of two processes and of nobody known. */
void clock_history_record_many(struct store_fixture *fixture, int64_t boot_us);

void clock_history_step(struct store_fixture *fixture, int64_t us, bool corrects);

/* All of it by a run that is killed after the first slice. */
void clock_history_record_and_die(struct store_fixture *fixture, int64_t boot_us, int64_t step_us);

/* The history is as the other one, whose clock was right. */
void clock_history_expect_same(
	const struct store_fixture *fixture, const struct store_fixture *right);

#endif

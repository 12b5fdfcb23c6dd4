/* The clocks: CLOCK_BOOTTIME inside (goes on in suspend), CLOCK_REALTIME only in records. */
#ifndef LASTCONN_UTIL_CLOCK_H
#define LASTCONN_UTIL_CLOCK_H

#include <stdint.h>

#define NS_PER_US   1000
#define NS_PER_MS   1000000
#define NS_PER_S    1000000000
#define US_PER_S    1000000
#define US_PER_MS   1000
#define US_PER_HOUR (3600 * INT64_C(1000000))
#define US_PER_DAY  (24 * US_PER_HOUR)

int64_t clock_boottime_ns(void);
int64_t clock_realtime_us(void);

/* Differences of clocks: of a few readings that framed each other the one least disturbed. */
int64_t clock_wall_offset_ns(void); /* CLOCK_REALTIME minus CLOCK_BOOTTIME */
int64_t clock_asleep_ns(void); /* CLOCK_BOOTTIME minus CLOCK_MONOTONIC: in suspend since boot */

#endif

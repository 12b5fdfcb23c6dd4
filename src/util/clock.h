/* The clocks: CLOCK_BOOTTIME inside (goes on in suspend), CLOCK_REALTIME only in records. */
#ifndef LASTCONN_UTIL_CLOCK_H
#define LASTCONN_UTIL_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000
#define NS_PER_MS 1000000
#define NS_PER_S  1000000000
#define US_PER_S  1000000

int64_t clock_boottime_ns(void);
int64_t clock_realtime_us(void);

/* CLOCK_REALTIME minus CLOCK_BOOTTIME, the smallest of a few readings that framed each other. */
int64_t clock_wall_offset_ns(void);

#endif

/* Allocations that fail on purpose: those of our own code, whose test is linked with
 * lastconn_wrap_alloc (tests/support), and those of SQLite. */
#ifndef LASTCONN_TESTS_FAULT_ALLOC_H
#define LASTCONN_TESTS_FAULT_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* SQLite's too, before its first use. */
void fault_alloc_install(void);

/* The nth allocation from now on (1: the next) and those after it, count in all, fail; 0: none. */
void fault_alloc_fail(uint64_t nth, uint64_t count);

/* How many there were since then. */
uint64_t fault_alloc_calls(void);

/* In between none fail and none are counted, for what the test itself does. */
void fault_alloc_pause(bool paused);

#endif

/* A directory, a store in it and records to write, for the tests of the store. */
#ifndef LASTCONN_TESTS_STORE_FIXTURE_H
#define LASTCONN_TESTS_STORE_FIXTURE_H

#include "store/store.h"

#define FIXTURE_BOOT_US  INT64_C(1700000000000000)
#define FIXTURE_START_US INT64_C(1700000100000000) /* 2023-11-14T22:15:00Z */

struct store_fixture {
	char dir[64];
	char path[96];
	struct store_options options;
	struct store_error error;
	struct store *store; /* NULL when closed */
	struct batch *batch;
};

/* For cmocka: *state is the fixture, its store not yet open. */
int store_fixture_set_up(void **state);
int store_fixture_tear_down(void **state); /* removes the directory */

void store_fixture_open(struct store_fixture *fixture);  /* must succeed */
void store_fixture_write(struct store_fixture *fixture); /* must succeed; clears the batch */
void store_fixture_close(struct store_fixture *fixture);

/* The rows of a query on another connection: columns parted by '|', rows by a line feed, NULL as
 * "-". Valid until the next call. */
const char *store_fixture_sql(const struct store_fixture *fixture, const char *sql);

/* Does as above and returns the first number. */
int64_t store_fixture_number(const struct store_fixture *fixture, const char *sql);

/* A process that started at pid seconds after the boot, with the command line "<exe> --serve". */
struct process_info store_fixture_process(uint32_t pid, const char *exe);

/* An ended TCP flow from 192.0.2.1:40000 to remote:443, begun a second before end_us, by the
 * process of store_fixture_process(pid); pid 0: by nobody known. */
struct flow_record store_fixture_flow(uint32_t pid, const char *remote, int64_t end_us);

/* A number from the environment: a seed, how many steps. */
uint64_t store_fixture_setting(const char *name, uint64_t otherwise);

#endif

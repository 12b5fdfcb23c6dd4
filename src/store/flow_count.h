/* How many flows each executable has in the table flow: what is written and what is forgotten is
 * tallied, and counted with the transaction that it is part of. Internal to store/. */
#ifndef LASTCONN_STORE_FLOW_COUNT_H
#define LASTCONN_STORE_FLOW_COUNT_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct flow_count {
	sqlite3_stmt *add;
	int32_t *executables; /* one entry a flow */
	size_t count, capacity;
};

/* A zeroed count; flow_count_done also after a failed init. */
int flow_count_init(struct flow_count *count, sqlite3 *db);
void flow_count_done(struct flow_count *count);

int flow_count_begin(struct flow_count *count, size_t flows); /* 0 or -ENOMEM */
void flow_count_note(struct flow_count *count, int32_t executable);

/* Adds sign (1 or -1) for each flow that was noted. Returns 0, or -1 with the error in the
 * connection. */
int flow_count_write(struct flow_count *count, int sign);

#endif

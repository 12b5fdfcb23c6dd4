/* The line that a terminal shows while capture files are read. */
#ifndef LASTCONN_DAEMON_READ_PROGRESS_H
#define LASTCONN_DAEMON_READ_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct read_progress {
	int64_t start_ns, shown_ns;
	uint64_t total_octets; /* 0 unknown: one is no regular file */
	bool terminal;
	bool visible; /* the line stands there */
};

struct read_state {
	uint64_t octets, packets, flows;
};

void read_progress_init(struct read_progress *progress, uint64_t total_octets);

/* Whether a second is over since the last line; never if standard error is no terminal. */
bool read_progress_due(const struct read_progress *progress);

void read_progress_show(struct read_progress *progress, const struct read_state *state);

/* Before anything else is written there. */
void read_progress_clear(struct read_progress *progress);

double read_progress_seconds(const struct read_progress *progress); /* since _init; never 0 */

#endif

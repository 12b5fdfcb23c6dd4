/* The counters as a file for Prometheus: node_exporter's textfile collector reads it. */
#ifndef LASTCONN_DAEMON_METRICS_H
#define LASTCONN_DAEMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/recorder.h"
#include "util/strbuf.h"

struct metrics {
	int64_t written_ns; /* last tried; 0: never */
	bool failing;       /* and said so */
};

/* All that the stages counted, and begin_us, when they began to. */
void metrics_text(struct strbuf *text, const struct pipeline_counters *counters,
	const struct writer_counters *writer, int64_t begin_us);

/* Puts a new file in the place of path if the last one is a minute old. A failure is logged once,
 * until it works again. */
void metrics_write(struct metrics *metrics, const char *path, const struct recorder *recorder,
	int64_t begin_us, int64_t now_ns);

/* The end of the run: what is not counted any more must not look as if it were. */
void metrics_remove(const char *path);

#endif

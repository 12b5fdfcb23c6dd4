/* What capture files cannot vouch for, good as they may be: coverage records of lastconnd -r. */
#ifndef LASTCONN_DAEMON_READ_COVER_H
#define LASTCONN_DAEMON_READ_COVER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/pipeline.h"
#include "source/source_pcap.h"

/* From the first to the last packet of a file. */
struct read_span {
	int64_t from_ns, until_ns;
	const char *path; /* borrowed */
};

/* A file ends at time_ns before its end. */
void read_cover_damage(struct pipeline *pipeline, int64_t time_ns, const char *what);

/* The times between these files, which it sorts. Shorter ones than a minute are taken for silence:
 * files of one capture follow on each other with the next packet. */
void read_cover_holes(struct pipeline *pipeline, struct read_span *spans, size_t count);

/* What was left out over all files, and whose flows are not known. filter, unfit: NULL or why. */
void read_cover_packets(struct pipeline *pipeline, const struct source_pcap_counters *counters,
	const char *filter, const char *unfit);

#endif

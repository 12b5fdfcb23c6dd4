/* A source of flows, and beside it the packets that tell what hosts are called: a kernel source
 * knows whose the flows are and counts them, capture knows names. Both tell the same sink, where
 * name_table.h joins them by the ends of the flows.
 *
 * The kernel lets through only what may tell a name (names_filter.h), so that the rest of the
 * traffic costs next to nothing. Needs CAP_NET_RAW, and CAP_BPF for the filter. Hears its own
 * network namespace, and what others send through it. */
#ifndef LASTCONN_SOURCE_SOURCE_NAMED_H
#define LASTCONN_SOURCE_SOURCE_NAMED_H

#include "source/source.h"

struct source_named_options {
	const char *devices;           /* names, comma separated; "any" stands alone */
	void (*say)(const char *text); /* one line for the log */
};

/* Takes the source of flows over: *source is the two of them afterwards. Where packets cannot be
 * had it is so, too, and the slot "names" says why. Returns 0 or -ENOMEM; then *source is as it
 * was. The sink must outlive the source. */
int source_named_new(const struct source_named_options *options, const struct source_sink *sink,
	struct source **source);

#endif

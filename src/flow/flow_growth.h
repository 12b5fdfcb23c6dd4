/* What flows have moved, summed as it is observed: the half of the reconcile that flows tell. Pure,
 * plain value; only ever grows. */
#ifndef LASTCONN_FLOW_FLOW_GROWTH_H
#define LASTCONN_FLOW_FLOW_GROWTH_H

#include "flow/observation.h"

struct flow_growth_sums {
	uint64_t packets_out;
	uint64_t packets_in;
	uint64_t octets; /* both ways */
};

struct flow_growth {
	struct flow_growth_sums tcp, udp;
};

/* Adds by how much a flow's totals have grown; totals that shrank add nothing. Flows of protocols
 * that are not summed are passed over. */
void flow_growth_add(struct flow_growth *growth, const struct flow_key *key,
	const struct flow_counters *before, const struct flow_counters *after);

#endif

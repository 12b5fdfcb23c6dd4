/* What the flow table says of a flow: the output of the flow stages and the input of the store.
 * Plain value, no pointers. */
#ifndef LASTCONN_FLOW_FLOW_RECORD_H
#define LASTCONN_FLOW_FLOW_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/flow_key.h"
#include "flow/observation.h"
#include "flow/process_ref.h"

enum flow_record_kind {
	FLOW_RECORD_OPEN,   /* first word of a flow that is still open */
	FLOW_RECORD_UPDATE, /* newer counters of an open flow (active timeout) */
	FLOW_RECORD_END,    /* the final word */
	FLOW_RECORD_FORGET, /* not of the flow table: what was told of an open flow is to go */
};

struct flow_record {
	struct flow_key key;
	struct flow_counters counters;
	struct process_ref user;
	struct process_ref opener;
	int64_t start_us; /* wall clock, UTC microseconds since 1970 */
	int64_t end_us;   /* same; of an open flow: its last sighting */
	uint64_t serial;  /* tells the flows of one run of the daemon apart; never 0 */
	enum flow_record_kind kind;
	bool was_open; /* END only: an OPEN record with this serial went before */
	enum flow_direction direction;
	enum flow_outcome outcome;
	enum flow_method method;
	enum flow_source source;
	int error; /* errno, positive, 0 none */
};

#endif

/* Attribution: completes a flow record with what is known of its processes, and says which process
 * records the store must have before it. Pure. */
#ifndef LASTCONN_PROCESS_ATTRIBUTE_H
#define LASTCONN_PROCESS_ATTRIBUTE_H

#include <stdbool.h>

#include "flow/flow_record.h"
#include "process/listener_table.h"
#include "process/name_record.h"
#include "process/process_table.h"

/* Where attributed records go, in this order: ancestors first, then user and opener, then the flow,
 * listener or name that names them. Each process is handed over once (process_table_set_stored). */
struct attribute_sink {
	void *ctx;
	/* Whether the completed flow is to go on; else neither it nor its processes do. NULL: all
	 * are. */
	bool (*wanted)(void *ctx, const struct flow_record *record);
	void (*process)(void *ctx, const struct process_info *info);
	void (*flow)(void *ctx, const struct flow_record *record);
	void (*listener)(void *ctx, const struct listener_record *record);
	void (*name)(void *ctx, const struct name_record *record);
};

/* A user or opener that the table does not know keeps its ref (the pid is evidence too); a record
 * without user gets its opener; without both, method becomes FLOW_METHOD_UNKNOWN. A flow of unknown
 * direction is incoming if its local port has a listener, else outgoing, for
 * flows of the kernel source only. */
void attribute_flow(struct process_table *processes, const struct listener_table *listeners,
	const struct flow_record *record, const struct attribute_sink *sink);

void attribute_name(struct process_table *processes, const struct name_record *record,
	const struct attribute_sink *sink);

void attribute_listener(struct process_table *processes, const struct listener_record *record,
	const struct attribute_sink *sink);

#endif

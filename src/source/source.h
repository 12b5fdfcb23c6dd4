/* What every source says, and to whom. A source pushes; it knows nothing of who listens. */
#ifndef LASTCONN_SOURCE_SOURCE_H
#define LASTCONN_SOURCE_SOURCE_H

#include "flow/coverage.h"
#include "flow/observation.h"
#include "process/listener.h"
#include "process/process.h"

/* Called from within the source's own functions, on the loop thread. Arguments are borrowed. */
struct source_sink {
	void *ctx;
	void (*observe)(void *ctx, const struct observation *observation);
	void (*process)(void *ctx, const struct process_info *info); /* exec, or first socket act */
	void (*fork)(void *ctx, const struct process_ref *child, const struct process_ref *parent);
	void (*exit)(void *ctx, const struct process_ref *process);
	/* A listener came (gone false) or went, at time_ns of the source's clock; the receiver sets
	 * record's wall clock times. */
	void (*listener)(
		void *ctx, const struct listener_record *record, int64_t time_ns, bool gone);
	/* count things were lost since the last call; text for coverage.detail */
	void (*loss)(void *ctx, enum coverage_what what, uint64_t count, const char *detail);
};

#endif

/* Tells the sink of processes, as /proc describes them, and remembers which it was told of. */
#ifndef LASTCONN_SOURCE_PROC_PROCESS_H
#define LASTCONN_SOURCE_PROC_PROCESS_H

#include "source/source.h"

struct proc_process;

/* max: processes remembered; past it all are forgotten, and told anew. The sink must outlive it.
 * Returns 0 or -ENOMEM. */
int proc_process_new(const char *proc, size_t max, const struct source_sink *sink,
	struct proc_process **ret_processes);
void proc_process_free(struct proc_process *processes);

/* Tells of the process and of its ancestors, if they were not told of. False: it is not there any
 * more, or runs another program. */
bool proc_process_tell(struct proc_process *processes, const struct process_ref *ref);

/* Tells the sink of those that ended or run another program by now, and forgets them. Returns how
 * many. */
size_t proc_process_reap(struct proc_process *processes);

bool proc_process_is_known(const struct proc_process *processes, const struct process_ref *ref);

/* Those told of, sorted by pid. */
const struct process_ref *proc_process_known(
	const struct proc_process *processes, size_t *ret_count);

#endif

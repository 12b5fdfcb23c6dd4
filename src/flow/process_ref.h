/* The identity of one program run: what flows carry instead of a process. Plain value. */
#ifndef LASTCONN_FLOW_PROCESS_REF_H
#define LASTCONN_FLOW_PROCESS_REF_H

#include <stdbool.h>
#include <stdint.h>

/* pid and start tell processes apart when the pid is reused; exec_id (task_struct.self_exec_id)
 * tells the programs apart that one process ran one after the other. All zero: nobody known. */
struct process_ref {
	uint64_t start_ns; /* task_struct.start_boottime of the group leader; 0 unknown */
	uint32_t pid;      /* thread group id in the initial pid namespace */
	uint32_t exec_id;
};

static inline bool process_ref_known(const struct process_ref *ref)
{
	return ref->pid != 0;
}

static inline bool process_ref_equal(const struct process_ref *a, const struct process_ref *b)
{
	return a->pid == b->pid && a->start_ns == b->start_ns && a->exec_id == b->exec_id;
}

#endif

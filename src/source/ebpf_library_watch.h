/* The thread that looks at processes' C libraries (ebpf_libraries.h). What it reads of a process
 * may keep it waiting: the list of mapped files waits for whoever changes that process's memory,
 * which a file system of the process's own can draw out for ever; probes wait for all processors.
 *
 * All calls from one thread, the loop's, which never waits but in free. Limit: QUEUE_MAX processes
 * that were not looked at yet; further ones are counted, and told with the next sweep.
 */
#ifndef LASTCONN_SOURCE_EBPF_LIBRARY_WATCH_H
#define LASTCONN_SOURCE_EBPF_LIBRARY_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/flow_event.h"
#include "source/ebpf_pin.h"
#include "source/source.h"

struct ebpf_library_watch;

/* Looks for the libraries in the usual places. begin_fd and end_fd: the programs, borrowed for the
 * call. pin: borrowed for good, NULL none. Returns 0 or negative errno. */
int ebpf_library_watch_new(int begin_fd, int end_fd, const struct ebpf_pin *pin,
	struct ebpf_library_watch **ret_watch);

/* Starts the thread, once; until then what is noted waits. Returns 0 or negative errno. */
int ebpf_library_watch_begin(struct ebpf_library_watch *watch);

/* Takes the probes away that are not pinned. NULL is fine. False: the thread did not end in time
 * and is left behind, with the pin. */
bool ebpf_library_watch_free(struct ebpf_library_watch *watch);

/* A process appeared: it will be looked at. size: of the whole event. */
void ebpf_library_watch_note(
	struct ebpf_library_watch *watch, const struct event_process *event, size_t size);

/* Has it looked after what changed, and tells what was not seen. */
void ebpf_library_watch_sweep(struct ebpf_library_watch *watch, const struct source_sink *sink);

#endif

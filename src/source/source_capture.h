/* Packets of network devices as a source of flows, where there is no kernel source: everything that
 * passes a device is seen and counted, TCP and UDP of processes, and also what sockets do not show,
 * forwarded traffic and ICMP. Whose the flows are is found by polling (source_procfs.h), which also
 * tells who listens: a process that is gone before it is looked for stays unknown.
 *
 * Needs CAP_NET_RAW. Sees its own network namespace only. A device that goes away is taken up again
 * when it is back. */
#ifndef LASTCONN_SOURCE_SOURCE_CAPTURE_H
#define LASTCONN_SOURCE_SOURCE_CAPTURE_H

#include "source/capture_device.h"
#include "source/source.h"

struct source_capture_options {
	const char *devices;    /* names, comma separated; "any" stands alone */
	uint64_t buffer_octets; /* of each device */
	size_t max_sockets;
	size_t max_processes;
	/* A device went away, or is back: one line for the log. */
	void (*say)(const char *text);
};

/* Returns 0, or negative errno with one line in ret_why. Devices that are not there are waited for
 * if at least one is. The sink must outlive the source. */
int source_capture_new(const struct source_capture_options *options, const struct source_sink *sink,
	struct source **ret_source, char ret_why[static CAPTURE_DEVICE_TEXT_SIZE]);

#endif

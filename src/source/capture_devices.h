/* Several network devices to capture on: named together, read in turns, taken up again when they
 * went away and came back. */
#ifndef LASTCONN_SOURCE_CAPTURE_DEVICES_H
#define LASTCONN_SOURCE_CAPTURE_DEVICES_H

#include "source/capture_device.h"
#include "source/source.h"

enum { CAPTURE_DEVICES_MAX = 64 };

struct capture_devices {
	struct capture_device devices[CAPTURE_DEVICES_MAX];
	size_t count;
	int64_t retry_ns; /* those that are away, not before */
	/* Of the user, to be set first; the sink and the descriptor must outlive this. */
	struct capture_device_options options;
	int epoll_fd; /* where readable devices show */
	const struct source_sink *sink;
	enum coverage_what lack; /* what it means when packets are lost or a device was away */
	bool may_wait;           /* for devices of which none is there yet */
	void (*say)(const char *text); /* a device went away, or is back: one line for the log */
};

/* Opens them. names: comma separated, "any" stands alone. Returns 0, or negative errno with one
 * line in ret_why. Devices that are not there are waited for if at least one is, or may_wait. */
int capture_devices_open(struct capture_devices *devices, const char *names,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE]);
void capture_devices_close(struct capture_devices *devices); /* also after a failed open */

/* Hands packets that are there to take, some of each device. False: no device has more. */
bool capture_devices_read(struct capture_devices *devices, int64_t now_ns,
	void (*take)(void *ctx, const struct packet_observer_frame *frame), void *ctx);

/* Looks for devices that are away, if it is time for that. */
void capture_devices_retry(struct capture_devices *devices, int64_t now_ns);

/* Tells the sink which packets were lost since the last call. */
void capture_devices_tell_losses(struct capture_devices *devices);

#endif

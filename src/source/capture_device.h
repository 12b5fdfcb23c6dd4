/* Packets of one network device, through libpcap, without waiting for them.
 *
 * The kernel hands packets over in blocks, at the latest after a while (hold_ms): waking up for
 * each one (libpcap's immediate mode) costs more than all the rest. Only what tells the ends and
 * may tell a name is copied. The device is not made promiscuous: what is for others does not come
 * here. */
#ifndef LASTCONN_SOURCE_CAPTURE_DEVICE_H
#define LASTCONN_SOURCE_CAPTURE_DEVICE_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "source/packet_observer.h"

enum {
	CAPTURE_DEVICE_NAME_SIZE = 64,
	CAPTURE_DEVICE_TEXT_SIZE = 384,
};

struct pcap;

struct capture_device {
	char name[CAPTURE_DEVICE_NAME_SIZE]; /* "any": all devices */
	struct pcap *pcap;                   /* NULL: closed */
	int link_type;
	uint32_t interface;        /* its index; 0 of "any", whose packets tell */
	uint32_t dropped, refused; /* as libpcap last counted */
	bool refusal_said;         /* why it cannot be opened now that it is there */
};

struct capture_device_options {
	uint64_t buffer_octets; /* between kernel and us */
	int hold_ms;            /* so long packets wait for others */
	int filter;             /* descriptor of a socket filter (BPF); -1 all packets */
};

/* Begins to capture. Returns 0, or negative errno with one line in ret_why: -EPERM, -ENODEV no such
 * device, -ENETDOWN, or others. */
int capture_device_open(struct capture_device *device, const struct capture_device_options *options,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE]);
void capture_device_close(struct capture_device *device); /* closed is fine */

/* Readable when there are packets, or when the device is gone. */
int capture_device_fd(const struct capture_device *device);

/* Hands up to max packets that are there to take; their times are those of the wall clock. Returns
 * their number, or -1 if the device is gone: then close it. */
int capture_device_read(struct capture_device *device, int max,
	void (*take)(void *ctx, const struct packet_observer_frame *frame), void *ctx);

/* Packets lost since the last call: for want of room in the buffer, and by the device itself. */
void capture_device_lost(
	struct capture_device *device, uint64_t *ret_dropped, uint64_t *ret_refused);

#endif

/* From network devices to observations and names: capture, the clocks, the addresses of this
 * machine, the observer of packets. What the sources of live packets share.
 *
 * Packets are stamped with the wall clock; observations have the times of CLOCK_BOOTTIME, names
 * again those of the wall. */
#ifndef LASTCONN_SOURCE_PACKET_READER_H
#define LASTCONN_SOURCE_PACKET_READER_H

#include "source/capture_devices.h"
#include "source/local_addresses.h"
#include "source/packet_observer.h"

struct packet_reader_options {
	const char *devices;                  /* names, comma separated; "any" stands alone */
	struct capture_device_options device; /* its filter must outlive the reader */
	size_t max_conversations;
	bool both_ends;                 /* see orientation_options */
	int epoll_fd;                   /* borrowed: readable when there is something to read */
	const struct source_sink *sink; /* borrowed: of observations, names and losses */
	bool may_wait;                  /* for devices of which none is there yet */
	enum coverage_what lack;        /* what it means when packets are lost */
	void (*say)(const char *text);  /* one line for the log */
};

struct packet_reader {
	struct capture_devices devices;
	struct local_addresses addresses;
	struct packet_observer observer;
	struct source_sink observed;
	const struct source_sink *sink;
	int64_t now_ns, wall_offset_ns; /* of the last read */
	int64_t since_ns;               /* no packet is older */
	uint64_t skipped;               /* as last told */
};

/* Returns 0, or negative errno with one line in ret_why; then it is closed already. The reader must
 * stay where it is. */
int packet_reader_open(struct packet_reader *reader, const struct packet_reader_options *options,
	char ret_why[static CAPTURE_DEVICE_TEXT_SIZE]);
void packet_reader_close(struct packet_reader *reader);

/* Hands over what is there, a bounded lot of it. */
void packet_reader_read(struct packet_reader *reader);

/* Tells the sink what was lost, and what could not be read, since the last call. */
void packet_reader_tell_losses(struct packet_reader *reader);

#endif

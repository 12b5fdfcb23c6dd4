/* From frames to packet observations and names: PKTAP headers, decode, fragments, orientation,
 * dissect. What every source of packets shares; knows no capture library.
 *
 * A packet's process is that of the captured machine's end: it is taken only if that is the flow's
 * local end, too, so not if neither the capture nor the addresses tell which end that is. A packet
 * that names nobody leaves its flow as it is. What comes out of a tunnel has no process: the
 * capture says whose the carrier is, not whose what it carries. */
#ifndef LASTCONN_SOURCE_PACKET_OBSERVER_H
#define LASTCONN_SOURCE_PACKET_OBSERVER_H

#include "decode/dissect.h"
#include "decode/fragment_table.h"
#include "source/captured_owner.h"
#include "source/orientation.h"
#include "source/source.h"

struct packet_observer {
	struct orientation *orientation;
	struct fragment_table fragments;
	struct captured_owners owners;
	struct dissect *dissect; /* NULL if the sink wants no names */
	const struct source_sink *sink;
	enum flow_source source;
	uint64_t results[DECODE_RESULTS]; /* frames by what became of them */
	uint64_t copies;                  /* packets that count at another device; decoded, too */
};

struct packet_observer_frame {
	int link_type;
	const uint8_t *octets;
	size_t captured;
	size_t wire;
	int64_t time_ns;    /* not negative */
	uint32_t interface; /* index of the device, where the link layer does not tell; 0 unknown */
	/* As the file tells it beside the frame; a PKTAP header fills in what is missing. */
	enum decode_sender sender;
	struct process_ref user;
	struct process_ref opener; /* the effective process, on whose behalf */
};

/* Whether frames of this link type can be read. */
bool packet_observer_reads(int link_type);

/* The sink must outlive the observer. Returns 0 or -ENOMEM. */
int packet_observer_init(struct packet_observer *observer,
	const struct orientation_options *options, const struct source_sink *sink,
	enum flow_source source);
void packet_observer_done(struct packet_observer *observer);

/* Hands an observation to the sink for the packet in the frame and for each that is in it (two if
 * both ends are local and have flows of their own), each followed by the names that the packet
 * told, or by what ICMP reports of others. */
void packet_observer_take(
	struct packet_observer *observer, const struct packet_observer_frame *frame);

#endif

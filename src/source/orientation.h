/* Which end of a captured packet is the local one, and who began. Pure.
 *
 * The first of these that tells decides, and holds for the conversation from then on:
 *   1. the addresses of the captured machine (a group address counts as local to who receives it),
 *   2. the capture, where it says which packets were sent (Linux cooked captures, PKTAP, the flags
 *      of pcapng packets),
 *   3. the initiator is taken as local: who sent the SYN, who did not send the SYN and ACK or the
 *      ICMP reply, who does not speak from a system port (0..1023) to another port, who spoke
 * first. Who began is told by the same signs; of a TCP connection picked up in mid-stream it stays
 * unknown.
 *
 * Limit: max_conversations; at the limit the one that was silent for longest is forgotten, counted
 * in evicted. */
#ifndef LASTCONN_SOURCE_ORIENTATION_H
#define LASTCONN_SOURCE_ORIENTATION_H

#include <stddef.h>

#include "decode/decode.h"
#include "flow/flow_key.h"
#include "source/source_pcap.h"
#include "util/hash.h"

struct orientation;

struct orientation_options {
	const struct source_pcap_range *local; /* copied */
	size_t local_count;
	size_t max_conversations;
	struct hash_key hash_key;
};

struct orientation_verdict {
	bool from_local;
	bool by_address; /* the addresses of the captured machine told */
	enum flow_direction direction;
};

int orientation_new(const struct orientation_options *options,
	struct orientation **ret_orientation); /* 0 or -ENOMEM */
void orientation_free(struct orientation *orientation);

struct orientation_verdict orientation_of(
	struct orientation *orientation, const struct decode_packet *packet);

/* The same of a packet that was not seen itself; false if its conversation is not known. */
bool orientation_known(struct orientation *orientation, const struct decode_packet *packet,
	struct orientation_verdict *ret_verdict);

uint64_t orientation_evicted(const struct orientation *orientation);

#endif

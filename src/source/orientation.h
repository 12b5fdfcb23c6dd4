/* Which end of a captured packet is the local one, and who began. Pure.
 *
 * The first of these that tells decides, and holds for the conversation from then on:
 *   1. the addresses of the captured machine, if they are known: a group address counts as local to
 *      who receives it; with neither end among them the conversation is forwarded,
 *   2. the capture, where it says which packets were sent (Linux cooked captures, PKTAP, the flags
 *      of pcapng packets),
 *   3. the initiator is taken as local: who sent the SYN, who did not send the SYN and ACK or the
 *      ICMP reply, who does not speak from a system port (0..1023) to another port, who spoke
 * first. Who began is told by the same signs; of a TCP connection picked up in mid-stream it stays
 * unknown.
 *
 * Where packets tell their devices, a packet that passes several of them (bridge and port, both
 * sides of a router, a bond and its members) counts once: each way of a conversation counts at the
 * device that showed it first, until that one was silent for ORIENTATION_TAKE_OVER_NS. Unlike a
 * comparison of packets this holds where the copies differ: segments joined or split, other hop
 * limit, marks. Its price: what is spread packet by packet over several devices (a bond that deals
 * in turns, seen at its members) counts in part, and after a change of route up to a second is
 * taken for copies; TCP's octets are made good by the sequence numbers.
 *
 * Limit: max_conversations; at the limit the one that was silent for longest is forgotten, counted
 * in evicted. */
#ifndef LASTCONN_SOURCE_ORIENTATION_H
#define LASTCONN_SOURCE_ORIENTATION_H

#include <stddef.h>

#include "decode/decode.h"
#include "flow/flow_key.h"
#include "source/source_pcap.h"
#include "util/clock.h"
#include "util/hash.h"

#define ORIENTATION_TAKE_OVER_NS ((int64_t)NS_PER_S)

struct orientation;

struct orientation_options {
	const struct source_pcap_range *local; /* copied */
	size_t local_count;
	size_t max_conversations;
	bool both_ends; /* a conversation of two local ends has two flows, one of each */
	struct hash_key hash_key;
};

struct orientation_verdict {
	bool from_local;
	bool by_address; /* the addresses of the captured machine told */
	enum flow_direction direction;
	bool both; /* as seen from the other end it is a flow, too */
	bool copy; /* counts elsewhere */
};

int orientation_new(const struct orientation_options *options,
	struct orientation **ret_orientation); /* 0 or -ENOMEM */
void orientation_free(struct orientation *orientation);

/* Of conversations from now on. Returns 0 or -ENOMEM. */
int orientation_set_local(
	struct orientation *orientation, const struct source_pcap_range *local, size_t local_count);

struct orientation_verdict orientation_of(
	struct orientation *orientation, const struct decode_packet *packet, int64_t time_ns);

/* The same of a packet that was not seen itself; false if its conversation is not known. */
bool orientation_known(struct orientation *orientation, const struct decode_packet *packet,
	struct orientation_verdict *ret_verdict);

uint64_t orientation_evicted(const struct orientation *orientation);

#endif

/* Names out of packets: who is asked for (TLS, QUIC, HTTP) and what an address was called (DNS).
 * Pure: time comes with the packets; libcrypto is the only stranger within.
 *
 * A server's name counts only from the end that began the flow, and an answer by TCP only from a
 * name server's port, so that a server cannot name its clients. Of a connection whose SYN was not
 * seen that end counts as the client whose peer has the smaller port, and none that may be one of
 * many a client draws.
 *
 * An answer counts only if its question was seen, sent from the same port with the same
 * identification to the same server, or to the group of LLMNR or mDNS; of mDNS also what is sent to
 * its group, where nobody has to ask. By TCP questions are read only on a connection whose SYN was
 * seen. So a stranger cannot name addresses unless he sees or guesses what was asked. Where only
 * answers are captured, there are no names of them.
 *
 * Each connection tells its name once, from its first octets (of QUIC again after a Retry); later
 * requests on it are not read. Where a slot was needed for others, a connection whose SYN was seen
 * tells no more; one picked up later, and QUIC, may be taken for a new one.
 *
 * Limits: max_streams connections whose first octets are put together, REASSEMBLY_MAX octets of
 * each (stream_table.h says who goes at the limit); questions as query_table.h says. Fragments of
 * IP are not put together. A packet that carries another one tells no names; what is in it is to be
 * given, too. */
#ifndef LASTCONN_DECODE_DISSECT_H
#define LASTCONN_DECODE_DISSECT_H

#include "decode/decode.h"
#include "decode/dissect_result.h"
#include "flow/name_evidence.h"
#include "flow/observation.h"
#include "util/hash.h"

struct dissect;

struct dissect_options {
	size_t max_streams; /* 19 KiB each, taken at the start, touched when needed */
	struct hash_key hash_key;
	void (*name)(void *ctx, const struct name_evidence *evidence); /* borrowed */
	void *ctx;
};

struct dissect_counters {
	uint64_t results[DISSECT_RESULTS]; /* messages; OTHER stays 0: it is no message of ours */
	uint64_t names;                    /* told */
	uint64_t unasked;                  /* answers that nobody asked for: not read */
	uint64_t evicted; /* half read messages that gave way to others, or were never finished */
};

int dissect_new(
	const struct dissect_options *options, struct dissect **ret_dissect); /* 0 or -ENOMEM */
void dissect_free(struct dissect *dissect);

/* What the packet tells; observation is what was made of it, with key, direction and time. */
void dissect_take(struct dissect *dissect, const struct decode_packet *packet,
	const struct observation *observation);

void dissect_counters(const struct dissect *dissect, struct dissect_counters *ret_counters);

#endif

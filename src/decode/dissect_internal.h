/* What the parts of dissect share: dissect.c takes datagrams, dissect_stream.c what goes by TCP. */
#ifndef LASTCONN_DECODE_DISSECT_INTERNAL_H
#define LASTCONN_DECODE_DISSECT_INTERNAL_H

#include "decode/dissect.h"
#include "decode/dissect_dns.h"
#include "decode/dissect_quic.h"
#include "decode/dissect_tls.h"
#include "decode/query_table.h"
#include "decode/stream_table.h"

enum {
	DISSECT_PORT_DNS = 53,
	DISSECT_PORT_MDNS = 5353,
	DISSECT_PORT_LLMNR = 5355,
};

struct dissect {
	struct dissect_options options;
	struct dissect_counters counters;
	struct stream_table *streams;
	struct query_table queries;
	struct dissect_quic *quic;
	struct reassembly crypto; /* of a QUIC client that has no slot yet */
	uint8_t scratch[DISSECT_TLS_HELLO_MAX];
};

/* A packet in hand. */
struct dissect_packet {
	struct dissect *dissect;
	const struct decode_packet *packet;
	const struct observation *observation;
};

/* Whether octets are missing that no later packet brings. */
static inline bool dissect_is_cut(const struct decode_packet *packet)
{
	return packet->payload.captured < packet->octets ||
	       packet->fragment == DECODE_FRAGMENT_FIRST;
}

/* Whether the sender began the flow. */
bool dissect_from_client(const struct dissect_packet *in);

/* Tells a name of the packet's flow, for the address unless that is NULL. hello may be NULL. */
void dissect_tell_host(const struct dissect_packet *in, enum name_source source, const char *name,
	const struct addr *address, const struct dissect_tls_hello *hello);

/* Remembers the question that a client puts, of a whole header or less. */
void dissect_note_question(
	const struct dissect_packet *in, const uint8_t *message, size_t captured, bool to_group);

/* Whether the message may tell names: not an answer that nobody asked for, which is counted. */
bool dissect_is_welcome(const struct dissect_packet *in, const uint8_t *message, size_t captured,
	enum name_source source);

enum dissect_result dissect_answers(const struct dissect_packet *in, const uint8_t *message,
	size_t captured, size_t wire, enum name_source source);

void dissect_segment(const struct dissect_packet *in);

#endif

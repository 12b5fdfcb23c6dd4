/* The CRYPTO octets out of a QUIC client's Initial packets (RFC 9000, RFC 9001; version 2: RFC
 * 9369). They are encrypted with keys that the packet itself tells, against middleboxes and not
 * against readers. Pure: libcrypto gets a context of its own, without configuration file. */
#ifndef LASTCONN_DECODE_DISSECT_QUIC_H
#define LASTCONN_DECODE_DISSECT_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/dissect_result.h"
#include "decode/reassembly.h"

enum {
	DISSECT_QUIC_KEY = 16,
	DISSECT_QUIC_IV = 12,
	DISSECT_QUIC_CONNECTION_MAX = 20,
	DISSECT_QUIC_DATAGRAM_MIN = 1200, /* RFC 9000 14.1: of one that holds an Initial packet */
};

struct dissect_quic;

/* What opens a client's Initial packets: made from the connection id that the client chose for the
 * server in its very first packet, or that a Retry gave it. */
struct dissect_quic_secret {
	uint32_t version;
	uint8_t connection_length;
	uint8_t connection[DISSECT_QUIC_CONNECTION_MAX];
	uint8_t key[DISSECT_QUIC_KEY];
	uint8_t iv[DISSECT_QUIC_IV];
	uint8_t header_key[DISSECT_QUIC_KEY];
};

int dissect_quic_new(struct dissect_quic **ret_quic); /* 0 or -ENOMEM */
void dissect_quic_free(struct dissect_quic *quic);

/* Whether the datagram begins with an Initial packet of a version that we know. */
bool dissect_quic_begins(const uint8_t *datagram, size_t length);

/* The secret, if the first packet of the datagram is the first of its connection. Only of a
 * datagram that begins so. */
enum dissect_result dissect_quic_secret(struct dissect_quic *quic, const uint8_t *datagram,
	size_t length, struct dissect_quic_secret *ret_secret);

/* Whether the secret was made from the datagram's connection id. */
bool dissect_quic_is_of(
	const struct dissect_quic_secret *secret, const uint8_t *datagram, size_t length);

/* Adds what the datagram's Initial packets hold to crypto. DISSECT_OTHER: the secret opens none of
 * them, and crypto is untouched. */
enum dissect_result dissect_quic_read(struct dissect_quic *quic, const uint8_t *datagram,
	size_t length, const struct dissect_quic_secret *secret, struct reassembly *crypto);

#endif

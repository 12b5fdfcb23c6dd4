/* The server's name out of a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3). Pure.
 *
 * ech tells that the client sent encrypted_client_hello: the name may be the outer one, a front.
 * Browsers send a hollow one to servers that have no key for it, and nothing tells the two apart.
 */
#ifndef LASTCONN_DECODE_DISSECT_TLS_H
#define LASTCONN_DECODE_DISSECT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/dissect_result.h"
#include "flow/name_evidence.h"

enum { DISSECT_TLS_HELLO_MAX = 16384 }; /* longer ones are unsupported */

struct dissect_tls_hello {
	char name[NAME_MAX_OCTETS + 1]; /* "" none, or an address */
	char alpn[16];                  /* first protocol offered, cut to fit; "" none */
	bool ech;
};

/* Of the handshake message, as QUIC carries it. Of a truncated one *ret_hello holds what there is.
 */
enum dissect_result dissect_tls_hello(
	const uint8_t *message, size_t length, struct dissect_tls_hello *ret_hello);

/* Of the first octets that a client sends by TCP: the message may be spread over records. scratch
 * is where it is put together then. *ret_hello is untouched by DISSECT_OTHER. */
enum dissect_result dissect_tls_stream(const uint8_t *octets, size_t length,
	uint8_t scratch[static DISSECT_TLS_HELLO_MAX], struct dissect_tls_hello *ret_hello);

#endif

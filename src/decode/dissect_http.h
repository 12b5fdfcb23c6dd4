/* The host out of the head of an HTTP/1 request (RFC 9112). Pure. */
#ifndef LASTCONN_DECODE_DISSECT_HTTP_H
#define LASTCONN_DECODE_DISSECT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/dissect_result.h"
#include "flow/name_evidence.h"

struct dissect_http_request {
	char name[NAME_MAX_OCTETS + 1]; /* without port; "" none, or an address */
	bool proxied; /* asked of a proxy: the name is not that of the host that is asked */
};

/* Of the first octets that a client sends. *ret_request is untouched by DISSECT_OTHER. */
enum dissect_result dissect_http(
	const uint8_t *octets, size_t length, struct dissect_http_request *ret_request);

#endif

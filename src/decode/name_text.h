/* The one spelling of names: lower case, no final dot, printable ASCII, other octets, backslashes
 * and dots that part no labels as \DDD (RFC 1035 5.1). Pure. */
#ifndef LASTCONN_DECODE_NAME_TEXT_H
#define LASTCONN_DECODE_NAME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/name_evidence.h"

/* Of a host as TLS and HTTP tell it: octets, dots part labels. False, and *ret_name is "", if it is
 * empty, does not fit, or is an address, which is no name. */
bool name_text_of_host(
	const uint8_t *octets, size_t length, char ret_name[static NAME_MAX_OCTETS + 1]);

/* Of what libresolv writes: the form of master files. False, and *ret_name is "", if it is the root
 * or does not fit. */
bool name_text_of_master(const char *text, char ret_name[static NAME_MAX_OCTETS + 1]);

#endif

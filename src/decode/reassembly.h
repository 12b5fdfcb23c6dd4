/* The first octets of a stream, from pieces in any order. Pure.
 *
 * Limit: REASSEMBLY_MAX octets; what lies beyond is refused. Of octets that come twice the first
 * are kept. There is no limit to the holes. Zero is an empty one. */
#ifndef LASTCONN_DECODE_REASSEMBLY_H
#define LASTCONN_DECODE_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REASSEMBLY_MAX = 16384 };

struct reassembly {
	size_t ready;                     /* octets from the start without a hole */
	size_t end;                       /* behind the last octet that is there */
	uint8_t here[REASSEMBLY_MAX / 8]; /* a bit an octet */
	uint8_t octets[REASSEMBLY_MAX];
};

void reassembly_clear(struct reassembly *reassembly);

/* False, and nothing is taken, if the piece does not end within the limit. */
bool reassembly_add(
	struct reassembly *reassembly, uint64_t offset, const uint8_t *octets, size_t length);

/* The first count octets, all of them ready, are gone; what follows is the start. */
void reassembly_drop(struct reassembly *reassembly, size_t count);

#endif

/* What becomes of a message that is looked into for names. */
#ifndef LASTCONN_DECODE_DISSECT_RESULT_H
#define LASTCONN_DECODE_DISSECT_RESULT_H

#include "util/cursor.h"

enum dissect_result {
	DISSECT_OK,          /* read; it may hold no name all the same */
	DISSECT_TRUNCATED,   /* sound as far as it goes: more octets are needed */
	DISSECT_MALFORMED,   /* contradicts itself */
	DISSECT_UNSUPPORTED, /* of this protocol, but of a kind or size that we do not read */
	DISSECT_OTHER,       /* not of this protocol */
	DISSECT_RESULTS,
};

/* Why length octets could not be taken. */
static inline enum dissect_result dissect_short(const struct cursor *cursor, size_t length)
{
	return cursor->wire < length ? DISSECT_MALFORMED : DISSECT_TRUNCATED;
}

#endif

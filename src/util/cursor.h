/* A place in the octets of a stranger. It knows how many octets follow here (captured) and how many
 * there were on the wire; what is read is checked against the first, what a header claims against
 * the second. captured <= wire always holds. */
#ifndef LASTCONN_UTIL_CURSOR_H
#define LASTCONN_UTIL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at;
	size_t captured;
	size_t wire;
};

/* Moves over length octets and returns them; NULL, and no move, if they are not all captured. */
static inline const uint8_t *cursor_take(struct cursor *cursor, size_t length)
{
	const uint8_t *octets = cursor->at;

	if (cursor->captured < length)
		return NULL;
	cursor->at += length;
	cursor->captured -= length;
	cursor->wire -= length;
	return octets;
}

/* What lies beyond length octets is not of this packet: padding, trailers. */
static inline void cursor_limit(struct cursor *cursor, size_t length)
{
	if (cursor->wire > length)
		cursor->wire = length;
	if (cursor->captured > length)
		cursor->captured = length;
}

static inline uint16_t cursor_be16(const uint8_t *octets)
{
	return (uint16_t)(octets[0] << 8 | octets[1]);
}

static inline uint32_t cursor_be32(const uint8_t *octets)
{
	return (uint32_t)cursor_be16(octets) << 16 | cursor_be16(octets + 2);
}

/* Where the writer's byte order is told by the file. */
static inline uint16_t cursor_16(const uint8_t *octets, bool big_endian)
{
	return big_endian ? cursor_be16(octets) : (uint16_t)(octets[1] << 8 | octets[0]);
}

static inline uint32_t cursor_32(const uint8_t *octets, bool big_endian)
{
	return big_endian ? cursor_be32(octets)
			  : (uint32_t)cursor_16(octets + 2, false) << 16 | cursor_16(octets, false);
}

#endif

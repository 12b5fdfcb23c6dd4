/* Text of strangers made safe to store: always valid UTF-8. */
#ifndef LASTCONN_UTIL_UTF8_H
#define LASTCONN_UTIL_UTF8_H

#include <stddef.h>

/* Length of the valid UTF-8 sequence at text (1..4), or 0 if there is none within length octets. */
size_t utf8_sequence(const char *text, size_t length);

/* Copies length octets, replacing what is not UTF-8, and NUL, by "\xNN". Cuts at a whole character
 * where dst is full; dst ends in NUL. Returns the length of dst. */
size_t utf8_sanitize(char *dst, size_t dst_size, const char *text, size_t length);

#endif

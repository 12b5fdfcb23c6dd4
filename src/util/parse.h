/* Numbers as people write them in options and configuration files. The whole text must be used.
 * All return 0, -EINVAL (not a number of this kind) or -ERANGE (too large), then the output is
 * untouched. */
#ifndef LASTCONN_UTIL_PARSE_H
#define LASTCONN_UTIL_PARSE_H

#include <stdint.h>

/* Decimal digits only: no sign, no space. */
int parse_uint(const char *text, uint64_t *ret_value);

/* Octets: "4096", "64K", "8M", "1G"; units are powers of 1024. */
int parse_size(const char *text, uint64_t *ret_octets);

/* "500ms", "5s", "2m", "1h", "7d"; the unit must be there, except for 0. Whole numbers only. */
int parse_duration(const char *text, int64_t *ret_ns);

#endif

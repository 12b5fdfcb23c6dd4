/* Text files that the build put into the binary (cmake/Embed.cmake). */
#ifndef LASTCONN_UTIL_EMBEDDED_H
#define LASTCONN_UTIL_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
	const char *name; /* file name without folder; NULL ends the array */
	const char *text; /* NUL-terminated */
	size_t length;    /* without the NUL */
};

extern const struct embedded_file embedded_schema[];  /* in lastconn_store */
extern const struct embedded_file embedded_queries[]; /* in lastconn_query */

#endif

/* Text that grows. A failed allocation sticks: later additions do nothing, so that callers check
 * once, at the end. Zero is an empty buffer. */
#ifndef LASTCONN_UTIL_STRBUF_H
#define LASTCONN_UTIL_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *text; /* NULL or NUL-terminated */
	size_t length;
	size_t size;
	bool failed; /* out of memory: text is incomplete */
};

void strbuf_done(struct strbuf *buf);  /* frees; the buffer is empty and may be used again */
void strbuf_clear(struct strbuf *buf); /* length 0, keeps the memory */

void strbuf_add(struct strbuf *buf, const void *octets, size_t length);
void strbuf_add_text(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_add_repeated(struct strbuf *buf, char c, size_t count);
void strbuf_printf(struct strbuf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

const char *strbuf_text(const struct strbuf *buf); /* never NULL */

/* Ownership of the text goes to the caller (free), NULL if an allocation failed. */
char *strbuf_take(struct strbuf *buf);

#endif

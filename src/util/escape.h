/* Text of strangers made safe to print: what could move the cursor, hide or reorder text, or break
 * a line or a format is written as digits. */
#ifndef LASTCONN_QUERY_ESCAPE_H
#define LASTCONN_QUERY_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/strbuf.h"

/* Decodes one character of valid UTF-8 (its length as utf8_sequence gave it). */
uint32_t escape_decode(const char *text, size_t length);

/* C0, DEL, C1, bidi controls, invisible and line-breaking format characters. */
bool escape_is_unsafe(uint32_t character);

/* For terminals and CSV: "\x1b" for controls and octets that are not UTF-8, "\u{202e}" for others.
 */
void escape_add(struct strbuf *buf, const char *text, size_t length);

/* A JSON string with its quotes (RFC 8259). Unsafe characters become \uXXXX, which a parser turns
 * back into the very text; an octet that is not UTF-8 has no place in JSON and becomes "\\xff". */
void escape_add_json(struct strbuf *buf, const char *text, size_t length);

#endif

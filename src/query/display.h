/* What a terminal shows: width of text in cells, shortening, colours. */
#ifndef LASTCONN_QUERY_DISPLAY_H
#define LASTCONN_QUERY_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/strbuf.h"

struct display {
	size_t width; /* cells of a line; 0: not a terminal, print all */
	bool color;
	bool utf8; /* the terminal takes more than ASCII */
};

/* Looks at out and the environment (NO_COLOR, TERM, COLUMNS); sets the locale for widths. */
void display_detect(FILE *out, struct display *ret_display);

/* Cells of escaped text (escape_add). */
size_t display_width(const char *text, size_t length);

/* Adds text, shortened in its middle to at most width cells; more is kept of its end, where paths
 * differ. */
void display_add_cut(struct strbuf *buf, const char *text, size_t length, size_t width, bool utf8);

/* Adds of a list ("a, b, c") the items that fit into width cells, whole, and a mark for the others;
 * at least the first. */
void display_add_items(
	struct strbuf *buf, const char *text, size_t length, size_t width, bool utf8);

#endif

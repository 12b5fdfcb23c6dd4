/* Widths come from wcwidth(3) under a UTF-8 locale, whatever the user's is: the text is UTF-8. */
#include "query/display.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "util/escape.h"
#include "util/utf8.h"

enum { WIDTH_MIN = 40, WIDTH_FALLBACK = 80 };

static size_t terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long number;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
	number = columns ? strtol(columns, NULL, 10) : 0;
	return number >= WIDTH_MIN ? (size_t)number : WIDTH_FALLBACK;
}

static bool color_wanted(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color && no_color[0])
		return false;
	return term && term[0] && strcmp(term, "dumb") != 0;
}

void display_detect(FILE *out, struct display *ret_display)
{
	struct display display = {.utf8 = true};

	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
		display.utf8 = false;
		setlocale(LC_CTYPE, "C.UTF-8");
	}
	if (isatty(fileno(out))) {
		display.width = terminal_width(fileno(out));
		display.color = color_wanted();
	}
	*ret_display = display;
}

static size_t character_width(uint32_t character)
{
	int width;

	if (character < 0x7f)
		return 1;
	width = wcwidth((wchar_t)character);
	return width < 0 ? 1 : (size_t)width;
}

/* Octets of the character at text; at least 1. */
static size_t character_octets(const char *text, size_t length)
{
	size_t step = utf8_sequence(text, length);

	return step ? step : 1;
}

size_t display_width(const char *text, size_t length)
{
	size_t width = 0;

	for (size_t i = 0, step; i < length; i += step) {
		step = character_octets(text + i, length - i);
		width += character_width(escape_decode(text + i, step));
	}
	return width;
}

/* Octets of the longest head that fits into width cells. */
static size_t head_that_fits(const char *text, size_t length, size_t width)
{
	size_t used = 0, i = 0;

	while (i < length) {
		size_t step = character_octets(text + i, length - i);

		used += character_width(escape_decode(text + i, step));
		if (used > width)
			break;
		i += step;
	}
	return i;
}

/* Offset of the longest tail that fits into width cells. */
static size_t tail_that_fits(const char *text, size_t length, size_t width)
{
	size_t rest = display_width(text, length), i = 0;

	while (i < length && rest > width) {
		size_t step = character_octets(text + i, length - i);

		rest -= character_width(escape_decode(text + i, step));
		i += step;
	}
	return i;
}

void display_add_cut(struct strbuf *buf, const char *text, size_t length, size_t width, bool utf8)
{
	const char *mark = utf8 ? "\xe2\x80\xa6" : "..";
	size_t mark_width = utf8 ? 1 : 2, head, tail;

	if (display_width(text, length) <= width || width <= mark_width) {
		strbuf_add(buf, text, length);
		return;
	}
	head = head_that_fits(text, length, (width - mark_width) / 3);
	tail = tail_that_fits(text, length, width - mark_width - display_width(text, head));
	strbuf_add(buf, text, head);
	strbuf_add_text(buf, mark);
	strbuf_add(buf, text + tail, length - tail);
}

void display_add_items(struct strbuf *buf, const char *text, size_t length, size_t width, bool utf8)
{
	const char *mark = utf8 ? ", \xe2\x80\xa6" : ", ..", *first_end = strstr(text, ", ");
	size_t mark_width = utf8 ? 3 : 4, kept = length;

	if (display_width(text, length) > width && first_end) {
		kept = width > mark_width ? head_that_fits(text, length, width - mark_width) : 0;
		while (kept > (size_t)(first_end - text) && strncmp(text + kept, ", ", 2) != 0)
			kept--;
		if (kept < (size_t)(first_end - text))
			kept = (size_t)(first_end - text);
	}
	strbuf_add(buf, text, kept);
	if (kept < length)
		strbuf_add_text(buf, mark);
}

/* Messages quote what users and files say, so they are escaped like every other text. */
#include "query/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/escape.h"
#include "util/strbuf.h"

static void say(const char *format, va_list args)
{
	struct strbuf line = {0};
	char text[2048];

	vsnprintf(text, sizeof(text), format, args);
	strbuf_add_text(&line, "lastconn: ");
	escape_add(&line, text, strlen(text));
	strbuf_add_char(&line, '\n');
	fflush(stdout);
	fputs(strbuf_text(&line), stderr);
	strbuf_done(&line);
}

void message(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

int message_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_ERROR;
}

/* One write(2) a line, so that lines of several threads do not mix. Control characters are
 * replaced: what is logged may hold text of strangers. */
#include "util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_SIZE = 2048 };

static const char *log_program = "lastconn";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static bool log_journal;

void log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_threshold = level;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_SIZE];
	int length;
	va_list args;

	if (level > log_threshold)
		return;
	if (log_journal)
		length = snprintf(line, sizeof(line), "<%d>", (int)level);
	else
		length = snprintf(line, sizeof(line), "%s: ", log_program);
	va_start(args, format);
	length += vsnprintf(line + length, sizeof(line) - (size_t)length, format, args);
	va_end(args);
	if (length > LINE_SIZE - 2)
		length = LINE_SIZE - 2;
	for (int i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* nobody reads the log: there is nowhere to say so */
}

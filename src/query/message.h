/* What lastconn says beside its rows: lines to stderr. */
#ifndef LASTCONN_QUERY_MESSAGE_H
#define LASTCONN_QUERY_MESSAGE_H

/* Exit statuses, so that scripts can ask. */
enum {
	EXIT_FOUND = 0,
	EXIT_NOTHING = 1,
	EXIT_ERROR = 2,
};

/* "lastconn: " and the text, escaped, on one line. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same; returns EXIT_ERROR. */
int message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

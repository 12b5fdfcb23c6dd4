/* A report: one SQL file with a head comment that says what it is for, what it takes and what its
 * columns mean. queries/README describes the language. */
#ifndef LASTCONN_QUERY_REPORT_H
#define LASTCONN_QUERY_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "query/format.h"
#include "util/strbuf.h"

enum report_type {
	REPORT_TEXT,
	REPORT_INTEGER,
	REPORT_TIME,     /* bound as microseconds since 1970 */
	REPORT_HOST,     /* bound as NAME_first, NAME_last or NAME_name, ...: queries/README */
	REPORT_USER,     /* bound as uid */
	REPORT_PROTOCOL, /* bound as number */
	REPORT_LIMIT,  /* bound as one row more, so that "there were more" is known; 0: all rows */
	REPORT_CHOICE, /* one of the words of choices */
	REPORT_TYPE_COUNT,
};

struct report_param {
	char *name;
	char *text;
	enum report_type type;
	bool required;
	char *fallback; /* "default=", NULL: none */
	char *choices;  /* "exe|host|user" */
};

struct report_column {
	char *name;
	char *heading;
	char *text;
	enum format_type type;
	bool wide;
	bool narrow;
};

#define REPORT_BUILT_IN "built in"

struct report {
	char *name;
	char *origin;  /* the file, or REPORT_BUILT_IN */
	char *purpose; /* one line */
	char *details; /* the rest of the head, may be "" */
	struct report_param *params;
	size_t params_count;
	struct report_column *columns;
	size_t columns_count;
	bool record;      /* "-- layout record" */
	bool covered;     /* "-- footer coverage" */
	bool needs_flows; /* "-- footer coverage of flows": what days tell is not enough */
	char *sql;        /* the whole file */
};

struct report_error {
	char text[512]; /* "FILE:LINE: ..." */
};

/* Parses a file's text. Returns 0, -EINVAL or -ENOMEM. */
int report_new(const char *name, const char *origin, const char *text, struct report **ret_report,
	struct report_error *ret_error);
void report_free(struct report *report);

const struct report_param *report_param(const struct report *report, const char *name);
const struct report_column *report_column(const struct report *report, const char *name);

/* The statement for the parameters that are given: a line "--:a,b SQL" counts if a or b is given,
 * "--!a SQL" if it is not; "--:a {" switches all lines up to "--}", which may nest. Numbers of
 * lines stay. */
void report_sql(const struct report *report, bool (*given)(void *ctx, const char *name), void *ctx,
	struct strbuf *ret_sql);

#endif

/* How rows are printed. A format is a struct of operations; a column has a type that says what its
 * numbers mean. */
#ifndef LASTCONN_QUERY_FORMAT_H
#define LASTCONN_QUERY_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "query/display.h"
#include "store/store_report.h"
#include "util/strbuf.h"

/* Words of the head comment of a report: "[octets wide]". */
enum format_type {
	FORMAT_TEXT,     /* short text, never shortened */
	FORMAT_LONG,     /* text that may be shortened in its middle */
	FORMAT_INTEGER,  /* aligned to the right */
	FORMAT_TIME,     /* microseconds since 1970 */
	FORMAT_DURATION, /* microseconds */
	FORMAT_OCTETS,
	FORMAT_USER,    /* a uid; printed as the user's name where there is one */
	FORMAT_LIST,    /* a JSON array of texts and numbers, never shortened */
	FORMAT_LONGS,   /* the same, may be shortened */
	FORMAT_USERS,   /* a JSON array of uids */
	FORMAT_OUTCOME, /* text; coloured by what it says */
	FORMAT_TYPE_COUNT,
};

struct format_column {
	const char *name;    /* as the query has it: CSV and JSON */
	const char *heading; /* of tables */
	enum format_type type;
	bool wide;   /* left out of tables */
	bool narrow; /* only in tables */
};

/* Borrowed: text is valid until the next row. */
struct format_cell {
	enum store_type type;
	int64_t integer;
	double real;
	const char *text;
	size_t length;
};

struct format_options {
	FILE *out;
	struct display display;
	bool utc;
	bool live; /* rows come slowly: print each at once */
};

struct format_state;

/* begin returns NULL without memory. columns are borrowed until end, which frees the state and
 * returns 0 or -errno of the output. */
struct format_ops {
	const char *name;
	struct format_state *(*begin)(const struct format_options *options,
		const struct format_column *columns, size_t count);
	int (*row)(struct format_state *state, const struct format_cell *cells);
	int (*end)(struct format_state *state);
};

extern const struct format_ops format_table, format_record, format_csv, format_json, format_jsonl;

const struct format_ops *format_by_name(const char *name);             /* NULL: unknown */
int format_type_by_name(const char *name, enum format_type *ret_type); /* 0 or -EINVAL */

/* The text of a cell, escaped, for people (tables) ... */
void format_add_human(struct strbuf *buf, const struct format_cell *cell, enum format_type type,
	const struct format_options *options);
/* ... and exact (CSV). */
void format_add_exact(struct strbuf *buf, const struct format_cell *cell, enum format_type type,
	const struct format_options *options);

/* ISO 8601 with offset and microseconds. */
void format_add_iso_time(struct strbuf *buf, int64_t time_us, bool utc);

/* The name of a user, or the number; nothing for -1. */
void format_add_user(struct strbuf *buf, int64_t uid);

/* Writes buf to out and clears it. Returns 0, -ENOMEM or -EIO. */
int format_flush(struct strbuf *buf, FILE *out);

#endif

/* Values of parameters: from text to what is bound. */
#ifndef LASTCONN_QUERY_REPORT_ARGS_H
#define LASTCONN_QUERY_REPORT_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "query/report.h"
#include "store/store_report.h"

enum {
	REPORT_ARGS_MAX = 64,
	REPORT_NAME_SIZE = 48,
	REPORT_ERROR_SIZE = 512,
};

enum report_arg_kind {
	REPORT_ARG_INTEGER,
	REPORT_ARG_TEXT,
	REPORT_ARG_BLOB,
};

struct report_arg {
	char name[REPORT_NAME_SIZE];
	enum report_arg_kind kind;
	int64_t integer;
	char *text; /* owned */
	uint8_t blob[16];
	size_t blob_length;
};

struct report_args {
	struct report_arg list[REPORT_ARGS_MAX];
	size_t count;
	/* What values mean. */
	int64_t now_us;
	bool utc;     /* times without zone are UTC */
	bool resolve; /* names of hosts are looked up now, too */
	/* What came out. */
	bool named_host; /* a host was given by name */
	int64_t limit;   /* rows to print; 0: all */
};

void report_args_done(struct report_args *args);

/* Parses value as the parameter's type. Returns 0, or -EINVAL with what is wrong with the value and
 * how to write it ("'x' is not a port; ..."), or -ENOMEM. */
int report_args_set(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE]);

/* Sets what was not given to its default. Returns 0, or -EINVAL if a required one is missing. */
int report_args_complete(struct report_args *args, const struct report *report,
	char error[static REPORT_ERROR_SIZE]);

int report_args_integer(struct report_args *args, const char *name, int64_t value);
int report_args_text(struct report_args *args, const char *name, const char *value);
int report_args_blob(struct report_args *args, const char *name, const void *octets, size_t length);
void report_args_drop(struct report_args *args, const char *name); /* as if it was never given */

/* NULL: not given. */
const struct report_arg *report_args_find(const struct report_args *args, const char *name);
bool report_args_given(void *args, const char *name); /* void: a callback of report_sql */

/* Binds what the statement knows. */
void report_args_bind(const struct report_args *args, struct store_report *statement);

#endif

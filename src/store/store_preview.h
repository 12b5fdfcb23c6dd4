/* What retention would forget now, without doing it. */
#ifndef LASTCONN_STORE_STORE_PREVIEW_H
#define LASTCONN_STORE_STORE_PREVIEW_H

#include "store/store.h"
#include "store/store_report.h"

struct store_preview {
	const char *what;    /* table, as in the table retention */
	const char *program; /* path, of flows that go for want of room; else NULL */
	int64_t rows, total; /* to go, and of how many */
	int64_t before_us;   /* because they ended before; 0: for want of room */
};

/* Calls row for what would go; strings are borrowed. Returns 0 or -1. */
int store_preview(struct store_reader *reader, const struct store_retention *policy, int64_t now_us,
	void (*row)(void *ctx, const struct store_preview *preview), void *ctx,
	struct store_error *ret_error);

#endif

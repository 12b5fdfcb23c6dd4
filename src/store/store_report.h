/* Reading: runs one SELECT over the history with bound parameters. Opens read-only, while lastconnd
 * writes; an authorizer refuses everything but reading. */
#ifndef LASTCONN_STORE_STORE_REPORT_H
#define LASTCONN_STORE_STORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct store_reader;
struct store_report;

/* At the start of a program, before anything else of the store and before other threads: SQLite
 * keeps no books about its memory then, for which nobody asks, and each allocation takes less. */
void store_reader_setup(void);

int store_reader_open(const char *path, struct store_reader **ret_reader,
	struct store_error *ret_error); /* 0 or -1 */
void store_reader_close(struct store_reader *reader);

/* From now on until it is closed the reader sees the history as it is now. For what ends soon: the
 * write-ahead log cannot be begun anew meanwhile. Once a reader; 0 or -1. */
int store_reader_hold(struct store_reader *reader, struct store_error *ret_error);

/* Prepares one statement. What stands after it, a second statement or anything that writes is an
 * error. Borrow: the report must be freed before the reader. */
int store_report_new(struct store_reader *reader, const char *sql, struct store_report **ret_report,
	struct store_error *ret_error);
void store_report_free(struct store_report *report);

/* Parameters of the statement, ":name"; index from 0. NULL past the end. */
const char *store_report_parameter(const struct store_report *report, size_t index);

/* Binds by name without the colon. Unknown names are ignored (returns false): not every report
 * knows every filter. Text is copied. What is never bound is NULL. */
bool store_report_bind_null(struct store_report *report, const char *name);
bool store_report_bind_integer(struct store_report *report, const char *name, int64_t value);
bool store_report_bind_text(struct store_report *report, const char *name, const char *text);
bool store_report_bind_blob(
	struct store_report *report, const char *name, const void *octets, size_t length);

/* 1: a row is there, 0: no more rows, -1: error. */
int store_report_step(struct store_report *report, struct store_error *ret_error);

enum store_type {
	STORE_NULL,
	STORE_INTEGER,
	STORE_REAL,
	STORE_TEXT,
	STORE_BLOB,
};

size_t store_report_columns(const struct store_report *report);
const char *store_report_column_name(const struct store_report *report, size_t column);
enum store_type store_report_type(const struct store_report *report, size_t column);
int64_t store_report_integer(const struct store_report *report, size_t column);
double store_report_real(const struct store_report *report, size_t column);

/* Text or blob; *ret_length octets, not only up to a NUL. Valid until the next step. */
const char *store_report_text(const struct store_report *report, size_t column, size_t *ret_length);

#endif

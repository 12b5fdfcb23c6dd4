/* Walks over a flat JSON array, as json_group_array() of SQLite makes it: texts, numbers, null. */
#ifndef LASTCONN_QUERY_JSON_LIST_H
#define LASTCONN_QUERY_JSON_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "util/strbuf.h"

struct json_list {
	const char *at;
	const char *end;
};

struct json_list json_list_begin(const char *text, size_t length);

/* The next element's decoded text. False at the end and where the text is not such an array. */
bool json_list_next(struct json_list *list, struct strbuf *item, bool *ret_is_number);

#endif

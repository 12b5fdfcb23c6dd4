/* Sums by sorting: what is sorted is also what SQLite adds fastest. */
#include "store/rollup_list.h"

#include <errno.h>
#include <stdlib.h>

int rollup_list_reserve(struct rollup_list *list, size_t more)
{
	size_t need = list->count + more, capacity = list->capacity ? list->capacity : 256;
	struct rollup_entry *entries;

	if (need <= list->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	entries = realloc(list->entries, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	list->capacity = capacity;
	return 0;
}

void rollup_list_done(struct rollup_list *list)
{
	free(list->entries);
	*list = (struct rollup_list){0};
}

int rollup_compare_service(const struct rollup_entry *a, const struct rollup_entry *b)
{
	int order = ROLLUP_COMPARE(a->protocol, b->protocol);

	if (!order)
		order = ROLLUP_COMPARE(a->port, b->port);
	return order ? order : ROLLUP_COMPARE(a->direction, b->direction);
}

static void merge_into(struct rollup_entry *sum, const struct rollup_entry *entry)
{
	sum->flows += entry->flows;
	sum->failed += entry->failed;
	sum->octets_out += entry->octets_out;
	sum->octets_in += entry->octets_in;
	sum->hours |= entry->hours;
	sum->methods |= entry->methods;
	if (entry->last_us > sum->last_us)
		sum->last_us = entry->last_us;
	if (entry->first_us < sum->first_us) {
		sum->first_us = entry->first_us;
		sum->process = entry->process;
	}
}

void rollup_list_sum(struct rollup_list *list, int (*compare)(const void *, const void *))
{
	size_t kept = 0;

	if (list->count == 0)
		return;
	qsort(list->entries, list->count, sizeof(list->entries[0]), compare);
	for (size_t i = 1; i < list->count; i++) {
		if (compare(&list->entries[kept], &list->entries[i]) == 0)
			merge_into(&list->entries[kept], &list->entries[i]);
		else
			list->entries[++kept] = list->entries[i];
	}
	list->count = kept + 1;
}

int rollup_list_write(const struct rollup_list *list, struct sql_rows *rows, sqlite3_stmt *stmt,
	void (*add)(struct sql_rows *rows, const struct rollup_entry *entry))
{
	int error = sql_rows_reserve(rows, list->count);

	if (error)
		return error;
	for (size_t i = 0; i < list->count; i++)
		add(rows, &list->entries[i]);
	return sql_rows_run(rows, stmt);
}

/* Four growing arrays and an arena for the strings of process records. Strings are kept as offsets
 * while the arena may move and turned into pointers when a record is read.
 *
 * Limit: max_records over all four together. Failure: -ENOMEM leaves the batch as it was. */
#include "store/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ARRAY_FIRST = 64,              /* records a new array makes room for */
	KEPT_OCTETS = 4 * 1024 * 1024, /* batch_clear gives back larger arenas and arrays */
};

struct array {
	char *items;
	size_t item_size;
	size_t count;
	size_t capacity;
};

/* The strings of a process_info, as offsets into the arena. */
struct text_offsets {
	size_t comm, exe, cmdline, cgroup;
};

struct batch {
	struct array processes; /* struct process_info; its strings set by batch_process */
	struct array texts;     /* struct text_offsets, of the process of the same index */
	struct array flows;
	struct array listeners;
	struct array coverage;
	struct array arena; /* octets */
	size_t max_records;
	size_t ended;
	uint64_t position;
};

/* Room for more items; -ENOMEM. */
static int array_reserve(struct array *array, size_t more)
{
	size_t need = array->count + more;
	size_t capacity = array->capacity ? array->capacity : ARRAY_FIRST;
	char *items;

	if (need <= array->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	items = realloc(array->items, capacity * array->item_size);
	if (!items)
		return -ENOMEM;
	array->items = items;
	array->capacity = capacity;
	return 0;
}

static int array_append(struct array *array, const void *item)
{
	if (array_reserve(array, 1) < 0)
		return -ENOMEM;
	memcpy(array->items + array->count * array->item_size, item, array->item_size);
	array->count++;
	return 0;
}

static void *array_at(const struct array *array, size_t index)
{
	return index < array->count ? array->items + index * array->item_size : NULL;
}

static void array_clear(struct array *array)
{
	array->count = 0;
	if (array->capacity * array->item_size <= KEPT_OCTETS)
		return;
	free(array->items);
	array->items = NULL;
	array->capacity = 0;
}

int batch_new(size_t max_records, struct batch **ret_batch)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	batch->max_records = max_records;
	batch->processes.item_size = sizeof(struct process_info);
	batch->texts.item_size = sizeof(struct text_offsets);
	batch->flows.item_size = sizeof(struct flow_record);
	batch->listeners.item_size = sizeof(struct listener_record);
	batch->coverage.item_size = sizeof(struct coverage_record);
	batch->arena.item_size = 1;
	*ret_batch = batch;
	return 0;
}

void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	free(batch->processes.items);
	free(batch->texts.items);
	free(batch->flows.items);
	free(batch->listeners.items);
	free(batch->coverage.items);
	free(batch->arena.items);
	free(batch);
}

void batch_clear(struct batch *batch)
{
	array_clear(&batch->processes);
	array_clear(&batch->texts);
	array_clear(&batch->flows);
	array_clear(&batch->listeners);
	array_clear(&batch->coverage);
	array_clear(&batch->arena);
	batch->ended = 0;
	batch->position = 0;
}

static size_t arena_put(struct array *arena, const char *text, size_t size)
{
	size_t offset = arena->count;

	memcpy(arena->items + offset, text, size);
	arena->count += size;
	return offset;
}

int batch_add_process(struct batch *batch, const struct process_info *info)
{
	size_t comm = strlen(info->comm) + 1, exe = strlen(info->exe) + 1;
	size_t cmdline = strlen(info->cmdline) + 1, cgroup = strlen(info->cgroup) + 1;
	struct text_offsets offsets;

	if (batch_count(batch) >= batch->max_records)
		return -ENOSPC;
	if (array_reserve(&batch->arena, comm + exe + cmdline + cgroup) < 0 ||
		array_reserve(&batch->texts, 1) < 0 || array_append(&batch->processes, info) < 0)
		return -ENOMEM;
	offsets.comm = arena_put(&batch->arena, info->comm, comm);
	offsets.exe = arena_put(&batch->arena, info->exe, exe);
	offsets.cmdline = arena_put(&batch->arena, info->cmdline, cmdline);
	offsets.cgroup = arena_put(&batch->arena, info->cgroup, cgroup);
	return array_append(&batch->texts, &offsets);
}

int batch_add_flow(struct batch *batch, const struct flow_record *record)
{
	if (batch_count(batch) >= batch->max_records)
		return -ENOSPC;
	if (array_append(&batch->flows, record) < 0)
		return -ENOMEM;
	batch->ended += record->kind == FLOW_RECORD_END;
	return 0;
}

int batch_add_listener(struct batch *batch, const struct listener_record *record)
{
	if (batch_count(batch) >= batch->max_records)
		return -ENOSPC;
	return array_append(&batch->listeners, record);
}

int batch_add_coverage(struct batch *batch, const struct coverage_record *record)
{
	if (batch_count(batch) >= batch->max_records)
		return -ENOSPC;
	return array_append(&batch->coverage, record);
}

void batch_set_position(struct batch *batch, uint64_t position)
{
	batch->position = position;
}

uint64_t batch_position(const struct batch *batch)
{
	return batch->position;
}

size_t batch_count(const struct batch *batch)
{
	return batch->processes.count + batch->flows.count + batch->listeners.count +
	       batch->coverage.count;
}

static size_t array_octets(const struct array *array)
{
	return array->capacity * array->item_size;
}

size_t batch_octets(const struct batch *batch)
{
	return sizeof(*batch) + array_octets(&batch->processes) + array_octets(&batch->texts) +
	       array_octets(&batch->flows) + array_octets(&batch->listeners) +
	       array_octets(&batch->coverage) + array_octets(&batch->arena);
}

size_t batch_flows(const struct batch *batch)
{
	return batch->ended;
}

size_t batch_processes(const struct batch *batch)
{
	return batch->processes.count;
}

const struct process_info *batch_process(const struct batch *batch, size_t index)
{
	struct process_info *info = array_at(&batch->processes, index);
	const struct text_offsets *offsets = array_at(&batch->texts, index);

	if (!info)
		return NULL;
	info->comm = batch->arena.items + offsets->comm;
	info->exe = batch->arena.items + offsets->exe;
	info->cmdline = batch->arena.items + offsets->cmdline;
	info->cgroup = batch->arena.items + offsets->cgroup;
	return info;
}

const struct flow_record *batch_flow(const struct batch *batch, size_t index)
{
	return array_at(&batch->flows, index);
}

const struct listener_record *batch_listener(const struct batch *batch, size_t index)
{
	return array_at(&batch->listeners, index);
}

const struct coverage_record *batch_coverage(const struct batch *batch, size_t index)
{
	return array_at(&batch->coverage, index);
}

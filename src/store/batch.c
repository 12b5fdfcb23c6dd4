/* Growing arrays and an arena for the strings of processes and names. Strings are kept as offsets
 * while the arena may move and turned into pointers when a record is read.
 *
 * Limit: max_records over all kinds together. Failure: -ENOMEM leaves the batch as it was. */
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

/* The same of a name_record. */
struct name_offsets {
	size_t name, owner;
};

/* A flow's flow_name, and its nat_ends. */
struct flow_more {
	uint32_t text; /* 1 more than the offset into the arena; 0: none */
	uint32_t nat;  /* 1 more than the index; 0: none */
	uint8_t source, asker;
};

struct batch {
	struct array processes; /* struct process_info; its strings set by batch_process */
	struct array texts;     /* struct text_offsets, of the process of the same index */
	struct array flows;
	struct array flow_more;  /* struct flow_more, of the flow of the same index */
	struct array nat;        /* struct nat_ends */
	struct array names;      /* struct name_record; its strings set by batch_name */
	struct array name_texts; /* struct name_offsets, of the name of the same index */
	struct array listeners;
	struct array coverage;
	struct array arena; /* octets */
	size_t max_records;
	size_t ended;
	uint64_t position;
	struct clock_step step;
	int64_t look;
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
	batch->flow_more.item_size = sizeof(struct flow_more);
	batch->nat.item_size = sizeof(struct nat_ends);
	batch->names.item_size = sizeof(struct name_record);
	batch->name_texts.item_size = sizeof(struct name_offsets);
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
	free(batch->flow_more.items);
	free(batch->nat.items);
	free(batch->names.items);
	free(batch->name_texts.items);
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
	array_clear(&batch->flow_more);
	array_clear(&batch->nat);
	array_clear(&batch->names);
	array_clear(&batch->name_texts);
	array_clear(&batch->listeners);
	array_clear(&batch->coverage);
	array_clear(&batch->arena);
	batch->ended = 0;
	batch->position = 0;
	batch->step = (struct clock_step){0};
	batch->look = 0;
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
	if (array_reserve(&batch->flow_more, 1) < 0 || array_append(&batch->flows, record) < 0)
		return -ENOMEM;
	array_append(&batch->flow_more, &(struct flow_more){0});
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

int batch_add_name(struct batch *batch, const struct name_record *record)
{
	size_t name = strlen(record->name) + 1, owner = strlen(record->owner) + 1;
	struct name_offsets offsets;

	if (batch_count(batch) >= batch->max_records)
		return -ENOSPC;
	if (array_reserve(&batch->arena, name + owner) < 0 ||
		array_reserve(&batch->name_texts, 1) < 0 || array_append(&batch->names, record) < 0)
		return -ENOMEM;
	offsets.name = arena_put(&batch->arena, record->name, name);
	offsets.owner = arena_put(&batch->arena, record->owner, owner);
	return array_append(&batch->name_texts, &offsets);
}

int batch_name_flow(struct batch *batch, size_t index, const struct flow_name *name)
{
	struct flow_more *more = array_at(&batch->flow_more, index);
	size_t size = strlen(name->text) + 1;

	if (batch->arena.count >= UINT32_MAX || array_reserve(&batch->arena, size) < 0)
		return -ENOMEM;
	more->text = (uint32_t)arena_put(&batch->arena, name->text, size) + 1;
	more->source = (uint8_t)name->source;
	more->asker = (uint8_t)name->asker;
	return 0;
}

int batch_translate_flow(struct batch *batch, size_t index, const struct nat_ends *ends)
{
	struct flow_more *more = array_at(&batch->flow_more, index);

	if (array_append(&batch->nat, ends) < 0)
		return -ENOMEM;
	more->nat = (uint32_t)batch->nat.count;
	return 0;
}

/* 0: as long as the run, or still there. */
static void shift_end(int64_t *until_us, int64_t step_us)
{
	if (*until_us)
		*until_us += step_us;
}

static void shift_names_and_flows(struct batch *batch, int64_t step_us)
{
	struct flow_record *flow;
	struct name_record *name;

	for (size_t i = 0; (flow = array_at(&batch->flows, i)); i++) {
		flow->start_us += step_us;
		flow->end_us += step_us;
	}
	for (size_t i = 0; (name = array_at(&batch->names, i)); i++) {
		name->first_us += step_us;
		name->last_us += step_us;
	}
}

void batch_shift(struct batch *batch, int64_t step_us)
{
	struct listener_record *listener;
	struct coverage_record *coverage;

	shift_names_and_flows(batch, step_us);
	for (size_t i = 0; (listener = array_at(&batch->listeners, i)); i++) {
		listener->from_us += step_us;
		shift_end(&listener->until_us, step_us);
	}
	for (size_t i = 0; (coverage = array_at(&batch->coverage, i)); i++) {
		coverage->from_us += step_us;
		shift_end(&coverage->until_us, step_us);
	}
}

void batch_set_step(struct batch *batch, const struct clock_step *step)
{
	batch->step = *step;
}

const struct clock_step *batch_step(const struct batch *batch)
{
	return &batch->step;
}

void batch_set_look(struct batch *batch, int64_t look)
{
	batch->look = look;
}

int64_t batch_look(const struct batch *batch)
{
	return batch->look;
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
	       batch->coverage.count + batch->names.count;
}

static size_t array_octets(const struct array *array)
{
	return array->capacity * array->item_size;
}

size_t batch_octets(const struct batch *batch)
{
	return sizeof(*batch) + array_octets(&batch->processes) + array_octets(&batch->texts) +
	       array_octets(&batch->flows) + array_octets(&batch->flow_more) +
	       array_octets(&batch->nat) + array_octets(&batch->names) +
	       array_octets(&batch->name_texts) + array_octets(&batch->listeners) +
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

const struct name_record *batch_name(const struct batch *batch, size_t index)
{
	struct name_record *record = array_at(&batch->names, index);
	const struct name_offsets *offsets = array_at(&batch->name_texts, index);

	if (!record)
		return NULL;
	record->name = batch->arena.items + offsets->name;
	record->owner = batch->arena.items + offsets->owner;
	return record;
}

struct flow_name batch_flow_name(const struct batch *batch, size_t index)
{
	const struct flow_more *more = array_at(&batch->flow_more, index);

	if (!more || !more->text)
		return (struct flow_name){0};
	return (struct flow_name){
		.text = batch->arena.items + more->text - 1,
		.source = (enum name_source)more->source,
		.asker = (enum name_asker)more->asker,
	};
}

const struct nat_ends *batch_flow_nat(const struct batch *batch, size_t index)
{
	const struct flow_more *more = array_at(&batch->flow_more, index);

	return more && more->nat ? array_at(&batch->nat, more->nat - 1) : NULL;
}

/* The linker's --wrap sends our calls of malloc(3) and its kin here. SQLite, a shared library, asks
 * by its own hook; its lookaside, which would hide most of what it allocates, is off. One thread.
 */
#include "support/fault_alloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <sqlite3.h>

static struct {
	sqlite3_mem_methods below;
	uint64_t calls, first, count;
	bool paused;
} fault;

static bool fails(void)
{
	if (fault.paused)
		return false;
	fault.calls++;
	if (fault.first == 0 || fault.calls < fault.first ||
		fault.calls - fault.first >= fault.count)
		return false;
	errno = ENOMEM;
	return true;
}

/* Names that the linker gives. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(memory, count, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void *sqlite_malloc(int size)
{
	return fails() ? NULL : fault.below.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
	return fails() ? NULL : fault.below.xRealloc(memory, size);
}

void fault_alloc_install(void)
{
	sqlite3_mem_methods methods;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.below) != SQLITE_OK)
		abort();
	methods = fault.below;
	methods.xMalloc = sqlite_malloc;
	methods.xRealloc = sqlite_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
		sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
		sqlite3_initialize() != SQLITE_OK)
		abort();
}

void fault_alloc_fail(uint64_t nth, uint64_t count)
{
	fault.calls = 0;
	fault.first = nth;
	fault.count = count;
}

uint64_t fault_alloc_calls(void)
{
	return fault.calls;
}

void fault_alloc_pause(bool paused)
{
	fault.paused = paused;
}

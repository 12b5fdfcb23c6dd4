/* Fuzz target: arguments of processes, which may be anything. Checked beside what the sanitizers
 * see: no argument is added or lost, nothing is written but what was there and the mask, all that
 * fits is text in every mode, and what is masked once stays so. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process/cmdline.h"
#include "process/cmdline_mask.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_arguments(const char *arguments, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += arguments[i] == '\0';
	return count;
}

/* Each octet of masked stands in arguments, in this order, or is perhaps of a mask. */
static void check_octets(const char *masked, size_t length, const char *arguments, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < length; i++) {
		const char *found = at < size ? memchr(arguments + at, masked[i], size - at) : NULL;

		if (masked[i] == '*')
			continue;
		assert(found);
		at = (size_t)(found - arguments) + 1;
	}
}

static void check_modes(const char *arguments, size_t length)
{
	char cmdline[PROCESS_CMDLINE_MAX];
	const struct process_info info = {.arguments = arguments, .arguments_length = length};

	for (int mode = CMDLINE_FULL; mode <= CMDLINE_NONE; mode++) {
		const char *text = cmdline_keep((enum cmdline_mode)mode, &info, cmdline).cmdline;
		size_t used = strlen(text), step;

		assert(used < PROCESS_CMDLINE_MAX);
		for (size_t i = 0; i < used; i += step) {
			step = utf8_sequence(text + i, used - i);
			assert(step);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *arguments = malloc(size + 1), *masked; /* of its very size, for the sanitizer */
	size_t used, room = 4 * size + 4;

	assert(arguments);
	memcpy(arguments, data, size);
	arguments = realloc(arguments, size ? size : 1);
	masked = malloc(room);
	assert(arguments && masked);
	used = cmdline_mask(masked, room, arguments, size, size % 2);
	assert(used <= room);
	assert(count_arguments(masked, used) == count_arguments(arguments, size));
	check_octets(masked, used, arguments, size);
	check_modes(arguments, size);
	free(masked);
	free(arguments);
	return 0;
}

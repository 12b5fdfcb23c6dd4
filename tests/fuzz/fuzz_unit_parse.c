/* Fuzz target: cgroup paths, which whoever has a subtree of his own names as he likes. Checked
 * beside what the sanitizers see: what comes out are pieces of the path, no unit has characters
 * that systemd refuses, nobody but a user's manager has user units. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process/unit_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_piece(const char *path, const char *name)
{
	assert(name[0] == '\0' || strstr(path, name));
	assert(!strchr(name, '/'));
}

static void check_unit(const char *path, const char *unit)
{
	check_piece(path, unit);
	for (const char *at = unit; *at; at++)
		assert(isalnum((unsigned char)*at) || strchr(":-_.\\@", *at));
	assert(unit[0] == '\0' || (unit[0] != '@' && strchr(unit + 1, '.')));
}

static void check_container(const char *path, const struct unit_names *names)
{
	const char *name = names->container;

	assert(!names->runtime[0] || name[0]);
	if (strchr(path, '\\')) /* a name may have been unescaped, to no control characters */
		for (; *name; name++)
			assert(!iscntrl((unsigned char)*name) || strchr(path, *name));
	else
		check_piece(path, name);
	for (const char *at = names->pod; *at; at++)
		assert(isxdigit((unsigned char)*at) || *at == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = calloc(1, size + 1); /* of its very size, for the sanitizer */
	struct unit_names names;
	const char *found;
	size_t length;

	assert(path);
	memcpy(path, data, size);
	unit_parse(path, &names);
	check_unit(path, names.unit);
	check_unit(path, names.user_unit);
	assert(!names.user_unit[0] || strncmp(names.unit, "user@", 5) == 0 ||
		strncmp(names.unit, "capsule@", 8) == 0);
	check_container(path, &names);
	found = unit_parse_file(path, &length);
	assert(length == 0 || (found > path && found + length <= path + size));
	free(path);
	return 0;
}

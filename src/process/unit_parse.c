/* Reads a cgroup path component by component. Whatever has another form is no error: it has no
 * unit and no container. Components longer than a file name can be are passed over. */
#include "process/unit_parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { CONTAINER_ID_LENGTH = 64 };

static bool ends_with(const char *text, size_t length, const char *suffix)
{
	size_t suffix_length = strlen(suffix);

	return length > suffix_length &&
	       memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

static bool is_container_id(const char *text, size_t length)
{
	if (length != CONTAINER_ID_LENGTH)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static bool copy(char *dst, size_t size, const char *text, size_t length)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(dst, text, length);
	dst[length] = '\0';
	return true;
}

/* "<64 hex>", "docker-<64 hex>.scope", "libpod-<64 hex>.scope" and the like; not libpod-conmon-,
 * which is the monitor outside of the container. */
static void take_engine_id(const char *text, size_t length, struct unit_names *names)
{
	static const char *const prefixes[] = {
		"", "docker-", "libpod-", "cri-containerd-", "containerd-", "nerdctl-", "crio-"};

	if (ends_with(text, length, ".scope"))
		length -= strlen(".scope");
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t skip = strlen(prefixes[i]);

		if (length >= skip && memcmp(text, prefixes[i], skip) == 0 &&
			is_container_id(text + skip, length - skip))
			copy(names->container, sizeof(names->container), text + skip,
				length - skip);
	}
}

static void take_lxc_name(const char *text, size_t length, struct unit_names *names)
{
	static const char prefix[] = "lxc.payload.";
	size_t skip = sizeof(prefix) - 1;

	if (length > skip && memcmp(text, prefix, skip) == 0)
		copy(names->container, sizeof(names->container), text + skip, length - skip);
}

void unit_parse(const char *cgroup, struct unit_names *ret_names)
{
	bool unit_found = false;
	const char *at = cgroup;

	ret_names->unit[0] = ret_names->container[0] = '\0';
	while (*at) {
		size_t length = strcspn(at, "/");
		bool is_unit = ends_with(at, length, ".service") || ends_with(at, length, ".scope");

		if (is_unit || (!unit_found && ends_with(at, length, ".slice")))
			unit_found |= copy(ret_names->unit, sizeof(ret_names->unit), at, length) &&
				      is_unit;
		take_engine_id(at, length, ret_names);
		take_lxc_name(at, length, ret_names);
		at += length;
		at += *at == '/';
	}
}

/* Joins what the kernel keeps in pieces. Input is hostile: any octets, any lengths. */
#include "process/process_text.h"

#include <stdbool.h>
#include <string.h>

#include "util/utf8.h"

enum { COMPONENTS_MAX = 128 };

static bool is_memfd(const char *component, size_t length)
{
	return length >= 6 && memcmp(component, "memfd:", 6) == 0;
}

size_t process_text_path(char *dst, size_t dst_size, const char *components, size_t length)
{
	const char *starts[COMPONENTS_MAX];
	size_t lengths[COMPONENTS_MAX];
	size_t count = 0, used = 0;

	for (size_t at = 0; at < length && count < COMPONENTS_MAX; count++) {
		starts[count] = components + at;
		lengths[count] = strnlen(components + at, length - at);
		at += lengths[count] + 1;
	}
	if (count == 1 && is_memfd(starts[0], lengths[0]))
		return utf8_sanitize(dst, dst_size, starts[0], lengths[0]);
	while (count-- > 0 && used + 2 < dst_size) {
		dst[used++] = '/';
		used += utf8_sanitize(dst + used, dst_size - used, starts[count], lengths[count]);
	}
	if (used == 0 && dst_size > 1)
		dst[used++] = '/';
	dst[used] = '\0';
	return used;
}

static bool needs_quotes(const char *argument, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (strchr(" \t\n\"'\\", argument[i]))
			return true;
	return length == 0;
}

static size_t append_quoted(char *dst, size_t dst_size, const char *argument, size_t length)
{
	size_t used = 0;

	if (dst_size < 4)
		return 0;
	dst[used++] = '\'';
	used += utf8_sanitize(dst + used, dst_size - used - 1, argument, length);
	dst[used++] = '\'';
	dst[used] = '\0';
	return used;
}

size_t process_text_cmdline(char *dst, size_t dst_size, const char *arguments, size_t length)
{
	size_t used = 0;
	bool only;

	while (length > 0 && arguments[length - 1] == '\0')
		length--;
	only = memchr(arguments, '\0', length) == NULL;
	dst[0] = '\0';
	for (size_t at = 0; at < length && used + 8 < dst_size;) {
		size_t size = strnlen(arguments + at, length - at);

		if (at > 0)
			dst[used++] = ' ';
		if (!only && needs_quotes(arguments + at, size))
			used += append_quoted(dst + used, dst_size - used, arguments + at, size);
		else
			used += utf8_sanitize(dst + used, dst_size - used, arguments + at, size);
		at += size + 1;
	}
	return used;
}

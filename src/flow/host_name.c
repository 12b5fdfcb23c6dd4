/* ASCII only: names come from packets as printable ASCII, see name_evidence.h. */
#include "flow/host_name.h"

#include <string.h>

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void host_name_reverse(const char *name, char *ret_reversed, size_t size)
{
	size_t length = strnlen(name, size - 1), used = 0;

	if (length > 0 && name[length - 1] == '.')
		length--;
	while (length > 0) {
		size_t start = length;

		while (start > 0 && name[start - 1] != '.')
			start--;
		if (used > 0)
			ret_reversed[used++] = '.';
		for (size_t i = start; i < length; i++)
			ret_reversed[used++] = to_lower(name[i]);
		length = start > 0 ? start - 1 : 0;
	}
	ret_reversed[used] = '\0';
}

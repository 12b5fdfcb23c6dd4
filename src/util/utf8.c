/* Strict UTF-8 after RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "util/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int is_continuation(uint8_t octet)
{
	return (octet & 0xc0) == 0x80;
}

/* The second octet's range depends on the first. */
static int second_fits(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second < 0xa0;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90;
	default:
		return 1;
	}
}

size_t utf8_sequence(const char *text, size_t length)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t need;

	if (length == 0)
		return 0;
	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	need = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (length < need || !second_fits(at[0], at[1]))
		return 0;
	for (size_t i = 1; i < need; i++)
		if (!is_continuation(at[i]))
			return 0;
	return need;
}

size_t utf8_sanitize(char *dst, size_t dst_size, const char *text, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length;) {
		size_t step = text[i] ? utf8_sequence(text + i, length - i) : 0;

		if (used + (step ? step : 4) >= dst_size)
			break;
		if (step) {
			memcpy(dst + used, text + i, step);
			used += step;
			i += step;
		} else {
			snprintf(dst + used, 5, "\\x%02x", (uint8_t)text[i]);
			used += 4;
			i++;
		}
	}
	dst[used] = '\0';
	return used;
}

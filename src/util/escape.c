/* One table of what is unsafe, used by every format. */
#include "util/escape.h"

#include <string.h>

#include "util/utf8.h"

/* Unicode: controls, and format characters (Cf, Zl, Zp) that are invisible or reorder text. */
static const struct {
	uint32_t first, last;
} unsafe[] = {
	{0x0000, 0x001f},
	{0x007f, 0x009f},
	{0x00ad, 0x00ad},
	{0x061c, 0x061c},
	{0x180e, 0x180e},
	{0x200b, 0x200f},
	{0x2028, 0x202e},
	{0x2060, 0x206f},
	{0xfeff, 0xfeff},
	{0xfff9, 0xfffb},
	{0xe0000, 0xe007f},
};

uint32_t escape_decode(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t character;

	if (length == 1)
		return at[0];
	character = at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++)
		character = character << 6 | (at[i] & 0x3fu);
	return character;
}

bool escape_is_unsafe(uint32_t character)
{
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (character >= unsafe[i].first && character <= unsafe[i].last)
			return true;
	return false;
}

void escape_add(struct strbuf *buf, const char *text, size_t length)
{
	for (size_t i = 0, step; i < length; i += step) {
		uint32_t character;

		step = utf8_sequence(text + i, length - i);
		if (step == 0) {
			strbuf_printf(buf, "\\x%02x", (unsigned char)text[i]);
			step = 1;
			continue;
		}
		character = escape_decode(text + i, step);
		if (!escape_is_unsafe(character))
			strbuf_add(buf, text + i, step);
		else if (character < 0x80)
			strbuf_printf(buf, "\\x%02x", character);
		else
			strbuf_printf(buf, "\\u{%x}", character);
	}
}

static void add_json_unit(struct strbuf *buf, uint32_t character)
{
	if (character < 0x10000) {
		strbuf_printf(buf, "\\u%04x", character);
		return;
	}
	character -= 0x10000;
	strbuf_printf(
		buf, "\\u%04x\\u%04x", 0xd800 + (character >> 10), 0xdc00 + (character & 0x3ff));
}

void escape_add_json(struct strbuf *buf, const char *text, size_t length)
{
	strbuf_add_char(buf, '"');
	for (size_t i = 0, step; i < length; i += step) {
		uint32_t character;

		step = utf8_sequence(text + i, length - i);
		if (step == 0) {
			strbuf_printf(buf, "\\\\x%02x", (unsigned char)text[i]);
			step = 1;
			continue;
		}
		character = escape_decode(text + i, step);
		if (character == '"' || character == '\\')
			strbuf_printf(buf, "\\%c", (char)character);
		else if (escape_is_unsafe(character))
			add_json_unit(buf, character);
		else
			strbuf_add(buf, text + i, step);
	}
	strbuf_add_char(buf, '"');
}

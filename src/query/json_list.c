/* Only what SQLite writes: no nested arrays or objects. What does not parse ends the list. */
#include "query/json_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct json_list json_list_begin(const char *text, size_t length)
{
	struct json_list list = {text, text + length};

	if (list.at < list.end && *list.at == '[')
		list.at++;
	else
		list.at = list.end;
	return list;
}

static bool read_hex4(struct json_list *list, uint32_t *ret_unit)
{
	char digits[5] = {0};
	char *end;

	if (list->end - list->at < 4)
		return false;
	memcpy(digits, list->at, 4);
	*ret_unit = (uint32_t)strtoul(digits, &end, 16);
	list->at += 4;
	return *end == '\0';
}

static void add_utf8(struct strbuf *buf, uint32_t c)
{
	if (c < 0x80) {
		strbuf_add_char(buf, (char)c);
		return;
	}
	if (c < 0x800) {
		strbuf_add_char(buf, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		strbuf_add_char(buf, (char)(0xe0 | c >> 12));
		strbuf_add_char(buf, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		strbuf_add_char(buf, (char)(0xf0 | c >> 18));
		strbuf_add_char(buf, (char)(0x80 | (c >> 12 & 0x3f)));
		strbuf_add_char(buf, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	strbuf_add_char(buf, (char)(0x80 | (c & 0x3f)));
}

/* After "\u": one character, two units if it is a surrogate pair. */
static bool read_unicode(struct json_list *list, struct strbuf *item)
{
	uint32_t unit, low;

	if (!read_hex4(list, &unit))
		return false;
	if (unit >= 0xd800 && unit < 0xdc00) {
		if (list->end - list->at < 6 || memcmp(list->at, "\\u", 2) != 0)
			return false;
		list->at += 2;
		if (!read_hex4(list, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	}
	add_utf8(item, unit);
	return true;
}

static bool read_escape(struct json_list *list, struct strbuf *item)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *letter;
	char c;

	if (list->at == list->end)
		return false;
	c = *list->at++;
	if (c == 'u')
		return read_unicode(list, item);
	letter = c ? strchr(letters, c) : NULL;
	strbuf_add_char(item, letter ? meanings[letter - letters] : c);
	return true;
}

static bool read_string(struct json_list *list, struct strbuf *item)
{
	while (list->at < list->end) {
		char c = *list->at++;

		if (c == '"')
			return true;
		if (c != '\\')
			strbuf_add_char(item, c);
		else if (!read_escape(list, item))
			return false;
	}
	return false;
}

bool json_list_next(struct json_list *list, struct strbuf *item, bool *ret_is_number)
{
	strbuf_clear(item);
	while (list->at < list->end && (*list->at == ',' || *list->at == ' '))
		list->at++;
	if (list->at == list->end || *list->at == ']')
		return false;
	*ret_is_number = *list->at != '"';
	if (!*ret_is_number) {
		list->at++;
		if (read_string(list, item))
			return true;
		list->at = list->end;
		return false;
	}
	while (list->at < list->end && *list->at != ',' && *list->at != ']')
		strbuf_add_char(item, *list->at++);
	return true;
}

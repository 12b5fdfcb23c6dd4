/* Not by ctype.h: the locale is none of a packet's business. */
#include "decode/name_text.h"

#include <string.h>

enum { ESCAPE = 4 }; /* octets of \DDD */

struct text {
	char *at;
	size_t length;
	bool full;
};

static void add_escaped(struct text *text, uint8_t octet)
{
	if (text->length + ESCAPE > NAME_MAX_OCTETS) {
		text->full = true;
		return;
	}
	text->at[text->length++] = '\\';
	text->at[text->length++] = (char)('0' + octet / 100);
	text->at[text->length++] = (char)('0' + octet / 10 % 10);
	text->at[text->length++] = (char)('0' + octet % 10);
}

static void add(struct text *text, uint8_t octet)
{
	if (octet <= ' ' || octet >= 0x7f || octet == '\\') {
		add_escaped(text, octet);
		return;
	}
	if (text->length + 1 > NAME_MAX_OCTETS) {
		text->full = true;
		return;
	}
	if (octet >= 'A' && octet <= 'Z')
		octet = (uint8_t)(octet - 'A' + 'a');
	text->at[text->length++] = (char)octet;
}

static bool finish(struct text *text)
{
	if (text->full)
		text->length = 0;
	text->at[text->length] = '\0';
	return text->length > 0;
}

bool name_text_of_host(
	const uint8_t *octets, size_t length, char ret_name[static NAME_MAX_OCTETS + 1])
{
	struct text text = {.at = ret_name};
	struct addr addr;

	if (length > 0 && octets[length - 1] == '.')
		length--;
	for (size_t i = 0; i < length && !text.full; i++)
		add(&text, octets[i]);
	if (finish(&text) && addr_parse(ret_name, &addr) == 0)
		ret_name[0] = '\0';
	return ret_name[0] != '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The octet behind a backslash, which may be written \X or \DDD. Moves over it. */
static uint8_t unescape(const char **text)
{
	const char *at = *text;

	if (is_digit(at[0]) && is_digit(at[1]) && is_digit(at[2])) {
		*text += 3;
		return (uint8_t)((at[0] - '0') * 100 + (at[1] - '0') * 10 + at[2] - '0');
	}
	*text += 1;
	return (uint8_t)at[0];
}

bool name_text_of_master(const char *master, char ret_name[static NAME_MAX_OCTETS + 1])
{
	struct text text = {.at = ret_name};

	while (*master && !text.full) {
		uint8_t octet = (uint8_t)*master++;

		if (octet == '\\' && *master) {
			octet = unescape(&master);
			if (octet == '.')
				add_escaped(&text, octet);
			else
				add(&text, octet);
		} else if (octet != '.' || *master) { /* not the final dot */
			add(&text, octet);
		}
	}
	return finish(&text);
}

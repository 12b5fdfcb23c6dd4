/* Quotes and backslashes count as a shell has them, but nothing is expanded. */
#include "process/cmdline_scan.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

bool cmdline_scan_is_quote(char c)
{
	return c == '\'' || c == '"';
}

bool cmdline_scan_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool cmdline_scan_is_name(char c)
{
	return cmdline_scan_is_alnum(c) || c == '_' || c == '-' || c == '.' || c == '[' || c == ']';
}

bool cmdline_scan_is_port(const struct cmdline_text *text, size_t from, size_t end)
{
	size_t at = from;

	while (at < end && text->at[at] && strchr("0123456789:.-", text->at[at]))
		at++;
	if (at + 4 == end && at > from)
		return memcmp(text->at + at, "/tcp", 4) == 0 ||
		       memcmp(text->at + at, "/udp", 4) == 0;
	return at == end && at > from;
}

size_t cmdline_scan_blanks(const struct cmdline_text *text, size_t from)
{
	while (from < text->length && is_blank(text->at[from]))
		from++;
	return from;
}

size_t cmdline_scan_word(const struct cmdline_text *text, size_t from)
{
	char quote = '\0';

	for (; from < text->length && (quote || !is_blank(text->at[from])); from++) {
		char c = text->at[from];

		if (c == '\\' && quote != '\'' && from + 1 < text->length)
			from++;
		else if (quote ? c == quote : cmdline_scan_is_quote(c))
			quote = quote ? '\0' : c;
	}
	return from;
}

/* It ends in no '=', as Base64 may, so its end must be there. */
bool cmdline_scan_is_path(const struct cmdline_text *text, size_t from, size_t end)
{
	static const char *const begins[] = {"/", "./", "../", "~/"};
	const char *at = text->at + from;
	size_t length = end - from;

	if (text->cut && end == text->length)
		return false;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (length > strlen(begins[i]) && memcmp(at, begins[i], strlen(begins[i])) == 0)
			return at[length - 1] != '=';
	return false;
}

/* "Bearer" and the like, behind which the secret stands. */
static bool is_scheme(const char *at, size_t length)
{
	static const char *const schemes[] = {"bearer", "basic", "token", "digest", "apikey"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (length == strlen(schemes[i]) && strncasecmp(at, schemes[i], length) == 0)
			return true;
	return false;
}

/* Of a value in quotes that begins at from; *ret_inner is behind the opening one. In JSON within
 * quotes both have a backslash before them. */
static size_t quoted_end(const struct cmdline_text *text, size_t from, size_t *ret_inner)
{
	bool escaped = text->at[from] == '\\';
	char quote = text->at[from + escaped];
	size_t at = from + escaped + 1;

	*ret_inner = at;
	for (; at < text->length && text->at[at] != quote; at++)
		if (text->at[at] == '\\' && quote != '\'' && at + 1 < text->length) {
			if (escaped && text->at[at + 1] == quote)
				break;
			at++;
		}
	return at;
}

static bool is_quoted(const struct cmdline_text *text, size_t from)
{
	if (text->at[from] == '\\' && from + 1 < text->length)
		from++;
	return cmdline_scan_is_quote(text->at[from]);
}

/* Whether a shell joins more to what is quoted up to end: 'it'\''s' */
static bool goes_on(const struct cmdline_text *text, size_t end)
{
	char next = end + 1 < text->length ? text->at[end + 1] : ' ';

	return text->at[end] != '\\' &&
	       (next == '\\' || cmdline_scan_is_quote(next) || cmdline_scan_is_alnum(next));
}

static size_t unquoted_end(const struct cmdline_text *text, size_t from, size_t end)
{
	size_t value_end;

	if (!text->script)
		return text->length;
	if (from < end) /* within quotes, as a header is */
		return cmdline_scan_is_quote(text->at[end - 1]) ? end - 1 : end;
	value_end = cmdline_scan_word(text, from);
	if (is_scheme(text->at + from, value_end - from))
		value_end = cmdline_scan_word(text, cmdline_scan_blanks(text, value_end));
	return value_end;
}

size_t cmdline_scan_value(
	const struct cmdline_text *text, size_t from, size_t end, size_t *ret_begin)
{
	size_t value_end;

	*ret_begin = from;
	if (from == text->length || !is_quoted(text, from))
		return unquoted_end(text, from, end);
	value_end = quoted_end(text, from, ret_begin);
	if (text->script && value_end < text->length && goes_on(text, value_end))
		value_end = cmdline_scan_word(text, value_end + 1);
	return value_end;
}

bool cmdline_scan_is_url(const struct cmdline_text *text, size_t at, size_t end)
{
	return end - at >= 3 && memcmp(text->at + at, "://", 3) == 0;
}

static size_t authority_end(const struct cmdline_text *text, size_t from, size_t end)
{
	while (from < end && !strchr("/?#", text->at[from]))
		from++;
	return from;
}

size_t cmdline_scan_user(const struct cmdline_text *text, size_t from, size_t end)
{
	size_t authority = authority_end(text, from, end);
	const char *at = memrchr(text->at + from, '@', authority - from), *colon;
	size_t user_end = at ? (size_t)(at - text->at) : authority;

	if (!at && !(text->cut && authority == text->length))
		return from;
	colon = memchr(text->at + from, ':', user_end - from);
	return colon ? (size_t)(colon - text->at) : user_end;
}

/* What is neither a port nor followed by a host is a password of which the rest is missing, or that
 * holds octets which it should not. */
size_t cmdline_scan_password(
	const struct cmdline_text *text, size_t from, size_t end, size_t *ret_end)
{
	size_t authority = authority_end(text, from, end), colon, digits;
	const char *at, *found;
	bool cut;

	cut = text->cut && authority == text->length;
	at = memrchr(text->at + from, '@', authority - from);
	found = memchr(text->at + from, ':', (at ? (size_t)(at - text->at) : authority) - from);
	if (!found || text->at[from] == '[')
		return 0;
	colon = (size_t)(found - text->at) + 1;
	for (digits = colon; digits < authority && strchr("0123456789", text->at[digits]);)
		digits++;
	if (!at && digits == authority && !cut)
		return 0;
	if (!at)
		at = memrchr(text->at + colon, '@', end - colon);
	*ret_end = at && !cut ? (size_t)(at - text->at) : authority;
	return *ret_end > colon ? colon : 0;
}

/* A request is known by its method, one of a list: what else begins like text is no HTTP. Read up
 * to the first Host, or to the end of the head.
 *
 * Limit: HEAD_MAX octets of head. HTTP/2 without TLS is unsupported. */
#include "decode/dissect_http.h"

#include <string.h>
#include <strings.h>

#include "decode/name_text.h"

enum { HEAD_MAX = 8192 };

struct piece {
	const uint8_t *at;
	size_t length;
};

static const char *const methods[] = {"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ",
	"PATCH ", "TRACE ", "CONNECT ", "PROPFIND ", "REPORT ", "PRI "};

static bool begins_with(const struct piece *piece, const char *text)
{
	size_t length = strlen(text);

	return piece->length >= length && memcmp(piece->at, text, length) == 0;
}

/* The method that the octets begin with, or may begin with when more of them are here. */
static enum dissect_result take_method(const struct piece *octets, const char **ret_method)
{
	enum dissect_result result = DISSECT_OTHER;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t length = strlen(methods[i]);

		if (begins_with(octets, methods[i])) {
			*ret_method = methods[i];
			return DISSECT_OK;
		}
		if (octets->length < length && memcmp(octets->at, methods[i], octets->length) == 0)
			result = DISSECT_TRUNCATED;
	}
	return result;
}

/* Takes a line with its end (CR is optional, RFC 9112 2.2); *ret_line is without it. */
static bool take_line(struct piece *rest, struct piece *ret_line)
{
	const uint8_t *end = memchr(rest->at, '\n', rest->length);
	size_t length;

	if (!end)
		return false;
	length = (size_t)(end - rest->at);
	*ret_line = (struct piece){rest->at, length};
	if (length > 0 && end[-1] == '\r')
		ret_line->length--;
	rest->at += length + 1;
	rest->length -= length + 1;
	return true;
}

static void trim(struct piece *piece)
{
	while (piece->length > 0 && (piece->at[0] == ' ' || piece->at[0] == '\t')) {
		piece->at++;
		piece->length--;
	}
	while (piece->length > 0 &&
		(piece->at[piece->length - 1] == ' ' || piece->at[piece->length - 1] == '\t'))
		piece->length--;
}

/* host, host:port, user@host, [address]:port */
static void keep_authority(struct piece authority, struct dissect_http_request *request)
{
	const uint8_t *end;

	while ((end = memchr(authority.at, '@', authority.length))) {
		authority.length -= (size_t)(end + 1 - authority.at);
		authority.at = end + 1;
	}
	if (authority.length > 0 && authority.at[0] == '[')
		return;
	end = memchr(authority.at, ':', authority.length);
	if (end)
		authority.length = (size_t)(end - authority.at);
	name_text_of_host(authority.at, authority.length, request->name);
}

/* The authority of http://authority/path, else nothing. */
static bool take_absolute(struct piece target, struct piece *ret_authority)
{
	size_t length = 0;

	if (target.length < 7 || strncasecmp((const char *)target.at, "http://", 7) != 0)
		return false;
	target.at += 7;
	target.length -= 7;
	while (length < target.length && target.at[length] != '/' && target.at[length] != '?')
		length++;
	*ret_authority = (struct piece){target.at, length};
	return true;
}

static enum dissect_result take_request_line(
	struct piece line, const char *method, struct dissect_http_request *request)
{
	const uint8_t *space;
	struct piece target, version, authority;

	target = (struct piece){line.at + strlen(method), line.length - strlen(method)};
	space = memchr(target.at, ' ', target.length);
	if (!space || space == target.at)
		return DISSECT_MALFORMED;
	version = (struct piece){space + 1, line.length - (size_t)(space + 1 - line.at)};
	target.length = (size_t)(space - target.at);
	if (begins_with(&version, "HTTP/2."))
		return DISSECT_UNSUPPORTED;
	if (!begins_with(&version, "HTTP/1.") || version.length != 8)
		return DISSECT_MALFORMED;
	request->proxied = strcmp(method, "CONNECT ") == 0;
	if (request->proxied) {
		keep_authority(target, request);
	} else if (take_absolute(target, &authority)) {
		request->proxied = true;
		keep_authority(authority, request);
	}
	return DISSECT_OK;
}

static bool is_host(const struct piece *line)
{
	return line->length >= 5 && strncasecmp((const char *)line->at, "host:", 5) == 0;
}

/* Header lines up to Host or the empty one. */
static enum dissect_result take_headers(struct piece rest, struct dissect_http_request *request)
{
	struct piece line;

	while (take_line(&rest, &line)) {
		if (line.length == 0)
			return DISSECT_OK;
		if (!is_host(&line))
			continue;
		line.at += 5;
		line.length -= 5;
		trim(&line);
		keep_authority(line, request);
		return DISSECT_OK;
	}
	return DISSECT_TRUNCATED;
}

enum dissect_result dissect_http(
	const uint8_t *octets, size_t length, struct dissect_http_request *ret_request)
{
	struct piece rest = {octets, length < HEAD_MAX ? length : HEAD_MAX}, line;
	const char *method;
	enum dissect_result result = take_method(&rest, &method);

	if (result == DISSECT_OTHER)
		return result;
	memset(ret_request, 0, sizeof(*ret_request));
	if (result != DISSECT_OK)
		return result;
	if (take_line(&rest, &line)) {
		result = take_request_line(line, method, ret_request);
		if (result == DISSECT_OK && !ret_request->proxied)
			result = take_headers(rest, ret_request);
	} else {
		result = DISSECT_TRUNCATED;
	}
	return result == DISSECT_TRUNCATED && length >= HEAD_MAX ? DISSECT_UNSUPPORTED : result;
}

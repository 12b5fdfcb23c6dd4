/* Read is what a server must read, too: contradictions in lengths are malformed, unknown
 * extensions are none of our business. Of two server names the first is told. */
#include "decode/dissect_tls.h"

#include <string.h>

#include "decode/name_text.h"

enum {
	RECORD_HEADER = 5,
	RECORD_HANDSHAKE = 22,
	RECORD_MAX = 16384,
	MESSAGE_HEADER = 4,
	CLIENT_HELLO = 1,
	VERSION_AND_RANDOM = 34,
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_ECH = 0xfe0d, /* draft-ietf-tls-esni */
	NAME_TYPE_HOST = 0,
	ECH_OUTER = 0,
};

/* Takes octets that a length of so many octets announces; moves over those that are here. */
static enum dissect_result take_vector(
	struct cursor *cursor, size_t length_octets, struct cursor *ret_inner)
{
	const uint8_t *head = cursor_take(cursor, length_octets);
	size_t length = 0, here;

	if (!head)
		return dissect_short(cursor, length_octets);
	for (size_t i = 0; i < length_octets; i++)
		length = length << 8 | head[i];
	if (length > cursor->wire)
		return DISSECT_MALFORMED;
	here = length < cursor->captured ? length : cursor->captured;
	*ret_inner = (struct cursor){cursor->at, here, length};
	cursor->at += here;
	cursor->captured -= here;
	cursor->wire -= length;
	return DISSECT_OK;
}

static enum dissect_result take_server_name(
	struct cursor extension, struct dissect_tls_hello *hello)
{
	struct cursor list, name;
	enum dissect_result result = take_vector(&extension, 2, &list);

	if (result == DISSECT_OK && list.wire == 0)
		return DISSECT_MALFORMED;
	while (result == DISSECT_OK && list.wire > 0) {
		const uint8_t *type = cursor_take(&list, 1);

		if (!type)
			return DISSECT_TRUNCATED;
		result = take_vector(&list, 2, &name);
		if (result == DISSECT_OK && name.captured < name.wire)
			return DISSECT_TRUNCATED;
		if (result == DISSECT_OK && *type == NAME_TYPE_HOST && !hello->name[0])
			name_text_of_host(name.at, name.captured, hello->name);
	}
	return result;
}

/* RFC 8701: values that only test whether servers ignore what they do not know. */
static bool is_grease(const struct cursor *protocol)
{
	return protocol->wire == 2 && protocol->at[0] == protocol->at[1] &&
	       (protocol->at[0] & 0xf) == 0xa;
}

static void keep_protocol(const struct cursor *protocol, struct dissect_tls_hello *hello)
{
	size_t length = protocol->captured;

	if (length > sizeof(hello->alpn) - 1)
		length = sizeof(hello->alpn) - 1;
	for (size_t i = 0; i < length; i++)
		if (protocol->at[i] <= ' ' || protocol->at[i] >= 0x7f)
			return;
	memcpy(hello->alpn, protocol->at, length);
	hello->alpn[length] = '\0';
}

static enum dissect_result take_protocols(struct cursor extension, struct dissect_tls_hello *hello)
{
	struct cursor list, protocol;
	enum dissect_result result = take_vector(&extension, 2, &list);

	while (result == DISSECT_OK && list.wire > 0) {
		result = take_vector(&list, 1, &protocol);
		if (result == DISSECT_OK && protocol.wire == 0)
			return DISSECT_MALFORMED;
		if (result == DISSECT_OK && protocol.captured < protocol.wire)
			return DISSECT_TRUNCATED;
		if (result == DISSECT_OK && !hello->alpn[0] && !is_grease(&protocol))
			keep_protocol(&protocol, hello);
	}
	return result;
}

static enum dissect_result take_extension(struct cursor *list, struct dissect_tls_hello *hello)
{
	const uint8_t *type = cursor_take(list, 2);
	struct cursor extension = {0};
	enum dissect_result result;

	if (!type)
		return dissect_short(list, 2);
	result = take_vector(list, 2, &extension);
	if (result != DISSECT_OK)
		return result;
	switch (cursor_be16(type)) {
	case EXTENSION_SERVER_NAME:
		return take_server_name(extension, hello);
	case EXTENSION_ALPN:
		return take_protocols(extension, hello);
	case EXTENSION_ECH:
		hello->ech |= extension.captured > 0 && extension.at[0] == ECH_OUTER;
		return DISSECT_OK;
	default:
		return DISSECT_OK;
	}
}

/* What stands before the extensions. */
static enum dissect_result skip_to_extensions(struct cursor *cursor)
{
	static const size_t vectors[] = {1, 2, 1}; /* session, cipher suites, compression */
	enum dissect_result result = DISSECT_OK;
	struct cursor skipped;

	if (!cursor_take(cursor, VERSION_AND_RANDOM))
		return dissect_short(cursor, VERSION_AND_RANDOM);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]) && result == DISSECT_OK; i++)
		result = take_vector(cursor, vectors[i], &skipped);
	return result;
}

static enum dissect_result take_hello(struct cursor cursor, struct dissect_tls_hello *hello)
{
	bool cut = cursor.captured < cursor.wire;
	enum dissect_result result = skip_to_extensions(&cursor);
	struct cursor list;

	if (result != DISSECT_OK)
		return result;
	if (cursor.wire > 0) { /* TLS 1.2 allows none at all */
		result = take_vector(&cursor, 2, &list);
		while (result == DISSECT_OK && list.wire > 0)
			result = take_extension(&list, hello);
		if (result == DISSECT_OK && cursor.wire > 0)
			return DISSECT_MALFORMED;
	}
	return result == DISSECT_OK && cut ? DISSECT_TRUNCATED : result;
}

/* Length of the message behind its header. */
static size_t announced_by(const uint8_t *header)
{
	return (size_t)header[1] << 16 | cursor_be16(header + 2);
}

enum dissect_result dissect_tls_hello(
	const uint8_t *message, size_t length, struct dissect_tls_hello *ret_hello)
{
	size_t announced, here;

	memset(ret_hello, 0, sizeof(*ret_hello));
	if (length > 0 && message[0] != CLIENT_HELLO)
		return DISSECT_OTHER;
	if (length < MESSAGE_HEADER)
		return DISSECT_TRUNCATED;
	announced = announced_by(message);
	if (announced > DISSECT_TLS_HELLO_MAX - MESSAGE_HEADER)
		return DISSECT_UNSUPPORTED;
	here = length - MESSAGE_HEADER < announced ? length - MESSAGE_HEADER : announced;
	return take_hello((struct cursor){message + MESSAGE_HEADER, here, announced}, ret_hello);
}

/* Whether the message is here, or is none that we go on with. */
static bool is_whole(const uint8_t *message, size_t length)
{
	if (length > 0 && message[0] != CLIENT_HELLO)
		return true;
	return length >= MESSAGE_HEADER &&
	       (length - MESSAGE_HEADER >= announced_by(message) ||
		       announced_by(message) > DISSECT_TLS_HELLO_MAX - MESSAGE_HEADER);
}

/* The header of a record, as much of it as is here. The version says 3.0 to 3.4. */
static enum dissect_result check_record(const uint8_t *header, size_t length)
{
	if ((length > 0 && header[0] != RECORD_HANDSHAKE) || (length > 1 && header[1] != 3) ||
		(length > 2 && header[2] > 4))
		return DISSECT_OTHER;
	if (length < RECORD_HEADER)
		return DISSECT_TRUNCATED;
	if (cursor_be16(header + 3) == 0 || cursor_be16(header + 3) > RECORD_MAX)
		return DISSECT_MALFORMED;
	return DISSECT_OK;
}

/* Moves over a record; *ret_content is what is here of it. */
static enum dissect_result take_record(struct cursor *cursor, struct cursor *ret_content)
{
	enum dissect_result result = check_record(cursor->at, cursor->captured);

	if (result != DISSECT_OK)
		return result;
	cursor_take(cursor, RECORD_HEADER - 2);
	return take_vector(cursor, 2, ret_content);
}

/* Puts what records hold of the message behind each other, up to the end of the octets or of the
 * message. */
static enum dissect_result gather(struct cursor cursor, struct cursor content,
	uint8_t scratch[static DISSECT_TLS_HELLO_MAX], size_t *ret_length)
{
	size_t length = 0;

	for (;;) {
		enum dissect_result result;
		size_t room = DISSECT_TLS_HELLO_MAX - length;

		if (content.captured < room)
			room = content.captured;
		memcpy(scratch + length, content.at, room);
		*ret_length = length += room;
		if (cursor.captured == 0 || is_whole(scratch, length))
			return DISSECT_OK;
		result = take_record(&cursor, &content);
		if (result != DISSECT_OK) /* of the same protocol the message must go on */
			return result == DISSECT_TRUNCATED ? DISSECT_OK : DISSECT_MALFORMED;
	}
}

enum dissect_result dissect_tls_stream(const uint8_t *octets, size_t length,
	uint8_t scratch[static DISSECT_TLS_HELLO_MAX], struct dissect_tls_hello *ret_hello)
{
	struct cursor cursor = {octets, length, SIZE_MAX}, content;
	enum dissect_result result = take_record(&cursor, &content);
	size_t gathered;

	if (result == DISSECT_OTHER)
		return result;
	memset(ret_hello, 0, sizeof(*ret_hello));
	if (result != DISSECT_OK)
		return result;
	if (cursor.captured == 0 || is_whole(content.at, content.captured))
		return dissect_tls_hello(content.at, content.captured, ret_hello);
	result = gather(cursor, content, scratch, &gathered);
	return result == DISSECT_OK ? dissect_tls_hello(scratch, gathered, ret_hello) : result;
}

/* Names are recorded reversed by label, in lower case, without the trailing dot. */
#include "query/report_host.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/addr.h"
#include "flow/host_name.h"
#include "flow/name_evidence.h"

void report_host_part(
	char ret_part[static REPORT_HOST_PART_SIZE], const char *name, const char *part)
{
	snprintf(ret_part, REPORT_HOST_PART_SIZE, "%.40s_%s", name, part);
}

static int set_part(struct report_args *args, const char *name, const char *part, const char *value)
{
	char full[REPORT_HOST_PART_SIZE];

	report_host_part(full, name, part);
	return report_args_text(args, full, value);
}

static int set_range(struct report_args *args, const char *name, const struct addr *first,
	const struct addr *last)
{
	char full[REPORT_HOST_PART_SIZE];
	size_t first_length, last_length;
	const uint8_t *first_octets = addr_octets(first, &first_length);
	const uint8_t *last_octets = addr_octets(last, &last_length);
	int result;

	/* ::/0 and the like reach from ::... to the v4-mapped block and beyond: IPv6 as a whole. */
	if (first_length != last_length) {
		first_octets = first->octets;
		last_octets = last->octets;
		first_length = last_length = sizeof(first->octets);
	}
	report_host_part(full, name, "first");
	result = report_args_blob(args, full, first_octets, first_length);
	if (result < 0)
		return result;
	report_host_part(full, name, "last");
	return report_args_blob(args, full, last_octets, last_length);
}

/* Letters, digits, "-", "_", what is escaped as in RFC 1035, and dots between labels; not only
 * digits and dots. */
static bool is_host_name(const char *text)
{
	size_t length = strlen(text);
	bool letter = false;

	if (length == 0 || length > NAME_MAX_OCTETS || text[0] == '.' || strstr(text, ".."))
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isalnum(c) && !strchr("-_.\\", c) && c < 0x80)
			return false;
		letter = letter || !(isdigit(c) || c == '.');
	}
	return letter;
}

static void add_address(struct strbuf *list, const struct sockaddr *address)
{
	char text[ADDR_TEXT_SIZE];
	struct addr addr;

	if (address->sa_family == AF_INET)
		addr = addr_from_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
	else
		addr = addr_from_v6(
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	strbuf_printf(list, "%s\"%s\"", list->length > 1 ? "," : "", addr_format(&addr, text));
}

static int resolve(struct report_args *args, const char *name, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
	struct strbuf list = {0};
	int result = getaddrinfo(value, NULL, &hints, &found);

	if (result != 0) {
		snprintf(error, REPORT_ERROR_SIZE, "the resolver does not know '%.255s': %s", value,
			gai_strerror(result));
		return -EINVAL;
	}
	strbuf_add_char(&list, '[');
	for (const struct addrinfo *at = found; at; at = at->ai_next)
		if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
			add_address(&list, at->ai_addr);
	strbuf_add_char(&list, ']');
	freeaddrinfo(found);
	result = list.failed ? -ENOMEM : set_part(args, name, "ips", strbuf_text(&list));
	strbuf_done(&list);
	return result;
}

static int set_name(struct report_args *args, const char *name, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	char reversed[NAME_MAX_OCTETS + 2]; /* with the final dot of a suffix */
	int result;

	if (strncmp(value, "*.", 2) == 0 && is_host_name(value + 2)) {
		host_name_reverse(value + 2, reversed, NAME_MAX_OCTETS + 1);
		strcat(reversed, ".");
		args->named_host = true;
		return set_part(args, name, "suffix", reversed);
	}
	if (!is_host_name(value)) {
		snprintf(error, REPORT_ERROR_SIZE,
			"'%.255s' is not a host; write an address (192.0.2.1, 2001:db8::1), a "
			"network "
			"(10.0.0.0/8), a name or *.example.com",
			value);
		return -EINVAL;
	}
	host_name_reverse(value, reversed, sizeof(reversed));
	result = set_part(args, name, "name", reversed);
	args->named_host = true;
	return result == 0 && args->resolve ? resolve(args, name, value, error) : result;
}

int report_host_set(struct report_args *args, const char *name, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	struct addr first, last;
	char bare[64];
	size_t length = strlen(value);
	int result;

	if (length > 2 && length < sizeof(bare) && value[0] == '[' && value[length - 1] == ']') {
		snprintf(bare, sizeof(bare), "%.*s", (int)length - 2, value + 1);
		value = bare;
	}
	if (addr_parse_range(value, &first, &last) == 0)
		result = set_range(args, name, &first, &last);
	else
		result = set_name(args, name, value, error);
	return result < 0 ? result : report_args_text(args, name, value);
}

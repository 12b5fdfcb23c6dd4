/* Conversions of addresses; the C library parses and prints, this file only maps IPv4 into IPv6. */
#include "flow/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_from_v4(const void *octets4)
{
	struct addr addr;

	memcpy(addr.octets, v4_prefix, sizeof(v4_prefix));
	memcpy(addr.octets + sizeof(v4_prefix), octets4, 4);
	return addr;
}

struct addr addr_from_v6(const void *octets16)
{
	struct addr addr;

	memcpy(addr.octets, octets16, sizeof(addr.octets));
	return addr;
}

bool addr_is_v4(const struct addr *addr)
{
	return memcmp(addr->octets, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool addr_is_unspecified(const struct addr *addr)
{
	static const uint8_t zero[16];
	size_t length;
	const uint8_t *octets = addr_octets(addr, &length);

	return memcmp(octets, zero, length) == 0;
}

bool addr_is_loopback(const struct addr *addr)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};

	if (addr_is_v4(addr))
		return addr->octets[12] == 127;
	return memcmp(addr->octets, v6_loopback, sizeof(v6_loopback)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

const uint8_t *addr_octets(const struct addr *addr, size_t *ret_length)
{
	if (addr_is_v4(addr)) {
		*ret_length = 4;
		return addr->octets + sizeof(v4_prefix);
	}
	*ret_length = 16;
	return addr->octets;
}

const char *addr_format(const struct addr *addr, char buf[static ADDR_TEXT_SIZE])
{
	if (addr_is_v4(addr))
		inet_ntop(AF_INET, addr->octets + sizeof(v4_prefix), buf, ADDR_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, addr->octets, buf, ADDR_TEXT_SIZE);
	return buf;
}

int addr_parse(const char *text, struct addr *ret_addr)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, text, octets) == 1)
		*ret_addr = addr_from_v4(octets);
	else if (inet_pton(AF_INET6, text, octets) == 1)
		*ret_addr = addr_from_v6(octets);
	else
		return -EINVAL;
	return 0;
}

static void clear_or_set_host_bits(
	const struct addr *addr, unsigned prefix, struct addr *first, struct addr *last)
{
	*first = *last = *addr;
	for (unsigned bit = prefix; bit < 128; bit++) {
		first->octets[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
		last->octets[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	}
}

int addr_parse_range(const char *text, struct addr *ret_first, struct addr *ret_last)
{
	char copy[ADDR_TEXT_SIZE + 4];
	struct addr addr;
	unsigned long prefix = 128;
	char *slash, *end;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (addr_parse(copy, &addr) < 0)
		return -EINVAL;
	if (slash) {
		unsigned long width = strchr(copy, ':') ? 128 : 32;

		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		prefix = strtoul(slash + 1, &end, 10);
		if (*end || prefix > width)
			return -EINVAL;
		prefix += 128 - width;
	}
	clear_or_set_host_bits(&addr, (unsigned)prefix, ret_first, ret_last);
	return 0;
}

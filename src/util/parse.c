/* strtoul(3) takes signs, spaces and other bases; here what is not plainly right is refused. */
#include "util/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/clock.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Sets *ret_end behind the digits. */
static int parse_digits(const char *text, const char **ret_end, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -ERANGE;
	if (at == text)
		return -EINVAL;
	*ret_end = at;
	*ret_value = value;
	return 0;
}

static int parse_with_unit(
	const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
	uint64_t value;
	const char *end;
	int error = parse_digits(text, &end, &value);

	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &value))
			return -ERANGE;
		*ret_value = value;
		return 0;
	}
	if (value == 0 && *end == '\0') {
		*ret_value = 0;
		return 0;
	}
	return -EINVAL;
}

int parse_uint(const char *text, uint64_t *ret_value)
{
	static const struct unit units[] = {{"", 1}};

	return parse_with_unit(text, units, 1, ret_value);
}

int parse_size(const char *text, uint64_t *ret_octets)
{
	static const struct unit units[] = {
		{"", 1},
		{"K", 1u << 10},
		{"M", 1u << 20},
		{"G", 1u << 30},
	};

	return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_octets);
}

int parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct unit units[] = {
		{"ms", NS_PER_MS},
		{"s", NS_PER_S},
		{"m", 60ull * NS_PER_S},
		{"h", 3600ull * NS_PER_S},
		{"d", 86400ull * NS_PER_S},
	};
	uint64_t value;
	int error = parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), &value);

	if (error)
		return error;
	if (value > INT64_MAX)
		return -ERANGE;
	*ret_ns = (int64_t)value;
	return 0;
}

/* A cursor over the text; each part either matches and moves it, or the whole text is refused.
 * Days are calendar days: from midnight to midnight, however long that is where clocks change. */
#include "util/time_parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define US_PER_SECOND 1000000LL

/* Reads between min and max digits. */
static bool read_digits(const char **at, size_t min, size_t max, int *ret_number)
{
	int number = 0;
	size_t count = 0;

	while (count < max && (*at)[count] >= '0' && (*at)[count] <= '9')
		number = number * 10 + ((*at)[count++] - '0');
	if (count < min)
		return false;
	*at += count;
	*ret_number = number;
	return true;
}

static bool read_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* 2026-11-20 */
static bool read_date(const char **at, struct tm *tm)
{
	int year, month, day;

	if (!read_digits(at, 4, 4, &year) || !read_char(at, '-') ||
		!read_digits(at, 2, 2, &month) || !read_char(at, '-') ||
		!read_digits(at, 2, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return true;
}

/* .5 .123456; digits past the sixth are dropped */
static bool read_fraction(const char **at, int64_t *ret_us)
{
	int64_t us = 0, unit = US_PER_SECOND / 10;

	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
		us += (**at - '0') * unit;
	*ret_us = us;
	return true;
}

/* 14:30 14:30:05 14:30:05.25 */
static bool read_clock(const char **at, struct tm *tm, int64_t *ret_us)
{
	if (!read_digits(at, 1, 2, &tm->tm_hour) || !read_char(at, ':') ||
		!read_digits(at, 2, 2, &tm->tm_min))
		return false;
	tm->tm_sec = 0;
	*ret_us = 0;
	if (read_char(at, ':')) {
		if (!read_digits(at, 2, 2, &tm->tm_sec))
			return false;
		if ((read_char(at, '.') || read_char(at, ',')) && !read_fraction(at, ret_us))
			return false;
	}
	return tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

/* Z +01:00 +0100 +01; *ret_found false if there is none. */
static bool read_zone(const char **at, bool *ret_found, int *ret_offset_s)
{
	int sign, hours, minutes = 0;

	*ret_found = true;
	*ret_offset_s = 0;
	if (read_char(at, 'Z') || read_char(at, 'z'))
		return true;
	if (**at != '+' && **at != '-') {
		*ret_found = false;
		return true;
	}
	sign = *(*at)++ == '-' ? -1 : 1;
	if (!read_digits(at, 2, 2, &hours))
		return false;
	read_char(at, ':');
	if (**at && !read_digits(at, 2, 2, &minutes))
		return false;
	*ret_offset_s = sign * (hours * 3600 + minutes * 60);
	return hours <= 14 && minutes <= 59;
}

static int64_t to_us(const struct tm *tm, bool utc)
{
	struct tm copy = *tm;

	copy.tm_isdst = -1;
	return (int64_t)(utc ? timegm(&copy) : mktime(&copy)) * US_PER_SECOND;
}

/* Midnight before at_us. */
static struct tm day_of(int64_t at_us, bool utc)
{
	time_t seconds = (time_t)(at_us / US_PER_SECOND);
	struct tm tm = {0};

	if (utc)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	return tm;
}

/* A date or one of the words for a day, whole. */
static bool parse_day(const char *text, int64_t now_us, bool utc, struct tm *ret_tm)
{
	struct tm tm = day_of(now_us, utc);

	if (strcmp(text, "yesterday") == 0)
		tm.tm_mday--;
	else if (strcmp(text, "today") != 0 && (!read_date(&text, &tm) || *text))
		return false;
	*ret_tm = tm;
	return true;
}

/* A date with a clock, or a clock alone (today). */
static bool parse_moment(const char *text, int64_t now_us, bool utc, int64_t *ret_us)
{
	struct tm tm = day_of(now_us, utc);
	int64_t fraction_us;
	bool has_zone;
	int offset_s;

	if (strlen(text) > 5 && text[4] == '-') {
		if (!read_date(&text, &tm))
			return false;
		if (!read_char(&text, 'T') && !read_char(&text, 't') && !read_char(&text, ' '))
			return false;
	}
	if (!read_clock(&text, &tm, &fraction_us))
		return false;
	read_char(&text, ' ');
	if (!read_zone(&text, &has_zone, &offset_s) || *text)
		return false;
	*ret_us = to_us(&tm, utc || has_zone) - offset_s * US_PER_SECOND + fraction_us;
	return true;
}

static bool parse_epoch(const char *text, int64_t *ret_us)
{
	int64_t seconds = 0, fraction_us = 0;
	size_t digits = 0;

	if (!read_char(&text, '@'))
		return false;
	for (; *text >= '0' && *text <= '9' && digits < 12; text++, digits++)
		seconds = seconds * 10 + (*text - '0');
	if (digits == 0 || (read_char(&text, '.') && !read_fraction(&text, &fraction_us)) || *text)
		return false;
	*ret_us = seconds * US_PER_SECOND + fraction_us;
	return true;
}

/* 2h, -2h, 2h ago */
static bool parse_ago(const char *text, int64_t now_us, int64_t *ret_us)
{
	static const char ago[] = " ago";
	char copy[32];
	size_t length;
	int64_t duration_us;

	read_char(&text, '-');
	length = strlen(text);
	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length + 1);
	if (length > sizeof(ago) - 1 && strcmp(copy + length - (sizeof(ago) - 1), ago) == 0)
		copy[length - (sizeof(ago) - 1)] = '\0';
	if (time_parse_duration(copy, &duration_us) < 0 || duration_us > now_us)
		return false;
	*ret_us = now_us - duration_us;
	return true;
}

int time_parse(const char *text, int64_t now_us, bool utc, int64_t *ret_us)
{
	struct tm tm;

	if (strcmp(text, "now") == 0) {
		*ret_us = now_us;
		return 0;
	}
	if (parse_day(text, now_us, utc, &tm)) {
		*ret_us = to_us(&tm, utc);
		return 0;
	}
	if (parse_epoch(text, ret_us) || parse_ago(text, now_us, ret_us) ||
		parse_moment(text, now_us, utc, ret_us))
		return 0;
	return -EINVAL;
}

int time_parse_span(
	const char *text, int64_t now_us, bool utc, int64_t *ret_from_us, int64_t *ret_until_us)
{
	int64_t duration_us;
	struct tm tm;

	if (parse_day(text, now_us, utc, &tm)) {
		*ret_from_us = to_us(&tm, utc);
		tm.tm_mday++;
		*ret_until_us = to_us(&tm, utc);
		return 0;
	}
	if (time_parse_duration(text, &duration_us) < 0 || duration_us > now_us)
		return -EINVAL;
	*ret_from_us = now_us - duration_us;
	*ret_until_us = now_us;
	return 0;
}

static const struct {
	const char *name;
	int64_t us;
} units[] = {
	{"ms", 1000},
	{"s", US_PER_SECOND},
	{"min", 60 * US_PER_SECOND},
	{"m", 60 * US_PER_SECOND},
	{"h", 3600 * US_PER_SECOND},
	{"d", 86400 * US_PER_SECOND},
	{"w", 7 * 86400 * US_PER_SECOND},
};

static bool read_unit(const char **at, int64_t *ret_us)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(*at, units[i].name, length) == 0) {
			*at += length;
			*ret_us = units[i].us;
			return true;
		}
	}
	return false;
}

int time_parse_duration(const char *text, int64_t *ret_us)
{
	int64_t total_us = 0, unit_us, part_us;
	int number;

	do {
		if (!read_digits(&text, 1, 8, &number) || !read_unit(&text, &unit_us))
			return -EINVAL;
		if (__builtin_mul_overflow((int64_t)number, unit_us, &part_us) ||
			__builtin_add_overflow(total_us, part_us, &total_us))
			return -EINVAL;
	} while (*text);
	*ret_us = total_us;
	return 0;
}

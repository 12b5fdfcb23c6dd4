/* Points in time and durations as people write them. Pure but for the local time zone. */
#ifndef LASTCONN_UTIL_TIME_PARSE_H
#define LASTCONN_UTIL_TIME_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* "now", "today", "yesterday" (their first moment), "2026-11-20", "2026-11-20 14:30[:05[.123]]"
 * (or with T; with "Z", "+01:00", "+0100" or without zone), "14:30[:05]" of today, "2h" and
 * "2h ago" (that long before now), "@1795170000" (seconds since 1970). What has no zone is local
 * time, or UTC if utc is set. Returns 0 or -EINVAL. */
int time_parse(const char *text, int64_t now_us, bool utc, int64_t *ret_us);

/* A span: a day ("today", "yesterday", "2026-11-20") from its first moment to that of the next
 * day, or a duration up to now ("2h": from two hours ago to now). Returns 0 or -EINVAL. */
int time_parse_span(
	const char *text, int64_t now_us, bool utc, int64_t *ret_from_us, int64_t *ret_until_us);

/* "500ms", "30s", "5m", "1h30m", "7d", "2w". A unit is needed. Returns 0 or -EINVAL. */
int time_parse_duration(const char *text, int64_t *ret_us);

#endif

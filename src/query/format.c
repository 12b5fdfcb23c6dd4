/* Formats by name, and the text of cells for those formats that print text. */
#include "query/format.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/escape.h"
#include "query/json_list.h"
#include "util/clock.h"

static const struct format_ops *const formats[] = {
	&format_table, &format_csv, &format_json, &format_jsonl};

static const char *const type_names[] = {"text", "long", "integer", "time_us", "duration_us",
	"octets", "user", "list", "long_list", "users", "outcome"};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == FORMAT_TYPE_COUNT, "one name each");

const struct format_ops *format_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

int format_type_by_name(const char *name, enum format_type *ret_type)
{
	for (int i = 0; i < FORMAT_TYPE_COUNT; i++) {
		if (strcmp(type_names[i], name) == 0) {
			*ret_type = (enum format_type)i;
			return 0;
		}
	}
	return -EINVAL;
}

static struct tm broken_down(int64_t time_us, bool utc, int64_t *ret_rest_us)
{
	int64_t seconds = time_us / US_PER_S, rest_us = time_us % US_PER_S;
	struct tm tm = {0};
	time_t time;

	if (rest_us < 0) {
		rest_us += US_PER_S;
		seconds--;
	}
	time = (time_t)seconds;
	if (utc)
		gmtime_r(&time, &tm);
	else
		localtime_r(&time, &tm);
	*ret_rest_us = rest_us;
	return tm;
}

static void add_time(struct strbuf *buf, int64_t time_us, bool utc)
{
	char text[64];
	int64_t rest_us;
	struct tm tm = broken_down(time_us, utc, &rest_us);

	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_add_text(buf, text);
}

void format_add_iso_time(struct strbuf *buf, int64_t time_us, bool utc)
{
	char text[64], zone[16];
	int64_t rest_us;
	struct tm tm = broken_down(time_us, utc, &rest_us);

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strbuf_printf(buf, "%s.%06" PRId64, text, rest_us);
	if (utc) {
		strbuf_add_char(buf, 'Z');
		return;
	}
	strftime(zone, sizeof(zone), "%z", &tm);
	strbuf_printf(buf, "%.3s:%s", zone, zone + 3);
}

static void add_duration(struct strbuf *buf, int64_t us)
{
	int64_t s = us / US_PER_S;

	if (us < 0)
		strbuf_printf(buf, "%" PRId64 "us", us);
	else if (us < 1000)
		strbuf_printf(buf, "%" PRId64 "us", us);
	else if (us < US_PER_S)
		strbuf_printf(buf, "%" PRId64 "ms", us / 1000);
	else if (s < 60)
		strbuf_printf(buf, "%" PRId64 ".%" PRId64 "s", s, us % US_PER_S / 100000);
	else if (s < 3600)
		strbuf_printf(buf, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		strbuf_printf(buf, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		strbuf_printf(buf, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}

static void add_octets(struct strbuf *buf, int64_t octets)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)octets / 1024;
	size_t unit = 0;

	if (octets < 1024) {
		strbuf_printf(buf, "%" PRId64 " B", octets);
		return;
	}
	while (value >= 1023.95 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	strbuf_printf(buf, "%.1f %s", value, units[unit]);
}

/* Asking the system opens files or sockets: names that were told are kept, one a slot. */
void format_add_user(struct strbuf *buf, int64_t uid)
{
	static struct {
		int64_t uid;
		char name[64];
	} known[256];
	size_t slot = (size_t)uid % 256;

	if (uid < 0)
		return;
	if (known[slot].uid != uid || !known[slot].name[0]) {
		struct passwd *entry = getpwuid((uid_t)uid);

		known[slot].uid = uid;
		if (entry && entry->pw_name[0] && strlen(entry->pw_name) < sizeof(known[slot].name))
			strcpy(known[slot].name, entry->pw_name);
		else
			snprintf(known[slot].name, sizeof(known[slot].name), "%" PRId64, uid);
	}
	escape_add(buf, known[slot].name, strlen(known[slot].name));
}

static void add_list(struct strbuf *buf, const struct format_cell *cell, bool users)
{
	struct json_list list = json_list_begin(cell->text, cell->length);
	struct strbuf item = {0};
	const char *comma = "";
	bool is_number;

	while (json_list_next(&list, &item, &is_number)) {
		size_t before;

		strbuf_add_text(buf, comma);
		before = buf->length;
		if (users && is_number)
			format_add_user(buf, strtoll(strbuf_text(&item), NULL, 10));
		else
			escape_add(buf, strbuf_text(&item), item.length);
		if (buf->length == before)
			strbuf_add_char(buf, '-');
		comma = ", ";
	}
	strbuf_done(&item);
}

static void add_blob(struct strbuf *buf, const struct format_cell *cell)
{
	for (size_t i = 0; i < cell->length; i++)
		strbuf_printf(buf, "%02x", (unsigned char)cell->text[i]);
}

/* What looks the same to people and programs. */
static void add_plain(struct strbuf *buf, const struct format_cell *cell)
{
	switch (cell->type) {
	case STORE_NULL:
		break;
	case STORE_INTEGER:
		strbuf_printf(buf, "%" PRId64, cell->integer);
		break;
	case STORE_REAL:
		strbuf_printf(buf, "%.15g", cell->real);
		break;
	case STORE_TEXT:
		escape_add(buf, cell->text, cell->length);
		break;
	case STORE_BLOB:
		add_blob(buf, cell);
		break;
	}
}

static bool add_meaning(struct strbuf *buf, const struct format_cell *cell, enum format_type type)
{
	if (cell->type == STORE_INTEGER && type == FORMAT_USER) {
		format_add_user(buf, cell->integer);
		return true;
	}
	if (cell->type == STORE_TEXT &&
		(type == FORMAT_LIST || type == FORMAT_LONGS || type == FORMAT_USERS)) {
		add_list(buf, cell, type == FORMAT_USERS);
		return true;
	}
	return false;
}

void format_add_human(struct strbuf *buf, const struct format_cell *cell, enum format_type type,
	const struct format_options *options)
{
	if (add_meaning(buf, cell, type))
		return;
	if (cell->type != STORE_INTEGER)
		add_plain(buf, cell);
	else if (type == FORMAT_TIME)
		add_time(buf, cell->integer, options->utc);
	else if (type == FORMAT_DURATION)
		add_duration(buf, cell->integer);
	else if (type == FORMAT_OCTETS)
		add_octets(buf, cell->integer);
	else
		add_plain(buf, cell);
}

void format_add_exact(struct strbuf *buf, const struct format_cell *cell, enum format_type type,
	const struct format_options *options)
{
	if (add_meaning(buf, cell, type))
		return;
	if (cell->type == STORE_INTEGER && type == FORMAT_TIME)
		format_add_iso_time(buf, cell->integer, options->utc);
	else
		add_plain(buf, cell);
}

int format_flush(struct strbuf *buf, FILE *out)
{
	size_t written;

	if (buf->failed)
		return -ENOMEM;
	errno = 0;
	written = buf->length ? fwrite(buf->text, 1, buf->length, out) : 0;
	if (written != buf->length)
		return errno ? -errno : -EIO;
	strbuf_clear(buf);
	return 0;
}

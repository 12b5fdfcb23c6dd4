/* A report names its hosts in many places, and SQLite prepares all that leads to them anew for
 * each: with names that took several times as long as the answer. As JSON they cost it nothing, and
 * without loose ones no condition about them is left.
 *
 * Reports that are run once see the same history as this does (store_reader_hold). For tail, what
 * lastconnd writes between the two, a new row of remote, is missed as if asked a moment earlier.
 *
 * Networks stay conditions of the report: they can be all of the history. */
#include "query/host_remotes.h"

#include <string.h>

#include "query/report_host.h"

/* loose: hosts whose address had the name by evidence, for flows that began then and are not known
 * to be for another, by what they said or their own process asked for: from a second before the
 * answer to a minute after its TTL, as in name_rule.c. What was asked for is known by its CNAMEs,
 * too, and an address that is given at any time. What a process asked its C library for names its
 * own flows only.
 *
 * remote.ip has no index: it is read through, but only if there are addresses of --resolve. */
static const char remotes_text[] =
	"WITH wanted (id, name) AS MATERIALIZED ("
	"	SELECT id, name FROM name WHERE reversed = :name"
	"	UNION ALL SELECT id, name FROM name"
	"	WHERE reversed > :suffix AND reversed < rtrim(:suffix, '.') || '/'"
	"),"
	"loose (remote, name, from_us, until_us) AS MATERIALIZED ("
	"	SELECT r.id, w.name, e.first_us - 1000000, e.until_us + 60000000"
	"	FROM wanted AS w"
	"	CROSS JOIN name_evidence AS e"
	"		ON e.id IN (SELECT id FROM name_evidence WHERE name = w.id"
	"		UNION SELECT id FROM name_evidence WHERE owner = w.id AND owner <> 0)"
	"	CROSS JOIN remote AS r ON r.address = e.address"
	"	WHERE (r.name_source = '' OR r.name_source GLOB '*-other'"
	"		OR r.name_source GLOB '*-any'"
	"		OR r.name = e.name AND r.name_source NOT IN ('sni', 'quic', 'http'))"
	"	AND e.source <> 'getaddrinfo'"
	"	AND r.name NOT IN (SELECT id FROM wanted)"
	"	AND r.ip NOT GLOB '127.*' AND r.ip <> '::1'"
	"	AND r.ip NOT IN (SELECT value FROM json_each(:ips))"
	"),"
	"remotes (id) AS ("
	"	SELECT r.id FROM wanted AS w CROSS JOIN remote AS r ON r.name = w.id"
	"	WHERE r.name <> 0"
	"	UNION SELECT remote FROM loose"
	"	UNION SELECT id FROM remote"
	"	WHERE :ips IS NOT NULL AND ip IN (SELECT value FROM json_each(:ips))"
	")"
	"SELECT (SELECT json_group_array(id) FROM remotes),"
	"	(SELECT nullif(json_group_array(json_array(remote, name, from_us, until_us)), '[]')"
	"		FROM loose)";

static const char *part_of(const struct report_args *args, const char *name, const char *part)
{
	char full[REPORT_HOST_PART_SIZE];
	const struct report_arg *arg;

	report_host_part(full, name, part);
	arg = report_args_find(args, full);
	return arg ? arg->text : NULL;
}

static void bind(struct store_report *statement, const struct report_args *args, const char *name)
{
	static const char *const parts[] = {"name", "suffix", "ips"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *value = part_of(args, name, parts[i]);

		if (value)
			store_report_bind_text(statement, parts[i], value);
	}
}

/* column: of the statement; NULL takes away what an earlier look found. */
static int set_part(struct report_args *args, const char *name, const char *part,
	const struct store_report *statement, size_t column)
{
	char full[REPORT_HOST_PART_SIZE];
	size_t length;

	report_host_part(full, name, part);
	if (store_report_type(statement, column) == STORE_NULL) {
		report_args_drop(args, full);
		return 0;
	}
	return report_args_text(args, full, store_report_text(statement, column, &length));
}

static int find(struct store_reader *reader, const char *name, struct report_args *args,
	struct store_error *ret_error)
{
	struct store_report *statement;
	int result;

	if (store_report_new(reader, remotes_text, &statement, ret_error) < 0)
		return -1;
	bind(statement, args, name);
	result = store_report_step(statement, ret_error) == 1 ? 0 : -1;
	if (result == 0 && (set_part(args, name, "remotes", statement, 0) < 0 ||
				   set_part(args, name, "loose", statement, 1) < 0)) {
		ret_error->class = STORE_FATAL;
		strcpy(ret_error->text, "out of memory");
		result = -1;
	}
	store_report_free(statement);
	return result;
}

/* Reports of users that know names alone do not pay for it. */
static bool asks(const struct report *report, const char *name)
{
	char full[REPORT_HOST_PART_SIZE];

	report_host_part(full, name, "remotes");
	return strstr(report->sql, full) != NULL;
}

int host_remotes_set(struct store_reader *reader, const struct report *report,
	struct report_args *args, struct store_error *ret_error)
{
	int result = 0;

	for (size_t i = 0; i < report->params_count && result == 0; i++) {
		const struct report_param *param = &report->params[i];

		if (param->type == REPORT_HOST && asks(report, param->name) &&
			(part_of(args, param->name, "name") ||
				part_of(args, param->name, "suffix")))
			result = find(reader, param->name, args, ret_error);
	}
	return result;
}

/* The head comment, line by line:
 *
 *	-- Purpose, one line.
 *	-- More about it, until the first key word.
 *	-- param NAME: text [type required default=VALUE]
 *	-- column NAME "HEADING": text [type wide|narrow]
 *	-- layout record
 *
 * It ends at the first line that is no comment, or at a blank one. Names in switched lines that no
 * parameter declares are refused here, not when the report is run. */
#include "query/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_OCTETS = 1024, WORD_SIZE = 128 };

static const char *const type_names[] = {
	"text", "integer", "time", "host", "user", "protocol", "limit", "choice"};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == REPORT_TYPE_COUNT, "one name each");

struct parser {
	struct report *report;
	struct report_error *error;
	int line;
	int depth; /* of blocks */
	int block; /* line where the last one began */
	bool head;
};

__attribute__((format(printf, 2, 3))) static int refuse(
	struct parser *parser, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(parser->error->text, sizeof(parser->error->text), "%s:%d: %s",
		parser->report->origin, parser->line, what);
	return -EINVAL;
}

static char *copy_range(const char *from, const char *to)
{
	return strndup(from, (size_t)(to - from));
}

/* Appends a zeroed element. Returns NULL without memory. */
static void *append(void **array, size_t *count, size_t size)
{
	char *grown = realloc(*array, (*count + 1) * size);

	if (!grown)
		return NULL;
	*array = grown;
	return memset(grown + (*count)++ * size, 0, size);
}

static int read_param_word(struct parser *parser, struct report_param *param, const char *word)
{
	if (strcmp(word, "required") == 0) {
		param->required = true;
		return 0;
	}
	if (strncmp(word, "default=", 8) == 0) {
		param->fallback = strdup(word + 8);
		return param->fallback ? 0 : -ENOMEM;
	}
	if (strchr(word, '|')) {
		param->type = REPORT_CHOICE;
		param->choices = strdup(word);
		return param->choices ? 0 : -ENOMEM;
	}
	for (int i = 0; i < REPORT_CHOICE; i++) {
		if (strcmp(type_names[i], word) == 0) {
			param->type = (enum report_type)i;
			return 0;
		}
	}
	return refuse(parser, "'%s' is no type of a parameter", word);
}

static int read_column_word(struct parser *parser, struct report_column *column, const char *word)
{
	if (strcmp(word, "wide") == 0) {
		column->wide = true;
		return 0;
	}
	if (strcmp(word, "narrow") == 0) {
		column->narrow = true;
		return 0;
	}
	if (format_type_by_name(word, &column->type) < 0)
		return refuse(parser, "'%s' is no type of a column", word);
	return 0;
}

/* The words in brackets at the end of a line, each handed to param or column. */
static int read_words(struct parser *parser, const char *words, struct report_param *param,
	struct report_column *column)
{
	char word[WORD_SIZE];
	int length, result = 0;

	while (result == 0 && sscanf(words, " %127[^] ]%n", word, &length) == 1) {
		result = param ? read_param_word(parser, param, word)
			       : read_column_word(parser, column, word);
		words += length;
	}
	return result;
}

/* Without the spaces before the bracket. */
static char *copy_text(const char *text, const char *bracket)
{
	while (bracket > text && bracket[-1] == ' ')
		bracket--;
	return copy_range(text, bracket);
}

/* "-- param NAME: text [words]"; at stands on NAME. */
static int read_param(struct parser *parser, const char *at)
{
	const char *colon = strchr(at, ':'), *bracket = strrchr(at, '[');
	struct report *report = parser->report;
	struct report_param *param;

	if (!colon || colon == at)
		return refuse(parser, "write: -- param NAME: what it means [type]");
	param = append((void **)&report->params, &report->params_count, sizeof(*param));
	if (!param)
		return -ENOMEM;
	if (bracket && (bracket < colon || !strchr(bracket, ']')))
		bracket = NULL;
	param->name = copy_range(at, colon);
	colon += 1 + strspn(colon + 1, " ");
	param->text = bracket ? copy_text(colon, bracket) : strdup(colon);
	if (!param->name || !param->text)
		return -ENOMEM;
	return bracket ? read_words(parser, bracket + 1, param, NULL) : 0;
}

/* Tables drop the unit: it is in the cells. */
static char *default_heading(const char *name)
{
	static const char *const units[] = {"_us", "_octets"};
	char *heading = strdup(name);

	for (size_t i = 0; heading && i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(heading), unit = strlen(units[i]);

		if (length > unit && strcmp(heading + length - unit, units[i]) == 0)
			heading[length - unit] = '\0';
	}
	return heading;
}

/* "-- column NAME "HEADING": text [words]"; at stands on NAME. */
static int read_column(struct parser *parser, const char *at)
{
	const char *end = at + strcspn(at, " :"), *colon = strchr(end, ':');
	const char *quote = strchr(end, '"'), *bracket = strrchr(at, '[');
	struct report *report = parser->report;
	struct report_column *column;

	if (!colon || end == at)
		return refuse(parser, "write: -- column NAME: what it means [type]");
	column = append((void **)&report->columns, &report->columns_count, sizeof(*column));
	if (!column)
		return -ENOMEM;
	column->name = copy_range(at, end);
	if (!column->name)
		return -ENOMEM;
	if (quote && quote < colon && strchr(quote + 1, '"'))
		column->heading = copy_range(quote + 1, strchr(quote + 1, '"'));
	else
		column->heading = default_heading(column->name);
	colon += 1 + strspn(colon + 1, " ");
	if (bracket && (bracket < colon || !strchr(bracket, ']')))
		bracket = NULL;
	column->text = bracket ? copy_text(colon, bracket) : strdup(colon);
	if (!column->heading || !column->text)
		return -ENOMEM;
	return bracket ? read_words(parser, bracket + 1, NULL, column) : 0;
}

/* The purpose first, then the details. */
static int read_prose(struct parser *parser, const char *at)
{
	struct report *report = parser->report;
	char *text;

	if (!report->purpose) {
		report->purpose = strdup(at);
		return report->purpose ? 0 : -ENOMEM;
	}
	if (asprintf(&text, "%s%s\n", report->details ? report->details : "", at) < 0)
		return -ENOMEM;
	free(report->details);
	report->details = text;
	return 0;
}

static int read_head_line(struct parser *parser, const char *line)
{
	const char *at = line + 2 + strspn(line + 2, " ");
	bool keyword = at == line + 3;

	if (keyword && strncmp(at, "param ", 6) == 0)
		return read_param(parser, at + 6);
	if (keyword && strncmp(at, "column ", 7) == 0)
		return read_column(parser, at + 7);
	if (keyword && strcmp(at, "layout record") == 0) {
		parser->report->record = true;
		return 0;
	}
	if (keyword && (strcmp(at, "footer coverage") == 0 ||
			       strcmp(at, "footer coverage of flows") == 0)) {
		parser->report->covered = true;
		parser->report->needs_flows = strcmp(at, "footer coverage") != 0;
		return 0;
	}
	if (*at == '\0' || parser->report->params_count || parser->report->columns_count)
		return 0;
	return read_prose(parser, at);
}

/* "--:a,b SQL", "--!a SQL", "--:a {" */
struct switched {
	const char *names;
	size_t names_length;
	const char *sql; /* what is behind the names */
	bool negated;
	bool block;
};

static bool read_switch(const char *line, struct switched *ret_switch)
{
	struct switched found = {.names = line + 3};
	const char *at;

	if (strncmp(line, "--:", 3) != 0 && strncmp(line, "--!", 3) != 0)
		return false;
	found.names_length = strcspn(found.names, " \t\n");
	found.sql = found.names + found.names_length;
	found.negated = line[2] == '!';
	at = found.sql + strspn(found.sql, " \t");
	found.block = *at == '{' && at[1 + strspn(at + 1, " \t")] == '\n';
	*ret_switch = found;
	return found.names_length > 0;
}

static bool is_block_end(const char *line)
{
	return strncmp(line, "--}", 3) == 0;
}

/* NAME is declared, or is one of the bindings that a host parameter NAME_xxx makes. */
static bool is_declared(const struct report *report, const char *name, size_t length)
{
	static const char *const host_parts[] = {
		"_first", "_last", "_name", "_suffix", "_ips", "_remotes", "_loose", ""};

	for (size_t i = 0; i < report->params_count; i++) {
		const struct report_param *param = &report->params[i];
		size_t stem = strlen(param->name);

		if (length < stem || strncmp(param->name, name, stem) != 0)
			continue;
		if (length == stem)
			return true;
		for (size_t j = 0; param->type == REPORT_HOST && host_parts[j][0]; j++)
			if (strlen(host_parts[j]) == length - stem &&
				strncmp(host_parts[j], name + stem, length - stem) == 0)
				return true;
	}
	return false;
}

static int check_names(struct parser *parser, const struct switched *found)
{
	size_t step;

	for (size_t i = 0; i < found->names_length; i += step + 1) {
		const char *name = found->names + i;

		step = strcspn(name, ", \t\n");
		if (step > found->names_length - i)
			step = found->names_length - i;
		if (!is_declared(parser->report, name, step))
			return refuse(parser, "no '-- param %.*s:' in the head", (int)step, name);
	}
	return 0;
}

static int check_line(struct parser *parser, const char *line)
{
	struct switched found;

	if (is_block_end(line)) {
		if (parser->depth == 0)
			return refuse(parser, "'--}' without a '{' before it");
		parser->depth--;
		return 0;
	}
	if (!read_switch(line, &found))
		return 0;
	if (found.block) {
		parser->depth++;
		parser->block = parser->line;
	}
	return check_names(parser, &found);
}

static int read_line(struct parser *parser, const char *line, size_t length)
{
	char copy[LINE_MAX_OCTETS];

	if (!parser->head)
		return check_line(parser, line);
	if (length >= sizeof(copy))
		return refuse(parser, "the line is longer than %d octets", LINE_MAX_OCTETS - 1);
	memcpy(copy, line, length);
	copy[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)copy[i] < ' ' && copy[i] != '\t') || copy[i] == 0x7f)
			return refuse(parser, "a control character; lines end with a newline only");
	return read_head_line(parser, copy);
}

static int parse(struct parser *parser, const char *text)
{
	int result = 0;

	while (*text && result == 0) {
		size_t length = strcspn(text, "\n");

		parser->line++;
		if (strncmp(text, "--", 2) != 0 || strchr(":!}", text[2]))
			parser->head = false;
		result = read_line(parser, text, length);
		text += length + (text[length] == '\n');
	}
	if (result == 0 && parser->depth > 0) {
		parser->line = parser->block;
		return refuse(parser, "no '--}' ends this block");
	}
	if (result == 0 && !parser->report->purpose)
		return refuse(parser, "the head comment must begin with what the report is for");
	return result;
}

int report_new(const char *name, const char *origin, const char *text, struct report **ret_report,
	struct report_error *ret_error)
{
	struct report *report = calloc(1, sizeof(*report));
	struct parser parser = {.report = report, .error = ret_error, .head = true};
	int result = -ENOMEM;

	snprintf(ret_error->text, sizeof(ret_error->text), "%s: out of memory", origin);
	if (!report)
		return -ENOMEM;
	report->name = strdup(name);
	report->origin = strdup(origin);
	report->sql = strdup(text);
	if (report->name && report->origin && report->sql)
		result = parse(&parser, text);
	if (result < 0) {
		report_free(report);
		return result;
	}
	*ret_report = report;
	return 0;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->params_count; i++) {
		free(report->params[i].name);
		free(report->params[i].text);
		free(report->params[i].fallback);
		free(report->params[i].choices);
	}
	for (size_t i = 0; i < report->columns_count; i++) {
		free(report->columns[i].name);
		free(report->columns[i].heading);
		free(report->columns[i].text);
	}
	free(report->params);
	free(report->columns);
	free(report->name);
	free(report->origin);
	free(report->purpose);
	free(report->details);
	free(report->sql);
	free(report);
}

const struct report_param *report_param(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->params_count; i++)
		if (strcmp(report->params[i].name, name) == 0)
			return &report->params[i];
	return NULL;
}

const struct report_column *report_column(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->columns_count; i++)
		if (strcmp(report->columns[i].name, name) == 0)
			return &report->columns[i];
	return NULL;
}

static bool is_on(
	const struct switched *found, bool (*given)(void *ctx, const char *name), void *ctx)
{
	char name[WORD_SIZE];
	size_t step;

	for (size_t i = 0; i < found->names_length; i += step + 1) {
		step = strcspn(found->names + i, ", \t\n");
		if (step > found->names_length - i)
			step = found->names_length - i;
		snprintf(name, sizeof(name), "%.*s", (int)step, found->names + i);
		if (given(ctx, name))
			return !found->negated;
	}
	return found->negated;
}

void report_sql(const struct report *report, bool (*given)(void *ctx, const char *name), void *ctx,
	struct strbuf *ret_sql)
{
	int depth = 0, off = 0; /* off: depth of the block that does not count, 0 none */

	for (const char *line = report->sql; *line;) {
		const char *end = line + strcspn(line, "\n"), *sql = line;
		struct switched found;

		if (is_block_end(line)) {
			off = off == depth ? 0 : off;
			depth--;
		} else if (read_switch(line, &found)) {
			bool on = is_on(&found, given, ctx);

			depth += found.block;
			if (found.block && !on && !off)
				off = depth;
			if (on && !found.block)
				sql = found.sql;
		}
		if (!off)
			strbuf_add(ret_sql, sql, (size_t)(end - sql));
		if (*end)
			strbuf_add_char(ret_sql, '\n');
		line = end + (*end != '\0');
	}
}

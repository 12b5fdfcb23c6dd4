/* "sql": any SELECT, or one of two dot commands that print the schema as it was written, with its
 * comments. */
#include "query/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/escape.h"
#include "query/message.h"
#include "query/report_run.h"
#include "store/store_report.h"

enum { STATEMENT_MAX_OCTETS = 1 << 20 };

static const char schema_sql[] =
	"SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'view') "
	"AND (:name IS NULL OR name = :name) ORDER BY type DESC, name";
static const char tables_sql[] =
	"SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') "
	"AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC, name";

/* Keeps newlines and tabs, escapes the rest. */
static void print_text(const char *text, size_t length)
{
	while (length > 0) {
		size_t step = 0;
		struct strbuf buf = {0};

		while (step < length && text[step] != '\n' && text[step] != '\t')
			step++;
		escape_add(&buf, text, step);
		fputs(strbuf_text(&buf), stdout);
		strbuf_done(&buf);
		if (step < length)
			putchar(text[step++]);
		text += step;
		length -= step;
	}
	putchar('\n');
}

static int print_schema(struct store_reader *reader, const char *name, struct store_error *error)
{
	struct store_report *statement;
	int step, rows = 0;

	if (store_report_new(reader, schema_sql, &statement, error) < 0)
		return -1;
	if (name)
		store_report_bind_text(statement, "name", name);
	while ((step = store_report_step(statement, error)) == 1) {
		size_t length;
		const char *text = store_report_text(statement, 0, &length);

		print_text(text, length);
		rows++;
	}
	store_report_free(statement);
	return step < 0 ? -1 : rows;
}

static int run_schema(const struct options *options, const char *name)
{
	struct store_reader *reader;
	struct store_error error;
	int rows;

	if (store_reader_open(options->db, &reader, &error) < 0)
		return message_error("%s", error.text);
	rows = print_schema(reader, name, &error);
	store_reader_close(reader);
	if (rows < 0)
		return message_error("%s", error.text);
	if (rows == 0)
		message("nothing found: no table or view '%s'", name ? name : "");
	return rows > 0 ? EXIT_FOUND : EXIT_NOTHING;
}

static char *read_standard_input(void)
{
	struct strbuf sql = {0};
	char chunk[4096];
	size_t length;

	while ((length = fread(chunk, 1, sizeof(chunk), stdin)) > 0 &&
		sql.length < STATEMENT_MAX_OCTETS)
		strbuf_add(&sql, chunk, length);
	return strbuf_take(&sql);
}

static int run_standard_input(const struct options *options)
{
	char *sql = read_standard_input();
	int status;

	if (!sql)
		return message_error("out of memory");
	status = report_run_sql(options, sql);
	free(sql);
	return status;
}

/* ".schema" or ".schema NAME", in one word or two. */
static const char *schema_name(const struct options *options)
{
	const char *rest = options->words[1] + strlen(".schema");

	rest += strspn(rest, " ");
	if (*rest)
		return rest;
	return options->words_count > 2 ? options->words[2] : NULL;
}

int command_sql(const struct command *command, const struct options *options)
{
	const char *sql = options->words_count > 1 ? options->words[1] : NULL;

	if (!sql)
		return message_error("sql: write: lastconn sql %s", command->usage);
	if (options->values_count > 0)
		return message_error("--%s: sql does not take it; write it into the SELECT",
			options->values[0].option);
	if (options->last)
		return message_error("--last: sql does not take it; write it into the SELECT");
	if (strncmp(sql, ".schema", 7) == 0 && (sql[7] == '\0' || sql[7] == ' '))
		return run_schema(options, schema_name(options));
	if (options->words_count > 2)
		return message_error("sql: write the SELECT as one word, in quotes");
	if (strcmp(sql, ".tables") == 0)
		return report_run_sql(options, tables_sql);
	return strcmp(sql, "-") == 0 ? run_standard_input(options) : report_run_sql(options, sql);
}

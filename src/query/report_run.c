/* The limit asks for one row more than is printed: if it comes, the reader is told. */
#include "query/report_run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "query/coverage_line.h"
#include "query/host_remotes.h"
#include "util/escape.h"
#include "query/message.h"
#include "query/output.h"

int report_prepare(struct store_reader *reader, const struct report *report,
	struct report_args *args, struct store_report **ret_statement,
	struct store_error *ret_error)
{
	struct strbuf sql = {0};
	int result = -1;

	if (host_remotes_set(reader, report, args, ret_error) < 0)
		return -1;
	report_sql(report, report_args_given, args, &sql);
	if (sql.failed) {
		ret_error->class = STORE_FATAL;
		strcpy(ret_error->text, "out of memory");
	} else {
		result = store_report_new(reader, strbuf_text(&sql), ret_statement, ret_error);
	}
	strbuf_done(&sql);
	if (result == 0) {
		report_args_bind(args, *ret_statement);
		store_report_bind_integer(*ret_statement, "now_us", args->now_us);
		store_report_bind_integer(*ret_statement, "utc", args->utc);
	}
	return result;
}

struct printed {
	int64_t rows;
	int64_t limit; /* 0: none */
	bool more;
};

/* Returns 0 or -1 when it has said why. */
static int print_rows(
	struct output *output, struct store_report *statement, struct printed *printed)
{
	struct store_error error;
	int step, result = 0;

	while ((step = store_report_step(statement, &error)) == 1) {
		if (printed->limit && printed->rows == printed->limit) {
			printed->more = true;
			return 0;
		}
		result = output_row(output, statement);
		if (result < 0) {
			message("cannot write the output: %s", strerror(-result));
			return -1;
		}
		printed->rows++;
	}
	if (step < 0)
		message("%s", error.text);
	return step;
}

static int print_statement(const struct options *options, const struct report *report,
	struct store_report *statement, struct printed *printed)
{
	struct output *output;
	int result, end;

	if (output_new(options, report, statement, false, &output) < 0)
		return message_error("out of memory");
	result = print_rows(output, statement, printed);
	end = output_end(output);
	if (end < 0 && result == 0)
		return message_error("cannot write the output: %s", strerror(-end));
	if (result < 0)
		return EXIT_ERROR;
	return printed->rows > 0 ? EXIT_FOUND : EXIT_NOTHING;
}

/* Octets of the file and its write-ahead log. */
static int64_t file_octets(const char *path)
{
	char wal[4096];
	struct stat stat_of;
	int64_t octets = 0;

	if (stat(path, &stat_of) == 0)
		octets += stat_of.st_size;
	snprintf(wal, sizeof(wal), "%s-wal", path);
	if (stat(wal, &stat_of) == 0)
		octets += stat_of.st_size;
	return octets;
}

static void print_coverage(const char *text)
{
	struct strbuf line = {0};

	strbuf_add_text(&line, "coverage: ");
	escape_add(&line, text, strlen(text));
	puts(strbuf_text(&line)); /* main looks after stdout's errors */
	strbuf_done(&line);
}

/* Of what was sent to a host only part goes with its name. */
static void say_nothing_found(const struct report_args *args, const struct coverage_line *line)
{
	if (!line->text[0])
		message("nothing found");
	else if (line->evidence && !args->named_host)
		message("nothing found; the history is %s: that is evidence", line->text);
	else
		message("nothing found, but that is no evidence; coverage: %s", line->text);
	if (args->named_host)
		message(args->resolve ? "names are searched as recorded, addresses as the resolver "
					"knows them now; they may have been others then"
				      : "names are searched as recorded, those below one as "
					"'*.NAME', and not every connection has one; --resolve "
					"asks the resolver now and searches its addresses too");
}

static void say_more(int64_t rows)
{
	char these[48] = "this one row";

	if (rows != 1)
		snprintf(these, sizeof(these), "these %lld rows", (long long)rows);
	message("there are more than %s; --limit N shows more, --limit 0 all", these);
}

int report_run(const struct options *options, const struct report *report, struct report_args *args)
{
	struct printed printed = {.limit = args->limit};
	struct coverage_line line = {.text = ""};
	struct store_report *statement;
	struct store_reader *reader;
	struct store_error error;
	int status;

	if (store_reader_open(options->db, &reader, &error) < 0)
		return message_error("%s", error.text);
	if (store_reader_hold(reader, &error) < 0) {
		store_reader_close(reader);
		return message_error("%s", error.text);
	}
	if (report_prepare(reader, report, args, &statement, &error) < 0) {
		store_reader_close(reader);
		return message_error(
			"report %s (%s): %s", report->name, report->origin, error.text);
	}
	store_report_bind_text(statement, "file_path", options->db);
	store_report_bind_integer(statement, "file_octets", file_octets(options->db));
	status = print_statement(options, report, statement, &printed);
	store_report_free(statement);
	if (report->covered && (status == EXIT_NOTHING ||
				       (status == EXIT_FOUND && options->format == &format_table)))
		coverage_line_read(reader, options, report, args, &line);
	store_reader_close(reader);
	if (status == EXIT_NOTHING)
		say_nothing_found(args, &line);
	else if (line.text[0])
		print_coverage(line.text);
	if (printed.more)
		say_more(printed.rows);
	return status;
}

int report_run_sql(const struct options *options, const char *sql)
{
	struct printed printed = {0};
	struct store_report *statement;
	struct store_reader *reader;
	struct store_error error;
	int status;

	if (store_reader_open(options->db, &reader, &error) < 0)
		return message_error("%s", error.text);
	if (store_report_new(reader, sql, &statement, &error) < 0) {
		store_reader_close(reader);
		return message_error("sql: %s", error.text);
	}
	status = print_statement(options, NULL, statement, &printed);
	store_report_free(statement);
	store_reader_close(reader);
	if (status == EXIT_NOTHING)
		message("nothing found");
	return status;
}

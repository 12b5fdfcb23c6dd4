/* Column names are copied: the statement may be prepared anew while the output goes on (tail). */
#include "query/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/escape.h"

struct output {
	const struct format_ops *format;
	struct format_state *state;
	size_t count;
	struct format_column *columns;
	struct format_cell *cells;
	char **names;
	char **headings; /* escaped */
};

static void output_free(struct output *output)
{
	for (size_t i = 0; output->names && output->headings && i < output->count; i++) {
		free(output->names[i]);
		free(output->headings[i]);
	}
	free(output->names);
	free(output->headings);
	free(output->columns);
	free(output->cells);
	free(output);
}

static char *escaped(const char *text)
{
	struct strbuf buf = {0};

	escape_add(&buf, text, strlen(text));
	return strbuf_take(&buf);
}

static int describe(
	struct output *output, const struct report *report, const struct store_report *statement)
{
	for (size_t i = 0; i < output->count; i++) {
		const struct report_column *known;
		struct format_column *column = &output->columns[i];

		output->names[i] = strdup(store_report_column_name(statement, i));
		if (!output->names[i])
			return -ENOMEM;
		known = report ? report_column(report, output->names[i]) : NULL;
		output->headings[i] = escaped(known ? known->heading : output->names[i]);
		if (!output->headings[i])
			return -ENOMEM;
		column->name = output->names[i];
		column->heading = output->headings[i];
		column->type = known ? known->type : FORMAT_TEXT;
		column->wide = known && known->wide;
		column->narrow = known && known->narrow;
	}
	return 0;
}

int output_new(const struct options *options, const struct report *report,
	const struct store_report *statement, bool live, struct output **ret_output)
{
	struct format_options format_options = {.out = stdout, .utc = options->utc, .live = live};
	struct output *output = calloc(1, sizeof(*output));
	size_t count = store_report_columns(statement);

	if (!output)
		return -ENOMEM;
	output->count = count;
	output->format = options->format;
	if (output->format == &format_table && report && report->record)
		output->format = &format_record;
	output->columns = calloc(count + 1, sizeof(*output->columns));
	output->cells = calloc(count + 1, sizeof(*output->cells));
	output->names = calloc(count + 1, sizeof(*output->names));
	output->headings = calloc(count + 1, sizeof(*output->headings));
	display_detect(stdout, &format_options.display);
	if (output->columns && output->cells && output->names && output->headings &&
		describe(output, report, statement) == 0)
		output->state = output->format->begin(&format_options, output->columns, count);
	if (!output->state) {
		output_free(output);
		return -ENOMEM;
	}
	*ret_output = output;
	return 0;
}

int output_row(struct output *output, const struct store_report *statement)
{
	for (size_t i = 0; i < output->count; i++) {
		struct format_cell *cell = &output->cells[i];

		*cell = (struct format_cell){.type = store_report_type(statement, i)};
		if (cell->type == STORE_INTEGER)
			cell->integer = store_report_integer(statement, i);
		else if (cell->type == STORE_REAL)
			cell->real = store_report_real(statement, i);
		else if (cell->type != STORE_NULL)
			cell->text = store_report_text(statement, i, &cell->length);
		if (cell->length == 0)
			cell->text = "";
	}
	return output->format->row(output->state, output->cells);
}

int output_end(struct output *output)
{
	int result = output->format->end(output->state);

	if (fflush(stdout) != 0 && result == 0)
		result = errno ? -errno : -EIO;
	output_free(output);
	return result;
}

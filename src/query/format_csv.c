/* CSV after RFC 4180: CRLF, quotes doubled. Times are ISO 8601, all other numbers exact. A text
 * that a spreadsheet would take for a formula is left as it is: the file tells the truth. */
#include "query/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct format_state {
	struct format_options options;
	const struct format_column *columns;
	size_t count;
	size_t fields; /* of the line so far */
	struct strbuf line;
	struct strbuf cell;
};

static void add_field(struct strbuf *line, const char *text, size_t length)
{
	if (length == 0 || (!memchr(text, ',', length) && !memchr(text, '"', length) &&
				   text[0] != ' ' && text[length - 1] != ' ')) {
		strbuf_add(line, text, length);
		return;
	}
	strbuf_add_char(line, '"');
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"')
			strbuf_add_char(line, '"');
		strbuf_add_char(line, text[i]);
	}
	strbuf_add_char(line, '"');
}

static void add_comma(struct format_state *state)
{
	if (state->fields++ > 0)
		strbuf_add_char(&state->line, ',');
}

static int end_line(struct format_state *state)
{
	int result;

	strbuf_add_text(&state->line, "\r\n");
	state->fields = 0;
	result = format_flush(&state->line, state->options.out);
	if (result == 0 && state->options.live && fflush(state->options.out) != 0)
		result = -errno;
	return result;
}

static struct format_state *csv_begin(
	const struct format_options *options, const struct format_column *columns, size_t count)
{
	struct format_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->options = *options;
	state->columns = columns;
	state->count = count;
	for (size_t i = 0; i < count; i++) {
		if (columns[i].narrow)
			continue;
		add_comma(state);
		strbuf_clear(&state->cell);
		format_add_exact(&state->cell,
			&(struct format_cell){.type = STORE_TEXT,
				.text = columns[i].name,
				.length = strlen(columns[i].name)},
			FORMAT_TEXT, options);
		add_field(&state->line, strbuf_text(&state->cell), state->cell.length);
	}
	end_line(state);
	return state;
}

static int csv_row(struct format_state *state, const struct format_cell *cells)
{
	for (size_t i = 0; i < state->count; i++) {
		if (state->columns[i].narrow)
			continue;
		add_comma(state);
		strbuf_clear(&state->cell);
		format_add_exact(&state->cell, &cells[i], state->columns[i].type, &state->options);
		if (state->cell.failed)
			state->line.failed = true;
		add_field(&state->line, strbuf_text(&state->cell), state->cell.length);
	}
	return end_line(state);
}

static int csv_end(struct format_state *state)
{
	int result = format_flush(&state->line, state->options.out);

	strbuf_done(&state->line);
	strbuf_done(&state->cell);
	free(state);
	return result;
}

const struct format_ops format_csv = {"csv", csv_begin, csv_row, csv_end};

/* One block a row, one line a column: for reports whose rows are long ("layout record"). A list
 * takes one line an item. Nothing is shortened; lines wrap where the terminal wraps them. */
#include "query/format.h"

#include <stdlib.h>
#include <string.h>

#include "query/json_list.h"
#include "util/escape.h"

struct format_state {
	struct format_options options;
	const struct format_column *columns;
	size_t count;
	size_t rows;
	size_t label_width;
	struct strbuf text;
};

static struct format_state *record_begin(
	const struct format_options *options, const struct format_column *columns, size_t count)
{
	struct format_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->options = *options;
	state->columns = columns;
	state->count = count;
	for (size_t i = 0; i < count; i++) {
		size_t width = display_width(columns[i].heading, strlen(columns[i].heading));

		if (!columns[i].wide && width > state->label_width)
			state->label_width = width;
	}
	return state;
}

static void add_label(struct format_state *state, const char *label)
{
	size_t width = display_width(label, strlen(label));

	if (state->options.display.color)
		strbuf_printf(&state->text, "\033[1m%s\033[0m", label);
	else
		strbuf_add_text(&state->text, label);
	strbuf_add_repeated(&state->text, ' ', state->label_width - width + 2);
}

static bool is_list(enum format_type type)
{
	return type == FORMAT_LIST || type == FORMAT_LONGS;
}

static void add_items(struct format_state *state, const struct format_cell *cell)
{
	struct json_list list = json_list_begin(cell->text, cell->length);
	struct strbuf item = {0};
	bool is_number, first = true;

	while (json_list_next(&list, &item, &is_number)) {
		if (!first)
			strbuf_add_repeated(&state->text, ' ', state->label_width + 2);
		first = false;
		escape_add(&state->text, strbuf_text(&item), item.length);
		strbuf_add_char(&state->text, '\n');
	}
	if (first)
		strbuf_add_text(&state->text, "-\n");
	strbuf_done(&item);
}

static int record_row(struct format_state *state, const struct format_cell *cells)
{
	if (state->rows++ > 0)
		strbuf_add_char(&state->text, '\n');
	for (size_t i = 0; i < state->count; i++) {
		size_t before;

		if (state->columns[i].wide)
			continue;
		add_label(state, state->columns[i].heading);
		if (is_list(state->columns[i].type) && cells[i].type == STORE_TEXT) {
			add_items(state, &cells[i]);
			continue;
		}
		before = state->text.length;
		format_add_human(&state->text, &cells[i], state->columns[i].type, &state->options);
		strbuf_add_text(&state->text, state->text.length == before ? "-\n" : "\n");
	}
	return format_flush(&state->text, state->options.out);
}

static int record_end(struct format_state *state)
{
	int result = format_flush(&state->text, state->options.out);

	strbuf_done(&state->text);
	free(state);
	return result;
}

const struct format_ops format_record = {"record", record_begin, record_row, record_end};

/* JSON (RFC 8259): an array of objects, or one object a line (jsonl). Names are the columns' names;
 * times are ISO 8601 text, lists are arrays, all other numbers exact. */
#include "query/format.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/escape.h"
#include "query/json_list.h"

struct format_state {
	struct format_options options;
	const struct format_column *columns;
	size_t count;
	size_t rows;
	bool lines;
	struct strbuf text;
	struct strbuf cell;
};

static struct format_state *begin(const struct format_options *options,
	const struct format_column *columns, size_t count, bool lines)
{
	struct format_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->options = *options;
	state->columns = columns;
	state->count = count;
	state->lines = lines;
	return state;
}

static struct format_state *json_begin(
	const struct format_options *options, const struct format_column *columns, size_t count)
{
	return begin(options, columns, count, false);
}

static struct format_state *jsonl_begin(
	const struct format_options *options, const struct format_column *columns, size_t count)
{
	return begin(options, columns, count, true);
}

static void add_list(struct format_state *state, const struct format_cell *cell, bool users)
{
	struct json_list list = json_list_begin(cell->text, cell->length);
	struct strbuf item = {0};
	const char *comma = "";
	bool is_number;

	strbuf_add_char(&state->text, '[');
	while (json_list_next(&list, &item, &is_number)) {
		strbuf_add_text(&state->text, comma);
		if (is_number && users) {
			strbuf_clear(&state->cell);
			format_add_user(&state->cell, strtoll(strbuf_text(&item), NULL, 10));
			escape_add_json(
				&state->text, strbuf_text(&state->cell), state->cell.length);
		} else if (is_number) {
			strbuf_add(&state->text, strbuf_text(&item), item.length);
		} else {
			escape_add_json(&state->text, strbuf_text(&item), item.length);
		}
		comma = ",";
	}
	strbuf_add_char(&state->text, ']');
	strbuf_done(&item);
}

static void add_number(struct strbuf *text, const struct format_cell *cell)
{
	if (cell->type == STORE_INTEGER)
		strbuf_printf(text, "%" PRId64, cell->integer);
	else if (isfinite(cell->real))
		strbuf_printf(text, "%.17g", cell->real);
	else
		strbuf_add_text(text, "null");
}

static void add_value(
	struct format_state *state, const struct format_cell *cell, enum format_type type)
{
	bool is_number = cell->type == STORE_INTEGER || cell->type == STORE_REAL;

	if (cell->type == STORE_NULL || (type == FORMAT_USER && is_number && cell->integer < 0)) {
		strbuf_add_text(&state->text, "null");
	} else if (cell->type == STORE_TEXT &&
		   (type == FORMAT_LIST || type == FORMAT_LONGS || type == FORMAT_USERS)) {
		add_list(state, cell, type == FORMAT_USERS);
	} else if (cell->type == STORE_TEXT) {
		escape_add_json(&state->text, cell->text, cell->length);
	} else if (is_number && type != FORMAT_TIME && type != FORMAT_USER) {
		add_number(&state->text, cell);
	} else {
		strbuf_clear(&state->cell);
		format_add_exact(&state->cell, cell, type, &state->options);
		escape_add_json(&state->text, strbuf_text(&state->cell), state->cell.length);
	}
}

static int json_row(struct format_state *state, const struct format_cell *cells)
{
	const char *comma = "";
	int result;

	if (!state->lines)
		strbuf_add_text(&state->text, state->rows ? ",\n" : "[\n");
	strbuf_add_char(&state->text, '{');
	for (size_t i = 0; i < state->count; i++) {
		const char *name = state->columns[i].name;

		if (state->columns[i].narrow)
			continue;
		strbuf_add_text(&state->text, comma);
		comma = ",";
		escape_add_json(&state->text, name, strlen(name));
		strbuf_add_char(&state->text, ':');
		add_value(state, &cells[i], state->columns[i].type);
	}
	strbuf_add_text(&state->text, state->lines ? "}\n" : "}");
	state->rows++;
	if (state->cell.failed)
		state->text.failed = true;
	result = format_flush(&state->text, state->options.out);
	if (result == 0 && state->options.live && fflush(state->options.out) != 0)
		result = -errno;
	return result;
}

static int json_end(struct format_state *state)
{
	int result;

	if (!state->lines)
		strbuf_add_text(&state->text, state->rows ? "\n]\n" : "[]\n");
	result = format_flush(&state->text, state->options.out);
	strbuf_done(&state->text);
	strbuf_done(&state->cell);
	free(state);
	return result;
}

const struct format_ops format_json = {"json", json_begin, json_row, json_end};
const struct format_ops format_jsonl = {"jsonl", jsonl_begin, json_row, json_end};

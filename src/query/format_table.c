/* Aligned columns. The widths come from the first rows (BUFFERED_ROWS at most are held back); later
 * rows that are wider widen their column from there on. On a terminal, columns of long text are
 * shortened in their middle until a line fits, then lists by their last items; numbers, addresses
 * and times never are. Columns marked wide are left to the other formats. Live output holds nothing
 * back. */
#include "query/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUFFERED_ROWS = 1000,
	LONG_MIN = 16, /* cells that a shortened column keeps */
	GAP = 2,       /* cells between columns */
};

struct table_column {
	size_t width; /* cells of the widest text so far */
	size_t limit; /* cells at most; SIZE_MAX: no limit */
};

struct format_state {
	struct format_options options;
	const struct format_column *columns;
	size_t count;
	struct table_column *layout;
	char **held; /* BUFFERED_ROWS rows of count texts each, owned */
	size_t held_rows;
	bool started; /* the heading is out */
	struct strbuf line;
	struct strbuf cell;
};

static bool is_right(enum format_type type)
{
	return type == FORMAT_INTEGER || type == FORMAT_DURATION || type == FORMAT_OCTETS;
}

static bool is_long(enum format_type type)
{
	return type == FORMAT_LONG || type == FORMAT_LONGS;
}

/* Rows that come one by one: what a column usually needs. */
static size_t usual_width(enum format_type type)
{
	switch (type) {
	case FORMAT_TIME:
		return sizeof("2026-11-20 12:00:00") - 1;
	case FORMAT_OCTETS:
		return sizeof("1023.9 KiB") - 1;
	case FORMAT_DURATION:
	case FORMAT_INTEGER:
	case FORMAT_USER:
		return 7;
	case FORMAT_LONG:
	case FORMAT_LONGS:
	case FORMAT_LIST:
	case FORMAT_USERS:
		return 24;
	case FORMAT_OUTCOME:
		return sizeof("unreachable") - 1;
	default:
		return 0;
	}
}

static void table_free(struct format_state *state)
{
	for (size_t i = 0; state->held && i < state->held_rows * state->count; i++)
		free(state->held[i]);
	free(state->held);
	free(state->layout);
	strbuf_done(&state->line);
	strbuf_done(&state->cell);
	free(state);
}

static struct format_state *table_begin(
	const struct format_options *options, const struct format_column *columns, size_t count)
{
	struct format_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->options = *options;
	state->columns = columns;
	state->count = count;
	state->layout = calloc(count ? count : 1, sizeof(*state->layout));
	state->held = calloc((count ? count : 1) * BUFFERED_ROWS, sizeof(*state->held));
	if (!state->layout || !state->held) {
		table_free(state);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		const char *heading = columns[i].heading;

		state->layout[i].limit = SIZE_MAX;
		state->layout[i].width = display_width(heading, strlen(heading));
		if (options->live && state->layout[i].width < usual_width(columns[i].type))
			state->layout[i].width = usual_width(columns[i].type);
	}
	return state;
}

static size_t line_width(const struct format_state *state)
{
	size_t width = 0;

	for (size_t i = 0; i < state->count; i++) {
		const struct table_column *column = &state->layout[i];

		if (!state->columns[i].wide)
			width += (column->width < column->limit ? column->width : column->limit) +
				 GAP;
	}
	return width > GAP ? width - GAP : 0;
}

static bool is_list(enum format_type type)
{
	return type == FORMAT_LIST;
}

/* The widest column of such a type that can still give way. */
static struct table_column *widest_of(
	const struct format_state *state, bool (*is)(enum format_type))
{
	struct table_column *widest = NULL;

	for (size_t i = 0; i < state->count; i++) {
		struct table_column *column = &state->layout[i];

		if (state->columns[i].wide || !is(state->columns[i].type))
			continue;
		if (column->limit == SIZE_MAX)
			column->limit = column->width;
		if (column->limit > LONG_MIN && (!widest || column->limit > widest->limit))
			widest = column;
	}
	return widest;
}

static void fit(struct format_state *state)
{
	struct table_column *column;

	if (state->options.display.width == 0)
		return;
	while (line_width(state) > state->options.display.width &&
		((column = widest_of(state, is_long)) != NULL ||
			(column = widest_of(state, is_list)) != NULL))
		column->limit--;
}

static const char *outcome_color(const char *text)
{
	if (strcmp(text, "open") == 0 || strcmp(text, "listen") == 0)
		return "\033[32m";
	if (strcmp(text, "refused") == 0 || strcmp(text, "timeout") == 0 ||
		strcmp(text, "unreachable") == 0)
		return "\033[31m";
	if (strcmp(text, "reset") == 0 || strcmp(text, "lost") == 0 || strcmp(text, "aborted") == 0)
		return "\033[33m";
	return NULL;
}

static void add_padded(
	struct format_state *state, size_t index, const char *text, const char *color, bool last)
{
	struct table_column *column = &state->layout[index];
	bool right = is_right(state->columns[index].type);
	size_t width, room, pad;

	strbuf_clear(&state->cell);
	(is_list(state->columns[index].type) ? display_add_items : display_add_cut)(
		&state->cell, text, strlen(text), column->limit, state->options.display.utf8);
	width = display_width(strbuf_text(&state->cell), state->cell.length);
	if (width > column->width)
		column->width = width;
	room = column->width < column->limit ? column->width : column->limit;
	pad = room > width ? room - width : 0;
	if (right)
		strbuf_add_repeated(&state->line, ' ', pad);
	if (color && state->options.display.color)
		strbuf_printf(&state->line, "%s%s\033[0m", color, strbuf_text(&state->cell));
	else
		strbuf_add_text(&state->line, strbuf_text(&state->cell));
	if (!last)
		strbuf_add_repeated(&state->line, ' ', (right ? 0 : pad) + GAP);
}

static bool is_last(const struct format_state *state, size_t index)
{
	for (size_t i = index + 1; i < state->count; i++)
		if (!state->columns[i].wide)
			return false;
	return true;
}

static int print_texts(struct format_state *state, char *const *texts)
{
	for (size_t i = 0; i < state->count; i++) {
		const char *text = texts ? texts[i] : state->columns[i].heading;
		const char *color = texts ? NULL : "\033[1m";

		if (state->columns[i].wide)
			continue;
		if (texts && state->columns[i].type == FORMAT_OUTCOME)
			color = outcome_color(text);
		add_padded(state, i, text, color, is_last(state, i));
	}
	strbuf_add_char(&state->line, '\n');
	return format_flush(&state->line, state->options.out);
}

static int release(struct format_state *state)
{
	int result;

	fit(state);
	state->started = true;
	result = print_texts(state, NULL);
	for (size_t row = 0; row < state->held_rows && result == 0; row++)
		result = print_texts(state, state->held + row * state->count);
	for (size_t i = 0; i < state->held_rows * state->count; i++)
		free(state->held[i]);
	state->held_rows = 0;
	return result;
}

/* The texts of one row into texts[], owned. */
static int render(struct format_state *state, const struct format_cell *cells, char **texts)
{
	for (size_t i = 0; i < state->count; i++) {
		struct strbuf text = {0};

		if (!state->columns[i].wide)
			format_add_human(&text, &cells[i], state->columns[i].type, &state->options);
		if (text.length == 0)
			strbuf_add_char(&text, '-');
		if (!state->columns[i].wide && !state->started) {
			size_t width = display_width(strbuf_text(&text), text.length);

			if (width > state->layout[i].width)
				state->layout[i].width = width;
		}
		texts[i] = strbuf_take(&text);
		if (!texts[i])
			state->line.failed = true;
	}
	return state->line.failed ? -ENOMEM : 0;
}

static int table_row(struct format_state *state, const struct format_cell *cells)
{
	char **texts = state->held + state->held_rows * state->count;
	int result = render(state, cells, texts);

	state->held_rows++;
	if (result < 0)
		return result;
	if (!state->started) {
		if (state->held_rows == BUFFERED_ROWS || state->options.live)
			result = release(state);
	} else {
		result = print_texts(state, texts);
		state->held_rows = 0;
		for (size_t i = 0; i < state->count; i++)
			free(texts[i]);
	}
	if (state->options.live && fflush(state->options.out) != 0 && result == 0)
		result = -errno;
	return result;
}

static int table_end(struct format_state *state)
{
	int result = 0;

	if (!state->started && state->held_rows > 0)
		result = release(state);
	table_free(state);
	return result;
}

const struct format_ops format_table = {"table", table_begin, table_row, table_end};

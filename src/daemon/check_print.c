/* Words first: what a hook costs stands under it, what would help stands at the end. */
#include "daemon/check_print.h"

#include <string.h>
#include <sys/utsname.h>

#include "daemon/live.h"
#include "util/escape.h"

static const char *status_word(enum check_status status)
{
	switch (status) {
	case CHECK_FULL:
		return "full";
	case CHECK_DEGRADED:
		return "degraded";
	case CHECK_NONE:
		break;
	}
	return "none";
}

static size_t refused_count(const struct source_slot *slot)
{
	return slot->serving < 0 ? slot->rung_count : (size_t)slot->serving;
}

/* Calls add for each sentence that says what this slot costs the user. */
static void each_cost(const struct source_slot *slot, struct strbuf *out,
	void (*add)(struct strbuf *out, const char *cost))
{
	const char *cost;

	for (size_t i = 0; (cost = source_loss(slot, i)); i++)
		add(out, cost);
}

/* For people. */

static void add_cost_line(struct strbuf *out, const char *cost)
{
	strbuf_printf(out, "               costs: %s\n", cost);
}

static void add_slot_text(struct strbuf *out, const struct source_slot *slot)
{
	size_t refused = refused_count(slot);

	strbuf_printf(out, "  %-11s  %s\n", slot->name,
		slot->serving < 0 ? "nothing serves it" : slot->rungs[slot->serving].name);
	for (size_t i = 0; i < refused; i++)
		if (!slot->rungs[i].unfit)
			strbuf_printf(out, "               refused: %s (%s)\n", slot->rungs[i].name,
				source_refusal(&slot->rungs[i]));
	each_cost(slot, out, add_cost_line);
}

static void add_facts_text(struct strbuf *out, const struct check_result *result)
{
	strbuf_add_text(out, "\nthis system\n");
	for (size_t i = 0; i < result->fact_count; i++) {
		const struct check_fact *fact = &result->facts[i];

		strbuf_printf(out, "  %-17s  ", fact->name);
		escape_add(out, fact->value, strlen(fact->value));
		strbuf_add_char(out, '\n');
		if (fact->advice)
			strbuf_printf(out, "                     %s\n", fact->advice);
	}
}

static const char *cmdline_words(enum cmdline_mode mode)
{
	switch (mode) {
	case CMDLINE_FULL:
		return "in full, with the secrets in them";
	case CMDLINE_MASKED:
		return "with *** for each secret that is recognised";
	case CMDLINE_EXE:
		return "only how the program was called, argv[0]";
	case CMDLINE_NONE:
		break;
	}
	return "not at all";
}

static void add_choices_text(struct strbuf *out, const struct check_result *result)
{
	strbuf_printf(out, "\nwhat is stored\n  %-17s  %s: %s\n", "command lines",
		cmdline_mode_name(result->cmdline), cmdline_words(result->cmdline));
	for (size_t i = 0; i < result->ignore_count; i++) {
		strbuf_printf(out, "  %-17s  ", i > 0 ? "" : "ignored flows");
		escape_add(out, result->ignore[i].text, strlen(result->ignore[i].text));
		strbuf_add_char(out, '\n');
	}
}

static void add_privileges_text(struct strbuf *out, const struct privilege_report *report)
{
	if (report->count > 0)
		strbuf_add_text(out, "\nprivileges of a lastconnd that records\n");
	for (size_t i = 0; i < report->count; i++) {
		const struct privilege_line *line = &report->lines[i];
		bool again = i > 0 && strcmp(line->stage, line[-1].stage) == 0;

		strbuf_printf(out, "  %-17s  ", again ? "" : line->stage);
		escape_add(out, line->what, strlen(line->what));
		strbuf_add_char(out, '\n');
		if (!*line->why)
			continue;
		strbuf_add_text(out, "                     ");
		escape_add(out, line->why, strlen(line->why));
		strbuf_add_char(out, '\n');
	}
}

static bool mentioned(const struct check_result *result, size_t slot, size_t rung)
{
	const char *name = result->slots[slot].rungs[rung].name;

	for (size_t i = 0; i <= slot; i++)
		for (size_t j = 0; j < (i < slot ? refused_count(&result->slots[i]) : rung); j++)
			if (strcmp(result->slots[i].rungs[j].name, name) == 0)
				return true;
	return false;
}

/* The kernel options of every refused rung, each once. */
static void add_options_text(struct strbuf *out, const struct check_result *result)
{
	bool head = false;

	for (size_t i = 0; i < result->slot_count; i++)
		for (size_t j = 0; j < refused_count(&result->slots[i]); j++) {
			const char *name = result->slots[i].rungs[j].name;
			const char *options = check_facts_options(name);

			if (!options || mentioned(result, i, j))
				continue;
			if (!head)
				strbuf_add_text(out, "\nwhat was refused needs of the kernel\n");
			head = true;
			strbuf_printf(out, "  %-11s  %s\n", name, options);
		}
}

void check_print_text(struct strbuf *out, const struct check_result *result)
{
	struct utsname kernel;
	char library[64];

	uname(&kernel);
	strbuf_printf(out, "lastconnd " LASTCONN_VERSION ", Linux %s, %s: %s\n", kernel.release,
		live_library_version(library, sizeof(library)), status_word(result->status));
	if (result->error)
		strbuf_printf(out, "%s\n", result->error);
	if (result->slot_count > 0)
		strbuf_printf(out, "\nhooks of the source '%s'\n", result->source);
	for (size_t i = 0; i < result->slot_count; i++)
		add_slot_text(out, &result->slots[i]);
	add_facts_text(out, result);
	add_choices_text(out, result);
	add_privileges_text(out, &result->privileges);
	add_options_text(out, result);
}

/* For machines. */

static void add_string(struct strbuf *out, const char *name, const char *value)
{
	strbuf_printf(out, "\"%s\":", name);
	if (value)
		escape_add_json(out, value, strlen(value));
	else
		strbuf_add_text(out, "null");
}

static void separate(struct strbuf *out)
{
	if (out->length > 0 && !strchr("[{", out->text[out->length - 1]))
		strbuf_add_char(out, ',');
}

static void add_item_json(struct strbuf *out, const char *item)
{
	separate(out);
	escape_add_json(out, item, strlen(item));
}

static void add_slot_json(struct strbuf *out, const struct source_slot *slot)
{
	separate(out);
	strbuf_add_char(out, '{');
	add_string(out, "hook", slot->name);
	strbuf_add_char(out, ',');
	add_string(out, "serving", slot->serving < 0 ? NULL : slot->rungs[slot->serving].name);
	strbuf_add_text(out, ",\"refused\":[");
	for (size_t i = 0; i < refused_count(slot); i++) {
		const struct source_rung *rung = &slot->rungs[i];

		if (rung->unfit)
			continue;
		separate(out);
		strbuf_add_char(out, '{');
		add_string(out, "program", rung->name);
		strbuf_printf(out, ",\"errno\":%d,", rung->error);
		add_string(out, "reason", source_refusal(rung));
		strbuf_add_char(out, ',');
		add_string(out, "needs", check_facts_options(rung->name));
		strbuf_add_char(out, '}');
	}
	strbuf_add_text(out, "],\"costs\":[");
	each_cost(slot, out, add_item_json);
	strbuf_add_text(out, "]}");
}

static void add_fact_json(struct strbuf *out, const struct check_fact *fact)
{
	separate(out);
	strbuf_add_char(out, '{');
	add_string(out, "name", fact->name);
	strbuf_add_char(out, ',');
	add_string(out, "value", fact->value);
	strbuf_add_char(out, ',');
	add_string(out, "advice", fact->advice);
	strbuf_add_char(out, '}');
}

static void add_privilege_json(struct strbuf *out, const struct privilege_line *line)
{
	separate(out);
	strbuf_add_char(out, '{');
	add_string(out, "stage", line->stage);
	strbuf_add_char(out, ',');
	add_string(out, "what", line->what);
	strbuf_add_char(out, ',');
	add_string(out, "why", *line->why ? line->why : NULL);
	strbuf_add_char(out, '}');
}

void check_print_json(struct strbuf *out, const struct check_result *result)
{
	struct utsname kernel;

	uname(&kernel);
	strbuf_add_char(out, '{');
	add_string(out, "version", LASTCONN_VERSION);
	strbuf_add_char(out, ',');
	add_string(out, "kernel", kernel.release);
	strbuf_add_char(out, ',');
	add_string(out, "status", status_word(result->status));
	strbuf_add_char(out, ',');
	add_string(out, "source", result->source);
	strbuf_add_char(out, ',');
	add_string(out, "error", result->error);
	strbuf_add_text(out, ",\"hooks\":[");
	for (size_t i = 0; i < result->slot_count; i++)
		add_slot_json(out, &result->slots[i]);
	strbuf_add_text(out, "],\"system\":[");
	for (size_t i = 0; i < result->fact_count; i++)
		add_fact_json(out, &result->facts[i]);
	strbuf_add_text(out, "],");
	add_string(out, "cmdline", cmdline_mode_name(result->cmdline));
	strbuf_add_text(out, ",\"ignore\":[");
	for (size_t i = 0; i < result->ignore_count; i++)
		add_item_json(out, result->ignore[i].text);
	strbuf_add_text(out, "],\"privileges\":[");
	for (size_t i = 0; i < result->privileges.count; i++)
		add_privilege_json(out, &result->privileges.lines[i]);
	strbuf_add_text(out, "]}\n");
}

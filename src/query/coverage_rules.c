/* A rule is read again as lastconnd read it. What is not understood, or a user by name, who may
 * have been another number or on another machine, is in doubt and counts. So does any rule for a
 * host by name, if nothing else tells them apart, and for a report that is not ours: what its
 * parameters mean is not known.
 *
 * Behind NAT the addresses of rules tell nothing. A version that did not write it down yet may have
 * met it if any flow was translated. */
#include "query/coverage_rules.h"

#include <string.h>

#include "flow/flow_names.h"
#include "process/ignore_rule.h"
#include "util/escape.h"

static const char rules_text[] =
	"SELECT DISTINCT detail FROM coverage WHERE what = 'ignored'"
	" AND (:since IS NULL OR until_us >= :since) AND (:until IS NULL OR from_us < :until)"
	" UNION SELECT '" IGNORE_RULE_NAT "' WHERE EXISTS (SELECT 1 FROM flow_nat)";

static int find_user(const char *name, uint32_t *ret_uid)
{
	*ret_uid = strcmp(name, "root") == 0 ? 0 : PROCESS_UID_NONE;
	return 0;
}

/* As they are bound, of 4 or 16 octets. */
static struct addr addr_of(const struct report_arg *arg)
{
	return arg->blob_length == 4 ? addr_from_v4(arg->blob) : addr_from_v6(arg->blob);
}

static void ask_host(const struct report_args *args, struct ignore_question *question)
{
	const struct report_arg *first = report_args_find(args, "host_first");
	const struct report_arg *last = report_args_find(args, "host_last");

	if (!first || !last)
		return;
	question->fields |= 1u << IGNORE_ADDRESS;
	question->first = addr_of(first);
	question->last = addr_of(last);
}

static void ask_direction(const struct report_args *args, struct ignore_question *question)
{
	const struct report_arg *arg = report_args_find(args, "direction");

	for (int i = FLOW_DIRECTION_OUT; arg && i < FLOW_DIRECTION_COUNT; i++)
		if (strcmp(flow_direction_name((enum flow_direction)i), arg->text) == 0) {
			question->fields |= 1u << IGNORE_DIRECTION;
			question->direction = (enum flow_direction)i;
		}
}

/* Returns whether it is given. */
static bool ask_number(const struct report_args *args, const char *name, enum ignore_field field,
	struct ignore_question *question, int64_t *ret_number)
{
	const struct report_arg *arg = report_args_find(args, name);

	if (!arg)
		return false;
	question->fields |= 1u << field;
	*ret_number = arg->integer;
	return true;
}

static struct ignore_question question_of(
	const struct report *report, const struct report_args *args)
{
	/* days tell the port of the service alone */
	struct ignore_question question = {.service = !report->needs_flows};
	const struct report_arg *exe = report_args_find(args, "exe");
	int64_t number;

	ask_host(args, &question);
	ask_direction(args, &question);
	if (ask_number(args, "port", IGNORE_PORT, &question, &number))
		question.port = (uint16_t)number;
	if (ask_number(args, "proto", IGNORE_PROTOCOL, &question, &number))
		question.protocol = (uint8_t)number;
	if (ask_number(args, "user", IGNORE_USER, &question, &number))
		question.uid = (uint32_t)number;
	if (exe) {
		question.fields |= 1u << IGNORE_EXE;
		question.exe = exe->text;
	}
	return question;
}

static bool is_spared(const char *text, const struct ignore_question *question)
{
	char why[IGNORE_RULE_WHY_SIZE];
	struct ignore_rule rule;

	return ignore_rule_parse(text, find_user, &rule, why) == 0 &&
	       ignore_rule_spares(&rule, question);
}

static void add_text(struct strbuf *list, const char *text)
{
	strbuf_add_text(list, list->length > 0 ? "," : "[");
	escape_add_json(list, text, strlen(text));
}

/* What is spared without NAT, and with it. */
struct verdict {
	struct strbuf plain, translated;
	bool nat;
};

static void judge(struct verdict *verdict, struct ignore_question *question, const char *text)
{
	if (strcmp(text, IGNORE_RULE_NAT) == 0) {
		verdict->nat = true;
		return;
	}
	question->translated = false;
	if (!is_spared(text, question))
		return;
	add_text(&verdict->plain, text);
	question->translated = true;
	if (is_spared(text, question))
		add_text(&verdict->translated, text);
}

static void set_spared(struct report_args *args, struct verdict *verdict)
{
	struct strbuf *list = verdict->nat ? &verdict->translated : &verdict->plain;

	if (list->length == 0)
		return;
	strbuf_add_char(list, ']');
	if (!list->failed)
		report_args_text(args, "spared", strbuf_text(list));
}

void coverage_rules_spare(
	struct store_reader *reader, const struct report *report, struct report_args *args)
{
	struct ignore_question question = question_of(report, args);
	struct verdict verdict = {0};
	struct store_report *statement;
	struct store_error error;
	size_t length;
	int step;

	if (strcmp(report->origin, REPORT_BUILT_IN) != 0 || !question.fields ||
		store_report_new(reader, rules_text, &statement, &error) < 0)
		return;
	report_args_bind(args, statement);
	while ((step = store_report_step(statement, &error)) == 1)
		judge(&verdict, &question, store_report_text(statement, 0, &length));
	store_report_free(statement);
	if (step == 0)
		set_spared(args, &verdict);
	strbuf_done(&verdict.plain);
	strbuf_done(&verdict.translated);
}

/* Each rule is an interval of the coverage, with the number of flows that it left out: whoever
 * finds nothing reads there why. An interval begins before the rules do where a flow of an earlier
 * run, which was stored as open, is left out at its end. */
#include "daemon/ignored.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct rule_state {
	uint64_t flows, told;
	int64_t from_us; /* INT64_MAX: nothing to tell yet */
	bool untold;     /* the rule itself */
};

struct ignored {
	const struct ignore_rule *rules;
	size_t count;
	uint64_t flows;
	int64_t until_us;
	bool begun;
	bool translated, translated_untold;
	struct rule_state states[];
};

int ignored_new(const struct ignore_rule *rules, size_t count, struct ignored **ret_ignored)
{
	struct ignored *ignored = calloc(1, sizeof(*ignored) + count * sizeof(ignored->states[0]));

	if (!ignored)
		return -ENOMEM;
	ignored->rules = rules;
	ignored->count = count;
	for (size_t i = 0; i < count; i++)
		ignored->states[i].from_us = INT64_MAX;
	*ret_ignored = ignored;
	return 0;
}

void ignored_free(struct ignored *ignored)
{
	free(ignored);
}

/* What was stored of it goes now, not only at its end. */
static void count_flow(
	struct ignored *ignored, struct rule_state *state, const struct flow_record *record)
{
	bool stored = record->was_open || record->kind == FLOW_RECORD_UPDATE;

	if (stored && record->start_us < state->from_us) {
		state->from_us = record->start_us;
		state->untold = true;
	}
	if (record->kind != FLOW_RECORD_END)
		return;
	ignored->flows++;
	state->flows++;
}

bool ignored_take(struct ignored *ignored, const struct flow_record *record,
	const struct process_info *process)
{
	for (size_t i = 0; i < ignored->count; i++)
		if (ignore_rule_fits(&ignored->rules[i], record, process)) {
			count_flow(ignored, &ignored->states[i], record);
			return true;
		}
	return false;
}

void ignored_translate(struct ignored *ignored)
{
	if (ignored->translated)
		return;
	for (size_t i = 0; i < ignored->count && !ignored->translated; i++)
		ignored->translated = ignored->rules[i].fields & 1u << IGNORE_ADDRESS;
	ignored->translated_untold = ignored->translated;
}

uint64_t ignored_flows(const struct ignored *ignored)
{
	return ignored->flows;
}

void ignored_begin(struct ignored *ignored, int64_t from_us, int64_t until_us)
{
	ignored->begun = true;
	ignored->until_us = until_us;
	for (size_t i = 0; i < ignored->count; i++) {
		struct rule_state *state = &ignored->states[i];

		if (from_us < state->from_us)
			state->from_us = from_us;
		state->untold = true;
	}
}

void ignored_shift(struct ignored *ignored, int64_t us)
{
	if (ignored->until_us)
		ignored->until_us += us;
	for (size_t i = 0; i < ignored->count; i++)
		if (ignored->states[i].from_us != INT64_MAX)
			ignored->states[i].from_us += us;
}

static void tell_rule(struct ignored *ignored, size_t index, struct coverage_record *ret_record)
{
	struct rule_state *state = &ignored->states[index];

	*ret_record = (struct coverage_record){
		.from_us = state->from_us,
		.until_us = ignored->until_us,
		.count = state->flows - state->told,
		.what = COVERAGE_IGNORED,
	};
	snprintf(ret_record->detail, sizeof(ret_record->detail), "%s", ignored->rules[index].text);
	ignored->translated_untold |= ignored->translated && state->untold;
	state->told = state->flows;
	state->untold = false;
}

static void tell_translated(struct ignored *ignored, struct coverage_record *ret_record)
{
	*ret_record = (struct coverage_record){
		.from_us = INT64_MAX,
		.until_us = ignored->until_us,
		.what = COVERAGE_IGNORED,
		.detail = IGNORE_RULE_NAT,
	};
	for (size_t i = 0; i < ignored->count; i++)
		if (ignored->states[i].from_us < ret_record->from_us)
			ret_record->from_us = ignored->states[i].from_us;
	ignored->translated_untold = false;
}

bool ignored_tell(struct ignored *ignored, struct coverage_record *ret_record)
{
	for (size_t i = 0; ignored->begun && i < ignored->count; i++) {
		const struct rule_state *state = &ignored->states[i];

		if (state->untold || state->flows > state->told) {
			tell_rule(ignored, i, ret_record);
			return true;
		}
	}
	if (ignored->begun && ignored->translated_untold) {
		tell_translated(ignored, ret_record);
		return true;
	}
	return false;
}

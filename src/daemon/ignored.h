/* The flows that ignore rules keep out of the history: which, how many, and what the coverage has
 * to say of that. */
#ifndef LASTCONN_DAEMON_IGNORED_H
#define LASTCONN_DAEMON_IGNORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/coverage.h"
#include "process/ignore_rule.h"

struct ignored;

/* rules: borrowed. Returns 0 or -ENOMEM. */
int ignored_new(const struct ignore_rule *rules, size_t count, struct ignored **ret_ignored);
void ignored_free(struct ignored *ignored);

/* Whether a rule fits; then the flow counts, at its end. process: as in ignore_rule_fits. */
bool ignored_take(struct ignored *ignored, const struct flow_record *record,
	const struct process_info *process);

/* NAT is at work: to be told with rules that have an address. */
void ignored_translate(struct ignored *ignored);

uint64_t ignored_flows(const struct ignored *ignored);

/* From then on the rules are in force, until until_us (0: as long as the run). All are to be told.
 */
void ignored_begin(struct ignored *ignored, int64_t from_us, int64_t until_us);

void ignored_shift(struct ignored *ignored, int64_t us); /* the clock was set */

/* What is yet to be told of a rule. Returns false if there is nothing. */
bool ignored_tell(struct ignored *ignored, struct coverage_record *ret_record);

#endif

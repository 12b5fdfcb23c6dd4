/* A rule says which flows a user does not want in the history: fields that must all fit. Plain
 * value; pure. */
#ifndef LASTCONN_PROCESS_IGNORE_RULE_H
#define LASTCONN_PROCESS_IGNORE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/addr.h"
#include "flow/coverage.h"
#include "flow/flow_record.h"
#include "process/process.h"

enum {
	IGNORE_RULES_MAX = 256,
	IGNORE_RULE_SIZE = COVERAGE_DETAIL_SIZE, /* of its text, with NUL: the coverage shows it */
	IGNORE_RULE_WHY_SIZE = 256,              /* of a message */
};

enum ignore_field {
	IGNORE_EXE,
	IGNORE_ADDRESS,
	IGNORE_PORT,
	IGNORE_LOCAL_PORT,
	IGNORE_USER,
	IGNORE_PROTOCOL,
	IGNORE_DIRECTION,
	IGNORE_FIELDS,
};

/* Not a rule: in the coverage beside those with an address, where NAT was at work. A host may be
 * known by its address beyond it, and rules do not look there. */
#define IGNORE_RULE_NAT "NAT: addresses of rules may stand for others"

struct ignore_ports {
	uint16_t first, last;
};

struct ignore_rule {
	uint32_t fields; /* a bit for each enum ignore_field that is given */
	bool exe_prefix; /* exe ended in a star */
	struct addr first, last;
	struct ignore_ports port, local_port;
	uint32_t uid;
	uint8_t protocol;
	enum flow_direction direction;
	char exe[IGNORE_RULE_SIZE];
	char text[IGNORE_RULE_SIZE]; /* as it was given; valid UTF-8 */
};

typedef int ignore_rule_find_user(const char *name, uint32_t *ret_uid); /* 0 or negative errno */

/* Reads FIELD=VALUE pairs with blanks between them; a value with blanks is put in double quotes.
 * Returns 0, or -EINVAL with the reason in why. */
int ignore_rule_parse(const char *text, ignore_rule_find_user *find_user,
	struct ignore_rule *ret_rule, char why[static IGNORE_RULE_WHY_SIZE]);

/* What a question asks for: flows for which all of it is true. */
struct ignore_question {
	uint32_t fields; /* a bit for each enum ignore_field that is given; no IGNORE_LOCAL_PORT */
	struct addr first, last;
	bool translated; /* an end beyond NAT may be the address, too */
	uint16_t port;
	bool service;    /* the port is that of the service, else of either end */
	const char *exe; /* as it is given: a path or a file's name, perhaps a pattern */
	uint32_t uid;
	uint8_t protocol;
	enum flow_direction direction;
};

/* Whether no flow that the rule fits can be asked for. False if in doubt. A rule's uid of
 * PROCESS_UID_NONE is in doubt. */
bool ignore_rule_spares(const struct ignore_rule *rule, const struct ignore_question *question);

/* process: the user of the flow; NULL if it is not known, which then fits no exe and no user. */
bool ignore_rule_fits(const struct ignore_rule *rule, const struct flow_record *record,
	const struct process_info *process);

#endif

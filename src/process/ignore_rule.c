/* A rule that is not understood in full is refused: half of it would hide more than was meant. */
#include "process/ignore_rule.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flow/flow_names.h"
#include "util/parse.h"
#include "util/utf8.h"

static const char *const field_names[] = {
	"exe", "address", "port", "local-port", "user", "protocol", "direction"};
static_assert(sizeof(field_names) / sizeof(field_names[0]) == IGNORE_FIELDS, "a name each");

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, IGNORE_RULE_WHY_SIZE, format, args);
	va_end(args);
	return -EINVAL;
}

static int set_exe(const char *value, struct ignore_rule *rule, char *why)
{
	size_t length = strlen(value);

	if (value[0] != '/')
		return refuse(why,
			"exe '%.64s' is not a whole path; write e.g. exe=/usr/sbin/ntpd, "
			"exe=/opt/x/*",
			value);
	rule->exe_prefix = value[length - 1] == '*';
	snprintf(rule->exe, sizeof(rule->exe), "%.*s", (int)(length - rule->exe_prefix), value);
	return 0;
}

/* "N" or "A-B". */
static int set_ports(const char *value, struct ignore_ports *ret_ports, char *why)
{
	const char *dash = strchr(value, '-');
	size_t length = dash ? (size_t)(dash - value) : strlen(value);
	uint64_t first = 0, last = 0;
	char number[8];

	snprintf(number, sizeof(number), "%.*s", (int)length, value);
	if (length >= sizeof(number) || parse_uint(number, &first) ||
		parse_uint(dash ? dash + 1 : number, &last) || first > last || last > UINT16_MAX)
		return refuse(
			why, "'%.64s' is no port; write e.g. port=123, port=6881-6889", value);
	*ret_ports = (struct ignore_ports){(uint16_t)first, (uint16_t)last};
	return 0;
}

static int set_user(
	const char *value, ignore_rule_find_user *find_user, struct ignore_rule *rule, char *why)
{
	uint64_t number;

	if (parse_uint(value, &number) == 0 && number < PROCESS_UID_NONE) {
		rule->uid = (uint32_t)number;
		return 0;
	}
	if (find_user(value, &rule->uid) == 0)
		return 0;
	return refuse(why, "there is no user '%.64s'; write a name or a number", value);
}

static int set_protocol(const char *value, struct ignore_rule *rule, char *why)
{
	int number = flow_protocol_parse(value);

	if (number < 0)
		return refuse(why, "'%.64s' is no protocol; write e.g. udp, tcp, icmp", value);
	rule->protocol = (uint8_t)number;
	return 0;
}

static int set_direction(const char *value, struct ignore_rule *rule, char *why)
{
	static const enum flow_direction known[] = {
		FLOW_DIRECTION_OUT, FLOW_DIRECTION_IN, FLOW_DIRECTION_FORWARDED};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(flow_direction_name(known[i]), value) == 0) {
			rule->direction = known[i];
			return 0;
		}
	return refuse(why, "'%.64s' is no direction; write out, in or forwarded", value);
}

static int set_field(enum ignore_field field, const char *value, ignore_rule_find_user *find_user,
	struct ignore_rule *rule, char *why)
{
	switch (field) {
	case IGNORE_EXE:
		return set_exe(value, rule, why);
	case IGNORE_ADDRESS:
		if (addr_parse_range(value, &rule->first, &rule->last) == 0)
			return 0;
		return refuse(why,
			"'%.64s' is no address; write e.g. 192.0.2.1, 10.0.0.0/8, "
			"2001:db8::/32",
			value);
	case IGNORE_PORT:
		return set_ports(value, &rule->port, why);
	case IGNORE_LOCAL_PORT:
		return set_ports(value, &rule->local_port, why);
	case IGNORE_USER:
		return set_user(value, find_user, rule, why);
	case IGNORE_PROTOCOL:
		return set_protocol(value, rule, why);
	case IGNORE_DIRECTION:
		return set_direction(value, rule, why);
	case IGNORE_FIELDS:
		break;
	}
	return -EINVAL;
}

static enum ignore_field find_field(const char *name)
{
	int field = 0;

	while (field < IGNORE_FIELDS && strcmp(field_names[field], name) != 0)
		field++;
	return (enum ignore_field)field;
}

/* "FIELD=VALUE", which is taken apart in place. */
static int take_pair(
	char *pair, ignore_rule_find_user *find_user, struct ignore_rule *rule, char *why)
{
	char *value = strchr(pair, '=');
	enum ignore_field field;

	if (!value)
		return refuse(
			why, "'%.64s' is no field; write e.g. exe=/usr/sbin/ntpd port=123", pair);
	*value++ = '\0';
	field = find_field(pair);
	if (field == IGNORE_FIELDS)
		return refuse(why,
			"no field '%.64s'; there are exe, address, port, local-port, user, "
			"protocol, direction",
			pair);
	if (rule->fields & 1u << field)
		return refuse(why, "%s is given twice; write two rules", pair);
	if (*value == '\0')
		return refuse(why, "%s: the value is missing", pair);
	rule->fields |= 1u << field;
	return set_field(field, value, find_user, rule, why);
}

/* Ends the pair at *text, without its quotes, and moves on behind it. NULL: the quote has no end.
 */
static char *next_pair(char **text)
{
	char *from = *text, *to = from, *pair = from;
	bool quoted = false;

	for (; *from && (quoted || !strchr(" \t", *from)); from++) {
		if (*from == '"')
			quoted = !quoted;
		else
			*to++ = *from;
	}
	*text = from + strspn(from, " \t");
	*to = '\0';
	return quoted ? NULL : pair;
}

int ignore_rule_parse(const char *text, ignore_rule_find_user *find_user,
	struct ignore_rule *ret_rule, char why[static IGNORE_RULE_WHY_SIZE])
{
	struct ignore_rule rule = {0};
	char pairs[IGNORE_RULE_SIZE], *at = pairs;

	text += strspn(text, " \t");
	if (*text == '\0')
		return refuse(why, "the value is missing");
	if (strlen(text) >= sizeof(pairs) ||
		utf8_sanitize(rule.text, sizeof(rule.text), text, strlen(text)) != strlen(text))
		return refuse(why, "'%.64s...' is too long, or no text", text);
	strcpy(pairs, text);
	while (*at) {
		char *pair = next_pair(&at);

		if (!pair)
			return refuse(why, "'%.64s': the second quote is missing", text);
		if (take_pair(pair, find_user, &rule, why) < 0)
			return -EINVAL;
	}
	*ret_rule = rule;
	return 0;
}

static bool has(const struct ignore_rule *rule, enum ignore_field field)
{
	return rule->fields & 1u << field;
}

static bool fits_process(const struct ignore_rule *rule, const struct process_info *process)
{
	if (has(rule, IGNORE_USER) && (!process || process->uid != rule->uid))
		return false;
	if (!has(rule, IGNORE_EXE))
		return true;
	if (!process)
		return false;
	return rule->exe_prefix ? strncmp(process->exe, rule->exe, strlen(rule->exe)) == 0
				: strcmp(process->exe, rule->exe) == 0;
}

static bool is_port_in(const struct ignore_ports *ports, uint16_t port)
{
	return port >= ports->first && port <= ports->last;
}

static bool fits_ends(const struct ignore_rule *rule, const struct flow_key *key)
{
	if (has(rule, IGNORE_ADDRESS) &&
		(memcmp(&key->remote, &rule->first, sizeof(key->remote)) < 0 ||
			memcmp(&key->remote, &rule->last, sizeof(key->remote)) > 0))
		return false;
	return (!has(rule, IGNORE_PORT) || is_port_in(&rule->port, key->remote_port)) &&
	       (!has(rule, IGNORE_LOCAL_PORT) || is_port_in(&rule->local_port, key->local_port));
}

bool ignore_rule_fits(const struct ignore_rule *rule, const struct flow_record *record,
	const struct process_info *process)
{
	if (has(rule, IGNORE_PROTOCOL) && record->key.protocol != rule->protocol)
		return false;
	if (has(rule, IGNORE_DIRECTION) && record->direction != rule->direction)
		return false;
	return fits_ends(rule, &record->key) && fits_process(rule, process);
}

static bool both(const struct ignore_rule *rule, const struct ignore_question *question,
	enum ignore_field field)
{
	return rule->fields & question->fields & 1u << field;
}

static bool are_addresses_apart(
	const struct ignore_rule *rule, const struct ignore_question *question)
{
	return both(rule, question, IGNORE_ADDRESS) && !question->translated &&
	       (memcmp(&rule->last, &question->first, sizeof(rule->last)) < 0 ||
		       memcmp(&rule->first, &question->last, sizeof(rule->first)) > 0);
}

/* The service's port is the remote one of what goes out and the local one of what comes in. If the
 * direction is not known it may be either: strangers choose the port that they come from. */
static bool are_ports_apart(const struct ignore_rule *rule, const struct ignore_question *question)
{
	bool remote = has(rule, IGNORE_PORT) && !is_port_in(&rule->port, question->port);
	bool local = has(rule, IGNORE_LOCAL_PORT) && !is_port_in(&rule->local_port, question->port);
	enum flow_direction direction = FLOW_DIRECTION_UNKNOWN;

	if (!(question->fields & 1u << IGNORE_PORT))
		return false;
	if (has(rule, IGNORE_DIRECTION))
		direction = rule->direction;
	else if (question->fields & 1u << IGNORE_DIRECTION)
		direction = question->direction;
	if (!question->service || direction == FLOW_DIRECTION_UNKNOWN)
		return remote && local;
	return direction == FLOW_DIRECTION_IN ? local : remote;
}

static bool are_programs_apart(
	const struct ignore_rule *rule, const struct ignore_question *question)
{
	const char *name = strrchr(rule->exe, '/');

	if (!both(rule, question, IGNORE_EXE) || strpbrk(question->exe, "*?["))
		return false;
	if (strchr(question->exe, '/'))
		return rule->exe_prefix ? strncmp(question->exe, rule->exe, strlen(rule->exe)) != 0
					: strcmp(question->exe, rule->exe) != 0;
	return !rule->exe_prefix && name && strcmp(question->exe, name + 1) != 0;
}

bool ignore_rule_spares(const struct ignore_rule *rule, const struct ignore_question *question)
{
	if (both(rule, question, IGNORE_PROTOCOL) && rule->protocol != question->protocol)
		return true;
	if (both(rule, question, IGNORE_DIRECTION) && rule->direction != question->direction)
		return true;
	if (both(rule, question, IGNORE_USER) && rule->uid != PROCESS_UID_NONE &&
		rule->uid != question->uid)
		return true;
	return are_addresses_apart(rule, question) || are_ports_apart(rule, question) ||
	       are_programs_apart(rule, question);
}

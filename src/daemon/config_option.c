/* Reads the values of options, from wherever they come. Says of a bad value how to write it. */
#include "daemon/config_option.h"

#include <assert.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/live_source.h"
#include "daemon/privilege.h"
#include "process/cmdline.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/parse.h"

#define S(n)    ((uint64_t)(n)*NS_PER_S)
#define MS(n)   ((uint64_t)(n)*NS_PER_MS)
#define DAYS(n) (S(86400) * (n))

static const struct config_choice log_levels[] = {
	{"error", LOG_LEVEL_ERROR},
	{"warning", LOG_LEVEL_WARNING},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
	{0},
};

static const struct config_choice sources[] = {
	{"auto", LIVE_SOURCE_AUTO},
	{"ebpf", LIVE_SOURCE_EBPF},
	{"procfs", LIVE_SOURCE_PROCFS},
	{"pcap", LIVE_SOURCE_PCAP},
	{0},
};

static const struct config_choice privileges[] = {
	{"drop", PRIVILEGE_DROP}, {"keep", PRIVILEGE_KEEP}, {0}};

static const struct config_choice cmdline_modes[] = {
	{"full", CMDLINE_FULL},
	{"masked", CMDLINE_MASKED},
	{"exe", CMDLINE_EXE},
	{"none", CMDLINE_NONE},
	{0},
};

static const struct config_choice synchronous_modes[] = {{"normal", 0}, {"full", 1}, {0}};

/* clang-format off */
static const struct config_option options[] = {
	{"config", 0, CONFIG_TEXT, offsetof(struct config, config_path),
		"/etc/lastconn/lastconn.conf", "FILE", "configuration file",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"db", 0, CONFIG_TEXT, offsetof(struct config, db_path),
		"/var/lib/lastconn/history.db", "FILE", "the history", 0, 0, 0, NULL},
	{"pin", 0, CONFIG_TEXT, offsetof(struct config, pin_path),
		NULL, "DIR", "keep the programs here, so that a restart loses nothing", 0, 0, 0, NULL},
	{"metrics-file", 0, CONFIG_TEXT, offsetof(struct config, metrics_path),
		NULL, "FILE", "write the counters here for Prometheus, once a minute", 0, 0, 0, NULL},
	{"unload", 0, CONFIG_SWITCH, offsetof(struct config, unload),
		NULL, NULL, "remove what --pin left in the kernel, then exit",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"read", 'r', CONFIG_PATHS, offsetof(struct config, read_paths),
		NULL, "FILE", "read this capture file (-: standard input) and others, then exit",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"filter", 0, CONFIG_TEXT, offsetof(struct config, filter),
		NULL, "EXPR", "with -r: only packets that match, see pcap-filter(7)",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"source", 0, CONFIG_CHOICE, offsetof(struct config, source),
		"auto", "NAME", "ebpf (or no start), procfs (polling), pcap, auto: what works",
		0, 0, 0, sources},
	{"interface", 'i', CONFIG_NAMES, offsetof(struct config, interfaces),
		NULL, "IFACE", "capture here: names, or flows without BPF; any: all; none",
		0, 0, 0, NULL},
	{"local", 0, CONFIG_RANGES, offsetof(struct config, local),
		NULL, "ADDR|CIDR", "with -r: an address of the captured machine; may be repeated",
		0, 0, 0, NULL},
	{"cmdline", 0, CONFIG_CHOICE, offsetof(struct config, cmdline),
		"masked", "MODE", "command lines: full, masked: no secrets, exe: argv[0], none",
		0, 0, 0, cmdline_modes},
	{"ignore", 0, CONFIG_RULES, offsetof(struct config, ignore),
		NULL, "RULE", "leave out flows, e.g. 'exe=/usr/sbin/ntpd port=123'; may be repeated",
		0, 0, 0, NULL},
	{"active-timeout", 0, CONFIG_DURATION, offsetof(struct config, active_timeout_ns),
		"60s", "DUR", "store the counters of an open flow this often",
		0, MS(100), S(86400), NULL},
	{"idle-timeout", 0, CONFIG_DURATION, offsetof(struct config, idle_timeout_ns),
		"2m", "DUR", "end a flow of datagrams or packets after such a silence",
		0, MS(100), S(86400), NULL},
	{"sweep-interval", 0, CONFIG_DURATION, offsetof(struct config, sweep_interval_ns),
		"5s", "DUR", "read the counters of open sockets this often",
		0, MS(100), S(3600), NULL},
	{"reconcile-interval", 0, CONFIG_DURATION, offsetof(struct config, reconcile_interval_ns),
		"60s", "DUR", "compare what flows and the kernel counted this often",
		0, S(1), S(86400), NULL},
	{"flush-interval", 0, CONFIG_DURATION, offsetof(struct config, flush_interval_ns),
		"1s", "DUR", "records wait at most so long for their commit",
		CONFIG_RUNTIME, MS(10), S(3600), NULL},
	{"shutdown-timeout", 0, CONFIG_DURATION, offsetof(struct config, shutdown_timeout_ns),
		"30s", "DUR", "at the end, give up writing after so long",
		CONFIG_RUNTIME, 0, S(3600), NULL},
	{"keep-flows", 0, CONFIG_DURATION, offsetof(struct config, keep_flows_ns),
		"90d", "DUR", "forget single flows, names, listeners after so long; 0: never",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, S(1), DAYS(36500), NULL},
	{"keep-hours", 0, CONFIG_DURATION, offsetof(struct config, keep_hours_ns),
		"365d", "DUR", "forget what programs did in an hour after so long; 0: never",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, S(1), DAYS(36500), NULL},
	{"keep-days", 0, CONFIG_DURATION, offsetof(struct config, keep_days_ns),
		"730d", "DUR", "forget what programs did on a day after so long; 0: never",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, S(1), DAYS(36500), NULL},
	{"keep-contacts", 0, CONFIG_DURATION, offsetof(struct config, keep_contacts_ns),
		"3650d", "DUR", "forget who was contacted so long ago last; 0: never",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, S(1), DAYS(36500), NULL},
	{"max-size", 0, CONFIG_SIZE, offsetof(struct config, max_size),
		"4G", "SIZE", "of the history; the busiest programs' flows go first; 0: any",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, 16 << 20, 1ull << 46, NULL},
	{"max-contacts", 0, CONFIG_COUNT, offsetof(struct config, max_contacts),
		"1000000", "N", "pairs of program and host remembered; 0: any",
		CONFIG_RUNTIME | CONFIG_OR_ZERO, 1000, 1ull << 40, NULL},
	{"max-flows", 0, CONFIG_COUNT, offsetof(struct config, max_flows),
		"65536", "N", "flows open at a time", 0, 16, 1 << 24, NULL},
	{"max-processes", 0, CONFIG_COUNT, offsetof(struct config, max_processes),
		"32768", "N", "processes remembered", 0, 16, 1 << 24, NULL},
	{"max-listeners", 0, CONFIG_COUNT, offsetof(struct config, max_listeners),
		"4096", "N", "listening sockets remembered", 0, 16, 1 << 24, NULL},
	{"max-names", 0, CONFIG_COUNT, offsetof(struct config, max_names),
		"16384", "N", "names of addresses remembered", 0, 16, 1 << 24, NULL},
	{"max-peers", 0, CONFIG_COUNT, offsetof(struct config, max_peers),
		"32768", "N", "peers of datagram sockets counted in the kernel",
		0, 16, 1 << 24, NULL},
	{"queue-memory", 0, CONFIG_SIZE, offsetof(struct config, queue_octets),
		"64M", "SIZE", "records that wait for a slow disk may take so much",
		CONFIG_RUNTIME, 1 << 20, 1ull << 40, NULL},
	{"ring-size", 0, CONFIG_SIZE, offsetof(struct config, ring_octets),
		"8M", "SIZE", "buffer between kernel and lastconnd, a power of two",
		CONFIG_POWER_OF_TWO, 1 << 16, 1 << 30, NULL},
	{"synchronous", 0, CONFIG_CHOICE, offsetof(struct config, synchronous_full),
		"normal", "MODE", "normal, or full: no commit lost in a power cut, 4 ms each",
		0, 0, 0, synchronous_modes},
	{"user", 0, CONFIG_TEXT, offsetof(struct config, user),
		"auto", "NAME", "root becomes this user; auto: the history's; none: stays root",
		0, 0, 0, NULL},
	{"privileges", 0, CONFIG_CHOICE, offsetof(struct config, privileges),
		"drop", "MODE", "drop those that are not needed once it records, or keep",
		0, 0, 0, privileges},
	{"log-level", 0, CONFIG_CHOICE, offsetof(struct config, log_level),
		"info", "LEVEL", "error, warning, info or debug", CONFIG_RUNTIME, 0, 0, log_levels},
	{"disable-slot", 0, CONFIG_NAMES, offsetof(struct config, disable_slots),
		NULL, "NAME", "leave out a hook of the kernel source, for tests; may be repeated",
		0, 0, 0, NULL},
	{"disable-program", 0, CONFIG_NAMES, offsetof(struct config, disable_programs),
		NULL, "NAME", "leave out one way to serve a hook, for tests; may be repeated",
		0, 0, 0, NULL},
	{"check", 0, CONFIG_SWITCH, offsetof(struct config, check),
		NULL, NULL, "say what this kernel offers and what that means, then exit",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"selftest", 0, CONFIG_SWITCH, offsetof(struct config, selftest),
		NULL, NULL, "make known flows, record them, tell which are right, then exit",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"retention-now", 0, CONFIG_SWITCH, offsetof(struct config, retention_now),
		NULL, NULL, "forget what is due in the history, then exit",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"dry-run", 0, CONFIG_SWITCH, offsetof(struct config, dry_run),
		NULL, NULL, "with --retention-now: only say what would go",
		CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"json", 0, CONFIG_SWITCH, offsetof(struct config, json),
		NULL, NULL, "with --check: answer in JSON", CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"version", 'V', CONFIG_SWITCH, offsetof(struct config, version),
		NULL, NULL, "print the versions", CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
	{"help", 'h', CONFIG_SWITCH, offsetof(struct config, help),
		NULL, NULL, "print this", CONFIG_COMMAND_LINE_ONLY, 0, 0, NULL},
};
/* clang-format on */

enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };
static_assert((int)IGNORE_RULE_WHY_SIZE <= (int)CONFIG_TEXT_SIZE, "a reason fits");
static_assert((int)OPTION_COUNT < (int)CONFIG_OPTIONS_MAX, "struct config has room for origins");

const struct config_option *config_option_at(size_t index)
{
	return index < OPTION_COUNT ? &options[index] : NULL;
}

size_t config_option_find(const char *name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (strcmp(options[i].name, name) == 0)
			return i;
	return CONFIG_OPTIONS_MAX;
}

static void *field(const struct config *config, const struct config_option *option)
{
	return (char *)(uintptr_t)config + option->offset;
}

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, CONFIG_TEXT_SIZE, format, args);
	va_end(args);
	return -1;
}

static int set_text(const char *value, char **ret_text, char *why)
{
	char *copy;

	if (*value == '\0')
		return refuse(why, "the value is missing");
	copy = strdup(value);
	if (!copy)
		return refuse(why, "out of memory");
	free(*ret_text);
	*ret_text = copy;
	return 0;
}

static int add_name(const char *value, char **names, char *why)
{
	char *joined;

	if (!*names)
		return set_text(value, names, why);
	if (*value == '\0')
		return refuse(why, "the value is missing");
	if (asprintf(&joined, "%s,%s", *names, value) < 0)
		return refuse(why, "out of memory");
	free(*names);
	*names = joined;
	return 0;
}

static int add_path(const char *value, struct config *config, char *why)
{
	char *path = NULL, **grown;

	if (set_text(value, &path, why))
		return -1;
	grown = reallocarray(config->read_paths, config->read_count + 1, sizeof(*grown));
	if (!grown) {
		free(path);
		return refuse(why, "out of memory");
	}
	grown[config->read_count++] = path;
	config->read_paths = grown;
	return 0;
}

static int add_range(const char *value, struct config *config, char *why)
{
	struct config_range range, *grown;

	if (addr_parse_range(value, &range.first, &range.last))
		return refuse(why,
			"'%.64s' is not an address; write e.g. 192.0.2.1, 10.0.0.0/8, 2001:db8::1",
			value);
	grown = reallocarray(config->local, config->local_count + 1, sizeof(range));
	if (!grown)
		return refuse(why, "out of memory");
	grown[config->local_count++] = range;
	config->local = grown;
	return 0;
}

/* Once privileges are dropped users may not be found any more, as where the file of users was
 * replaced. Rules do not change without a restart: those of the start are remembered. */
static int find_user(const char *name, uint32_t *ret_uid)
{
	enum { NAME_SIZE = 64 };
	static struct {
		char name[NAME_SIZE];
		uint32_t uid;
	} known[IGNORE_RULES_MAX];
	const struct passwd *user = getpwnam(name);
	size_t i = 0;

	while (i < IGNORE_RULES_MAX && known[i].name[0] && strcmp(known[i].name, name) != 0)
		i++;
	if (!user && (i == IGNORE_RULES_MAX || !known[i].name[0]))
		return -ENOENT;
	*ret_uid = user ? user->pw_uid : known[i].uid;
	if (i < IGNORE_RULES_MAX && strlen(name) < NAME_SIZE) {
		strcpy(known[i].name, name);
		known[i].uid = *ret_uid;
	}
	return 0;
}

static int add_rule(const char *value, struct config *config, char *why)
{
	struct ignore_rule rule, *grown;

	if (ignore_rule_parse(value, find_user, &rule, why))
		return -1;
	if (config->ignore_count == IGNORE_RULES_MAX)
		return refuse(why, "'%.64s' is one too many; at most %d", value, IGNORE_RULES_MAX);
	grown = reallocarray(config->ignore, config->ignore_count + 1, sizeof(rule));
	if (!grown)
		return refuse(why, "out of memory");
	grown[config->ignore_count++] = rule;
	config->ignore = grown;
	return 0;
}

static int set_duration(
	const struct config_option *option, const char *value, int64_t *ret_ns, char *why)
{
	int64_t ns = 0;
	int error = parse_duration(value, &ns);

	if (error == -EINVAL)
		return refuse(why, "'%.64s' is not a duration; write e.g. 30s, 5m, 1h", value);
	if (error || (uint64_t)ns > option->max)
		return refuse(why, "'%.64s' is too long; at most %llus", value,
			(unsigned long long)(option->max / NS_PER_S));
	if ((uint64_t)ns < option->min && !(ns == 0 && option->flags & CONFIG_OR_ZERO))
		return refuse(why, "'%.64s' is too short; at least %llums", value,
			(unsigned long long)(option->min / NS_PER_MS));
	*ret_ns = ns;
	return 0;
}

static int set_number(
	const struct config_option *option, const char *value, uint64_t *ret_value, char *why)
{
	bool size = option->kind == CONFIG_SIZE;
	uint64_t number = 0;
	int error = size ? parse_size(value, &number) : parse_uint(value, &number);

	if (error == -EINVAL)
		return refuse(why, "'%.64s' is not a %s; write e.g. %s", value,
			size ? "size" : "number", size ? "4096, 64K, 8M, 1G" : "4096");
	if (error || number > option->max)
		return refuse(why, "'%.64s' is too large; at most %llu", value,
			(unsigned long long)option->max);
	if (number < option->min && !(number == 0 && option->flags & CONFIG_OR_ZERO))
		return refuse(why, "'%.64s' is too small; at least %llu", value,
			(unsigned long long)option->min);
	if ((option->flags & CONFIG_POWER_OF_TWO) && (number & (number - 1)))
		return refuse(why, "'%.64s' is not a power of two; write e.g. 1M, 8M, 64M", value);
	*ret_value = number;
	return 0;
}

static int set_choice(
	const struct config_option *option, const char *value, int *ret_value, char *why)
{
	size_t used = 0;
	char names[128];

	for (const struct config_choice *choice = option->choices; choice->name; choice++) {
		if (strcmp(choice->name, value) == 0) {
			*ret_value = choice->value;
			return 0;
		}
		used += (size_t)snprintf(
			names + used, sizeof(names) - used, "%s%s", used ? ", " : "", choice->name);
	}
	return refuse(why, "'%.64s' is none of: %s", value, names);
}

int config_option_set(struct config *config, const struct config_option *option, const char *value,
	char why[static CONFIG_TEXT_SIZE])
{
	switch (option->kind) {
	case CONFIG_TEXT:
		return set_text(value, field(config, option), why);
	case CONFIG_NAMES:
		return add_name(value, field(config, option), why);
	case CONFIG_PATHS:
		return add_path(value, config, why);
	case CONFIG_RANGES:
		return add_range(value, config, why);
	case CONFIG_RULES:
		return add_rule(value, config, why);
	case CONFIG_DURATION:
		return set_duration(option, value, field(config, option), why);
	case CONFIG_SIZE:
	case CONFIG_COUNT:
		return set_number(option, value, field(config, option), why);
	case CONFIG_CHOICE:
		return set_choice(option, value, field(config, option), why);
	case CONFIG_SWITCH:
		*(int *)field(config, option) = 1;
		return 0;
	}
	return refuse(why, "no such kind of option");
}

void config_option_copy(
	struct config *config, const struct config *from, const struct config_option *option)
{
	memcpy(field(config, option), field(from, option),
		option->kind == CONFIG_CHOICE ? sizeof(int) : sizeof(uint64_t));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_paths(const struct config *a, const struct config *b)
{
	bool same = a->read_count == b->read_count;

	for (size_t i = 0; same && i < a->read_count; i++)
		same = strcmp(a->read_paths[i], b->read_paths[i]) == 0;
	return same;
}

static bool same_rules(const struct config *a, const struct config *b)
{
	bool same = a->ignore_count == b->ignore_count;

	for (size_t i = 0; same && i < a->ignore_count; i++)
		same = strcmp(a->ignore[i].text, b->ignore[i].text) == 0;
	return same;
}

bool config_option_same(
	const struct config *a, const struct config *b, const struct config_option *option)
{
	switch (option->kind) {
	case CONFIG_TEXT:
	case CONFIG_NAMES:
		return same_text(*(char **)field(a, option), *(char **)field(b, option));
	case CONFIG_PATHS:
		return same_paths(a, b);
	case CONFIG_RANGES:
		return a->local_count == b->local_count &&
		       (a->local_count == 0 || memcmp(a->local, b->local,
						       a->local_count * sizeof(a->local[0])) == 0);
	case CONFIG_RULES:
		return same_rules(a, b);
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_COUNT:
		return memcmp(field(a, option), field(b, option), sizeof(uint64_t)) == 0;
	case CONFIG_CHOICE:
	case CONFIG_SWITCH:
		return memcmp(field(a, option), field(b, option), sizeof(int)) == 0;
	}
	return true;
}

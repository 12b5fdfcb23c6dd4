/* The table of lastconnd's options: name, kind, default, help, and where the value goes. */
#ifndef LASTCONN_DAEMON_CONFIG_OPTION_H
#define LASTCONN_DAEMON_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"

enum config_kind {
	CONFIG_TEXT,     /* char *, not empty */
	CONFIG_NAMES,    /* char *, repeatable, joined by commas */
	CONFIG_PATHS,    /* char **, repeatable; the count follows it */
	CONFIG_RANGES,   /* struct config_range *, repeatable; the count follows it */
	CONFIG_RULES,    /* struct ignore_rule *, repeatable; the count follows it */
	CONFIG_DURATION, /* int64_t, ns */
	CONFIG_SIZE,     /* uint64_t, octets */
	CONFIG_COUNT,    /* uint64_t */
	CONFIG_CHOICE,   /* int */
	CONFIG_SWITCH,   /* int, no value */
};

enum {
	CONFIG_COMMAND_LINE_ONLY = 1, /* no key of the file */
	CONFIG_RUNTIME = 2,           /* SIGHUP applies it */
	CONFIG_POWER_OF_TWO = 4,
	CONFIG_OR_ZERO = 8, /* 0 is allowed below min */
};

struct config_choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct config_option {
	const char *name; /* after --, and as a key of the file */
	char letter;      /* after -; NUL none */
	enum config_kind kind;
	size_t offset;     /* of the value in struct config */
	const char *value; /* the default, as a user would write it; NULL none */
	const char *argument;
	const char *help;
	int flags;
	uint64_t min, max; /* of numbers */
	const struct config_choice *choices;
};

/* The options in the order of --help; NULL past the end. */
const struct config_option *config_option_at(size_t index);

/* The index of the option of this name; CONFIG_OPTIONS_MAX: none. */
size_t config_option_find(const char *name);

/* Reads value into the option's place in config. Returns 0, or -1 with the reason in why: which
 * value is wrong and how to write it. */
int config_option_set(struct config *config, const struct config_option *option, const char *value,
	char why[static CONFIG_TEXT_SIZE]);

/* Copies the value of a number or choice. */
void config_option_copy(
	struct config *config, const struct config *from, const struct config_option *option);

bool config_option_same(
	const struct config *a, const struct config *b, const struct config_option *option);

#endif

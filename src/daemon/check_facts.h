/* What of this system decides how much lastconnd can see: asked of /proc and /sys, and of
 * conntrack. */
#ifndef LASTCONN_DAEMON_CHECK_FACTS_H
#define LASTCONN_DAEMON_CHECK_FACTS_H

#include <stdbool.h>
#include <stddef.h>

enum { CHECK_FACTS_MAX = 8, CHECK_VALUE_SIZE = 256 };

struct check_fact {
	const char *name; /* "privileges", "btf", "cgroup v2", ... */
	char value[CHECK_VALUE_SIZE];
	const char *advice; /* what to do about it; NULL: it is well */
};

/* Returns their number. */
size_t check_facts(struct check_fact facts[static CHECK_FACTS_MAX]);

/* The kernel's configuration options that a rung of this name needs; NULL unknown. */
const char *check_facts_options(const char *rung);

#endif

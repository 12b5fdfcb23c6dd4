/* The answer of lastconnd --check, for people and for machines. */
#ifndef LASTCONN_DAEMON_CHECK_PRINT_H
#define LASTCONN_DAEMON_CHECK_PRINT_H

#include <stddef.h>

#include "daemon/check.h"
#include "daemon/check_facts.h"
#include "daemon/privilege.h"
#include "process/cmdline.h"
#include "process/ignore_rule.h"
#include "source/source.h"
#include "util/strbuf.h"

struct check_result {
	enum check_status status;
	const char *source; /* name of what records; NULL nothing can */
	const char *error;  /* why it is not the best one; NULL it is */
	const struct source_slot *slots;
	size_t slot_count;
	struct check_fact facts[CHECK_FACTS_MAX];
	size_t fact_count;
	struct privilege_report privileges; /* once it records */
	enum cmdline_mode cmdline;
	const struct ignore_rule *ignore;
	size_t ignore_count;
};

void check_print_text(struct strbuf *out, const struct check_result *result);
void check_print_json(struct strbuf *out, const struct check_result *result);

#endif

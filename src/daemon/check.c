/* The programs are really loaded and attached, for as long as the question takes, and privileges
 * really dropped: the only way to know. A lastconnd that records meanwhile is not disturbed. */
#include "daemon/check.h"

#include <stdio.h>

#include "daemon/check_print.h"
#include "daemon/live_source.h"
#include "flow/flow_names.h"
#include "util/log.h"

/* The smallest tables: nothing is read from them. */
enum { RING_OCTETS = 1 << 16, TABLE_ENTRIES = 16 };

static enum check_status judge(const struct check_result *result)
{
	if (!result->source)
		return CHECK_NONE;
	for (size_t i = 0; i < result->slot_count; i++)
		if (source_loss(&result->slots[i], 0))
			return CHECK_DEGRADED;
	return CHECK_FULL;
}

/* Events of the moment, of which nobody wants to know. */

static void ignore_observation(void *ctx, const struct observation *observation)
{
	(void)ctx;
	(void)observation;
}

static void ignore_process(void *ctx, const struct process_info *info)
{
	(void)ctx;
	(void)info;
}

static void ignore_fork(
	void *ctx, const struct process_ref *child, const struct process_ref *parent)
{
	(void)ctx;
	(void)child;
	(void)parent;
}

static void ignore_exit(void *ctx, const struct process_ref *process)
{
	(void)ctx;
	(void)process;
}

static void ignore_listener(
	void *ctx, const struct listener_record *record, int64_t time_ns, bool gone)
{
	(void)ctx;
	(void)record;
	(void)time_ns;
	(void)gone;
}

static void ignore_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	(void)ctx;
	(void)what;
	(void)count;
	(void)detail;
}

static void ignore_name(void *ctx, const struct name_evidence *evidence)
{
	(void)ctx;
	(void)evidence;
}

static void ignore_position(void *ctx, uint64_t position)
{
	(void)ctx;
	(void)position;
}

static const struct source_sink nobody = {
	.observe = ignore_observation,
	.process = ignore_process,
	.fork = ignore_fork,
	.exit = ignore_exit,
	.listener = ignore_listener,
	.name = ignore_name,
	.loss = ignore_loss,
	.position = ignore_position,
};

static enum check_status print(const struct check_result *result, bool json)
{
	struct strbuf out = {0};

	if (json)
		check_print_json(&out, result);
	else
		check_print_text(&out, result);
	if (out.failed)
		log_error("out of memory");
	else
		fputs(strbuf_text(&out), stdout);
	strbuf_done(&out);
	return result->status;
}

/* Last: what was dropped is gone. */
static void drop_privileges(
	const struct config *config, struct source *source, struct check_result *result)
{
	char why[PRIVILEGE_TEXT_SIZE];

	if (source && privilege_drop(config, source, &result->privileges, why) < 0)
		privilege_report_add(&result->privileges, "refused", why, "--privileges keep");
}

static void become_user(const struct config *config, struct check_result *result)
{
	char why[PRIVILEGE_TEXT_SIZE];

	if (privilege_become(config, &result->privileges, why) < 0)
		privilege_report_add(&result->privileges, "user", "refused", "%s", why);
}

enum check_status check_run(const struct config *config)
{
	struct config small = *config;
	char why[LIVE_SOURCE_TEXT_SIZE];
	struct check_result result = {
		.cmdline = (enum cmdline_mode)config->cmdline,
		.ignore = config->ignore,
		.ignore_count = config->ignore_count,
	};
	struct source *source = NULL;
	enum check_status status;

	small.ring_octets = RING_OCTETS;
	small.max_peers = small.max_processes = small.max_flows = TABLE_ENTRIES;
	small.pin_path = NULL; /* what is pinned waits for the next daemon */
	become_user(config, &result);
	if (live_source_open(&small, &nobody, &source, why) == 0) {
		result.source = flow_source_name(source->ops->source);
		result.slots = source->ops->slots(source, &result.slot_count);
	}
	result.error = *why ? why : NULL;
	result.status = judge(&result);
	result.fact_count = check_facts(result.facts);
	drop_privileges(config, source, &result);
	status = print(&result, config->json);
	if (source)
		source->ops->free(source);
	return status;
}

/* NAT may begin, and be forbidden to be asked about, at any time: its module is loaded when the
 * first rule needs it. What that means for the history is told once. */
#include "daemon/live_nat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "source/nat_conntrack.h"
#include "util/clock.h"
#include "util/log.h"

#define REFUSED "conntrack cannot be asked for translated ends: %s"

static void read_before(void *ctx)
{
	live_nat_read(ctx);
}

int live_nat_new(struct live_nat *nat, struct pipeline *pipeline)
{
	int error = nat_conntrack_new(pipeline_sink(pipeline), &nat->conntrack);

	if (error)
		return error;
	nat->pipeline = pipeline;
	pipeline_ask_before(pipeline, read_before, nat);
	return 0;
}

void live_nat_free(struct live_nat *nat)
{
	nat_conntrack_free(nat->conntrack);
	nat->conntrack = NULL;
}

void live_nat_read(struct live_nat *nat)
{
	nat_conntrack_consume(nat->conntrack, clock_boottime_ns());
}

/* until_us: 0 as long as this run. */
static void cover(struct live_nat *nat, int64_t from_us, int64_t until_us, const char *detail)
{
	struct coverage_record record = {
		.from_us = from_us,
		.until_us = until_us,
		.what = COVERAGE_OWNERS_UNSURE,
		.source = nat->source,
	};

	snprintf(record.detail, sizeof(record.detail), "nat: %s", detail);
	pipeline_cover(nat->pipeline, &record);
}

void live_nat_look(struct live_nat *nat)
{
	char why[128];

	nat->news = nat_conntrack_begin(nat->conntrack, clock_boottime_ns());
	nat->hears |= nat->news > 0;
	if (nat->news >= 0)
		return;
	snprintf(why, sizeof(why), REFUSED, strerror(-nat->news));
	cover(nat, clock_realtime_us(), 0, why);
}

void live_nat_say(const struct live_nat *nat)
{
	if (nat->news > 0)
		log_info("NAT: conntrack tells the translated ends of flows");
	else if (nat->news < 0)
		log_warning(REFUSED "%s", strerror(-nat->news),
			nat->news == -EPERM ? "; that needs CAP_NET_ADMIN" : "");
}

void live_nat_cover_gap(struct live_nat *nat, int64_t from_us, int64_t until_us)
{
	if (nat->hears)
		cover(nat, from_us, until_us,
			"nobody asked conntrack: translated ends may be missing");
}

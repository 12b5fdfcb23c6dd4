/* Where /proc/net cannot be read there is nothing to compare with: then flows are not compared. */
#include "daemon/coverage_watch.h"

#include <stdio.h>

#include "util/clock.h"
#include "util/log.h"

static int take_sample(struct coverage_watch *watch, struct reconcile_sample *ret_sample)
{
	struct pipeline_counters counters;

	pipeline_counters(watch->pipeline, &counters);
	ret_sample->flows = counters.flows.grown;
	return netns_counters_read(&ret_sample->kernel);
}

/* sample: NULL if there is none. */
static void begin_interval(struct coverage_watch *watch, const struct reconcile_sample *sample)
{
	watch->comparable = sample != NULL;
	if (sample)
		watch->before = *sample;
	watch->before_us = clock_realtime_us();
	watch->before_ns = clock_boottime_ns();
}

static void cover_wrong_clock(struct coverage_watch *watch)
{
	struct coverage_record record;

	if (!coverage_clock_is_wrong(&watch->clock, &record))
		return;
	pipeline_cover(watch->pipeline, &record);
	log_warning("the clock is behind the day on which lastconnd was built; times are corrected "
		    "when it is set");
}

void coverage_watch_init(
	struct coverage_watch *watch, struct pipeline *pipeline, int64_t interval_ns)
{
	*watch = (struct coverage_watch){.pipeline = pipeline, .interval_ns = interval_ns};
}

void coverage_watch_bounds(struct coverage_watch *watch, const struct clock_bounds *bounds)
{
	watch->clock.bounds = *bounds;
	cover_wrong_clock(watch);
}

void coverage_watch_begin(struct coverage_watch *watch)
{
	struct reconcile_sample sample = {0};

	begin_interval(watch, take_sample(watch, &sample) == 0 ? &sample : NULL);
}

void coverage_watch_clocks(struct coverage_watch *watch)
{
	struct coverage_clock_reading reading = {
		.boottime_ns = clock_boottime_ns(),
		.wall_offset_ns = clock_wall_offset_ns(),
		.asleep_ns = clock_asleep_ns(),
	};
	struct coverage_record records[COVERAGE_CLOCK_RECORDS];
	struct clock_step step;
	size_t count = coverage_clock_read(&watch->clock, &reading, &step, records);

	pipeline_set_clock(watch->pipeline, reading.boottime_ns, watch->clock.last.wall_offset_ns);
	if (step.us) {
		watch->before_us += step.us;
		pipeline_clock_step(watch->pipeline, &step);
		cover_wrong_clock(watch);
	}
	for (size_t i = 0; i < count; i++) {
		pipeline_cover(watch->pipeline, &records[i]);
		log_info("%s: %llu.%03llu s %s", coverage_what_name(records[i].what),
			(unsigned long long)records[i].count / 1000,
			(unsigned long long)records[i].count % 1000, records[i].detail);
	}
}

bool coverage_watch_is_due(const struct coverage_watch *watch, int64_t now_ns)
{
	return now_ns - watch->before_ns >= watch->interval_ns;
}

void coverage_watch_compare(struct coverage_watch *watch)
{
	struct coverage_record records[RECONCILE_RECORDS];
	struct reconcile_sample sample = {0};
	bool taken = take_sample(watch, &sample) == 0;
	size_t count = 0;

	if (taken && watch->comparable)
		count = reconcile_compare(&watch->before, &sample, records);
	for (size_t i = 0; i < count; i++) {
		records[i].from_us = watch->before_us;
		records[i].until_us = clock_realtime_us();
		pipeline_cover(watch->pipeline, &records[i]);
		if (!watch->said)
			log_warning("the kernel counted %llu %s more than all flows together: a "
				    "hook of the kernel source may be blind; 'lastconn coverage' "
				    "tells when this happens",
				(unsigned long long)records[i].count, records[i].detail);
		watch->said = true;
	}
	begin_interval(watch, taken ? &sample : NULL);
}

static enum coverage_what what_is_lost(const struct source_slot *slot, bool in_part)
{
	return slot->names_only    ? COVERAGE_NAMES_UNSURE
	       : slot->owners_only ? COVERAGE_OWNERS_UNSURE
	       : in_part           ? COVERAGE_SLOT_DEGRADED
				   : COVERAGE_SLOT_MISSING;
}

static void cover_slot(struct pipeline *pipeline, const struct source_slot *slot, const char *loss,
	struct coverage_record *record)
{
	record->what = what_is_lost(slot, slot->serving >= 0);
	snprintf(record->detail, sizeof(record->detail), "%s: %s", slot->name, loss);
	pipeline_cover(pipeline, record);
}

void coverage_watch_slots(struct pipeline *pipeline, const struct source *source, int64_t from_us)
{
	struct coverage_record record = {.from_us = from_us, .source = source->ops->source};
	size_t count;
	const struct source_slot *slots = source->ops->slots(source, &count);

	for (size_t i = 0; i < count; i++) {
		const char *loss;

		for (size_t j = 0; (loss = source_loss(&slots[i], j)); j++)
			cover_slot(pipeline, &slots[i], loss, &record);
	}
}

void coverage_watch_reattached(
	struct pipeline *pipeline, const struct source *source, int64_t from_us, int64_t until_us)
{
	size_t count;
	const struct source_slot *slots = source->ops->slots(source, &count);

	for (size_t i = 0; i < count; i++) {
		struct coverage_record record = {
			.from_us = from_us,
			.until_us = until_us,
			.what = what_is_lost(&slots[i], false),
			.source = source->ops->source,
		};

		if (slots[i].serving < 0 || slots[i].kept)
			continue;
		snprintf(record.detail, sizeof(record.detail), "%s: %s", slots[i].name,
			slots[i].loss);
		pipeline_cover(pipeline, &record);
	}
}

void coverage_watch_snapshot(struct pipeline *pipeline, int64_t from_us)
{
	struct pipeline_counters counters;
	struct coverage_record record = {
		.from_us = from_us,
		.until_us = clock_realtime_us(),
		.what = COVERAGE_SNAPSHOT,
	};

	pipeline_counters(pipeline, &counters);
	record.count = counters.snapshot_flows;
	if (record.count > 0)
		pipeline_cover(pipeline, &record);
}

/* Completes records by the tables and hands the processes over before what names them. */
#include "process/attribute.h"

/* Hands over the process behind ref and its ancestors, oldest first. */
static void hand_over(struct process_table *processes, const struct process_ref *ref,
	const struct attribute_sink *sink)
{
	struct process_info chain[PROCESS_ANCESTORS_MAX];
	struct process_ref next = *ref;
	int count = 0;

	while (count < PROCESS_ANCESTORS_MAX && process_ref_known(&next) &&
		process_table_find(processes, &next, &chain[count])) {
		if (process_table_is_stored(processes, &chain[count].ref))
			break;
		next = chain[count].parent;
		count++;
	}
	while (count-- > 0) {
		sink->process(sink->ctx, &chain[count]);
		process_table_set_stored(processes, &chain[count].ref);
	}
}

static void settle_direction(const struct listener_table *listeners, struct flow_record *record)
{
	if (record->direction != FLOW_DIRECTION_UNKNOWN || record->source != FLOW_SOURCE_EBPF)
		return;
	record->direction = listener_table_accepts(listeners, &record->key) ? FLOW_DIRECTION_IN
									    : FLOW_DIRECTION_OUT;
}

/* Sockets whose namespace was never read are in that of the process that uses them. */
static void settle_netns(const struct process_table *processes, struct flow_record *record)
{
	struct process_info info;

	if (record->key.netns == 0 && process_ref_known(&record->user) &&
		process_table_find(processes, &record->user, &info))
		record->key.netns = info.netns;
}

void attribute_flow(struct process_table *processes, const struct listener_table *listeners,
	const struct flow_record *record, const struct attribute_sink *sink)
{
	struct flow_record settled = *record;

	if (!process_ref_known(&settled.user))
		settled.user = settled.opener;
	if (!process_ref_known(&settled.opener))
		settled.opener = settled.user;
	if (!process_ref_known(&settled.user))
		settled.method = FLOW_METHOD_UNKNOWN;
	settle_netns(processes, &settled);
	settle_direction(listeners, &settled);
	if (sink->wanted && !sink->wanted(sink->ctx, &settled))
		return;
	hand_over(processes, &settled.user, sink);
	if (!process_ref_equal(&settled.opener, &settled.user))
		hand_over(processes, &settled.opener, sink);
	sink->flow(sink->ctx, &settled);
}

void attribute_name(struct process_table *processes, const struct name_record *record,
	const struct attribute_sink *sink)
{
	hand_over(processes, &record->asker, sink);
	sink->name(sink->ctx, record);
}

void attribute_listener(struct process_table *processes, const struct listener_record *record,
	const struct attribute_sink *sink)
{
	hand_over(processes, &record->owner, sink);
	sink->listener(sink->ctx, record);
}

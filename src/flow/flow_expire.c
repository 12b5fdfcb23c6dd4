/* How flows end when nobody says that they do: timeouts, the end of the source, a full table. */
#include "flow/flow_entry.h"

int64_t flow_entry_timeout(const struct flow_table *table, const struct flow_entry *entry)
{
	switch ((enum flow_entry_list)entry->list) {
	case FLOW_ENTRY_SOCKETS:
		return table->options.lost_timeout_ns;
	case FLOW_ENTRY_PACKETS:
		return table->options.idle_timeout_ns;
	case FLOW_ENTRY_ENDED:
	case FLOW_ENTRY_LISTS:
		break;
	}
	return FLOW_ENTRY_LINGER_NS;
}

/* Whether the peer was heard, so that what others report of its silence is nothing. */
static bool was_answered(const struct flow_entry *entry)
{
	if (flow_entry_is_tcp(entry))
		return entry->tcp.established || entry->tcp.syn_ack;
	return entry->counters.packets_out > 0 && entry->counters.packets_in > 0;
}

enum flow_outcome flow_entry_outcome(const struct flow_entry *entry, bool over)
{
	if (entry->list == FLOW_ENTRY_SOCKETS)
		return FLOW_OUTCOME_LOST;
	if (entry->reported != FLOW_OUTCOME_OPEN && entry->tcp.outcome == FLOW_OUTCOME_OPEN &&
		!was_answered(entry))
		return (enum flow_outcome)entry->reported;
	if (!flow_entry_is_tcp(entry))
		return FLOW_OUTCOME_IDLE;
	if (over && entry->tcp.outcome == FLOW_OUTCOME_OPEN)
		return FLOW_OUTCOME_LOST;
	return flow_tcp_idle_outcome(&entry->tcp);
}

void flow_entry_expire(struct flow_table *table, struct flow_entry *entry)
{
	table->counters.expired_lost += entry->list == FLOW_ENTRY_SOCKETS;
	table->counters.expired_idle += entry->list == FLOW_ENTRY_PACKETS;
	flow_entry_end(table, entry, flow_entry_outcome(entry, false), 0);
}

static void expire_list(struct flow_table *table, enum flow_entry_list list, int64_t now_ns)
{
	struct list *head = &table->lists[list];

	while (!list_empty(head)) {
		struct flow_entry *entry = list_entry(head->next, struct flow_entry, recent);
		int64_t timeout_ns = flow_entry_timeout(table, entry);

		if (flow_entry_elapsed(entry->seen_ns, now_ns) > timeout_ns) {
			flow_entry_move(table, entry, list, now_ns); /* the clock stepped back */
			continue;
		}
		if (flow_entry_elapsed(now_ns, entry->seen_ns) < timeout_ns)
			return;
		flow_entry_expire(table, entry);
	}
}

/* What changed and then fell silent is reported too. */
static void report_due(struct flow_table *table, int64_t now_ns)
{
	int64_t timeout_ns =
		table->options.active_timeout_ns > 0 ? table->options.active_timeout_ns : 1;

	while (!list_empty(&table->due)) {
		struct flow_entry *entry = list_entry(table->due.next, struct flow_entry, due);
		bool ahead = flow_entry_elapsed(entry->checked_ns, now_ns) > timeout_ns;

		if (!ahead && flow_entry_elapsed(now_ns, entry->checked_ns) < timeout_ns)
			return;
		flow_entry_report_if_due(table, entry, now_ns);
		flow_entry_checked(table, entry, now_ns);
	}
}

void flow_table_expire(struct flow_table *table, int64_t now_ns)
{
	table->now_ns = now_ns;
	for (int list = 0; list < FLOW_ENTRY_LISTS; list++)
		expire_list(table, (enum flow_entry_list)list, now_ns);
	report_due(table, now_ns);
}

static void end_list(struct flow_table *table, enum flow_entry_list list)
{
	struct list *head = &table->lists[list];

	while (!list_empty(head)) {
		struct flow_entry *entry = list_entry(head->next, struct flow_entry, recent);

		flow_entry_end(table, entry, flow_entry_outcome(entry, true), 0);
	}
}

void flow_table_end_all(struct flow_table *table)
{
	struct list *node;

	list_for_each (node, &table->lists[FLOW_ENTRY_SOCKETS]) {
		struct flow_entry *entry = list_entry(node, struct flow_entry, recent);

		if (entry->changed)
			flow_entry_report(table, entry, entry->last_ns);
	}
	end_list(table, FLOW_ENTRY_PACKETS);
	end_list(table, FLOW_ENTRY_ENDED);
}

/* The list's oldest entry; NULL if the list is empty. */
static struct flow_entry *oldest(struct flow_table *table, enum flow_entry_list list)
{
	struct list *head = &table->lists[list];

	return list_empty(head) ? NULL : list_entry(head->next, struct flow_entry, recent);
}

void flow_entry_evict(struct flow_table *table)
{
	struct flow_entry *ended = oldest(table, FLOW_ENTRY_ENDED);
	struct flow_entry *socket = oldest(table, FLOW_ENTRY_SOCKETS);
	struct flow_entry *packets = oldest(table, FLOW_ENTRY_PACKETS);

	if (ended) { /* had its time: nothing is lost */
		flow_entry_end(table, ended, flow_entry_outcome(ended, false), 0);
		return;
	}
	table->counters.evicted++;
	if (packets && (!socket || packets->seen_ns <= socket->seen_ns))
		flow_entry_end(table, packets, FLOW_OUTCOME_IDLE, 0);
	else
		flow_entry_end(table, socket, FLOW_OUTCOME_LOST, 0);
}

/* Observations in, records out. The hash is keyed, for strangers choose the tuples.
 *
 * A flow of a socket is reported when it is first sighted; a flow of packets only when its
 * packets span the active timeout, so that a short one costs one record; but a TCP connection of a
 * live capture when it has been open for so long. */
#include "flow/flow_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_entry.h"

int flow_table_new(const struct flow_table_options *options, struct flow_table **ret_table)
{
	struct flow_table *table = calloc(1, sizeof(*table));
	size_t chains = hash_buckets_for(options->max_flows);

	assert(options->max_flows > 0 && options->emit);
	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->mask = chains - 1;
	table->entries = calloc(options->max_flows, sizeof(*table->entries));
	table->chains = calloc(chains, sizeof(struct flow_entry *));
	for (int i = 0; i < FLOW_ENTRY_LISTS; i++)
		list_init(&table->lists[i]);
	list_init(&table->due);
	if (!table->entries || !table->chains) {
		flow_table_free(table);
		return -ENOMEM;
	}
	*ret_table = table;
	return 0;
}

void flow_table_raise_lost_timeout(struct flow_table *table, int64_t timeout_ns)
{
	if (table->options.lost_timeout_ns < timeout_ns)
		table->options.lost_timeout_ns = timeout_ns;
}

void flow_table_free(struct flow_table *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table->chains);
	free(table);
}

void flow_table_set_wall_offset(struct flow_table *table, int64_t offset_ns)
{
	table->wall_offset_ns = offset_ns;
}

void flow_table_counters(const struct flow_table *table, struct flow_table_counters *ret_counters)
{
	*ret_counters = table->counters;
}

static struct flow_entry *find(
	const struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	struct flow_entry *entry = table->chains[hash & table->mask];

	while (entry && (entry->hash != hash || !flow_key_equal(&entry->key, key)))
		entry = entry->chain;
	return entry;
}

static struct flow_entry *take_free(struct flow_table *table)
{
	struct flow_entry *entry;

	if (!table->free && table->unused == table->options.max_flows)
		flow_entry_evict(table);
	entry = table->free;
	if (!entry)
		return &table->entries[table->unused++];
	table->free = entry->chain;
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static int64_t start_of(const struct observation *observation)
{
	return observation->start_ns ? observation->start_ns : observation->time_ns;
}

static struct flow_entry *insert(
	struct flow_table *table, const struct observation *observation, uint64_t hash)
{
	struct flow_entry *entry = take_free(table);
	struct flow_entry **chain = &table->chains[hash & table->mask];

	entry->hash = hash;
	entry->key = observation->key;
	entry->serial = ++table->serial;
	entry->start_ns = entry->reported_ns = start_of(observation);
	entry->last_ns = observation->time_ns;
	entry->source = (uint8_t)observation->source;
	entry->chain = *chain;
	*chain = entry;
	list_init(&entry->recent);
	list_init(&entry->due);
	flow_entry_checked(table, entry, observation->time_ns);
	flow_entry_move(table, entry,
		observation->kind == OBSERVATION_PACKET ? FLOW_ENTRY_PACKETS : FLOW_ENTRY_SOCKETS,
		observation->time_ns);
	table->counters.created++;
	table->counters.open++;
	return entry;
}

void flow_entry_move(struct flow_table *table, struct flow_entry *entry, enum flow_entry_list list,
	int64_t now_ns)
{
	list_remove(&entry->recent);
	list_append(&table->lists[list], &entry->recent);
	entry->list = (uint8_t)list;
	entry->seen_ns = now_ns;
}

void flow_entry_checked(struct flow_table *table, struct flow_entry *entry, int64_t now_ns)
{
	list_remove(&entry->due);
	list_append(&table->due, &entry->due);
	entry->checked_ns = now_ns;
}

static void emit(struct flow_table *table, const struct flow_entry *entry,
	enum flow_record_kind kind, enum flow_outcome outcome, int error)
{
	struct flow_record record = {
		.key = entry->key,
		.counters = entry->counters,
		.user = entry->user,
		.opener = entry->opener,
		.start_us = (entry->start_ns + table->wall_offset_ns) / NS_PER_US,
		.end_us = (entry->last_ns + table->wall_offset_ns) / NS_PER_US,
		.serial = entry->serial,
		.kind = kind,
		.was_open = kind == FLOW_RECORD_END && entry->opened,
		.direction = entry->direction,
		.outcome = outcome,
		.method = entry->method,
		.source = entry->source,
		.error = error,
	};

	table->options.emit(table->options.ctx, &record);
}

void flow_entry_report(struct flow_table *table, struct flow_entry *entry, int64_t now_ns)
{
	emit(table, entry, entry->opened ? FLOW_RECORD_UPDATE : FLOW_RECORD_OPEN, FLOW_OUTCOME_OPEN,
		0);
	entry->opened = true;
	entry->changed = false;
	entry->reported_ns = now_ns;
	flow_entry_checked(table, entry, now_ns);
}

void flow_entry_end(
	struct flow_table *table, struct flow_entry *entry, enum flow_outcome outcome, int error)
{
	struct flow_entry **link = &table->chains[entry->hash & table->mask];

	emit(table, entry, FLOW_RECORD_END, outcome, error);
	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	list_remove(&entry->recent);
	list_remove(&entry->due);
	entry->chain = table->free;
	table->free = entry;
	table->counters.open--;
	table->counters.ended++;
}

/* Best first; unknown is worst. */
static unsigned method_rank(unsigned method)
{
	return method == FLOW_METHOD_UNKNOWN ? FLOW_METHOD_COUNT : method;
}

/* Who made the socket was exact until octets went that nobody was seen to move. */
static bool is_in_doubt(const struct flow_entry *entry, const struct observation *observation)
{
	return entry->method == FLOW_METHOD_EXACT && observation->method == FLOW_METHOD_INHERITED &&
	       process_ref_equal(&entry->user, &observation->user);
}

/* What is known stays unless something at least as well known comes. */
static void merge_owner(struct flow_entry *entry, const struct observation *observation)
{
	bool as_good = method_rank(observation->method) <= method_rank(entry->method) ||
		       is_in_doubt(entry, observation);
	const struct process_ref *user = &observation->user, *opener = &observation->opener;

	if (process_ref_known(user) && (as_good || !process_ref_known(&entry->user))) {
		entry->changed |= !process_ref_equal(&entry->user, user) ||
				  entry->method != observation->method;
		entry->user = *user;
		entry->method = (uint8_t)observation->method;
	} else if (as_good && !process_ref_known(&entry->user)) {
		entry->method = (uint8_t)observation->method;
	}
	if (process_ref_known(opener) && (as_good || !process_ref_known(&entry->opener))) {
		entry->changed |= !process_ref_equal(&entry->opener, opener);
		entry->opener = *opener;
	}
}

static void merge_totals(
	struct flow_table *table, struct flow_entry *entry, const struct flow_counters *totals)
{
	uint32_t rtt_us = totals->rtt_us ? totals->rtt_us : entry->counters.rtt_us;
	uint32_t netns = table->options.netns;

	if (!netns || !entry->key.netns || entry->key.netns == netns)
		flow_growth_add(&table->counters.grown, &entry->key, &entry->counters, totals);
	entry->changed |= entry->counters.packets_out != totals->packets_out ||
			  entry->counters.packets_in != totals->packets_in ||
			  entry->counters.octets_out != totals->octets_out ||
			  entry->counters.octets_in != totals->octets_in;
	entry->counters = *totals;
	entry->counters.rtt_us = rtt_us;
}

static void merge(struct flow_entry *entry, const struct observation *observation)
{
	if (observation->start_ns && observation->start_ns < entry->start_ns)
		entry->start_ns = observation->start_ns;
	if (observation->time_ns > entry->last_ns)
		entry->last_ns = observation->time_ns;
	if (!entry->key.netns)
		entry->key.netns = observation->key.netns;
	if (entry->direction == FLOW_DIRECTION_UNKNOWN &&
		observation->direction != FLOW_DIRECTION_UNKNOWN) {
		entry->direction = (uint8_t)observation->direction;
		entry->changed = true;
	}
	merge_owner(entry, observation);
}

/* A connection may be silent for hours and open; datagrams that stopped, and files, are over. */
static bool may_go_on(const struct flow_entry *entry)
{
	return entry->opened || (entry->source == FLOW_SOURCE_PCAP && flow_entry_is_tcp(entry));
}

void flow_entry_report_if_due(struct flow_table *table, struct flow_entry *entry, int64_t now_ns)
{
	int64_t until_ns = may_go_on(entry) ? now_ns : entry->last_ns;

	if (entry->changed && entry->list != FLOW_ENTRY_ENDED &&
		flow_entry_elapsed(until_ns, entry->reported_ns) >=
			table->options.active_timeout_ns)
		flow_entry_report(table, entry, now_ns);
}

static bool went_back(const struct flow_counters *now, const struct flow_counters *before)
{
	return now->octets_out < before->octets_out || now->octets_in < before->octets_in ||
	       now->packets_out < before->packets_out || now->packets_in < before->packets_in;
}

/* The entry of a socket's flow, unless these totals show that the one of an earlier run is over. */
static struct flow_entry *find_for_totals(
	struct flow_table *table, const struct observation *observation, uint64_t hash)
{
	struct flow_entry *entry = find(table, &observation->key, hash);

	if (!entry || !entry->resumed)
		return entry;
	entry->resumed = false;
	if (!went_back(&observation->counters, &entry->counters))
		return entry;
	flow_entry_end(table, entry, FLOW_OUTCOME_LOST, 0);
	return NULL;
}

/* The time of datagrams is that of the last one: a socket that is told of is there, however long it
 * has been silent. */
static int64_t told_at(const struct flow_table *table, const struct observation *observation)
{
	return observation->time_ns > table->now_ns ? observation->time_ns : table->now_ns;
}

static void observe_totals(struct flow_table *table, const struct observation *observation)
{
	uint64_t hash = flow_key_hash(&observation->key, &table->options.hash_key);
	struct flow_entry *entry = find_for_totals(table, observation, hash);
	bool first = !entry;

	if (!entry)
		entry = insert(table, observation, hash);
	merge(entry, observation);
	merge_totals(table, entry, &observation->counters);
	flow_entry_move(table, entry, FLOW_ENTRY_SOCKETS, told_at(table, observation));
	if (first)
		flow_entry_report(table, entry, observation->time_ns);
	else
		flow_entry_report_if_due(table, entry, observation->time_ns);
}

void flow_table_resume(struct flow_table *table, const struct flow_record *record, int64_t now_ns)
{
	int64_t start_ns = record->start_us * NS_PER_US - table->wall_offset_ns;
	const struct observation last = {
		.key = record->key,
		.counters = record->counters,
		.user = record->user,
		.opener = record->opener,
		.time_ns = record->end_us * NS_PER_US - table->wall_offset_ns,
		.start_ns = start_ns > 0 ? start_ns : 1,
		.kind = OBSERVATION_SIGHTING,
		.direction = record->direction,
		.method = record->method,
		.source = record->source,
	};
	struct flow_entry *entry =
		insert(table, &last, flow_key_hash(&record->key, &table->options.hash_key));

	merge(entry, &last);
	entry->counters = record->counters;
	entry->serial = record->serial;
	if (table->serial < record->serial)
		table->serial = record->serial;
	entry->opened = entry->resumed = true;
	entry->changed = false;
	entry->reported_ns = now_ns;
	flow_entry_checked(table, entry, now_ns);
	flow_entry_move(table, entry, FLOW_ENTRY_SOCKETS, now_ns); /* its time to be seen begins */
	if (record->source == FLOW_SOURCE_PCAP)
		flow_entry_end(table, entry, FLOW_OUTCOME_LOST, 0);
}

/* A flow that nobody heard of before needs no entry. */
static void observe_end(struct flow_table *table, const struct observation *observation)
{
	uint64_t hash = flow_key_hash(&observation->key, &table->options.hash_key);
	struct flow_entry *entry = find_for_totals(table, observation, hash);
	struct flow_entry passing = {
		.key = observation->key,
		.start_ns = start_of(observation),
		.source = (uint8_t)observation->source,
	};

	if (entry) {
		merge(entry, observation);
		merge_totals(table, entry, &observation->counters);
		flow_entry_end(table, entry, observation->outcome, observation->error);
		return;
	}
	merge(&passing, observation);
	merge_totals(table, &passing, &observation->counters);
	passing.serial = ++table->serial;
	emit(table, &passing, FLOW_RECORD_END, observation->outcome, observation->error);
	table->counters.created++;
	table->counters.ended++;
}

static void add_packet(struct flow_entry *entry, const struct observation *packet)
{
	if (flow_entry_is_tcp(entry)) {
		flow_tcp_segment(&entry->tcp, packet, &entry->counters);
		if (entry->direction == FLOW_DIRECTION_UNKNOWN)
			entry->direction = (uint8_t)entry->tcp.direction;
	} else {
		entry->counters.octets_out += packet->counters.octets_out;
		entry->counters.octets_in += packet->counters.octets_in;
		entry->counters.packets_out += packet->counters.packets_out;
		entry->counters.packets_in += packet->counters.packets_in;
		if (entry->direction == FLOW_DIRECTION_UNKNOWN)
			entry->direction =
				packet->from_local ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_IN;
	}
	entry->changed = true;
}

/* The entry that a packet belongs to, unless the packet shows that this flow is over. */
static struct flow_entry *find_for_packet(
	struct flow_table *table, const struct observation *packet, uint64_t hash)
{
	struct flow_entry *entry = find(table, &packet->key, hash);

	if (!entry)
		return NULL;
	if (flow_entry_elapsed(packet->time_ns, entry->seen_ns) >=
		flow_entry_timeout(table, entry)) {
		flow_entry_expire(table, entry);
		return NULL;
	}
	if (flow_entry_is_tcp(entry) && flow_tcp_starts_anew(&entry->tcp, packet)) {
		enum flow_outcome outcome = flow_entry_outcome(entry, false);

		flow_entry_end(table, entry,
			outcome == FLOW_OUTCOME_IDLE ? FLOW_OUTCOME_LOST : outcome, 0);
		return NULL;
	}
	return entry;
}

static void observe_packet(struct flow_table *table, const struct observation *packet)
{
	uint64_t hash = flow_key_hash(&packet->key, &table->options.hash_key);
	struct flow_entry *entry = find_for_packet(table, packet, hash);

	if (!entry)
		entry = insert(table, packet, hash);
	merge(entry, packet);
	add_packet(entry, packet);
	if (entry->list == FLOW_ENTRY_PACKETS) {
		bool ended = flow_entry_is_tcp(entry) && entry->tcp.outcome != FLOW_OUTCOME_OPEN;

		flow_entry_move(table, entry, ended ? FLOW_ENTRY_ENDED : FLOW_ENTRY_PACKETS,
			packet->time_ns);
	}
	flow_entry_report_if_due(table, entry, packet->time_ns);
}

/* Kept for the end of the flow, which it does not bring about: what is refused may be tried again.
 * Of TCP it has to be a SYN that was reported, by its number. */
static void observe_report(struct flow_table *table, const struct observation *report)
{
	uint64_t hash = flow_key_hash(&report->key, &table->options.hash_key);
	struct flow_entry *entry = find(table, &report->key, hash);
	const struct flow_tcp_side *side;

	if (!entry || entry->list != FLOW_ENTRY_PACKETS)
		return;
	side = report->from_local ? &entry->tcp.local : &entry->tcp.remote;
	if (flow_entry_is_tcp(entry) && (!side->syn || side->first != report->tcp_seq))
		return;
	entry->reported = (uint8_t)report->outcome;
}

static void observe_owner(struct flow_table *table, const struct observation *owner)
{
	uint64_t hash = flow_key_hash(&owner->key, &table->options.hash_key);
	struct flow_entry *entry = find(table, &owner->key, hash);

	if (entry)
		merge_owner(entry, owner);
}

void flow_table_observe(struct flow_table *table, const struct observation *observation)
{
	table->counters.observations++;
	switch (observation->kind) {
	case OBSERVATION_PACKET:
		observe_packet(table, observation);
		return;
	case OBSERVATION_SIGHTING:
		observe_totals(table, observation);
		return;
	case OBSERVATION_END:
		observe_end(table, observation);
		return;
	case OBSERVATION_REPORT:
		observe_report(table, observation);
		return;
	case OBSERVATION_OWNER:
		observe_owner(table, observation);
		return;
	}
	assert(!"kind of observation");
}

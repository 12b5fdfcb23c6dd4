/* The rule that names a flow, as of its start. The first that holds:
 *
 * 1. What the flow itself said: the server's name of TLS or QUIC, the Host of HTTP. Only if this
 * end began the flow, for else it is the name of this end.
 * 2. What this very process had asked a name server or its C library for and got the flow's remote
 *    address, however long before: processes keep addresses longer than their TTL. Of two such
 * names the one asked for last before the flow began.
 * 3. What another process, or nobody knows which, had asked for, if the answer was not older than
 *    its TTL and NAME_GRACE_US, and came in the same tunnel and network namespace, as far as the
 *    latter is known: addresses mean something else in others. A socket is outside of tunnels; a
 *    tunnel with another id each way is two. The name says so (dns-other, dns-any). Never for
 *    loopback, multicast and unspecified addresses: anybody can have a name point there. Never what
 *    another process asked its C library for: that is read from the process's memory, where it can
 *    write what it likes, and must name nobody's flows but its own.
 *
 * An answer up to NAME_SKEW_US after the start counts if no other does, for the clocks of capture
 * and kernel differ. An unsolicited name of an address (a PTR record) is no evidence, and what one
 * flow said is none for another. The instance of a service (mDNS) names no flow: a host has many,
 * and a name of its own. */
#include <string.h>

#include "process/name_entry.h"
#include "util/clock.h"

struct candidate {
	const struct name_entry *entry;
	int64_t time_us; /* of the answer that counts */
	enum name_asker asker;
	bool late;
};

/* The last answer before the start, as far as it is remembered. False: there was none. */
static bool answered(const struct name_entry *entry, int64_t start_us, struct candidate *candidate)
{
	const int64_t times[] = {entry->last_us, entry->before_us, entry->first_us};

	candidate->entry = entry;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i] <= start_us) {
			candidate->time_us = times[i];
			candidate->late = false;
			return true;
		}
	candidate->time_us = entry->first_us;
	candidate->late = true;
	return entry->first_us <= start_us + NAME_SKEW_US;
}

static bool is_service(const struct name_entry *entry)
{
	return entry->source == NAME_SOURCE_MDNS && entry->text->owner[0];
}

static enum name_asker asker_of(const struct name_entry *entry, const struct process_ref *user)
{
	if (!process_ref_known(&entry->asker) || !process_ref_known(user))
		return NAME_ASKER_UNKNOWN;
	return process_ref_equal(&entry->asker, user) ? NAME_ASKER_SELF : NAME_ASKER_OTHER;
}

static bool is_multicast(const struct addr *address)
{
	if (addr_is_v4(address))
		return address->octets[12] >= 224;
	return address->octets[0] == 0xff;
}

static bool is_one_host(const struct addr *address)
{
	return !addr_is_loopback(address) && !addr_is_unspecified(address) &&
	       !is_multicast(address);
}

static bool is_of_place(const struct flow_key *answer, const struct flow_key *flow)
{
	return answer->tunnel == flow->tunnel && answer->tunnel_id == flow->tunnel_id &&
	       (answer->netns == flow->netns || !answer->netns || !flow->netns);
}

/* Of what was answered again each time before it was too old, only the last answer can be. */
static bool is_too_old(const struct name_entry *entry, int64_t start_us)
{
	return start_us - entry->last_us > entry->ttl_s * (int64_t)US_PER_S + NAME_GRACE_US;
}

static bool counts(const struct candidate *candidate, const struct flow_record *record)
{
	const struct name_entry *entry = candidate->entry;

	if (candidate->asker == NAME_ASKER_SELF)
		return true;
	if (entry->source == NAME_SOURCE_GETADDRINFO)
		return false;
	return is_one_host(&entry->address) && is_of_place(&entry->key, &record->key) &&
	       !is_too_old(entry, record->start_us);
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
	bool a_self = a->asker == NAME_ASKER_SELF, b_self = b->asker == NAME_ASKER_SELF;

	if (!b->entry || a_self != b_self)
		return !b->entry || a_self;
	if (a->late != b->late)
		return b->late;
	return a->late ? a->time_us < b->time_us : a->time_us > b->time_us;
}

/* Rules 2 and 3. */
static bool find_answer(struct name_table *table, const struct flow_record *record,
	struct flow_name *name, struct name_text **ret_text)
{
	const struct addr *address = &record->key.remote;
	struct name_entry *entry, *next;
	struct candidate best = {0}, candidate;

	for (entry = name_entry_first(table, address); entry; entry = next) {
		next = entry->chain;
		if (addr_equal(&entry->address, address))
			name_entry_settle(table, entry);
	}
	for (entry = name_entry_first(table, address); entry; entry = entry->chain) {
		if (name_source_is_own(entry->source) || is_service(entry) ||
			!addr_equal(&entry->address, address) ||
			!answered(entry, record->start_us, &candidate))
			continue;
		candidate.asker = asker_of(entry, &record->user);
		if (counts(&candidate, record) && is_better(&candidate, &best))
			best = candidate;
	}
	if (!best.entry)
		return false;
	*name = (struct flow_name){NULL, best.entry->source, best.asker};
	*ret_text = best.entry->text;
	return true;
}

/* The exchange of the flow, from either end: capture may have taken the other one for the local. */
static struct name_exchange *find_exchange(
	const struct name_table *table, const struct flow_record *record)
{
	const struct flow_key reversed = name_exchange_reversed(&record->key);
	struct name_exchange *exchange = name_exchange_find(&table->exchanges, &record->key);

	if ((exchange && exchange->said) || record->direction != FLOW_DIRECTION_OUT)
		return exchange;
	return name_exchange_find(&table->exchanges, &reversed);
}

static bool said_in(const struct name_exchange *exchange, const struct flow_record *record)
{
	if (exchange->said_us < record->start_us - NAME_SKEW_US ||
		(record->kind == FLOW_RECORD_END &&
			exchange->said_us > record->end_us + NAME_SKEW_US))
		return false;
	return addr_is_unspecified(&exchange->address) ||
	       addr_equal(&exchange->address, &record->key.remote);
}

/* Rule 1. The exchange also learns whose it is. */
static bool find_said(struct name_table *table, const struct flow_record *record,
	struct flow_name *name, struct name_text **ret_text)
{
	struct name_exchange *exchange;

	if (record->direction == FLOW_DIRECTION_IN)
		return false;
	exchange = find_exchange(table, record);
	if (!exchange || !exchange->said || !said_in(exchange, record))
		return false;
	if (process_ref_known(&record->user))
		name_exchange_set_user(exchange, record);
	*name = (struct flow_name){NULL, exchange->source, NAME_ASKER_SELF};
	*ret_text = exchange->said;
	return true;
}

/* What is over says nothing of the next flow between the same ends. */
static void end_exchange(struct name_table *table, const struct flow_record *record)
{
	struct name_exchange *exchange =
		record->kind == FLOW_RECORD_END ? find_exchange(table, record) : NULL;

	if (exchange)
		name_exchange_forget(&table->exchanges, exchange);
}

bool name_table_flow(
	struct name_table *table, const struct flow_record *record, struct flow_name *ret_name)
{
	struct flow_name name;
	struct name_text *text;
	bool said;

	if (table->counters.evidence == 0)
		return false;
	said = find_said(table, record, &name, &text);
	if (!said && !find_answer(table, record, &name, &text))
		return false;
	name_text_release(&table->exchanges, table->lent);
	table->lent = name_text_share(text);
	if (said)
		end_exchange(table, record);
	name.text = text->octets;
	table->counters.named[name.source]++;
	*ret_name = name;
	return true;
}

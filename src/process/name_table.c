/* Evidence under a keyed hash by address; strangers choose addresses and names.
 *
 * Telling may come back into the table, for what is told can fill a batch, whose flows are named
 * then: so it is done only where no entry is held. */
#include "process/name_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process/name_entry.h"
#include "util/clock.h"

#define SAID_KEPT_US INT64_C(60000000) /* no port is used again so soon, unless its end is seen */

int name_table_new(const struct name_table_options *options, struct name_table **ret_table)
{
	struct name_table *table = calloc(1, sizeof(*table));
	size_t chains = hash_buckets_for(options->max_names);

	assert(options->max_names > 0 && options->tell);
	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->mask = chains - 1;
	table->entries = calloc(options->max_names, sizeof(*table->entries));
	table->chains = calloc(chains, sizeof(struct name_entry *));
	list_init(&table->by_use);
	list_init(&table->waiting);
	list_init(&table->fresh);
	list_init(&table->repeated);
	if (name_exchange_init(&table->exchanges, options->max_names, options->hash_key) < 0 ||
		!table->entries || !table->chains) {
		name_table_free(table);
		return -ENOMEM;
	}
	*ret_table = table;
	return 0;
}

void name_table_free(struct name_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; table->entries && i < table->unused; i++)
		name_text_release(&table->exchanges, table->entries[i].text);
	name_text_release(&table->exchanges, table->lent);
	name_exchange_done(&table->exchanges);
	free(table->entries);
	free(table->chains);
	free(table);
}

void name_table_counters(const struct name_table *table, struct name_table_counters *ret_counters)
{
	*ret_counters = table->counters;
	ret_counters->text_octets = table->exchanges.text_octets;
}

static struct name_entry **chain_of(const struct name_table *table, const struct addr *address)
{
	return &table->chains[hash_octets(&table->options.hash_key, address, sizeof(*address)) &
			      table->mask];
}

struct name_entry *name_entry_first(const struct name_table *table, const struct addr *address)
{
	return *chain_of(table, address);
}

/* Telling. */

static void tell(struct name_table *table, const struct name_entry *entry)
{
	struct name_record record = {
		.name = entry->text->octets,
		.owner = entry->text->owner,
		.address = entry->address,
		.asker = entry->asker,
		.first_us = entry->untold_us,
		.last_us = entry->last_us,
		.count = entry->untold,
		.ttl_s = entry->ttl_s,
		.source = entry->source,
		.ech = entry->ech,
	};

	memcpy(record.alpn, entry->alpn, sizeof(record.alpn));
	table->options.tell(table->options.ctx, &record);
}

/* Puts the entry at the end of a list of what is to be told. */
static void set_due(struct name_entry *entry, struct list *list, int64_t due_us)
{
	list_remove(&entry->due);
	list_append(list, &entry->due);
	entry->due_us = due_us;
}

/* A time far ahead is one of a file that is older than the one before. */
static bool is_due(const struct name_entry *entry, int64_t now_us)
{
	return entry->due_us <= now_us || entry->due_us - now_us > NAME_REPEAT_US + NAME_SKEW_US;
}

/* Tells what is due; its texts outlive that, whatever becomes of the entry meanwhile. */
static void tell_list(struct name_table *table, struct list *list, int64_t now_us)
{
	while (!list_empty(list)) {
		struct name_entry *entry = list_entry(list->next, struct name_entry, due), told;

		if (!is_due(entry, now_us))
			return;
		list_remove(&entry->due);
		told = *entry;
		entry->untold = 0;
		name_text_share(told.text);
		tell(table, &told);
		name_text_release(&table->exchanges, told.text);
	}
}

/* Entries come and go. */

static void remove_entry(struct name_table *table, struct name_entry *entry)
{
	struct name_entry **link = chain_of(table, &entry->address);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	list_remove(&entry->by_use);
	list_remove(&entry->due);
	name_text_release(&table->exchanges, entry->text);
	entry->text = NULL;
	entry->chain = table->free;
	table->free = entry;
	table->counters.count--;
}

static void evict(struct name_table *table, struct name_entry *entry)
{
	struct name_entry gone = *entry;

	name_text_share(gone.text);
	remove_entry(table, entry);
	table->counters.evicted++;
	if (gone.untold > 0)
		tell(table, &gone);
	name_text_release(&table->exchanges, gone.text);
}

/* The entry about the address that was used longest ago, if there are too many. */
static struct name_entry *surplus(const struct name_table *table, const struct addr *address)
{
	struct name_entry *oldest = NULL;
	size_t count = 0;

	for (struct name_entry *entry = *chain_of(table, address); entry; entry = entry->chain) {
		if (!addr_equal(&entry->address, address))
			continue;
		count++;
		if (!oldest || entry->last_us < oldest->last_us)
			oldest = entry;
	}
	return count < NAME_TABLE_ADDRESS_MAX ? NULL : oldest;
}

static struct name_entry *take_free(struct name_table *table)
{
	struct name_entry *entry = table->free;

	if (!entry)
		return &table->entries[table->unused++];
	table->free = entry->chain;
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static void make_room(struct name_table *table, const struct addr *address)
{
	struct name_entry *entry = surplus(table, address);

	if (entry)
		evict(table, entry);
	if (!table->free && table->unused == table->options.max_names)
		evict(table, list_entry(table->by_use.next, struct name_entry, by_use));
}

/* Who asked. */

static int64_t pause_us(uint32_t ttl_s)
{
	return ttl_s * (int64_t)US_PER_S + NAME_GRACE_US;
}

/* No record of the entry spans a pause: files may be read out of order, or have gaps. */
static bool adjoins(
	const struct name_entry *entry, int64_t first_us, int64_t last_us, uint32_t ttl_s)
{
	return entry->first_us - last_us <= pause_us(ttl_s) &&
	       (entry->untold == 0 || first_us - entry->last_us <= pause_us(entry->ttl_s));
}

/* What is not known of the namespace is not the same as what is: it names flows of each. */
static bool same_place(const struct flow_key *a, const struct flow_key *b)
{
	return a->tunnel == b->tunnel && a->tunnel_id == b->tunnel_id && a->netns == b->netns;
}

static bool same_evidence(const struct name_entry *a, const struct name_entry *b)
{
	return a != b && a->source == b->source && addr_equal(&a->address, &b->address) &&
	       same_place(&a->key, &b->key) && process_ref_equal(&a->asker, &b->asker) &&
	       strcmp(a->text->octets, b->text->octets) == 0 &&
	       strcmp(a->text->owner, b->text->owner) == 0;
}

/* The settled entry that says the same. */
static struct name_entry *find_same(const struct name_table *table, const struct name_entry *like)
{
	struct name_entry *entry = *chain_of(table, &like->address);

	while (entry && !(entry->settled && same_evidence(entry, like) &&
				adjoins(entry, like->first_us, like->last_us, like->ttl_s)))
		entry = entry->chain;
	return entry;
}

static void seen_again(struct name_entry *entry, int64_t time_us, uint32_t ttl_s)
{
	if (time_us < entry->last_us)
		return; /* out of order: it only counts */
	entry->before_us = entry->last_us;
	if (time_us - entry->last_us > pause_us(entry->ttl_s))
		entry->first_us = entry->before_us = time_us;
	entry->last_us = time_us;
	entry->ttl_s = ttl_s;
}

/* The flows of one name may differ in what else they said of it. */
static void learn(struct name_entry *entry, bool ech, const char alpn[static sizeof(entry->alpn)])
{
	entry->ech |= ech;
	if (!entry->alpn[0])
		memcpy(entry->alpn, alpn, sizeof(entry->alpn));
}

/* count more sightings, the first of them at from_us. */
static void count_untold(
	struct name_table *table, struct name_entry *entry, int64_t from_us, uint64_t count)
{
	if (entry->untold == 0) {
		entry->untold_us = from_us;
		if (entry->settled)
			set_due(entry, &table->repeated, from_us + NAME_REPEAT_US);
	}
	entry->untold += count;
}

static void settle(struct name_table *table, struct name_entry *entry)
{
	struct name_entry *same;

	entry->settled = true;
	same = find_same(table, entry);
	if (!same) {
		set_due(entry, &table->fresh, 0);
		return;
	}
	learn(same, entry->ech, entry->alpn);
	count_untold(table, same, entry->untold_us, entry->untold);
	seen_again(same, entry->first_us, entry->ttl_s);
	if (entry->last_us > entry->first_us)
		seen_again(same, entry->last_us, entry->ttl_s);
	list_remove(&same->by_use);
	list_append(&table->by_use, &same->by_use);
	remove_entry(table, entry);
}

bool name_entry_settle(struct name_table *table, struct name_entry *entry)
{
	const struct process_ref *user;

	if (entry->settled)
		return true;
	user = name_exchange_user(&table->exchanges, &entry->key, entry->last_us);
	if (!user)
		return false;
	entry->asker = *user;
	settle(table, entry);
	return true;
}

static void settle_waiting(struct name_table *table, int64_t now_us)
{
	struct list *node = table->waiting.next, *next;

	for (; node != &table->waiting; node = next) {
		struct name_entry *entry = list_entry(node, struct name_entry, due);

		next = node->next;
		if (!name_entry_settle(table, entry) && is_due(entry, now_us))
			settle(table, entry);
	}
}

void name_table_tell(struct name_table *table, int64_t now_us)
{
	settle_waiting(table, now_us);
	tell_list(table, &table->fresh, now_us);
	tell_list(table, &table->repeated, now_us);
}

void name_table_tell_all(struct name_table *table)
{
	name_table_tell(table, INT64_MAX);
}

void name_table_shift(struct name_table *table, int64_t step_us)
{
	for (size_t i = 0; i < table->unused; i++) {
		struct name_entry *entry = &table->entries[i];

		entry->first_us += step_us;
		entry->before_us += step_us;
		entry->last_us += step_us;
		entry->untold_us += step_us;
		if (entry->due_us)
			entry->due_us += step_us;
	}
	name_exchange_shift(&table->exchanges, step_us);
}

/* Evidence. */

/* The same of the same asker, or of the same flow as long as the asker is not known. */
static struct name_entry *find_entry(const struct name_table *table,
	const struct name_evidence *evidence, const char *owner, const struct process_ref *asker)
{
	struct name_entry *entry = *chain_of(table, &evidence->address);

	for (; entry; entry = entry->chain) {
		if (entry->source != evidence->source ||
			!addr_equal(&entry->address, &evidence->address) ||
			!same_place(&entry->key, &evidence->key) ||
			!adjoins(entry, evidence->time_us, evidence->time_us, evidence->ttl_s) ||
			strcmp(entry->text->octets, evidence->name) != 0 ||
			strcmp(entry->text->owner, owner) != 0)
			continue;
		if (entry->settled ? asker && process_ref_equal(&entry->asker, asker)
				   : flow_key_equal(&entry->key, &evidence->key))
			return entry;
	}
	return NULL;
}

static void add_entry(struct name_table *table, const struct name_evidence *evidence,
	struct name_text *text, const struct process_ref *asker)
{
	struct name_entry *entry = take_free(table), **chain = chain_of(table, &evidence->address);

	*entry = (struct name_entry){
		.chain = *chain,
		.address = evidence->address,
		.key = evidence->key,
		.text = text,
		.first_us = evidence->time_us,
		.before_us = evidence->time_us,
		.last_us = evidence->time_us,
		.untold_us = evidence->time_us,
		.untold = 1,
		.ttl_s = evidence->ttl_s,
		.source = evidence->source,
		.settled = asker != NULL,
		.ech = evidence->ech,
	};
	memcpy(entry->alpn, evidence->alpn, sizeof(entry->alpn));
	list_init(&entry->due);
	*chain = entry;
	list_append(&table->by_use, &entry->by_use);
	if (asker) {
		entry->asker = *asker;
		set_due(entry, &table->fresh, 0);
	} else {
		set_due(entry, &table->waiting, evidence->time_us + NAME_ASKER_WAIT_US);
	}
	table->counters.count++;
	table->counters.added++;
}

/* What a flow said first stays its name until it is over, as far as that can be told. */
static void keep_said(
	struct name_table *table, const struct name_evidence *evidence, struct name_text *text)
{
	struct name_exchange *exchange = name_exchange_get(&table->exchanges, &evidence->key);

	if (exchange->said && evidence->time_us - exchange->said_us <= SAID_KEPT_US)
		return;
	name_exchange_forget(&table->exchanges, exchange);
	exchange->said = name_text_share(text);
	exchange->said_us = evidence->time_us;
	exchange->address = evidence->address;
	exchange->source = evidence->source;
}

/* NULL: not known, or not yet. */
static const struct process_ref *asker_of(
	const struct name_table *table, const struct name_evidence *evidence)
{
	if (process_ref_known(&evidence->asker))
		return &evidence->asker;
	return name_exchange_user(&table->exchanges, &evidence->key, evidence->time_us);
}

void name_table_put(struct name_table *table, const struct name_evidence *evidence)
{
	const char *owner = strcmp(evidence->query, evidence->name) == 0 ? "" : evidence->query;
	const struct process_ref *user = asker_of(table, evidence);
	const struct process_ref known = user ? *user : (struct process_ref){0};
	const struct process_ref *asker = user ? &known : NULL; /* whatever becomes of user */
	struct name_entry *entry = find_entry(table, evidence, owner, asker);
	struct name_text *text = entry ? name_text_share(entry->text)
				       : name_text_new(&table->exchanges, evidence->name, owner);

	table->counters.evidence++;
	if (!text) {
		table->counters.failed++;
		return;
	}
	if (name_source_is_own(evidence->source))
		keep_said(table, evidence, text);
	if (entry) {
		learn(entry, evidence->ech, evidence->alpn);
		count_untold(table, entry, evidence->time_us, 1);
		seen_again(entry, evidence->time_us, evidence->ttl_s);
		list_remove(&entry->by_use);
		list_append(&table->by_use, &entry->by_use);
	} else {
		make_room(table, &evidence->address);
		add_entry(table, evidence, name_text_share(text), asker);
	}
	name_text_release(&table->exchanges, text);
}

static bool is_name_service(uint16_t port)
{
	return port == 53 || port == 5353 || port == 5355;
}

void name_table_client(struct name_table *table, const struct flow_record *record)
{
	const struct flow_key *key = &record->key;

	if (process_ref_known(&record->user) && record->direction != FLOW_DIRECTION_IN &&
		(key->protocol == 6 || key->protocol == 17) && is_name_service(key->remote_port))
		name_exchange_set_user(name_exchange_get(&table->exchanges, key), record);
}

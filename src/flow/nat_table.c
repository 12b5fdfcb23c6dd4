/* Each mapping is found by either of its sides, so it is in two hash chains; the newest comes first
 * in a chain, and is the one that a flow is joined to. The hash is keyed, for strangers choose the
 * ends. */
#include "flow/nat_table.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "util/list.h"

/* With the same ends at one side: whoever takes one port again and again, at any pace, makes no
 * chain that is long. */
enum { SAME_MAX = 16 };

struct entry;

/* A connection as one of its ends sees it. */
struct side {
	struct side *chain;
	struct entry *entry;
	uint64_t hash;
	struct flow_key key;
	uint32_t netns; /* of the flow that was joined first; 0 none yet */
};

struct entry {
	struct side sides[2]; /* original, reply */
	struct list recent;   /* in live by from_us, in gone by until_us, or free */
	int64_t from_us;
	int64_t until_us; /* 0: still there */
	uint64_t told;    /* in this round, or an earlier one */
};

struct nat_table {
	struct nat_table_options options;
	struct nat_table_counters counters;
	struct entry *entries; /* entries[unused..] were never used: their memory is untouched */
	struct side **chains;
	struct list live, gone, free;
	size_t unused;
	uint64_t round; /* of telling all that is there */
	uint64_t mask;  /* number of chains less one */
};

int nat_table_new(const struct nat_table_options *options, struct nat_table **ret_table)
{
	struct nat_table *table = calloc(1, sizeof(*table));
	size_t chains = hash_buckets_for(2 * options->max_mappings);

	assert(options->max_mappings > 0);
	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->mask = chains - 1;
	table->entries = calloc(options->max_mappings, sizeof(*table->entries));
	table->chains = calloc(chains, sizeof(struct side *));
	list_init(&table->live);
	list_init(&table->gone);
	list_init(&table->free);
	if (!table->entries || !table->chains) {
		nat_table_free(table);
		return -ENOMEM;
	}
	*ret_table = table;
	return 0;
}

void nat_table_free(struct nat_table *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table->chains);
	free(table);
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

/* What a side is found by, whatever else its key holds. */
static struct flow_key ends_of(const struct flow_key *key)
{
	return (struct flow_key){
		.local = key->local,
		.remote = key->remote,
		.local_port = has_ports(key->protocol) ? key->local_port : 0,
		.remote_port = has_ports(key->protocol) ? key->remote_port : 0,
		.protocol = key->protocol,
	};
}

static void link_side(struct nat_table *table, struct side *side, const struct flow_key *key)
{
	struct side **chain;

	side->key = ends_of(key);
	side->hash = flow_key_hash(&side->key, &table->options.hash_key);
	side->netns = 0;
	chain = &table->chains[side->hash & table->mask];
	side->chain = *chain;
	*chain = side;
}

static void unlink_side(struct nat_table *table, struct side *side)
{
	struct side **link = &table->chains[side->hash & table->mask];

	while (*link != side)
		link = &(*link)->chain;
	*link = side->chain;
}

/* The next one from at on that has this key, newest first; NULL if there is none. */
static struct side *next_match(struct side *at, const struct flow_key *key, uint64_t hash)
{
	while (at && (at->hash != hash || !flow_key_equal(&at->key, key)))
		at = at->chain;
	return at;
}

static struct side *first_match(
	const struct nat_table *table, const struct flow_key *key, uint64_t *ret_hash)
{
	*ret_hash = flow_key_hash(key, &table->options.hash_key);
	return next_match(table->chains[*ret_hash & table->mask], key, *ret_hash);
}

static void forget(struct nat_table *table, struct entry *entry)
{
	unlink_side(table, &entry->sides[0]);
	unlink_side(table, &entry->sides[1]);
	list_remove(&entry->recent);
	list_append(&table->free, &entry->recent);
	table->counters.count--;
}

static struct entry *oldest(struct list *list)
{
	return list_entry(list->next, struct entry, recent);
}

/* The flow of a mapping that is older than keep_us has been stored with it. */
static void evict(struct nat_table *table, struct entry *entry, int64_t now_us)
{
	if (entry->until_us == 0 && now_us - entry->from_us < table->options.keep_us)
		table->counters.evicted++;
	forget(table, entry);
}

/* Forgets the oldest one with this key if there are too many. */
static void thin(struct nat_table *table, const struct flow_key *key, int64_t now_us)
{
	struct flow_key ends = ends_of(key);
	struct side *last = NULL, *side;
	uint64_t hash;
	int count = 0;

	for (side = first_match(table, &ends, &hash); side;
		side = next_match(side->chain, &ends, hash)) {
		last = side;
		count++;
	}
	if (count >= SAME_MAX)
		evict(table, last->entry, now_us);
}

static void make_room(struct nat_table *table, int64_t now_us)
{
	if (list_empty(&table->free) && table->unused == table->options.max_mappings)
		evict(table, oldest(list_empty(&table->gone) ? &table->live : &table->gone),
			now_us);
}

static struct entry *take_free(struct nat_table *table, int64_t now_us)
{
	struct entry *entry;

	make_room(table, now_us);
	if (list_empty(&table->free)) {
		entry = &table->entries[table->unused++];
		list_init(&entry->recent);
		entry->sides[0].entry = entry->sides[1].entry = entry;
		return entry;
	}
	entry = oldest(&table->free);
	list_remove(&entry->recent);
	return entry;
}

/* The mapping that is still there; NULL if there is none. */
static struct entry *find_live(const struct nat_table *table, const struct nat_mapping *mapping)
{
	struct flow_key original = ends_of(&mapping->original), reply = ends_of(&mapping->reply);
	uint64_t hash;
	struct side *side = first_match(table, &original, &hash);

	for (; side; side = next_match(side->chain, &original, hash))
		if (side == &side->entry->sides[0] && side->entry->until_us == 0 &&
			flow_key_equal(&side->entry->sides[1].key, &reply))
			return side->entry;
	return NULL;
}

void nat_table_put(struct nat_table *table, const struct nat_mapping *mapping, int64_t from_us)
{
	struct entry *entry = find_live(table, mapping);

	if (entry) {
		entry->told = table->round;
		return;
	}
	thin(table, &mapping->original, from_us);
	thin(table, &mapping->reply, from_us);
	entry = take_free(table, from_us);
	entry->told = table->round;
	entry->from_us = from_us;
	entry->until_us = 0;
	link_side(table, &entry->sides[0], &mapping->original);
	link_side(table, &entry->sides[1], &mapping->reply);
	list_append(&table->live, &entry->recent);
	table->counters.added++;
	table->counters.count++;
}

static void end(struct nat_table *table, struct entry *entry, int64_t until_us)
{
	entry->until_us = until_us > 0 ? until_us : 1;
	list_remove(&entry->recent);
	list_append(&table->gone, &entry->recent);
}

void nat_table_gone(struct nat_table *table, const struct nat_mapping *mapping, int64_t until_us)
{
	struct entry *entry = find_live(table, mapping);

	if (entry)
		end(table, entry, until_us);
}

void nat_table_begin_all(struct nat_table *table)
{
	table->round++;
}

void nat_table_end_all(struct nat_table *table, int64_t until_us)
{
	struct list *node = table->live.next, *next;

	for (; node != &table->live; node = next) {
		struct entry *entry = list_entry(node, struct entry, recent);

		next = node->next;
		if (entry->told != table->round)
			end(table, entry, until_us);
	}
}

static bool overlaps(const struct entry *entry, const struct flow_record *record)
{
	return entry->from_us - NAT_SKEW_US <= record->end_us &&
	       (entry->until_us == 0 || record->start_us <= entry->until_us + NAT_SKEW_US);
}

static bool takes_netns(struct side *side, uint32_t netns)
{
	if (side->netns == 0)
		side->netns = netns;
	return netns == 0 || side->netns == netns;
}

static struct flow_key turned(const struct flow_key *key)
{
	return (struct flow_key){
		.local = key->remote,
		.remote = key->local,
		.local_port = key->remote_port,
		.remote_port = key->local_port,
		.protocol = key->protocol,
	};
}

/* The newest side with this key that was there at some time of the flow; NULL if there is none. */
static struct side *find_side(
	const struct nat_table *table, const struct flow_key *key, const struct flow_record *record)
{
	uint64_t hash;
	struct side *side = first_match(table, key, &hash);

	while (side && !overlaps(side->entry, record))
		side = next_match(side->chain, key, hash);
	return side;
}

/* The key of the other side. */
static struct flow_key other_of(const struct side *side)
{
	return side->entry->sides[side == side->entry->sides].key;
}

/* Of a flow with these ends. Returns false if there is none. */
static bool find_beyond(struct nat_table *table, const struct flow_key *key,
	const struct flow_record *record, struct flow_key *ret_beyond)
{
	struct flow_key back = turned(key), other;
	struct side *side = find_side(table, key, record);

	if (side && !takes_netns(side, record->key.netns)) {
		table->counters.ambiguous++;
		return false;
	}
	if (side) {
		other = other_of(side);
		*ret_beyond = turned(&other);
		return true;
	}
	side = find_side(table, &back, record);
	if (side)
		*ret_beyond = other_of(side);
	return side;
}

bool nat_table_flow(
	struct nat_table *table, const struct flow_record *record, struct nat_ends *ret_ends)
{
	struct flow_key key = ends_of(&record->key), beyond;
	bool ports = has_ports(key.protocol);

	if (table->counters.count == 0 || record->key.tunnel != FLOW_TUNNEL_NONE ||
		!find_beyond(table, &key, record, &beyond))
		return false;
	*ret_ends = (struct nat_ends){
		.local = beyond.local,
		.remote = beyond.remote,
		.local_port = ports ? beyond.local_port : record->key.local_port,
		.remote_port = ports ? beyond.remote_port : record->key.remote_port,
	};
	table->counters.joined++;
	return true;
}

void nat_table_expire(struct nat_table *table, int64_t now_us)
{
	while (!list_empty(&table->gone)) {
		struct entry *entry = oldest(&table->gone);

		if (now_us - entry->until_us < table->options.keep_us)
			return;
		forget(table, entry);
	}
}

void nat_table_shift(struct nat_table *table, int64_t step_us)
{
	for (size_t i = 0; i < table->unused; i++) {
		struct entry *entry = &table->entries[i];

		entry->from_us += step_us;
		if (entry->until_us == 0)
			continue;
		entry->until_us += step_us;
		if (entry->until_us <= 0)
			entry->until_us = 1; /* 0 would be: still there */
	}
}

void nat_table_counters(const struct nat_table *table, struct nat_table_counters *ret_counters)
{
	*ret_counters = table->counters;
}

/* One preallocated array (untouched pages cost nothing) under a keyed hash: strangers choose the
 * ends. Only texts are allocated, for new evidence, not for packets. */
#include "process/name_exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process/name_table.h"

int name_exchange_init(struct name_exchanges *exchanges, size_t max, struct hash_key hash_key)
{
	size_t chains = hash_buckets_for(max);

	list_init(&exchanges->by_use);
	exchanges->max = max;
	exchanges->mask = chains - 1;
	exchanges->hash_key = hash_key;
	exchanges->entries = calloc(max, sizeof(*exchanges->entries));
	exchanges->chains = calloc(chains, sizeof(struct name_exchange *));
	return exchanges->entries && exchanges->chains ? 0 : -ENOMEM;
}

void name_exchange_done(struct name_exchanges *exchanges)
{
	for (size_t i = 0; exchanges->entries && i < exchanges->unused; i++)
		name_text_release(exchanges, exchanges->entries[i].said);
	free(exchanges->entries);
	free(exchanges->chains);
}

struct flow_key name_exchange_reversed(const struct flow_key *key)
{
	struct flow_key reversed = *key;

	reversed.local = key->remote;
	reversed.remote = key->local;
	reversed.local_port = key->remote_port;
	reversed.remote_port = key->local_port;
	return reversed;
}

static bool same_local(const struct flow_key *a, const struct flow_key *b)
{
	return addr_is_unspecified(&a->local) || addr_is_unspecified(&b->local) ||
	       addr_equal(&a->local, &b->local);
}

/* A socket does not know what its packets are carried in. */
static bool same_tunnel(const struct flow_key *a, const struct flow_key *b)
{
	return a->tunnel == b->tunnel || a->socket_cookie || b->socket_cookie;
}

bool name_exchange_same(const struct flow_key *a, const struct flow_key *b)
{
	return a->protocol == b->protocol && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port && addr_equal(&a->remote, &b->remote) &&
	       same_local(a, b) && same_tunnel(a, b) &&
	       (a->netns == b->netns || !a->netns || !b->netns);
}

/* The local address and the tunnel may be known to one source only: they are no part of the hash.
 */
static struct name_exchange **chain_of(
	const struct name_exchanges *exchanges, const struct flow_key *key)
{
	struct {
		struct addr remote;
		uint16_t local_port, remote_port;
		uint32_t protocol;
	} where = {key->remote, key->local_port, key->remote_port, key->protocol};

	return &exchanges->chains[hash_octets(&exchanges->hash_key, &where, sizeof(where)) &
				  exchanges->mask];
}

struct name_exchange *name_exchange_find(
	const struct name_exchanges *exchanges, const struct flow_key *key)
{
	struct name_exchange *exchange = *chain_of(exchanges, key);

	while (exchange && !name_exchange_same(&exchange->key, key))
		exchange = exchange->chain;
	return exchange;
}

void name_exchange_set_user(struct name_exchange *exchange, const struct flow_record *record)
{
	exchange->user = record->user;
	exchange->user_from_us = record->start_us - NAME_SKEW_US;
	exchange->user_until_us =
		record->kind == FLOW_RECORD_END ? record->end_us + NAME_SKEW_US : INT64_MAX;
}

static bool has_user(const struct name_exchange *exchange, int64_t time_us)
{
	return exchange && process_ref_known(&exchange->user) &&
	       time_us >= exchange->user_from_us && time_us <= exchange->user_until_us;
}

const struct process_ref *name_exchange_user(
	const struct name_exchanges *exchanges, const struct flow_key *key, int64_t time_us)
{
	const struct flow_key reversed = name_exchange_reversed(key);
	const struct name_exchange *exchange = name_exchange_find(exchanges, key);

	if (!has_user(exchange, time_us))
		exchange = name_exchange_find(exchanges, &reversed);
	return has_user(exchange, time_us) ? &exchange->user : NULL;
}

void name_exchange_shift(struct name_exchanges *exchanges, int64_t step_us)
{
	for (size_t i = 0; i < exchanges->unused; i++) {
		struct name_exchange *exchange = &exchanges->entries[i];

		exchange->user_from_us += step_us;
		if (exchange->user_until_us != INT64_MAX)
			exchange->user_until_us += step_us;
		exchange->said_us += step_us;
	}
}

void name_exchange_forget(struct name_exchanges *exchanges, struct name_exchange *exchange)
{
	name_text_release(exchanges, exchange->said);
	exchange->said = NULL;
}

static void evict(struct name_exchanges *exchanges)
{
	struct name_exchange *oldest =
		list_entry(exchanges->by_use.next, struct name_exchange, by_use);
	struct name_exchange **link = chain_of(exchanges, &oldest->key);

	while (*link != oldest)
		link = &(*link)->chain;
	*link = oldest->chain;
	list_remove(&oldest->by_use);
	name_exchange_forget(exchanges, oldest);
	oldest->chain = exchanges->free;
	exchanges->free = oldest;
}

static struct name_exchange *take_free(struct name_exchanges *exchanges)
{
	struct name_exchange *exchange;

	if (!exchanges->free && exchanges->unused == exchanges->max)
		evict(exchanges);
	exchange = exchanges->free;
	if (!exchange)
		return &exchanges->entries[exchanges->unused++];
	exchanges->free = exchange->chain;
	memset(exchange, 0, sizeof(*exchange));
	return exchange;
}

struct name_exchange *name_exchange_get(
	struct name_exchanges *exchanges, const struct flow_key *key)
{
	struct name_exchange *exchange = name_exchange_find(exchanges, key), **chain;

	if (exchange) {
		list_remove(&exchange->by_use);
	} else {
		exchange = take_free(exchanges);
		chain = chain_of(exchanges, key);
		exchange->key = *key;
		exchange->chain = *chain;
		*chain = exchange;
	}
	list_append(&exchanges->by_use, &exchange->by_use);
	return exchange;
}

struct name_text *name_text_new(
	struct name_exchanges *exchanges, const char *name, const char *owner)
{
	size_t name_size = strlen(name) + 1, owner_size = strlen(owner) + 1;
	struct name_text *text = malloc(sizeof(*text) + name_size + owner_size);

	if (!text)
		return NULL;
	text->owners = 1;
	text->size = name_size + owner_size;
	memcpy(text->octets, name, name_size);
	text->owner = memcpy(text->octets + name_size, owner, owner_size);
	exchanges->text_octets += text->size;
	return text;
}

struct name_text *name_text_share(struct name_text *text)
{
	text->owners++;
	return text;
}

void name_text_release(struct name_exchanges *exchanges, struct name_text *text)
{
	if (!text || --text->owners > 0)
		return;
	exchanges->text_octets -= text->size;
	free(text);
}

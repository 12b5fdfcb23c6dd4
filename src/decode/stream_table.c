/* A hash with two lists in the order of use: those that keep octets, and the others. A slot that
 * became free is the next to be taken, so that a quiet machine touches few pages. */
#include "decode/stream_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream_table {
	struct stream *streams;
	struct stream **chains;
	struct stream *free; /* by chain */
	struct list partial, others;
	struct hash_key hash_key;
	size_t max, taken; /* slots that ever were in use */
	uint64_t mask;
	uint64_t evicted;
};

int stream_table_new(size_t max, struct hash_key hash_key, struct stream_table **ret_table)
{
	struct stream_table *table = calloc(1, sizeof(*table));
	size_t chains = hash_buckets_for(max);

	assert(max > 0);
	if (!table)
		return -ENOMEM;
	table->streams = calloc(max, sizeof(*table->streams));
	table->chains = calloc(chains, sizeof(struct stream *));
	if (!table->streams || !table->chains) {
		stream_table_free(table);
		return -ENOMEM;
	}
	list_init(&table->partial);
	list_init(&table->others);
	table->hash_key = hash_key;
	table->max = max;
	table->mask = chains - 1;
	*ret_table = table;
	return 0;
}

void stream_table_free(struct stream_table *table)
{
	if (!table)
		return;
	free(table->streams);
	free(table->chains);
	free(table);
}

uint64_t stream_table_evicted(const struct stream_table *table)
{
	return table->evicted;
}

static struct stream_key key_of(const struct decode_packet *packet)
{
	return (struct stream_key){
		.source = packet->source,
		.destination = packet->destination,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.protocol = packet->protocol,
		.tunnel = (uint8_t)packet->tunnel,
		.netns = packet->netns,
	};
}

static struct stream **chain_of(struct stream_table *table, const struct stream_key *key)
{
	return &table->chains[hash_octets(&table->hash_key, key, sizeof(*key)) & table->mask];
}

static struct list *list_of(struct stream_table *table, enum stream_state state)
{
	return state == STREAM_PARTIAL ? &table->partial : &table->others;
}

static struct stream *find(struct stream_table *table, const struct stream_key *key)
{
	struct stream *stream = *chain_of(table, key);

	while (stream && memcmp(&stream->key, key, sizeof(*key)) != 0)
		stream = stream->chain;
	return stream;
}

static void use(struct stream_table *table, struct stream *stream)
{
	list_remove(&stream->used);
	list_append(list_of(table, stream->state), &stream->used);
}

struct stream *stream_table_find(struct stream_table *table, const struct decode_packet *packet)
{
	struct stream_key key = key_of(packet);
	struct stream *stream = find(table, &key);

	if (stream)
		use(table, stream);
	return stream;
}

static void unlink_stream(struct stream_table *table, struct stream *stream)
{
	struct stream **link = chain_of(table, &stream->key);

	while (*link != stream)
		link = &(*link)->chain;
	*link = stream->chain;
	list_remove(&stream->used);
}

void stream_table_end(struct stream_table *table, struct stream *stream)
{
	table->evicted += stream->state == STREAM_PARTIAL;
	unlink_stream(table, stream);
	stream->chain = table->free;
	table->free = stream;
}

static struct stream *evict(struct stream_table *table)
{
	struct list *list = list_empty(&table->others) ? &table->partial : &table->others;
	struct stream *stream = list_entry(list->next, struct stream, used);

	table->evicted += stream->state == STREAM_PARTIAL;
	unlink_stream(table, stream);
	return stream;
}

static struct stream *take_slot(struct stream_table *table)
{
	struct stream *stream = table->free;

	if (stream) {
		table->free = stream->chain;
		return stream;
	}
	return table->taken < table->max ? &table->streams[table->taken++] : evict(table);
}

static struct stream *add(struct stream_table *table, const struct stream_key *key)
{
	struct stream *stream = take_slot(table), **chain = chain_of(table, key);

	stream->key = *key;
	stream->chain = *chain;
	*chain = stream;
	list_init(&stream->used);
	return stream;
}

struct stream *stream_table_begin(struct stream_table *table, const struct decode_packet *packet)
{
	struct stream_key key = key_of(packet);
	struct stream *stream = find(table, &key);

	if (!stream)
		stream = add(table, &key);
	else
		table->evicted += stream->state == STREAM_PARTIAL;
	reassembly_clear(&stream->octets);
	stream_table_set(table, stream, STREAM_FRESH);
	return stream;
}

void stream_table_set(struct stream_table *table, struct stream *stream, enum stream_state state)
{
	stream->state = state;
	use(table, stream);
}

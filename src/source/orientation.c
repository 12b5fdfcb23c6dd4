/* A hash of conversations with one list in the order of use. The key is the pair of ends, the
 * smaller one first, so that both ways of a conversation meet. */
#include "source/orientation.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/observation.h"
#include "util/list.h"

enum { PROTOCOL_TCP = 6, SYSTEM_PORTS = 1024 };

struct end {
	struct addr addr;
	uint16_t port;
};

struct conversation_key {
	struct end low, high;
	uint8_t protocol;
	uint8_t tunnel;
	uint8_t zero[2]; /* keeps padding defined: hashed and compared as octets */
};

_Static_assert(sizeof(struct conversation_key) == 40, "conversation_key has no padding");

/* One of the two ways of a conversation: where it counts. */
struct way {
	uint32_t interface; /* 0: none told yet */
	int64_t seen_ns;    /* there */
};

struct conversation {
	struct conversation_key key;
	bool low_is_local;
	bool by_address;
	bool both; /* ends are local, and each has a flow of its own */
	uint8_t direction;
	struct way ways[2]; /* from the high end, from the low end */
	struct conversation *chain;
	struct list used;
};

struct orientation {
	struct orientation_options options;
	struct source_pcap_range *local;
	size_t local_count;
	struct conversation *conversations;
	struct conversation **chains;
	struct list used; /* longest silent first */
	size_t count;
	uint64_t mask;
	uint64_t evicted;
};

int orientation_new(const struct orientation_options *options, struct orientation **ret_orientation)
{
	struct orientation *orientation = calloc(1, sizeof(*orientation));
	size_t chains = hash_buckets_for(options->max_conversations);

	assert(options->max_conversations > 0);
	if (!orientation)
		return -ENOMEM;
	orientation->options = *options;
	orientation->mask = chains - 1;
	list_init(&orientation->used);
	orientation->conversations =
		calloc(options->max_conversations, sizeof(*orientation->conversations));
	orientation->chains = calloc(chains, sizeof(struct conversation *));
	if (!orientation->conversations || !orientation->chains ||
		orientation_set_local(orientation, options->local, options->local_count)) {
		orientation_free(orientation);
		return -ENOMEM;
	}
	*ret_orientation = orientation;
	return 0;
}

int orientation_set_local(
	struct orientation *orientation, const struct source_pcap_range *local, size_t local_count)
{
	size_t octets = local_count * sizeof(*local);
	struct source_pcap_range *copy = malloc(octets + 1);

	if (!copy)
		return -ENOMEM;
	if (octets)
		memcpy(copy, local, octets);
	free(orientation->local);
	orientation->local = copy;
	orientation->local_count = local_count;
	return 0;
}

void orientation_free(struct orientation *orientation)
{
	if (!orientation)
		return;
	free(orientation->local);
	free(orientation->conversations);
	free(orientation->chains);
	free(orientation);
}

uint64_t orientation_evicted(const struct orientation *orientation)
{
	return orientation->evicted;
}

static bool is_among(const struct orientation *orientation, const struct addr *addr, bool broadcast)
{
	for (size_t i = 0; i < orientation->local_count; i++) {
		const struct source_pcap_range *range = &orientation->local[i];

		if (range->broadcast == broadcast &&
			memcmp(addr, &range->first, sizeof(*addr)) >= 0 &&
			memcmp(addr, &range->last, sizeof(*addr)) <= 0)
			return true;
	}
	return false;
}

/* Multicast or broadcast. */
static bool is_group(const struct orientation *orientation, const struct addr *addr)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (!addr_is_v4(addr))
		return addr->octets[0] == 0xff;
	return addr->octets[12] >> 4 == 14 || memcmp(addr->octets + 12, broadcast, 4) == 0 ||
	       is_among(orientation, addr, true);
}

static bool is_syn(const struct decode_packet *packet)
{
	return packet->protocol == PROTOCOL_TCP && packet->tcp_flags & OBSERVATION_TCP_SYN;
}

/* Whether the sender of the first packet began the conversation, as far as it shows. */
static bool sender_began(const struct decode_packet *packet)
{
	if (is_syn(packet))
		return !(packet->tcp_flags & OBSERVATION_TCP_ACK);
	if (packet->reply)
		return false;
	return packet->source_port >= SYSTEM_PORTS || packet->destination_port < SYSTEM_PORTS;
}

static enum flow_direction direction_of(bool local_began)
{
	return local_began ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_IN;
}

/* What the addresses leave open. */
static bool sender_seems_local(const struct decode_packet *packet, bool began)
{
	switch (packet->sender) {
	case DECODE_SENDER_LOCAL:
		return true;
	case DECODE_SENDER_REMOTE:
		return false;
	case DECODE_SENDER_UNKNOWN:
		break;
	}
	return began;
}

/* Decides on a new conversation; tells whether the sender is the local end. */
static bool settle(const struct orientation *orientation, const struct decode_packet *packet,
	bool began, struct conversation *conversation)
{
	bool known = orientation->local_count > 0;
	bool source = is_among(orientation, &packet->source, false);
	bool destination = is_among(orientation, &packet->destination, false) ||
			   (known && !source && is_group(orientation, &packet->destination));
	bool forwarded = known && !source && !destination;
	bool from_local = source;

	conversation->by_address = source != destination;
	conversation->both = orientation->options.both_ends && source && destination;
	if (forwarded || conversation->both)
		from_local = began;
	else if (source == destination)
		from_local = sender_seems_local(packet, began);
	if (forwarded)
		conversation->direction = FLOW_DIRECTION_FORWARDED;
	else if (packet->protocol == PROTOCOL_TCP && !is_syn(packet))
		conversation->direction = FLOW_DIRECTION_UNKNOWN;
	else
		conversation->direction = (uint8_t)direction_of(from_local == began);
	return from_local;
}

/* The key of a packet; tells whether its source is the low end. */
static bool key_of(const struct decode_packet *packet, struct conversation_key *ret_key)
{
	struct end source = {packet->source, packet->source_port};
	struct end destination = {packet->destination, packet->destination_port};
	bool source_is_low = memcmp(&source, &destination, sizeof(source)) <= 0;

	*ret_key = (struct conversation_key){
		.low = source_is_low ? source : destination,
		.high = source_is_low ? destination : source,
		.protocol = packet->protocol,
		.tunnel = (uint8_t)packet->tunnel,
	};
	return source_is_low;
}

static void forget(struct orientation *orientation, struct conversation *conversation)
{
	uint64_t hash = hash_octets(
		&orientation->options.hash_key, &conversation->key, sizeof(conversation->key));
	struct conversation **link = &orientation->chains[hash & orientation->mask];

	while (*link != conversation)
		link = &(*link)->chain;
	*link = conversation->chain;
	list_remove(&conversation->used);
	orientation->evicted++;
}

static struct conversation *add(
	struct orientation *orientation, const struct conversation_key *key, uint64_t hash)
{
	struct conversation **chain = &orientation->chains[hash & orientation->mask];
	struct conversation *conversation;

	if (orientation->count < orientation->options.max_conversations) {
		conversation = &orientation->conversations[orientation->count++];
	} else {
		conversation = list_entry(orientation->used.next, struct conversation, used);
		forget(orientation, conversation);
	}
	*conversation = (struct conversation){.key = *key, .chain = *chain};
	list_init(&conversation->used);
	*chain = conversation;
	list_append(&orientation->used, &conversation->used);
	return conversation;
}

static struct conversation *find(
	struct orientation *orientation, const struct conversation_key *key, uint64_t hash)
{
	struct conversation *conversation = orientation->chains[hash & orientation->mask];

	while (conversation && memcmp(&conversation->key, key, sizeof(*key)) != 0)
		conversation = conversation->chain;
	if (conversation && orientation->used.prev != &conversation->used) {
		list_remove(&conversation->used);
		list_append(&orientation->used, &conversation->used);
	}
	return conversation;
}

/* Where a packet belongs: its key, the hash of that, the conversation or NULL. */
struct place {
	struct conversation_key key;
	uint64_t hash;
	struct conversation *conversation;
	bool source_is_low;
};

static void look_up(struct orientation *orientation, const struct decode_packet *packet,
	struct place *ret_place)
{
	ret_place->source_is_low = key_of(packet, &ret_place->key);
	ret_place->hash = hash_octets(
		&orientation->options.hash_key, &ret_place->key, sizeof(ret_place->key));
	ret_place->conversation = find(orientation, &ret_place->key, ret_place->hash);
}

static struct orientation_verdict verdict_of(const struct place *place)
{
	const struct conversation *conversation = place->conversation;

	return (struct orientation_verdict){
		.from_local = conversation->low_is_local == place->source_is_low,
		.by_address = conversation->by_address,
		.direction = conversation->direction,
		.both = conversation->both,
	};
}

bool orientation_known(struct orientation *orientation, const struct decode_packet *packet,
	struct orientation_verdict *ret_verdict)
{
	struct place place;

	look_up(orientation, packet, &place);
	if (!place.conversation)
		return false;
	*ret_verdict = verdict_of(&place);
	return true;
}

/* A SYN may use the tuple again, from the other side. */
static void begin_anew(struct conversation *conversation, bool sender_is_low, bool began)
{
	if (conversation->direction == FLOW_DIRECTION_FORWARDED)
		conversation->low_is_local = began == sender_is_low;
	else
		conversation->direction = (uint8_t)direction_of(
			(conversation->low_is_local == sender_is_low) == began);
}

static bool is_copy(struct way *way, uint32_t interface, int64_t time_ns)
{
	int64_t silent_ns = time_ns - way->seen_ns;

	if (!interface)
		return false;
	if (way->interface && way->interface != interface && silent_ns < ORIENTATION_TAKE_OVER_NS &&
		silent_ns > -ORIENTATION_TAKE_OVER_NS)
		return true;
	way->interface = interface;
	way->seen_ns = time_ns;
	return false;
}

/* An end that speaks to itself has but one flow, and only a reply tells the ways apart. */
static struct orientation_verdict verdict_on_itself(
	const struct conversation *conversation, bool began, bool copy)
{
	return (struct orientation_verdict){
		.from_local = began, .direction = conversation->direction, .copy = copy};
}

struct orientation_verdict orientation_of(
	struct orientation *orientation, const struct decode_packet *packet, int64_t time_ns)
{
	struct place place;
	struct conversation *conversation;
	struct orientation_verdict verdict;
	bool began = sender_began(packet), copy;

	look_up(orientation, packet, &place);
	conversation = place.conversation;
	if (!conversation) {
		conversation = place.conversation = add(orientation, &place.key, place.hash);
		conversation->low_is_local =
			settle(orientation, packet, began, conversation) == place.source_is_low;
	} else if (is_syn(packet)) {
		begin_anew(conversation, place.source_is_low, began);
	}
	copy = is_copy(&conversation->ways[place.source_is_low], packet->interface, time_ns);
	if (memcmp(&place.key.low, &place.key.high, sizeof(place.key.low)) == 0)
		return verdict_on_itself(conversation, began, copy);
	verdict = verdict_of(&place);
	verdict.copy = copy;
	return verdict;
}

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

struct conversation {
	struct conversation_key key;
	bool low_is_local;
	bool by_address;
	uint8_t direction;
	struct conversation *chain;
	struct list used;
};

struct orientation {
	struct orientation_options options;
	struct source_pcap_range *local;
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
	size_t local_octets = options->local_count * sizeof(*options->local);

	assert(options->max_conversations > 0);
	if (!orientation)
		return -ENOMEM;
	orientation->options = *options;
	orientation->mask = chains - 1;
	list_init(&orientation->used);
	orientation->local = malloc(local_octets + 1);
	orientation->conversations =
		calloc(options->max_conversations, sizeof(*orientation->conversations));
	orientation->chains = calloc(chains, sizeof(struct conversation *));
	if (!orientation->local || !orientation->conversations || !orientation->chains) {
		orientation_free(orientation);
		return -ENOMEM;
	}
	if (local_octets)
		memcpy(orientation->local, options->local, local_octets);
	*ret_orientation = orientation;
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

static bool is_local(const struct orientation *orientation, const struct addr *addr)
{
	for (size_t i = 0; i < orientation->options.local_count; i++) {
		const struct source_pcap_range *range = &orientation->local[i];

		if (memcmp(addr, &range->first, sizeof(*addr)) >= 0 &&
			memcmp(addr, &range->last, sizeof(*addr)) <= 0)
			return true;
	}
	return false;
}

/* Multicast, or the limited broadcast. */
static bool is_group(const struct addr *addr)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (!addr_is_v4(addr))
		return addr->octets[0] == 0xff;
	return addr->octets[12] >> 4 == 14 || memcmp(addr->octets + 12, broadcast, 4) == 0;
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

static bool sender_is_local(const struct orientation *orientation,
	const struct decode_packet *packet, bool began, bool *ret_by_address)
{
	*ret_by_address = false;
	if (orientation->options.local_count) {
		bool source = is_local(orientation, &packet->source);
		bool destination = is_local(orientation, &packet->destination) ||
				   (!source && is_group(&packet->destination));

		*ret_by_address = source != destination;
		if (source != destination)
			return source;
	}
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
	conversation->key = *key;
	conversation->chain = *chain;
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

struct orientation_verdict orientation_of(
	struct orientation *orientation, const struct decode_packet *packet)
{
	struct place place;
	struct conversation *conversation;
	bool began = sender_began(packet), from_local;

	look_up(orientation, packet, &place);
	conversation = place.conversation;
	if (!conversation) {
		conversation = place.conversation = add(orientation, &place.key, place.hash);
		from_local = sender_is_local(orientation, packet, began, &conversation->by_address);
		conversation->low_is_local = from_local == place.source_is_low;
		conversation->direction = packet->protocol == PROTOCOL_TCP && !is_syn(packet)
						  ? FLOW_DIRECTION_UNKNOWN
						  : direction_of(from_local == began);
	} else {
		from_local = conversation->low_is_local == place.source_is_low;
		if (is_syn(packet)) /* the tuple may be used again, from the other side */
			conversation->direction = (uint8_t)direction_of(from_local == began);
	}
	return verdict_of(&place);
}

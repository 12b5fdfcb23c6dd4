/* The kernel has told apart already whose the packet is: what dissect is given needs no decoder, no
 * orientation and no addresses of this machine. */
#include "source/ebpf_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/flow_event.h"
#include "decode/dissect.h"
#include "util/clock.h"

enum { MAX_STREAMS = 512, GROUP_PORT = 5353, HEARD_MAX = 64 };

#define COPIES_NS (1 * (int64_t)NS_PER_S)

/* A message to a group. */
struct heard {
	uint64_t hash;
	int64_t time_ns;
};

struct ebpf_names {
	const struct source_sink *sink;
	struct dissect *dissect;
	int64_t wall_offset_ns;
	struct hash_key hash_key;
	struct heard heard[HEARD_MAX];
};

static void on_name(void *ctx, const struct name_evidence *evidence)
{
	const struct ebpf_names *names = ctx;
	struct name_evidence told = *evidence;

	told.time_us += names->wall_offset_ns / NS_PER_US;
	names->sink->name(names->sink->ctx, &told);
}

int ebpf_names_new(const struct source_sink *sink, struct ebpf_names **ret_names)
{
	struct ebpf_names *names = calloc(1, sizeof(*names));
	struct dissect_options options = {
		.max_streams = MAX_STREAMS,
		.hash_key = hash_key_random(),
		.name = on_name,
		.ctx = names,
	};

	if (!names)
		return -ENOMEM;
	names->sink = sink;
	names->hash_key = options.hash_key;
	if (dissect_new(&options, &names->dissect) < 0) {
		free(names);
		return -ENOMEM;
	}
	*ret_names = names;
	return 0;
}

void ebpf_names_free(struct ebpf_names *names)
{
	if (names)
		dissect_free(names->dissect);
	free(names);
}

void ebpf_names_set_clock(struct ebpf_names *names, int64_t wall_offset_ns)
{
	names->wall_offset_ns = wall_offset_ns;
}

static enum flow_direction direction_of(const struct event_head *head)
{
	if (head->direction & EVENT_DIRECTION_OUT)
		return FLOW_DIRECTION_OUT;
	return head->direction & EVENT_DIRECTION_IN ? FLOW_DIRECTION_IN : FLOW_DIRECTION_UNKNOWN;
}

static struct observation observation_of(const struct event_head *head)
{
	return (struct observation){
		.key = {.local = addr_from_v6(head->local),
			.remote = addr_from_v6(head->remote),
			.local_port = head->local_port,
			.remote_port = head->remote_port,
			.netns = head->netns,
			.protocol = head->protocol},
		.time_ns = (int64_t)head->time_ns,
		.kind = OBSERVATION_PACKET,
		.direction = direction_of(head),
		.source = FLOW_SOURCE_EBPF,
		.from_local = head->out,
	};
}

static struct decode_packet packet_of(
	const struct event_head *head, const struct flow_key *key, const uint8_t *octets)
{
	return (struct decode_packet){
		.source = head->out ? key->local : key->remote,
		.destination = head->out ? key->remote : key->local,
		.source_port = head->out ? key->local_port : key->remote_port,
		.destination_port = head->out ? key->remote_port : key->local_port,
		.protocol = head->protocol,
		.netns = head->netns,
		.tcp_seq = head->offset,
		.tcp_seq_is_offset = true,
		.octets = head->length,
		.payload = {octets, head->captured, head->length},
	};
}

/* What is sent to the group of mDNS comes to each socket that listens there, the sender's too. */
static bool is_copy(struct ebpf_names *names, const struct decode_packet *packet, int64_t time_ns)
{
	const uint64_t parts[] = {
		hash_octets(&names->hash_key, &packet->source, sizeof(packet->source)),
		hash_octets(&names->hash_key, packet->payload.at, packet->payload.captured),
		packet->netns,
	};
	uint64_t hash = hash_octets(&names->hash_key, parts, sizeof(parts));
	struct heard *heard = &names->heard[hash % HEARD_MAX];
	bool copy = heard->hash == hash && time_ns - heard->time_ns < COPIES_NS;

	if (!copy)
		*heard = (struct heard){hash, time_ns};
	return copy;
}

void ebpf_names_take(struct ebpf_names *names, const void *data, size_t size)
{
	struct observation observation;
	struct decode_packet packet;
	struct event_head head;

	if (size < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	if (head.type != EVENT_HEAD || head.captured > size - sizeof(head) ||
		head.captured > head.length)
		return;
	observation = observation_of(&head);
	packet = packet_of(&head, &observation.key, (const uint8_t *)data + sizeof(head));
	if (packet.destination_port == GROUP_PORT && is_copy(names, &packet, observation.time_ns))
		return;
	dissect_take(names->dissect, &packet, &observation);
}

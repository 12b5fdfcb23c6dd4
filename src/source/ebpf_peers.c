/* Between two sweeps the sockets are noted in one growing array, sorted when it is used. */
#include "source/ebpf_peers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "source/ebpf_event.h"

enum { CHUNK = 256, SOCKETS_MAX = 65536 };

struct ebpf_peers {
	int map_fd;
	int64_t idle_timeout_ns;
	struct event_flow *sockets;
	size_t count, room;
	bool pending;    /* a socket was noted since the map was last seen empty */
	bool swept;      /* what is marked as told was so by this daemon */
	uint64_t stored; /* what was told up to this position */
	struct peer_key keys[CHUNK];
	struct peer_state states[CHUNK];
};

struct sweeping {
	int64_t now_ns;
	uint64_t position; /* of the source, 0 none */
	const struct source_sink *sink;
};

int ebpf_peers_new(int map_fd, int64_t idle_timeout_ns, struct ebpf_peers **ret_peers)
{
	struct ebpf_peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	peers->map_fd = map_fd;
	peers->idle_timeout_ns = idle_timeout_ns;
	peers->pending = true; /* the map may be older than this daemon */
	*ret_peers = peers;
	return 0;
}

void ebpf_peers_free(struct ebpf_peers *peers)
{
	if (!peers)
		return;
	free(peers->sockets);
	free(peers);
}

/* A socket that finds no room is not lost: its peers end by idle timeout, without owner. */
void ebpf_peers_note(struct ebpf_peers *peers, const struct event_flow *socket)
{
	struct event_flow *grown;
	size_t room;

	peers->pending = true;
	if (peers->count == peers->room) {
		room = peers->room ? peers->room * 2 : 64;
		grown = room <= SOCKETS_MAX ? realloc(peers->sockets, room * sizeof(*grown)) : NULL;
		if (!grown)
			return;
		peers->sockets = grown;
		peers->room = room;
	}
	peers->sockets[peers->count++] = *socket;
}

/* By cookie; of the same socket the word that it is gone comes first. */
static int compare_sockets(const void *left, const void *right)
{
	const struct event_flow *a = left, *b = right;

	if (a->cookie != b->cookie)
		return a->cookie < b->cookie ? -1 : 1;
	return (b->type == EVENT_SOCKET_GONE) - (a->type == EVENT_SOCKET_GONE);
}

static const struct event_flow *find_socket(const struct ebpf_peers *peers, uint64_t cookie)
{
	size_t low = 0, high = peers->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (peers->sockets[middle].cookie < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	return low < peers->count && peers->sockets[low].cookie == cookie ? &peers->sockets[low]
									  : NULL;
}

static void fill_event(struct event_flow *event, const struct peer_key *key,
	const struct peer_state *state, const struct event_flow *socket)
{
	memset(event, 0, sizeof(*event));
	if (socket)
		*event = *socket;
	event->flags &= ~(uint32_t)(EVENT_DIRECTION_IN | EVENT_DIRECTION_OUT);
	event->flags |= state->direction | EVENT_DATAGRAMS;
	event->cookie = key->cookie;
	event->time_ns = state->last_ns;
	event->start_ns = state->start_ns;
	memcpy(event->local, state->local, sizeof(event->local));
	memcpy(event->remote, key->remote, sizeof(event->remote));
	event->local_port = state->local_port;
	event->remote_port = key->remote_port;
	event->protocol = key->protocol;
	event->octets_out = state->octets_out;
	event->octets_in = state->octets_in;
	event->packets_out = state->packets_out;
	event->packets_in = state->packets_in;
	event->error = state->error;
	event->old_state = 0;
}

/* Nobody writes to the peers of a socket that is gone. Returns whether the peer stays. */
static bool keep_told(struct ebpf_peers *peers, const struct peer_key *key,
	const struct peer_state *state, uint64_t position)
{
	struct peer_state told = *state;

	told.told = position;
	return position && bpf_map_update_elem(peers->map_fd, key, &told, BPF_EXIST) == 0;
}

static bool report_peer(struct ebpf_peers *peers, const struct peer_key *key,
	const struct peer_state *state, const struct sweeping *sweeping)
{
	const struct event_flow *socket = find_socket(peers, key->cookie);
	bool gone = socket && socket->type == EVENT_SOCKET_GONE;
	bool idle = sweeping->now_ns - (int64_t)state->last_ns > peers->idle_timeout_ns;
	struct event_flow event;
	bool stays = false;

	if (state->start_ns == 0)
		return false; /* just being made */
	fill_event(&event, key, state, socket);
	event.type = gone || idle ? EVENT_FLOW_END : EVENT_FLOW_SIGHTING;
	event.old_state = !gone && idle;
	if (gone)
		stays = keep_told(peers, key, state, sweeping->position);
	ebpf_event_dispatch(&event, sizeof(event), sweeping->sink);
	if ((gone || idle) && !stays)
		bpf_map_delete_elem(peers->map_fd, key);
	return stays;
}

/* The same for a peer that may have been told before. What a daemon told that was killed before it
 * was stored is told again. */
static bool sweep_peer(struct ebpf_peers *peers, const struct peer_key *key,
	const struct peer_state *state, const struct sweeping *sweeping)
{
	bool is_stored = state->told && state->told <= peers->stored;

	if (!is_stored && (!state->told || !peers->swept))
		return report_peer(peers, key, state, sweeping);
	if (is_stored)
		bpf_map_delete_elem(peers->map_fd, key);
	return false;
}

/* Returns how many stay as told, or negative errno. */
static int read_map(struct ebpf_peers *peers, const struct sweeping *sweeping)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	uint64_t position = 0;
	bool first = true, found = false;
	int stay = 0;

	for (;;) {
		uint32_t count = CHUNK;
		int error = bpf_map_lookup_batch(peers->map_fd, first ? NULL : &position, &position,
			peers->keys, peers->states, &count, &options);

		if (error && error != -ENOENT)
			return error;
		for (uint32_t i = 0; i < count; i++)
			stay += sweep_peer(peers, &peers->keys[i], &peers->states[i], sweeping);
		found = found || count > 0;
		first = false;
		if (error == -ENOENT)
			break;
	}
	peers->pending = found;
	return stay;
}

int ebpf_peers_sweep(
	struct ebpf_peers *peers, int64_t now_ns, uint64_t position, const struct source_sink *sink)
{
	const struct sweeping sweeping = {now_ns, position, sink};
	int stay = 0;

	if (peers->count > 1)
		qsort(peers->sockets, peers->count, sizeof(peers->sockets[0]), compare_sockets);
	if (peers->pending)
		stay = read_map(peers, &sweeping);
	peers->count = 0;
	peers->swept = true;
	return stay;
}

void ebpf_peers_stored(struct ebpf_peers *peers, uint64_t position)
{
	peers->stored = position;
}

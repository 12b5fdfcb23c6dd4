/* A hash of sockets by their ends, without namespace and cookie: what fits is compared in its
 * chain. The hash is keyed, for strangers choose the ends. */
#include "source/packet_owner.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/list.h"

enum {
	WANTS_MAX = 1024,
	WANT_POLLS = 3,     /* that a want waits for */
	ASKED_SLOTS = 4096, /* direct mapped: a collision asks once more */
};

#define ASK_AGAIN_NS (10 * (int64_t)NS_PER_S)

struct owned {
	struct owned *chain;
	struct list in_list; /* live, or gone in the order of time */
	struct flow_key key;
	struct process_ref user;
	int64_t gone_ns; /* 0: it is there */
};

struct want {
	struct flow_key key;
	int64_t time_ns;
	int polls;
};

struct asked {
	uint64_t hash;
	int64_t time_ns;
};

struct packet_owner {
	struct owned **chains;
	uint64_t mask;
	struct hash_key hash_key;
	struct list live, gone;
	size_t count, max;
	uint64_t refused;
	struct want wants[WANTS_MAX];
	size_t want_count;
	struct asked asked[ASKED_SLOTS];
};

int packet_owner_new(size_t max_sockets, struct hash_key hash_key, struct packet_owner **ret_owner)
{
	struct packet_owner *owner = calloc(1, sizeof(*owner));
	size_t chains = hash_buckets_for(max_sockets);

	if (!owner)
		return -ENOMEM;
	owner->chains = calloc(chains, sizeof(struct owned *));
	if (!owner->chains) {
		free(owner);
		return -ENOMEM;
	}
	owner->mask = chains - 1;
	owner->max = max_sockets;
	owner->hash_key = hash_key;
	list_init(&owner->live);
	list_init(&owner->gone);
	*ret_owner = owner;
	return 0;
}

static void free_list(struct list *list)
{
	while (!list_empty(list)) {
		struct owned *owned = list_entry(list->next, struct owned, in_list);

		list_remove(&owned->in_list);
		free(owned);
	}
}

void packet_owner_free(struct packet_owner *owner)
{
	if (!owner)
		return;
	free_list(&owner->live);
	free_list(&owner->gone);
	free(owner->chains);
	free(owner);
}

uint64_t packet_owner_refused(const struct packet_owner *owner)
{
	return owner->refused;
}

/* No remote end is the same in IPv4 and IPv6. */
static struct flow_key ends_of(const struct flow_key *key)
{
	struct flow_key ends = *key;

	if (addr_is_unspecified(&key->remote))
		memset(&ends.remote, 0, sizeof(ends.remote));
	ends.socket_cookie = 0;
	ends.netns = 0;
	return ends;
}

static struct owned **chain_of(const struct packet_owner *owner, const struct flow_key *ends)
{
	return &owner->chains[flow_key_hash(ends, &owner->hash_key) & owner->mask];
}

static bool has_ends(const struct owned *owned, const struct flow_key *ends)
{
	struct flow_key its = ends_of(&owned->key);

	return flow_key_equal(&its, ends);
}

static struct owned *find_live(const struct packet_owner *owner, const struct flow_key *key)
{
	struct flow_key ends = ends_of(key);
	struct owned *owned = *chain_of(owner, &ends);

	while (owned && (owned->gone_ns || owned->key.socket_cookie != key->socket_cookie ||
				owned->key.netns != key->netns || !has_ends(owned, &ends)))
		owned = owned->chain;
	return owned;
}

static void forget(struct packet_owner *owner, struct owned *owned)
{
	struct flow_key ends = ends_of(&owned->key);
	struct owned **link = chain_of(owner, &ends);

	while (*link != owned)
		link = &(*link)->chain;
	*link = owned->chain;
	list_remove(&owned->in_list);
	free(owned);
	owner->count--;
}

static struct owned *add(struct packet_owner *owner, const struct flow_key *key)
{
	struct flow_key ends = ends_of(key);
	struct owned **chain = chain_of(owner, &ends), *owned;

	if (owner->count == owner->max && !list_empty(&owner->gone))
		forget(owner, list_entry(owner->gone.next, struct owned, in_list));
	owned = owner->count < owner->max ? calloc(1, sizeof(*owned)) : NULL;
	if (!owned) {
		owner->refused++;
		return NULL;
	}
	owned->key = *key;
	owned->chain = *chain;
	*chain = owned;
	list_append(&owner->live, &owned->in_list);
	owner->count++;
	return owned;
}

void packet_owner_put(
	struct packet_owner *owner, const struct flow_key *key, const struct process_ref *user)
{
	struct owned *owned = find_live(owner, key);

	if (!owned)
		owned = add(owner, key);
	if (owned)
		owned->user = *user;
}

void packet_owner_gone(struct packet_owner *owner, const struct flow_key *key, int64_t time_ns)
{
	struct owned *owned = find_live(owner, key);

	if (!owned)
		return;
	owned->gone_ns = time_ns > 0 ? time_ns : 1;
	list_remove(&owned->in_list);
	list_append(&owner->gone, &owned->in_list);
}

void packet_owner_expire(struct packet_owner *owner, int64_t before_ns)
{
	while (!list_empty(&owner->gone)) {
		struct owned *owned = list_entry(owner->gone.next, struct owned, in_list);

		if (owned->gone_ns >= before_ns)
			return;
		forget(owner, owned);
	}
}

enum match {
	MATCH_NONE, /* no socket */
	MATCH_ONE,
	MATCH_UNCLEAR, /* several processes, or an unknown one */
};

/* Among the sockets with these ends, in the namespace (0: any). */
static enum match match(const struct packet_owner *owner, const struct flow_key *ends,
	uint32_t netns, int64_t time_ns, struct process_ref *ret_user)
{
	const struct owned *owned, *first = NULL;

	for (owned = *chain_of(owner, ends); owned; owned = owned->chain) {
		if ((netns && owned->key.netns != netns) || !has_ends(owned, ends) ||
			(owned->gone_ns && time_ns > owned->gone_ns))
			continue;
		if (first && !process_ref_equal(&first->user, &owned->user))
			return MATCH_UNCLEAR;
		first = owned;
	}
	if (!first)
		return MATCH_NONE;
	if (!process_ref_known(&first->user))
		return MATCH_UNCLEAR;
	*ret_user = first->user;
	return MATCH_ONE;
}

static bool is_connected_only(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP;
}

bool packet_owner_find(const struct packet_owner *owner, const struct flow_key *key,
	int64_t time_ns, struct process_ref *ret_user)
{
	static const uint8_t any_v4[4] = {0};
	struct flow_key ends = ends_of(key);
	enum match found = match(owner, &ends, key->netns, time_ns, ret_user);

	if (found != MATCH_NONE || is_connected_only(key->protocol))
		return found == MATCH_ONE;
	memset(&ends.remote, 0, sizeof(ends.remote));
	ends.remote_port = 0;
	found = match(owner, &ends, key->netns, time_ns, ret_user);
	if (found != MATCH_NONE || !key->netns)
		return found == MATCH_ONE;
	if (addr_is_v4(&key->local)) {
		ends.local = addr_from_v4(any_v4);
		found = match(owner, &ends, key->netns, time_ns, ret_user);
		if (found != MATCH_NONE)
			return found == MATCH_ONE;
	}
	memset(&ends.local, 0, sizeof(ends.local)); /* of IPv6, which takes IPv4 too */
	return match(owner, &ends, key->netns, time_ns, ret_user) == MATCH_ONE;
}

void packet_owner_want(
	struct packet_owner *owner, const struct flow_key *key, int64_t time_ns, bool anew)
{
	uint64_t hash = flow_key_hash(key, &owner->hash_key);
	struct asked *asked = &owner->asked[hash % ASKED_SLOTS];

	if (asked->hash == hash && !anew && time_ns - asked->time_ns < ASK_AGAIN_NS)
		return;
	if (owner->want_count == WANTS_MAX)
		return;
	*asked = (struct asked){hash, time_ns};
	owner->wants[owner->want_count++] = (struct want){.key = *key, .time_ns = time_ns};
}

bool packet_owner_has_wants(const struct packet_owner *owner)
{
	return owner->want_count > 0;
}

void packet_owner_answer(struct packet_owner *owner,
	void (*known)(void *ctx, const struct flow_key *key, const struct process_ref *user),
	void *ctx)
{
	struct process_ref user;
	size_t kept = 0;

	for (size_t i = 0; i < owner->want_count; i++) {
		struct want *want = &owner->wants[i];

		if (packet_owner_find(owner, &want->key, want->time_ns, &user))
			known(ctx, &want->key, &user);
		else if (++want->polls < WANT_POLLS)
			owner->wants[kept++] = *want;
	}
	owner->want_count = kept;
}

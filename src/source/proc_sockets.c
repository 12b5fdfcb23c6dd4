/* A hash of sockets by network namespace and cookie (SCTP, which has many associations a socket: by
 * the whole key). Sockets whose flow is over, but which a process still holds, stay as a mark, so
 * that word of their destruction makes no second flow; they give way when room is needed. */
#include "source/proc_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "process/listener_table.h"
#include "source/sock_diag_tcp.h"
#include "util/list.h"

enum {
	MISSES = 2,     /* polls that do not show a socket that is gone */
	SEEK_TIMES = 3, /* looks for an owner before it is given up */
};

struct entry {
	struct entry *chain;
	struct list in_all;
	struct sock_diag_socket last; /* as last seen */
	struct process_ref owner;
	uint64_t octets_in;
	int64_t since_ns; /* the poll before the first that showed it */
	int64_t seen_ns;
	uint8_t direction; /* as far as the socket itself told */
	uint8_t missed;
	uint8_t seek; /* so many more looks for the owner */
	bool over;
	bool told; /* listener, with the owner that it has */
};

struct proc_sockets {
	struct source_sink sink;
	struct entry **chains;
	uint64_t mask;
	struct hash_key hash_key;
	struct list all;  /* what is over stands in over */
	struct list over; /* the oldest mark first */
	struct listener_table *listeners;
	size_t count, max;
	uint64_t refused;
	int64_t now_ns, before_ns; /* of this poll, of the one before */
};

int proc_sockets_new(
	size_t max_sockets, const struct source_sink *sink, struct proc_sockets **ret_sockets)
{
	struct proc_sockets *sockets = calloc(1, sizeof(*sockets));
	size_t chains = hash_buckets_for(max_sockets);

	if (!sockets)
		return -ENOMEM;
	sockets->sink = *sink;
	sockets->max = max_sockets;
	sockets->mask = chains - 1;
	sockets->hash_key = hash_key_random();
	list_init(&sockets->all);
	list_init(&sockets->over);
	sockets->chains = calloc(chains, sizeof(struct entry *));
	if (!sockets->chains ||
		listener_table_new(max_sockets, hash_key_random(), &sockets->listeners)) {
		proc_sockets_free(sockets);
		return -ENOMEM;
	}
	*ret_sockets = sockets;
	return 0;
}

static void free_list(struct list *list)
{
	while (!list_empty(list)) {
		struct entry *entry = list_entry(list->next, struct entry, in_all);

		list_remove(&entry->in_all);
		free(entry);
	}
}

void proc_sockets_free(struct proc_sockets *sockets)
{
	if (!sockets)
		return;
	free_list(&sockets->all);
	free_list(&sockets->over);
	if (sockets->listeners)
		listener_table_free(sockets->listeners);
	free(sockets->chains);
	free(sockets);
}

/* What the kernel may change of a socket without making it another: its ends. */
static struct flow_key identity(const struct flow_key *key)
{
	struct flow_key same = *key;

	if (key->protocol == IPPROTO_SCTP)
		return same;
	memset(&same, 0, sizeof(same));
	same.socket_cookie = key->socket_cookie;
	same.netns = key->netns;
	same.protocol = key->protocol;
	return same;
}

static struct entry **place_of(const struct proc_sockets *sockets, const struct flow_key *key)
{
	struct flow_key same = identity(key), other;
	struct entry **at =
		&sockets->chains[flow_key_hash(&same, &sockets->hash_key) & sockets->mask];

	for (; *at; at = &(*at)->chain) {
		other = identity(&(*at)->last.key);
		if (flow_key_equal(&same, &other))
			break;
	}
	return at;
}

static void remove_entry(struct proc_sockets *sockets, struct entry *entry)
{
	*place_of(sockets, &entry->last.key) = entry->chain;
	list_remove(&entry->in_all);
	free(entry);
	sockets->count--;
}

static struct entry *add(struct proc_sockets *sockets, const struct flow_key *key)
{
	struct entry **at, *entry;

	if (sockets->count == sockets->max && !list_empty(&sockets->over))
		remove_entry(sockets, list_entry(sockets->over.next, struct entry, in_all));
	entry = sockets->count < sockets->max ? calloc(1, sizeof(*entry)) : NULL;
	if (!entry) {
		sockets->refused++;
		return NULL;
	}
	at = place_of(sockets, key);
	entry->last.key = *key;
	entry->since_ns = sockets->before_ns;
	entry->seek = SEEK_TIMES;
	*at = entry;
	list_append(&sockets->all, &entry->in_all);
	sockets->count++;
	return entry;
}

static bool waits(const struct sock_diag_socket *socket)
{
	return socket->key.protocol == IPPROTO_TCP || socket->key.protocol == IPPROTO_SCTP
		       ? socket->state == TCP_LISTEN
		       : !socket->given && socket->key.remote_port == 0 &&
				 socket->key.local_port != 0;
}

/* Words to the sink. */

static void tell_listener(
	const struct proc_sockets *sockets, const struct entry *entry, int64_t time_ns, bool gone)
{
	struct listener_record record = {
		.key = entry->last.key,
		.owner = entry->owner,
		.until_us = gone,
		.method =
			process_ref_known(&entry->owner) ? FLOW_METHOD_PROCFS : FLOW_METHOD_UNKNOWN,
	};

	memset(&record.key.remote, 0, sizeof(record.key.remote));
	record.key.remote_port = 0;
	listener_table_put(sockets->listeners, &record);
	sockets->sink.listener(sockets->sink.ctx, &record, time_ns, gone);
}

/* Of what its own counters leave open: incoming if somebody listens on its port. A connected UDP
 * socket asks rather than answers; for TCP that nobody listens (any more) proves nothing. */
static enum flow_direction guess_direction(
	const struct proc_sockets *sockets, const struct flow_key *key)
{
	if (listener_table_accepts(sockets->listeners, key))
		return FLOW_DIRECTION_IN;
	return key->protocol == IPPROTO_TCP ? FLOW_DIRECTION_UNKNOWN : FLOW_DIRECTION_OUT;
}

static void observe(const struct proc_sockets *sockets, const struct entry *entry,
	enum observation_kind kind, enum flow_direction direction, enum flow_outcome outcome,
	int64_t time_ns)
{
	const struct sock_diag_tcp *tcp = &entry->last.tcp;
	struct observation seen = {
		.key = entry->last.key,
		.counters = {.octets_out = tcp->sent,
			.octets_in = entry->octets_in,
			.packets_out = tcp->segments_out,
			.packets_in = tcp->segments_in,
			.retransmits = tcp->retransmits,
			.rtt_us = tcp->rtt_us},
		.user = entry->owner,
		.opener = entry->owner,
		.time_ns = time_ns,
		.kind = kind,
		.direction = direction,
		.outcome = outcome,
		.method =
			process_ref_known(&entry->owner) ? FLOW_METHOD_PROCFS : FLOW_METHOD_UNKNOWN,
		.source = FLOW_SOURCE_PROCFS,
	};

	sockets->sink.observe(sockets->sink.ctx, &seen);
}

static void end_flow(const struct proc_sockets *sockets, const struct entry *entry,
	enum flow_outcome outcome, int64_t time_ns)
{
	enum flow_direction direction = entry->direction;

	if (direction == FLOW_DIRECTION_UNKNOWN)
		direction = guess_direction(sockets, &entry->last.key);
	observe(sockets, entry, OBSERVATION_END, direction, outcome, time_ns);
}

static void lose(const struct proc_sockets *sockets, const struct entry *entry)
{
	if (waits(&entry->last))
		tell_listener(sockets, entry, entry->seen_ns, true);
	else
		end_flow(sockets, entry, FLOW_OUTCOME_LOST, entry->seen_ns);
}

/* A poll. */

void proc_sockets_begin(struct proc_sockets *sockets, int64_t now_ns)
{
	sockets->before_ns = sockets->now_ns;
	sockets->now_ns = now_ns;
}

/* The same socket may be connected anew, or begin to listen: then it is another flow. */
static bool is_same_flow(const struct sock_diag_socket *a, const struct sock_diag_socket *b)
{
	return flow_key_equal(&a->key, &b->key) && waits(a) == waits(b);
}

static void begin_anew(struct proc_sockets *sockets, struct entry *entry)
{
	if (!entry->over)
		lose(sockets, entry);
	entry->over = entry->told = false;
	entry->direction = FLOW_DIRECTION_UNKNOWN;
	entry->octets_in = 0;
	list_remove(&entry->in_all);
	list_append(&sockets->all, &entry->in_all);
}

void proc_sockets_seen(struct proc_sockets *sockets, const struct sock_diag_socket *socket)
{
	struct entry *entry = *place_of(sockets, &socket->key);
	bool first = !entry;

	if (first)
		entry = add(sockets, &socket->key);
	if (!entry)
		return;
	if (!first && (entry->over || !is_same_flow(&entry->last, socket)))
		begin_anew(sockets, entry);
	entry->last = *socket;
	entry->seen_ns = sockets->now_ns;
	entry->missed = 0;
	if (socket->counted)
		entry->octets_in = sock_diag_tcp_octets_in(socket, NULL);
	if (entry->direction == FLOW_DIRECTION_UNKNOWN && socket->key.protocol == IPPROTO_TCP)
		entry->direction = (uint8_t)sock_diag_tcp_direction(socket);
}

size_t proc_sockets_wants(
	const struct proc_sockets *sockets, struct proc_owner_want *wants, size_t max)
{
	struct list *node;
	size_t count = 0;

	list_for_each (node, &sockets->all) {
		const struct entry *entry = list_entry(node, struct entry, in_all);

		if (count == max)
			break;
		if (entry->missed == 0 && entry->last.inode && entry->seek > 0)
			wants[count++] = (struct proc_owner_want){
				.inode = entry->last.inode, .since_ns = entry->since_ns};
	}
	return count;
}

static int compare_wants(const void *left, const void *right)
{
	const struct proc_owner_want *a = left, *b = right;

	return (a->inode > b->inode) - (a->inode < b->inode);
}

void proc_sockets_own(
	struct proc_sockets *sockets, const struct proc_owner_want *wants, size_t count)
{
	struct list *node;

	list_for_each (node, &sockets->all) {
		struct entry *entry = list_entry(node, struct entry, in_all);
		const struct proc_owner_want key = {.inode = entry->last.inode}, *want;

		want = entry->seek > 0 && key.inode
			       ? bsearch(&key, wants, count, sizeof(key), compare_wants)
			       : NULL;
		if (!want)
			continue;
		entry->seek--;
		if (!process_ref_known(&want->owner))
			continue;
		entry->owner = want->owner;
		entry->seek = 0;
		entry->told = false;
	}
}

void proc_sockets_orphan(struct proc_sockets *sockets,
	bool (*lives)(const void *ctx, const struct process_ref *owner), const void *ctx)
{
	struct list *node;

	list_for_each (node, &sockets->all) {
		struct entry *entry = list_entry(node, struct entry, in_all);

		if (process_ref_known(&entry->owner) && !lives(ctx, &entry->owner))
			entry->seek = SEEK_TIMES;
	}
}

static void set_over(struct proc_sockets *sockets, struct entry *entry)
{
	entry->over = true;
	list_remove(&entry->in_all);
	list_append(&sockets->over, &entry->in_all);
}

static void report_entry(struct proc_sockets *sockets, struct entry *entry, bool complete)
{
	enum flow_direction direction = entry->direction;

	if (entry->seen_ns != sockets->now_ns) {
		entry->missed += complete;
		if (entry->missed < MISSES)
			return;
		lose(sockets, entry);
		set_over(sockets, entry);
	} else if (waits(&entry->last)) {
		if (!entry->told)
			tell_listener(sockets, entry, entry->seen_ns, false);
		entry->told = true;
	} else {
		/* TCP will tell itself, as soon as all that was sent is acknowledged */
		if (entry->last.key.protocol != IPPROTO_TCP)
			direction = guess_direction(sockets, &entry->last.key);
		observe(sockets, entry, OBSERVATION_SIGHTING, direction, FLOW_OUTCOME_OPEN,
			entry->seen_ns);
	}
}

static void report_those_that(struct proc_sockets *sockets, bool listen, bool complete)
{
	struct list *node = sockets->all.next;

	while (node != &sockets->all) {
		struct entry *entry = list_entry(node, struct entry, in_all);

		node = node->next;
		if (waits(&entry->last) == listen)
			report_entry(sockets, entry, complete);
	}
}

/* Listeners first: they tell which way connections go. */
void proc_sockets_report(struct proc_sockets *sockets, bool complete)
{
	report_those_that(sockets, true, complete);
	report_those_that(sockets, false, complete);
	if (sockets->refused > 0)
		sockets->sink.loss(sockets->sink.ctx, COVERAGE_TABLE_FULL, sockets->refused,
			"sockets not followed, their table was full: raise max-flows");
	sockets->refused = 0;
}

/* Ends. */

static enum flow_outcome outcome_of(const struct sock_diag_socket *socket,
	const struct entry *before, enum flow_direction direction)
{
	if (socket->key.protocol != IPPROTO_TCP)
		return FLOW_OUTCOME_CLOSED;
	return sock_diag_tcp_outcome(socket, before ? &before->last : NULL, direction);
}

/* A flow that no poll saw. Without a listener it may be either way. */
static void tell_unseen(
	struct proc_sockets *sockets, const struct sock_diag_socket *socket, int64_t now_ns)
{
	struct entry passing = {.last = *socket, .direction = FLOW_DIRECTION_UNKNOWN};

	if (waits(socket) || addr_is_unspecified(&socket->key.remote))
		return; /* who listened, or did nothing */
	if (socket->counted) {
		passing.octets_in = sock_diag_tcp_octets_in(socket, NULL);
		passing.direction = (uint8_t)sock_diag_tcp_direction(socket);
	}
	if (passing.direction == FLOW_DIRECTION_UNKNOWN &&
		listener_table_accepts(sockets->listeners, &socket->key))
		passing.direction = FLOW_DIRECTION_IN;
	observe(sockets, &passing, OBSERVATION_END, passing.direction,
		outcome_of(socket, NULL, passing.direction), now_ns);
}

static void end_seen(struct proc_sockets *sockets, struct entry *entry,
	const struct sock_diag_socket *socket, int64_t now_ns)
{
	enum flow_outcome outcome;

	if (entry->direction == FLOW_DIRECTION_UNKNOWN && socket->counted)
		entry->direction = (uint8_t)sock_diag_tcp_direction(socket);
	if (entry->direction == FLOW_DIRECTION_UNKNOWN)
		entry->direction = (uint8_t)guess_direction(sockets, &entry->last.key);
	outcome = outcome_of(socket, entry, entry->direction);
	if (socket->counted && !sock_diag_tcp_forgotten(socket)) {
		entry->octets_in =
			sock_diag_tcp_octets_in(socket, entry->last.counted ? &entry->last : NULL);
		entry->last.tcp = socket->tcp;
	}
	end_flow(sockets, entry, outcome, now_ns);
}

void proc_sockets_destroyed(
	struct proc_sockets *sockets, const struct sock_diag_socket *socket, int64_t now_ns)
{
	struct entry *entry = *place_of(sockets, &socket->key);

	if (!entry) {
		tell_unseen(sockets, socket, now_ns);
		return;
	}
	if (!entry->over && waits(&entry->last))
		tell_listener(sockets, entry, now_ns, true);
	else if (!entry->over)
		end_seen(sockets, entry, socket, now_ns);
	remove_entry(sockets, entry);
}

bool proc_sockets_has_netns(const struct proc_sockets *sockets, uint32_t netns)
{
	struct list *node;

	list_for_each (node, &sockets->all)
		if (list_entry(node, struct entry, in_all)->last.key.netns == netns)
			return true;
	return false;
}

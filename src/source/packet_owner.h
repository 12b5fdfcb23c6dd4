/* Whose packets are these? A mirror of the sockets that polling sees, asked by the ends of packets;
 * and the list of those that nobody knew, for the next poll. Pure: time is an argument.
 *
 * A connected socket owns the packets of its own two ends; a datagram socket that is not connected
 * those that come to its port, at its address or any. If several sockets fit equally well and do
 * not belong to the same process, nobody is named. Traffic that is only forwarded here
 * (key.netns 0) is matched with sockets of any network namespace, but never by the port alone.
 *
 * Limits: max_sockets; past it those gone longest give way, then new ones are refused and counted.
 * Of the packets that nobody knew WANTS_MAX are remembered; others are asked for again later. */
#ifndef LASTCONN_SOURCE_PACKET_OWNER_H
#define LASTCONN_SOURCE_PACKET_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_key.h"
#include "flow/process_ref.h"

struct packet_owner;

int packet_owner_new(size_t max_sockets, struct hash_key hash_key,
	struct packet_owner **ret_owner); /* 0 or -ENOMEM */
void packet_owner_free(struct packet_owner *owner);

/* A socket that is there, told by key->socket_cookie; without remote end it is not connected.
 * user: all zero if nobody knows. */
void packet_owner_put(
	struct packet_owner *owner, const struct flow_key *key, const struct process_ref *user);
/* The socket is gone; packets up to time_ns are its own nevertheless. */
void packet_owner_gone(struct packet_owner *owner, const struct flow_key *key, int64_t time_ns);
/* Forgets what was gone by before_ns. */
void packet_owner_expire(struct packet_owner *owner, int64_t before_ns);
uint64_t packet_owner_refused(const struct packet_owner *owner);

/* The owner of a packet of time_ns, whose ends are those of key. False: nobody knows. */
bool packet_owner_find(const struct packet_owner *owner, const struct flow_key *key,
	int64_t time_ns, struct process_ref *ret_user);

/* Nobody knew this one. anew: a connection begins, whatever was asked of its ends before. */
void packet_owner_want(
	struct packet_owner *owner, const struct flow_key *key, int64_t time_ns, bool anew);
bool packet_owner_has_wants(const struct packet_owner *owner);
/* After a poll: tells those that are known now. The others are kept for two more polls. */
void packet_owner_answer(struct packet_owner *owner,
	void (*known)(void *ctx, const struct flow_key *key, const struct process_ref *user),
	void *ctx);

#endif

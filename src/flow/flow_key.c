/* Comparison and hash of flow keys. */
#include "flow/flow_key.h"

#include <stddef.h>
#include <string.h>

enum { IDENTITY = offsetof(struct flow_key, tunnel_id) }; /* the octets that tell flows apart */

/* A socket is in one namespace, which some of its observations cannot tell. */
static struct flow_key identity(const struct flow_key *key)
{
	struct flow_key identity = *key;

	if (identity.socket_cookie)
		identity.netns = 0;
	return identity;
}

uint64_t flow_key_hash(const struct flow_key *key, const struct hash_key *secret)
{
	struct flow_key hashed;

	if (!key->socket_cookie)
		return hash_octets(secret, key, IDENTITY);
	hashed = identity(key);
	return hash_octets(secret, &hashed, IDENTITY);
}

bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	struct flow_key x, y;

	if (!a->socket_cookie)
		return memcmp(a, b, IDENTITY) == 0;
	x = identity(a);
	y = identity(b);
	return memcmp(&x, &y, IDENTITY) == 0;
}

uint16_t flow_key_service_port(const struct flow_key *key, enum flow_direction direction)
{
	switch (direction) {
	case FLOW_DIRECTION_OUT:
	case FLOW_DIRECTION_FORWARDED:
		return key->remote_port;
	case FLOW_DIRECTION_IN:
		return key->local_port;
	case FLOW_DIRECTION_UNKNOWN:
	case FLOW_DIRECTION_COUNT:
		break;
	}
	if (key->local_port && (key->local_port < key->remote_port || !key->remote_port))
		return key->local_port;
	return key->remote_port;
}

/* Comparison and hash of flow keys. */
#include "flow/flow_key.h"

#include <string.h>

uint64_t flow_key_hash(const struct flow_key *key, const struct hash_key *secret)
{
	return hash_octets(secret, key, sizeof(*key));
}

bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

uint16_t flow_key_service_port(const struct flow_key *key, enum flow_direction direction)
{
	switch (direction) {
	case FLOW_DIRECTION_OUT:
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

/* A bounded cache from the octets of a dictionary row to its id. Internal to store/.
 *
 * Limit: sets * ID_CACHE_WAYS entries, mapped at once (untouched pages cost nothing); the entry of
 * the set that was used longest ago goes. A miss costs a SELECT, never correctness. Must be emptied
 * when a transaction rolls back. */
#ifndef LASTCONN_STORE_ID_CACHE_H
#define LASTCONN_STORE_ID_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/hash.h"

enum { ID_CACHE_WAYS = 8 };

struct id_value {
	int64_t id;
	int32_t actor;      /* of processes */
	int32_t executable; /* of processes and actors */
};

struct id_cache_entry;

struct id_cache {
	struct id_cache_entry *entries;
	struct hash_key keys[2]; /* 128 bits stand for the octets; strangers cannot aim at them */
	size_t sets;             /* a power of two */
};

int id_cache_init(struct id_cache *cache, size_t sets); /* 0 or -ENOMEM */
void id_cache_done(struct id_cache *cache);
void id_cache_drop(struct id_cache *cache); /* forgets all */

bool id_cache_find(
	struct id_cache *cache, const void *key, size_t length, struct id_value *ret_value);
void id_cache_put(
	struct id_cache *cache, const void *key, size_t length, const struct id_value *value);

#endif

/* Keyed hash (SipHash-1-3) for tables whose keys strangers choose. */
#ifndef LASTCONN_UTIL_HASH_H
#define LASTCONN_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

/* A fresh key from getrandom(2). */
struct hash_key hash_key_random(void);

uint64_t hash_octets(const struct hash_key *key, const void *data, size_t length);

/* How many buckets a table for so many entries has: a power of two, at least 16, at most one entry
 * a bucket on average. */
size_t hash_buckets_for(size_t entries);

#endif

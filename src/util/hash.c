/* SipHash-1-3, after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); one
 * compression round and three finalization rounds, as in the Linux kernel's hash tables. */
#include "util/hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

struct hash_key hash_key_random(void)
{
	struct hash_key key;

	if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		key.k0 = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
		key.k1 = (uint64_t)now.tv_sec ^ (uintptr_t)&key;
	}
	return key;
}

size_t hash_buckets_for(size_t entries)
{
	size_t buckets = 16;

	while (buckets < entries)
		buckets *= 2;
	return buckets;
}

static inline uint64_t rotl(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t hash_octets(const struct hash_key *key, const void *data, size_t length)
{
	const uint8_t *at = data;
	uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
	uint64_t word;
	size_t left = length;

	for (; left >= 8; at += 8, left -= 8) {
		memcpy(&word, at, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	memcpy(&word, at, left);
	word |= (uint64_t)length << 56;
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

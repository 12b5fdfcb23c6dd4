/* Set-associative: a set is ID_CACHE_WAYS entries, the one used last in front. */
#include "store/id_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct id_cache_entry {
	uint64_t low, high; /* hashes of the key; both 0: empty */
	struct id_value value;
};

static size_t octets(const struct id_cache *cache)
{
	return cache->sets * ID_CACHE_WAYS * sizeof(struct id_cache_entry);
}

int id_cache_init(struct id_cache *cache, size_t sets)
{
	cache->sets = sets;
	cache->keys[0] = hash_key_random();
	cache->keys[1] = hash_key_random();
	cache->entries = mmap(
		NULL, octets(cache), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cache->entries == MAP_FAILED) {
		cache->entries = NULL;
		return -ENOMEM;
	}
	madvise(cache->entries, octets(cache), MADV_NOHUGEPAGE); /* it is sparse */
	return 0;
}

void id_cache_done(struct id_cache *cache)
{
	if (cache->entries)
		munmap(cache->entries, octets(cache));
	cache->entries = NULL;
}

/* The pages go, and are zero when they are used again. */
void id_cache_drop(struct id_cache *cache)
{
	if (madvise(cache->entries, octets(cache), MADV_DONTNEED) < 0)
		memset(cache->entries, 0, octets(cache));
}

/* The set of the key, and in *ret_way where in it: ID_CACHE_WAYS if it is not there. */
static struct id_cache_entry *find_set(struct id_cache *cache, const void *key, size_t length,
	struct id_cache_entry *ret_wanted, size_t *ret_way)
{
	struct id_cache_entry *set;
	size_t way = 0;

	ret_wanted->low = hash_octets(&cache->keys[0], key, length) | 1;
	ret_wanted->high = hash_octets(&cache->keys[1], key, length);
	set = cache->entries + (ret_wanted->high & (cache->sets - 1)) * ID_CACHE_WAYS;
	while (way < ID_CACHE_WAYS &&
		(set[way].low != ret_wanted->low || set[way].high != ret_wanted->high))
		way++;
	*ret_way = way;
	return set;
}

/* Puts entry in front; those before way move back by one. */
static void put_in_front(struct id_cache_entry *set, size_t way, const struct id_cache_entry *entry)
{
	memmove(set + 1, set, way * sizeof(*set));
	set[0] = *entry;
}

bool id_cache_find(
	struct id_cache *cache, const void *key, size_t length, struct id_value *ret_value)
{
	struct id_cache_entry wanted;
	size_t way;
	struct id_cache_entry *set = find_set(cache, key, length, &wanted, &way);

	if (way == ID_CACHE_WAYS)
		return false;
	if (way > 0) {
		wanted.value = set[way].value;
		put_in_front(set, way, &wanted);
	}
	*ret_value = set[0].value;
	return true;
}

void id_cache_put(
	struct id_cache *cache, const void *key, size_t length, const struct id_value *value)
{
	struct id_cache_entry wanted;
	size_t way;
	struct id_cache_entry *set = find_set(cache, key, length, &wanted, &way);

	wanted.value = *value;
	put_in_front(set, way < ID_CACHE_WAYS ? way : ID_CACHE_WAYS - 1, &wanted);
}

/* Two tables with open addressing: of the groups, and of the pairs of a group and an address. */
#include "store/sql_sums.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "util/hash.h"

enum argument { LIMIT, KEY, APART, REMOTE, ADDRESS, FLOWS, FIRST = FLOWS + 5, LAST, ARGUMENTS };
enum sum { SUM_FLOWS, SUM_FAILED, SUM_OPEN, SUM_OUT, SUM_IN, SUM_COUNT };

/* Hashes that were seen, each with its place in the order of their coming. */
struct seen {
	uint64_t *hashes; /* 0: empty */
	uint32_t *places;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

struct group {
	int64_t key, remote, sums[SUM_COUNT], hosts, first_us, last_us;
	bool key_is_null;
};

struct sums {
	struct hash_key hash_key;
	struct group *groups;
	size_t capacity;
	struct seen keys, hosts;
	int64_t limit;
};

static size_t find_slot(const uint64_t *hashes, size_t size, uint64_t hash)
{
	size_t slot = hash & (size - 1);

	while (hashes[slot] && hashes[slot] != hash)
		slot = (slot + 1) & (size - 1);
	return slot;
}

static int seen_grow(struct seen *seen)
{
	size_t size = seen->size ? 4 * seen->size : 1024;
	uint64_t *hashes = calloc(size, sizeof(*hashes));
	uint32_t *places = calloc(size, sizeof(*places));

	if (!hashes || !places) {
		free(hashes);
		free(places);
		return -ENOMEM;
	}
	for (size_t i = 0; i < seen->size; i++) {
		size_t slot;

		if (!seen->hashes[i])
			continue;
		slot = find_slot(hashes, size, seen->hashes[i]);
		hashes[slot] = seen->hashes[i];
		places[slot] = seen->places[i];
	}
	free(seen->hashes);
	free(seen->places);
	*seen = (struct seen){hashes, places, size, seen->count};
	return 0;
}

static void seen_done(struct seen *seen)
{
	free(seen->hashes);
	free(seen->places);
}

/* Returns 1 if the hash is new, 0 if not, or -ENOMEM. */
static int seen_add(struct seen *seen, uint64_t hash, size_t *ret_place)
{
	size_t slot;
	bool is_new;

	hash += !hash;
	if (2 * seen->count >= seen->size && seen_grow(seen) < 0)
		return -ENOMEM;
	slot = find_slot(seen->hashes, seen->size, hash);
	is_new = !seen->hashes[slot];
	if (is_new) {
		if (seen->count == UINT32_MAX)
			return -ENOMEM;
		seen->hashes[slot] = hash;
		seen->places[slot] = (uint32_t)seen->count++;
	}
	*ret_place = seen->places[slot];
	return is_new;
}

/* Room for one group more. Returns 0 or -ENOMEM. */
static int reserve_group(struct sums *sums)
{
	size_t capacity = sums->capacity ? 2 * sums->capacity : 64;
	struct group *groups;

	if (sums->keys.count < sums->capacity)
		return 0;
	groups = realloc(sums->groups, capacity * sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	sums->groups = groups;
	sums->capacity = capacity;
	return 0;
}

/* The group of the row, a fresh one if it is the first of it; NULL: out of memory. ret_place is
 * where it stands. */
static struct group *find_group(
	struct sums *sums, sqlite3_value **row, uint64_t address, size_t *ret_place)
{
	struct {
		int64_t key;
		uint64_t address, null;
	} id = {sqlite3_value_int64(row[KEY]), sqlite3_value_int(row[APART]) ? address : 0,
		sqlite3_value_type(row[KEY]) == SQLITE_NULL};
	int is_new = reserve_group(sums);

	if (is_new == 0)
		is_new = seen_add(
			&sums->keys, hash_octets(&sums->hash_key, &id, sizeof(id)), ret_place);
	if (is_new < 0)
		return NULL;
	if (is_new)
		sums->groups[*ret_place] = (struct group){.key = id.key,
			.key_is_null = id.null,
			.remote = sqlite3_value_int64(row[REMOTE]),
			.first_us = INT64_MAX,
			.last_us = INT64_MIN};
	return &sums->groups[*ret_place];
}

/* Returns false if a sum is too large. */
static bool add_row(struct group *group, sqlite3_value **row)
{
	int64_t first_us = sqlite3_value_int64(row[FIRST]);
	int64_t last_us = sqlite3_value_int64(row[LAST]);

	for (int i = 0; i < SUM_COUNT; i++)
		if (__builtin_add_overflow(
			    group->sums[i], sqlite3_value_int64(row[FLOWS + i]), &group->sums[i]))
			return false;
	if (first_us < group->first_us)
		group->first_us = first_us;
	if (last_us > group->last_us)
		group->last_us = last_us;
	return true;
}

static void step(sqlite3_context *context, int argc, sqlite3_value **row)
{
	struct sums *sums = sqlite3_aggregate_context(context, sizeof(*sums));
	struct group *group;
	const void *address;
	uint64_t pair[2];
	size_t place = 0;
	int is_new;

	(void)argc;
	if (!sums) {
		sqlite3_result_error_nomem(context);
		return;
	}
	if (!sums->keys.size) {
		sums->hash_key = hash_key_random();
		sums->limit = sqlite3_value_int64(row[LIMIT]);
	}
	address = sqlite3_value_blob(row[ADDRESS]); /* NULL: there is none, or it is empty */
	pair[1] = hash_octets(
		&sums->hash_key, address ? address : "", (size_t)sqlite3_value_bytes(row[ADDRESS]));
	group = find_group(sums, row, pair[1], &place);
	pair[0] = place;
	is_new = group ? seen_add(&sums->hosts, hash_octets(&sums->hash_key, pair, sizeof(pair)),
				 &place)
		       : -ENOMEM;
	if (is_new < 0)
		sqlite3_result_error_nomem(context);
	else if (group->hosts += is_new, !add_row(group, row))
		sqlite3_result_error(context, "integer overflow", -1);
}

/* Those with most octets first, then with most flows, then the lower key. */
static int compare_groups(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	uint64_t octets_a = (uint64_t)a->sums[SUM_OUT] + (uint64_t)a->sums[SUM_IN];
	uint64_t octets_b = (uint64_t)b->sums[SUM_OUT] + (uint64_t)b->sums[SUM_IN];

	if (octets_a != octets_b)
		return octets_a < octets_b ? 1 : -1;
	if (a->sums[SUM_FLOWS] != b->sums[SUM_FLOWS])
		return a->sums[SUM_FLOWS] < b->sums[SUM_FLOWS] ? 1 : -1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->remote < b->remote ? -1 : a->remote > b->remote;
}

static void add_group(sqlite3_str *json, const struct group *group)
{
	if (group->key_is_null)
		sqlite3_str_appendall(json, "[null");
	else
		sqlite3_str_appendf(json, "[%lld", (long long)group->key);
	sqlite3_str_appendf(json, ",%lld", (long long)group->remote);
	for (int i = 0; i < SUM_COUNT; i++)
		sqlite3_str_appendf(json, ",%lld", (long long)group->sums[i]);
	sqlite3_str_appendf(json, ",%lld,%lld,%lld]", (long long)group->hosts,
		(long long)group->first_us, (long long)group->last_us);
}

static void give(sqlite3_context *context, struct sums *sums)
{
	sqlite3_str *json = sqlite3_str_new(sqlite3_context_db_handle(context));
	size_t count = sums->keys.count;
	char *text;
	int code;

	if (sums->limit >= 0 && (uint64_t)sums->limit < count)
		count = (size_t)sums->limit;
	if (sums->keys.count)
		qsort(sums->groups, sums->keys.count, sizeof(*sums->groups), compare_groups);
	sqlite3_str_appendall(json, "[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			sqlite3_str_appendall(json, ",");
		add_group(json, &sums->groups[i]);
	}
	sqlite3_str_appendall(json, "]");
	code = sqlite3_str_errcode(json);
	text = sqlite3_str_finish(json);
	if (code == SQLITE_OK) {
		sqlite3_result_text(context, text, -1, sqlite3_free);
		return;
	}
	sqlite3_free(text);
	sqlite3_result_error_code(context, code);
}

static void final(sqlite3_context *context)
{
	struct sums *sums = sqlite3_aggregate_context(context, 0);

	if (!sums) {
		sqlite3_result_text(context, "[]", -1, SQLITE_STATIC);
		return;
	}
	give(context, sums);
	free(sums->groups);
	seen_done(&sums->keys);
	seen_done(&sums->hosts);
}

int sql_sums_init(sqlite3 *db)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
	int code = sqlite3_create_function_v2(
		db, "sums", ARGUMENTS, flags, NULL, NULL, step, final, NULL);

	return code == SQLITE_OK ? 0 : -1;
}

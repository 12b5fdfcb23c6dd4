/* Groups have numbers in the order of their coming, and what a key stands for is looked up once.
 * Tables with open addressing have both, and the pairs of a group and an address. */
#include "store/sql_sums.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/sql.h"
#include "util/hash.h"

enum argument {
	LIMIT,
	GROUP_OF,
	KEY,
	APART,
	REMOTE,
	ADDRESS,
	FLOWS,
	FIRST = FLOWS + 5,
	LAST,
	ARGUMENTS
};
enum sum { SUM_FLOWS, SUM_FAILED, SUM_OPEN, SUM_OUT, SUM_IN, SUM_COUNT };

/* Hashes that were seen, each with its place in the order of their coming. */
struct seen {
	uint64_t *hashes; /* 0: empty */
	uint32_t *places;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

#define NOTHING UINT32_MAX

/* Beside the codes of SQLite, which are positive. */
enum { TOO_LARGE = -1, WITHIN = -2 };

struct group {
	int64_t key, remote, sums[SUM_COUNT], hosts, first_us, last_us;
};

struct sums {
	struct hash_key hash_key;
	bool *looks_up;           /* of the connection: a look-up runs */
	sqlite3_stmt *group_of;   /* NULL: keys stand for themselves */
	sqlite3_stmt *names;      /* what group_of gives, as JSON */
	struct seen keys, values; /* what they stand for, as far as it was looked up */
	uint32_t *numbers;        /* of groups by place of the key, or NOTHING */
	struct group *groups;
	size_t key_capacity, group_capacity;
	struct seen pairs; /* of a group and an address */
	int64_t limit;
	bool apart, begun, failed;
};

/* A hash that no two numbers share. */
static uint64_t mix(uint64_t number)
{
	number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
	return number ^ number >> 31;
}

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
		return SQLITE_NOMEM;
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

/* Returns 0 or a code of SQLite. */
static int seen_add(struct seen *seen, uint64_t hash, size_t *ret_place, bool *ret_new)
{
	size_t slot;

	hash += !hash;
	if (2 * seen->count >= seen->size && seen_grow(seen) != 0)
		return SQLITE_NOMEM;
	slot = find_slot(seen->hashes, seen->size, hash);
	*ret_new = !seen->hashes[slot];
	if (*ret_new) {
		if (seen->count == NOTHING)
			return SQLITE_NOMEM;
		seen->hashes[slot] = hash;
		seen->places[slot] = (uint32_t)seen->count++;
	}
	*ret_place = seen->places[slot];
	return 0;
}

/* Room for one more. Returns 0 or a code of SQLite. */
static int reserve(void **array, size_t *capacity, size_t count, size_t size)
{
	size_t wanted = *capacity ? 2 * *capacity : 64;
	void *grown;

	if (count < *capacity)
		return 0;
	grown = reallocarray(*array, wanted, size);
	if (!grown)
		return SQLITE_NOMEM;
	*array = grown;
	*capacity = wanted;
	return 0;
}

/* Of the first column; no octets are the same as none. */
static uint64_t hash_column(const struct hash_key *hash_key, sqlite3_stmt *stmt)
{
	uint64_t type = (uint64_t)sqlite3_column_type(stmt, 0);
	const void *octets = sqlite3_column_blob(stmt, 0);
	size_t length = (size_t)sqlite3_column_bytes(stmt, 0);

	if (type == SQLITE_NULL)
		type = SQLITE_BLOB;
	return hash_octets(hash_key, octets ? octets : "", length) ^ mix(type);
}

/* What is no SELECT of one column cannot be a part of another one. Returns 0 or a code of SQLite.
 */
static int prepare(struct sums *sums, sqlite3 *db, const char *group_of)
{
	char *text = sqlite3_mprintf(
		"WITH named (value) AS (%s\n) SELECT json_quote(value) FROM named", group_of);
	int status;

	if (!text)
		return SQLITE_NOMEM;
	status = sql_prepare(db, text, &sums->names);
	sqlite3_free(text);
	if (status < 0 || sql_prepare(db, group_of, &sums->group_of) < 0)
		return sqlite3_errcode(db);
	return 0;
}

/* A look-up that sums up would never end if its look-up was the same again. */
static int begin(struct sums *sums, sqlite3_context *context, sqlite3_value **row)
{
	const char *group_of;

	sums->begun = true;
	sums->looks_up = sqlite3_user_data(context);
	if (*sums->looks_up)
		return WITHIN;
	sums->hash_key = hash_key_random();
	sums->limit = sqlite3_value_int64(row[LIMIT]);
	sums->apart = sqlite3_value_int(row[APART]);
	if (sums->apart || sqlite3_value_type(row[GROUP_OF]) == SQLITE_NULL)
		return 0;
	group_of = (const char *)sqlite3_value_text(row[GROUP_OF]);
	return group_of ? prepare(sums, sqlite3_context_db_handle(context), group_of)
			: SQLITE_NOMEM;
}

static int ask(const struct sums *sums, sqlite3_stmt *stmt, int64_t key)
{
	int code;

	sqlite3_bind_int64(stmt, 1, key);
	*sums->looks_up = true;
	code = sqlite3_step(stmt);
	*sums->looks_up = false;
	return code;
}

/* The number of the group with this hash, a fresh one for the first row of it. Returns 0 or a code
 * of SQLite. */
static int find_value(
	struct sums *sums, uint64_t hash, int64_t key, sqlite3_value **row, uint32_t *ret_number)
{
	size_t place;
	bool is_new;
	int code = reserve((void **)&sums->groups, &sums->group_capacity, sums->values.count,
		sizeof(*sums->groups));

	if (code == 0)
		code = seen_add(&sums->values, hash, &place, &is_new);
	if (code != 0)
		return code;
	if (is_new)
		sums->groups[place] = (struct group){.key = key,
			.remote = sqlite3_value_int64(row[REMOTE]),
			.first_us = INT64_MAX,
			.last_us = INT64_MIN};
	*ret_number = (uint32_t)place;
	return 0;
}

static int look_up(struct sums *sums, int64_t key, sqlite3_value **row, uint32_t *ret_number)
{
	uint64_t hash = mix((uint64_t)key);
	int code = SQLITE_ROW;

	*ret_number = NOTHING;
	if (sums->group_of) {
		code = ask(sums, sums->group_of, key);
		if (code == SQLITE_ROW)
			hash = hash_column(&sums->hash_key, sums->group_of);
		sqlite3_reset(sums->group_of);
	}
	if (code == SQLITE_ROW)
		return find_value(sums, hash, key, row, ret_number);
	return code == SQLITE_DONE ? 0 : code;
}

/* The same, for a key that may have been looked up before. */
static int find_group(struct sums *sums, int64_t key, sqlite3_value **row, uint32_t *ret_number)
{
	size_t place;
	bool is_new;
	int code = reserve((void **)&sums->numbers, &sums->key_capacity, sums->keys.count,
		sizeof(*sums->numbers));

	if (code == 0)
		code = seen_add(&sums->keys, mix((uint64_t)key), &place, &is_new);
	if (code == 0 && is_new)
		code = look_up(sums, key, row, &sums->numbers[place]);
	if (code == 0)
		*ret_number = sums->numbers[place];
	return code;
}

/* Returns 0 or TOO_LARGE. */
static int add_row(struct group *group, int64_t key, bool is_new_address, sqlite3_value **row)
{
	int64_t first_us = sqlite3_value_int64(row[FIRST]);
	int64_t last_us = sqlite3_value_int64(row[LAST]);

	for (int i = 0; i < SUM_COUNT; i++)
		if (__builtin_add_overflow(
			    group->sums[i], sqlite3_value_int64(row[FLOWS + i]), &group->sums[i]))
			return TOO_LARGE;
	group->hosts += is_new_address;
	if (key < group->key)
		group->key = key;
	if (first_us < group->first_us)
		group->first_us = first_us;
	if (last_us > group->last_us)
		group->last_us = last_us;
	return 0;
}

static int take(struct sums *sums, sqlite3_value **row)
{
	int64_t key = sqlite3_value_int64(row[KEY]);
	const void *octets = sqlite3_value_blob(row[ADDRESS]); /* NULL: none, or it is empty */
	uint64_t address = hash_octets(
		&sums->hash_key, octets ? octets : "", (size_t)sqlite3_value_bytes(row[ADDRESS]));
	uint32_t group;
	bool is_new;
	size_t place;
	int code;

	if (sums->apart)
		code = find_value(sums, mix(address ^ mix((uint64_t)key)), key, row, &group);
	else
		code = find_group(sums, key, row, &group);
	if (code != 0 || group == NOTHING)
		return code;
	code = seen_add(&sums->pairs, mix(address + mix(group)), &place, &is_new);
	return code == 0 ? add_row(&sums->groups[group], key, is_new, row) : code;
}

static void fail(sqlite3_context *context, int code)
{
	switch (code) {
	case TOO_LARGE:
		sqlite3_result_error(context, "integer overflow", -1);
		break;
	case WITHIN:
		sqlite3_result_error(context, "sums() within a look-up of sums()", -1);
		break;
	case SQLITE_NOMEM:
		sqlite3_result_error_nomem(context);
		break;
	case SQLITE_TOOBIG:
		sqlite3_result_error_toobig(context);
		break;
	default:
		sqlite3_result_error(
			context, sqlite3_errmsg(sqlite3_context_db_handle(context)), -1);
		sqlite3_result_error_code(context, code);
	}
}

static void step(sqlite3_context *context, int argc, sqlite3_value **row)
{
	struct sums *sums = sqlite3_aggregate_context(context, sizeof(*sums));
	int code = SQLITE_NOMEM;

	(void)argc;
	if (sums)
		code = sums->begun ? 0 : begin(sums, context, row);
	if (code == 0)
		code = take(sums, row);
	if (code == 0)
		return;
	if (sums)
		sums->failed = true;
	fail(context, code);
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

/* A look-up that does not always give the same may give nothing now. */
static int add_name(sqlite3_str *json, const struct sums *sums, const struct group *group)
{
	const char *name = NULL;

	if (!sums->names) {
		sqlite3_str_appendf(json, "[%lld", (long long)group->key);
		return 0;
	}
	if (ask(sums, sums->names, group->key) == SQLITE_ROW)
		name = (const char *)sqlite3_column_text(sums->names, 0);
	sqlite3_str_appendall(json, "[");
	sqlite3_str_appendall(json, name ? name : "null");
	return sqlite3_reset(sums->names);
}

static void add_sums(sqlite3_str *json, const struct group *group)
{
	sqlite3_str_appendf(json, ",%lld", (long long)group->remote);
	for (int i = 0; i < SUM_COUNT; i++)
		sqlite3_str_appendf(json, ",%lld", (long long)group->sums[i]);
	sqlite3_str_appendf(json, ",%lld,%lld,%lld]", (long long)group->hosts,
		(long long)group->first_us, (long long)group->last_us);
}

/* Returns 0 or a code of SQLite. */
static int write_json(sqlite3_str *json, struct sums *sums)
{
	size_t count = sums->values.count;
	int code = 0;

	if (sums->limit >= 0 && (uint64_t)sums->limit < count)
		count = (size_t)sums->limit;
	if (sums->values.count)
		qsort(sums->groups, sums->values.count, sizeof(*sums->groups), compare_groups);
	sqlite3_str_appendall(json, "[");
	for (size_t i = 0; i < count && code == 0; i++) {
		if (i)
			sqlite3_str_appendall(json, ",");
		code = add_name(json, sums, &sums->groups[i]);
		add_sums(json, &sums->groups[i]);
	}
	sqlite3_str_appendall(json, "]");
	return code ? code : sqlite3_str_errcode(json);
}

static void give(sqlite3_context *context, struct sums *sums)
{
	sqlite3_str *json = sqlite3_str_new(sqlite3_context_db_handle(context));
	int code = write_json(json, sums);
	char *text = sqlite3_str_finish(json);

	if (code == SQLITE_OK) {
		sqlite3_result_text(context, text, -1, sqlite3_free);
		return;
	}
	sqlite3_free(text);
	fail(context, code);
}

static void final(sqlite3_context *context)
{
	struct sums *sums = sqlite3_aggregate_context(context, 0);

	if (!sums) {
		sqlite3_result_text(context, "[]", -1, SQLITE_STATIC);
		return;
	}
	if (!sums->failed)
		give(context, sums);
	free(sums->groups);
	seen_done(&sums->pairs);
	seen_done(&sums->keys);
	seen_done(&sums->values);
	free(sums->numbers);
	sqlite3_finalize(sums->group_of);
	sqlite3_finalize(sums->names);
}

int sql_sums_init(sqlite3 *db)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
	bool *looks_up = sqlite3_malloc(sizeof(*looks_up));

	if (!looks_up)
		return -1;
	*looks_up = false;
	return sqlite3_create_function_v2(db, "sums", ARGUMENTS, flags, looks_up, NULL, step, final,
		       sqlite3_free) == SQLITE_OK
		       ? 0
		       : -1; /* looks_up is freed */
}

/* Look-up goes cache, SELECT, INSERT. The caches are bounded, so a row may be asked for again; the
 * tables are bounded by what occurs and by retention. */
#include "store/dictionary.h"

#include <errno.h>
#include <string.h>

#include "flow/flow_names.h"
#include "flow/host_name.h"
#include "process/unit_parse.h"
#include "store/sql.h"

/* Sets of ID_CACHE_WAYS entries of 32 octets: 10.6 MB if all are in use. */
static const size_t cache_sets[DICTIONARY_COUNT] = {
	[DICTIONARY_EXECUTABLE] = 512,
	[DICTIONARY_UNIT] = 512,
	[DICTIONARY_ACTOR] = 1024,
	[DICTIONARY_NAME] = 2048,
	[DICTIONARY_REMOTE] = 32768,
	[DICTIONARY_LOCAL] = 512,
	[DICTIONARY_KIND] = 128,
	[DICTIONARY_PROCESS] = 4096,
};

static const char *const find_texts[DICTIONARY_COUNT] = {
	[DICTIONARY_EXECUTABLE] = "SELECT id FROM executable"
				  " WHERE path = ?1 AND flags = ?2 AND build_id = x''",
	[DICTIONARY_UNIT] = "SELECT id FROM unit WHERE cgroup = ?1",
	[DICTIONARY_ACTOR] = "SELECT id FROM actor WHERE executable = ?1"
			     " AND parent_executable = ?2 AND uid = ?3 AND unit = ?4",
	[DICTIONARY_NAME] = "SELECT id FROM name WHERE name = ?1",
	[DICTIONARY_REMOTE] = "SELECT id FROM remote"
			      " WHERE address = ?1 AND name = ?2 AND name_source = ?3",
	[DICTIONARY_LOCAL] = "SELECT id FROM local"
			     " WHERE address = ?1 AND netns = ?2 AND interface = ?3",
	[DICTIONARY_KIND] = "SELECT id FROM kind WHERE protocol_id = ?1 AND direction = ?2"
			    " AND outcome = ?3 AND error = ?4 AND method = ?5 AND source = ?6",
	[DICTIONARY_PROCESS] =
		"SELECT p.id, p.actor, a.executable FROM process AS p JOIN actor AS a"
		" ON a.id = p.actor"
		" WHERE p.boot = ?1 AND p.start_ns = ?2 AND p.pid = ?3 AND p.exec_id = ?4",
};

static const char *const add_texts[DICTIONARY_COUNT] = {
	[DICTIONARY_EXECUTABLE] = "INSERT INTO executable (path, flags) VALUES (?1, ?2)",
	[DICTIONARY_UNIT] = "INSERT INTO unit (cgroup, unit, user_unit, runtime, container, pod)"
			    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[DICTIONARY_ACTOR] = "INSERT INTO actor (executable, parent_executable, uid, unit)"
			     " VALUES (?1, ?2, ?3, ?4)",
	[DICTIONARY_NAME] = "INSERT INTO name (name, reversed) VALUES (?1, ?2)",
	[DICTIONARY_REMOTE] = "INSERT INTO remote (address, name, name_source, ip)"
			      " VALUES (?1, ?2, ?3, ?4)",
	[DICTIONARY_LOCAL] = "INSERT INTO local (address, netns, interface, ip)"
			     " VALUES (?1, ?2, ?3, ?4)",
	[DICTIONARY_KIND] = "INSERT INTO kind (protocol_id, direction, outcome, error, method,"
			    " source, protocol) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[DICTIONARY_PROCESS] =
		"INSERT INTO process (boot, start_ns, pid, exec_id, start_us, actor, parent, ppid,"
		" loginuid, inner_pid, netns, flags, comm, cmdline)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
};

static const char find_process_before_text[] =
	"SELECT p.id, p.actor, a.executable FROM process AS p JOIN actor AS a ON a.id = p.actor"
	" WHERE p.boot = ?1 AND p.start_ns = ?2 AND p.pid = ?3 AND p.exec_id <= ?4"
	" ORDER BY p.exec_id DESC LIMIT 1";

/* What the newer record leaves open is kept from the older one. */
static const char update_process_text[] =
	"UPDATE process SET actor = ?1, parent = coalesce(?2, parent), ppid = coalesce(?3, ppid),"
	" loginuid = coalesce(?4, loginuid), inner_pid = coalesce(?5, inner_pid),"
	" netns = coalesce(?6, netns), flags = ?7, comm = coalesce(nullif(?8, ''), comm),"
	" cmdline = coalesce(nullif(?9, ''), cmdline), start_us = ?10 WHERE id = ?11";

int dictionary_init(struct dictionary *dictionary, sqlite3 *db, int64_t boot, int64_t boot_start_us)
{
	dictionary->db = db;
	dictionary->boot = boot;
	dictionary->boot_start_us = boot_start_us;
	for (int i = 0; i < DICTIONARY_COUNT; i++)
		if (id_cache_init(&dictionary->caches[i], cache_sets[i]) < 0 ||
			sql_prepare(db, find_texts[i], &dictionary->find[i]) < 0 ||
			sql_prepare(db, add_texts[i], &dictionary->add[i]) < 0)
			return -1;
	if (sql_prepare(db, find_process_before_text, &dictionary->find_process_before) < 0)
		return -1;
	return sql_prepare(db, update_process_text, &dictionary->update_process);
}

void dictionary_done(struct dictionary *dictionary)
{
	for (int i = 0; i < DICTIONARY_COUNT; i++) {
		id_cache_done(&dictionary->caches[i]);
		sqlite3_finalize(dictionary->find[i]);
		sqlite3_finalize(dictionary->add[i]);
	}
	sqlite3_finalize(dictionary->find_process_before);
	sqlite3_finalize(dictionary->update_process);
}

void dictionary_drop(struct dictionary *dictionary)
{
	for (int i = 0; i < DICTIONARY_COUNT; i++)
		id_cache_drop(&dictionary->caches[i]);
}

static bool find_cached(struct dictionary *dictionary, enum dictionary_table table, const void *key,
	size_t length, int64_t *ret_id)
{
	struct id_value value;

	if (!id_cache_find(&dictionary->caches[table], key, length, &value))
		return false;
	*ret_id = value.id;
	used_ids_mark(&dictionary->used[table], value.id);
	return true;
}

/* The key is bound to find and all columns to add: finds or inserts, and caches. */
static int intern(struct dictionary *dictionary, enum dictionary_table table, const void *key,
	size_t length, int64_t *ret_id)
{
	struct id_value value = {0};
	int found = sql_row(dictionary->find[table], &value.id, 1);

	if (found < 0)
		return -1;
	if (!found) {
		if (sql_run(dictionary->add[table]) < 0)
			return -1;
		value.id = sqlite3_last_insert_rowid(dictionary->db);
	}
	id_cache_put(&dictionary->caches[table], key, length, &value);
	used_ids_mark(&dictionary->used[table], value.id);
	*ret_id = value.id;
	return 0;
}

int dictionary_name(struct dictionary *dictionary, const char *name, int64_t *ret_id)
{
	size_t length = strnlen(name, NAME_MAX_OCTETS);
	char text[NAME_MAX_OCTETS + 1], reversed[NAME_MAX_OCTETS + 1];

	if (length == 0) {
		*ret_id = 0;
		return 0;
	}
	if (find_cached(dictionary, DICTIONARY_NAME, name, length, ret_id))
		return 0;
	memcpy(text, name, length);
	text[length] = '\0';
	host_name_reverse(text, reversed, sizeof(reversed));
	sql_bind_text(dictionary->find[DICTIONARY_NAME], 1, text);
	sql_bind_text(dictionary->add[DICTIONARY_NAME], 1, text);
	sql_bind_text(dictionary->add[DICTIONARY_NAME], 2, reversed);
	return intern(dictionary, DICTIONARY_NAME, text, length, ret_id);
}

static void bind_remote(
	sqlite3_stmt *stmt, const struct addr *address, int64_t name, const char *source)
{
	size_t length;
	const uint8_t *octets = addr_octets(address, &length);

	sql_bind_blob(stmt, 1, octets, length);
	sql_bind_integers(stmt, 2, &name, 1);
	sql_bind_text(stmt, 3, source);
}

int dictionary_remote(struct dictionary *dictionary, const struct addr *address,
	const struct flow_name *name, int64_t *ret_id)
{
	struct {
		struct addr address;
		int32_t name;
		uint16_t source, asker;
	} key = {*address, 0, (uint16_t)name->source, (uint16_t)name->asker};
	char text[ADDR_TEXT_SIZE], source[FLOW_NAME_SOURCE_SIZE];
	sqlite3_stmt *add = dictionary->add[DICTIONARY_REMOTE];
	int64_t id = 0;

	if (name->text && dictionary_name(dictionary, name->text, &id) < 0)
		return -1;
	key.name = (int32_t)id;
	if (find_cached(dictionary, DICTIONARY_REMOTE, &key, sizeof(key), ret_id))
		return 0;
	flow_name_source(name, source);
	bind_remote(dictionary->find[DICTIONARY_REMOTE], address, id, source);
	bind_remote(add, address, id, source);
	sql_bind_text(add, 4, addr_format(address, text));
	return intern(dictionary, DICTIONARY_REMOTE, &key, sizeof(key), ret_id);
}

/* The interface of a flow that was in a tunnel is the tunnel. */
int dictionary_local(struct dictionary *dictionary, const struct flow_key *end, int64_t *ret_id)
{
	struct {
		struct addr address;
		uint32_t netns, tunnel, tunnel_id;
	} key = {end->local, end->netns, end->tunnel, end->tunnel_id};
	int64_t number = end->netns;
	size_t length;
	const uint8_t *octets = addr_octets(&end->local, &length);
	sqlite3_stmt *find = dictionary->find[DICTIONARY_LOCAL];
	sqlite3_stmt *add = dictionary->add[DICTIONARY_LOCAL];
	char ip[ADDR_TEXT_SIZE], buf[FLOW_TUNNEL_TEXT_SIZE];
	const char *tunnel;

	if (find_cached(dictionary, DICTIONARY_LOCAL, &key, sizeof(key), ret_id))
		return 0;
	tunnel = flow_tunnel_format((enum flow_tunnel)end->tunnel, end->tunnel_id, buf);
	sql_bind_blob(find, 1, octets, length);
	sql_bind_integers(find, 2, &number, 1);
	sql_bind_text(find, 3, tunnel);
	sql_bind_blob(add, 1, octets, length);
	sql_bind_integers(add, 2, &number, 1);
	sql_bind_text(add, 3, tunnel);
	sql_bind_text(add, 4, addr_format(&end->local, ip));
	return intern(dictionary, DICTIONARY_LOCAL, &key, sizeof(key), ret_id);
}

static void bind_kind(sqlite3_stmt *stmt, const struct flow_record *record)
{
	int64_t protocol = record->key.protocol, error = record->error;

	sql_bind_integers(stmt, 1, &protocol, 1);
	sql_bind_text(stmt, 2, flow_direction_name(record->direction));
	sql_bind_text(stmt, 3, flow_outcome_name(record->outcome));
	sql_bind_integers(stmt, 4, &error, 1);
	sql_bind_text(stmt, 5, flow_method_name(record->method));
	sql_bind_text(stmt, 6, flow_source_name(record->source));
}

int dictionary_kind(
	struct dictionary *dictionary, const struct flow_record *record, int64_t *ret_id)
{
	int32_t key[6] = {record->key.protocol, (int32_t)record->direction,
		(int32_t)record->outcome, record->error, (int32_t)record->method,
		(int32_t)record->source};
	sqlite3_stmt *add = dictionary->add[DICTIONARY_KIND];
	char name[FLOW_PROTOCOL_NAME_SIZE];

	if (find_cached(dictionary, DICTIONARY_KIND, key, sizeof(key), ret_id))
		return 0;
	bind_kind(dictionary->find[DICTIONARY_KIND], record);
	bind_kind(add, record);
	sql_bind_text(add, 7, flow_protocol_name(record->key.protocol, name));
	return intern(dictionary, DICTIONARY_KIND, key, sizeof(key), ret_id);
}

static int find_executable(
	struct dictionary *dictionary, const char *path, uint32_t flags, int64_t *ret_id)
{
	struct {
		uint32_t flags;
		char path[PROCESS_PATH_MAX];
	} key;
	int64_t number = flags & (PROCESS_EXE_DELETED | PROCESS_EXE_MEMFD | PROCESS_EXE_TRUNCATED);
	size_t length = strnlen(path, sizeof(key.path) - 1);
	sqlite3_stmt *find = dictionary->find[DICTIONARY_EXECUTABLE];
	sqlite3_stmt *add = dictionary->add[DICTIONARY_EXECUTABLE];

	key.flags = (uint32_t)number;
	memcpy(key.path, path, length);
	key.path[length] = '\0';
	length += offsetof(__typeof__(key), path);
	if (find_cached(dictionary, DICTIONARY_EXECUTABLE, &key, length, ret_id))
		return 0;
	sql_bind_text(find, 1, key.path);
	sql_bind_integers(find, 2, &number, 1);
	sql_bind_text(add, 1, key.path);
	sql_bind_integers(add, 2, &number, 1);
	return intern(dictionary, DICTIONARY_EXECUTABLE, &key, length, ret_id);
}

static const char *text_or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int find_unit(struct dictionary *dictionary, const char *cgroup, int64_t *ret_id)
{
	sqlite3_stmt *add = dictionary->add[DICTIONARY_UNIT];
	size_t length = strlen(cgroup);
	struct unit_names names;

	if (find_cached(dictionary, DICTIONARY_UNIT, cgroup, length, ret_id))
		return 0;
	unit_parse(cgroup, &names);
	sql_bind_text(dictionary->find[DICTIONARY_UNIT], 1, cgroup);
	sql_bind_text(add, 1, cgroup);
	sql_bind_text(add, 2, text_or_null(names.unit));
	sql_bind_text(add, 3, text_or_null(names.user_unit));
	sql_bind_text(add, 4, text_or_null(names.runtime));
	sql_bind_text(add, 5, text_or_null(names.container));
	sql_bind_text(add, 6, text_or_null(names.pod));
	return intern(dictionary, DICTIONARY_UNIT, cgroup, length, ret_id);
}

static int find_actor(struct dictionary *dictionary, const int64_t key[4], int64_t *ret_id)
{
	size_t length = 4 * sizeof(key[0]);

	if (find_cached(dictionary, DICTIONARY_ACTOR, key, length, ret_id))
		return 0;
	sql_bind_integers(dictionary->find[DICTIONARY_ACTOR], 1, key, 4);
	sql_bind_integers(dictionary->add[DICTIONARY_ACTOR], 1, key, 4);
	return intern(dictionary, DICTIONARY_ACTOR, key, length, ret_id);
}

/* Runs a SELECT of (id, actor, executable) by identity. 1 found, 0 not, -1 error. */
static int select_process(struct dictionary *dictionary, sqlite3_stmt *stmt,
	const struct process_ref *ref, struct id_value *ret_value)
{
	int64_t key[4] = {dictionary->boot, (int64_t)ref->start_ns, ref->pid, ref->exec_id};
	int64_t row[3];
	int found;

	sql_bind_integers(stmt, 1, key, 4);
	found = sql_row(stmt, row, 3);
	if (found > 0) {
		ret_value->id = row[0];
		ret_value->actor = (int32_t)row[1];
		ret_value->executable = (int32_t)row[2];
	}
	return found;
}

static void mark_process(struct dictionary *dictionary, const struct id_value *value)
{
	used_ids_mark(&dictionary->used[DICTIONARY_PROCESS], value->id);
	used_ids_mark(&dictionary->used[DICTIONARY_ACTOR], value->actor);
	used_ids_mark(&dictionary->used[DICTIONARY_EXECUTABLE], value->executable);
}

static int find_process(
	struct dictionary *dictionary, const struct process_ref *ref, struct id_value *ret_value)
{
	struct id_cache *cache = &dictionary->caches[DICTIONARY_PROCESS];
	int found = id_cache_find(cache, ref, sizeof(*ref), ret_value);

	if (!found) {
		found = select_process(
			dictionary, dictionary->find[DICTIONARY_PROCESS], ref, ret_value);
		if (found > 0)
			id_cache_put(cache, ref, sizeof(*ref), ret_value);
	}
	if (found > 0)
		mark_process(dictionary, ret_value);
	return found;
}

/* Of a parent the program it ran at the fork may not be known, but an earlier one of it. */
static int find_parent(
	struct dictionary *dictionary, const struct process_ref *ref, struct id_value *ret_value)
{
	int found;

	*ret_value = (struct id_value){.id = SQL_NULL};
	if (!process_ref_known(ref))
		return 0;
	found = find_process(dictionary, ref, ret_value);
	if (found == 0 && ref->start_ns)
		found = select_process(dictionary, dictionary->find_process_before, ref, ret_value);
	if (found > 0)
		mark_process(dictionary, ret_value);
	return found < 0 ? -1 : 0;
}

static int find_actor_of(struct dictionary *dictionary, const struct process_info *info,
	const struct id_value *parent, struct id_value *value)
{
	int64_t key[4] = {value->executable, parent->executable, info->uid, 0};
	int64_t actor;

	if (info->exe[0] && find_executable(dictionary, info->exe, info->flags, &key[0]) < 0)
		return -1;
	if (info->uid == PROCESS_UID_NONE)
		key[2] = -1;
	if (info->cgroup[0] && find_unit(dictionary, info->cgroup, &key[3]) < 0)
		return -1;
	if (find_actor(dictionary, key, &actor) < 0)
		return -1;
	value->executable = (int32_t)key[0];
	value->actor = (int32_t)actor;
	return 0;
}

static int64_t null_if(uint32_t value, uint32_t unknown)
{
	return value == unknown ? SQL_NULL : value;
}

static int64_t start_of(const struct dictionary *dictionary, const struct process_ref *ref)
{
	return ref->start_ns ? dictionary->boot_start_us + (int64_t)(ref->start_ns / 1000) : 0;
}

static int insert_process(struct dictionary *dictionary, const struct process_info *info,
	int64_t parent, struct id_value *value)
{
	sqlite3_stmt *add = dictionary->add[DICTIONARY_PROCESS];
	int64_t start_us = start_of(dictionary, &info->ref);
	int64_t row[12] = {dictionary->boot, (int64_t)info->ref.start_ns, info->ref.pid,
		info->ref.exec_id, start_us, value->actor, parent, null_if(info->parent.pid, 0),
		null_if(info->loginuid, PROCESS_UID_NONE), null_if(info->inner_pid, 0),
		null_if(info->netns, 0), info->flags};

	sql_bind_integers(add, 1, row, 12);
	sql_bind_text(add, 13, info->comm);
	sql_bind_text(add, 14, info->cmdline);
	if (sql_run(add) < 0)
		return -1;
	value->id = sqlite3_last_insert_rowid(dictionary->db);
	return 0;
}

static int update_process(struct dictionary *dictionary, const struct process_info *info,
	int64_t parent, const struct id_value *value)
{
	sqlite3_stmt *update = dictionary->update_process;
	int64_t row[7] = {value->actor, parent, null_if(info->parent.pid, 0),
		null_if(info->loginuid, PROCESS_UID_NONE), null_if(info->inner_pid, 0),
		null_if(info->netns, 0), info->flags};

	sql_bind_integers(update, 1, row, 7);
	sql_bind_text(update, 8, info->comm);
	sql_bind_text(update, 9, info->cmdline);
	sql_bind_integers(update, 10, (int64_t[]){start_of(dictionary, &info->ref), value->id}, 2);
	return sql_run(update);
}

int dictionary_put_process(struct dictionary *dictionary, const struct process_info *info)
{
	struct id_value value = {0}, parent;
	int known = find_process(dictionary, &info->ref, &value);

	if (known < 0 || find_parent(dictionary, &info->parent, &parent) < 0 ||
		find_actor_of(dictionary, info, &parent, &value) < 0)
		return -1;
	if ((known ? update_process(dictionary, info, parent.id, &value)
		   : insert_process(dictionary, info, parent.id, &value)) < 0)
		return -1;
	id_cache_put(
		&dictionary->caches[DICTIONARY_PROCESS], &info->ref, sizeof(info->ref), &value);
	return 0;
}

int dictionary_process(
	struct dictionary *dictionary, const struct process_ref *ref, struct id_value *ret_value)
{
	const struct process_info nameless = {.ref = *ref,
		.loginuid = PROCESS_UID_NONE,
		.comm = "",
		.exe = "",
		.cmdline = "",
		.cgroup = ""};
	struct id_value value = {.id = SQL_NULL};
	int found;

	if (process_ref_known(ref)) {
		found = find_process(dictionary, ref, &value);
		if (found < 0)
			return -1;
		if (!found) {
			if (insert_process(dictionary, &nameless, SQL_NULL, &value) < 0)
				return -1;
			id_cache_put(
				&dictionary->caches[DICTIONARY_PROCESS], ref, sizeof(*ref), &value);
		}
	}
	*ret_value = value;
	return 0;
}

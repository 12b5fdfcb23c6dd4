/* Open flows and listeners back out of the database, as the records that made them. */
#include <errno.h>

#include "store/sql.h"
#include "store/store_internal.h"

enum { KIND_COLUMN = 12, LOCAL_COLUMN = 16, REMOTE_COLUMN = 18, USER_COLUMN = 19 };

static const char open_flows_text[] =
	"SELECT o.socket, o.serial, o.start_us, o.seen_us, o.remote_port, o.local_port,"
	" o.octets_out, o.octets_in, o.packets_out, o.packets_in, o.retransmits, o.rtt_us,"
	" k.direction, k.method, k.source, k.protocol_id, l.address, l.netns, r.address,"
	" u.start_ns, u.pid, u.exec_id, p.start_ns, p.pid, p.exec_id"
	" FROM open_flow AS o JOIN kind AS k ON k.id = o.kind JOIN local AS l ON l.id = o.local"
	" JOIN remote AS r ON r.id = o.remote LEFT JOIN process AS u ON u.id = o.process"
	" LEFT JOIN process AS p ON p.id = coalesce(o.opener, o.process)"
	" WHERE o.run = ?1 ORDER BY o.seen_us";

static const char open_listeners_text[] =
	"SELECT i.socket, i.protocol_id, i.local_port, i.from_us, l.address, l.netns,"
	" u.start_ns, u.pid, u.exec_id"
	" FROM listener AS i JOIN local AS l ON l.id = i.local"
	" LEFT JOIN process AS u ON u.id = i.process"
	" WHERE i.run = ?1 AND i.until_us IS NULL";

static uint64_t number(sqlite3_stmt *stmt, int column)
{
	return (uint64_t)sqlite3_column_int64(stmt, column);
}

static struct addr address(sqlite3_stmt *stmt, int column)
{
	const void *octets = sqlite3_column_blob(stmt, column);

	if (sqlite3_column_bytes(stmt, column) == 4)
		return addr_from_v4(octets);
	if (sqlite3_column_bytes(stmt, column) == 16)
		return addr_from_v6(octets);
	return (struct addr){0};
}

static struct process_ref process(sqlite3_stmt *stmt, int column)
{
	return (struct process_ref){
		.start_ns = number(stmt, column),
		.pid = (uint32_t)number(stmt, column + 1),
		.exec_id = (uint32_t)number(stmt, column + 2),
	};
}

static int read_flow(sqlite3_stmt *stmt, struct batch *batch)
{
	struct flow_record record = {
		.key.socket_cookie = number(stmt, 0),
		.serial = number(stmt, 1),
		.start_us = sqlite3_column_int64(stmt, 2),
		.end_us = sqlite3_column_int64(stmt, 3),
		.key.remote_port = (uint16_t)number(stmt, 4),
		.key.local_port = (uint16_t)number(stmt, 5),
		.counters.octets_out = number(stmt, 6),
		.counters.octets_in = number(stmt, 7),
		.counters.packets_out = number(stmt, 8),
		.counters.packets_in = number(stmt, 9),
		.counters.retransmits = (uint32_t)number(stmt, 10),
		.counters.rtt_us = (uint32_t)number(stmt, 11),
		.key.local = address(stmt, LOCAL_COLUMN),
		.key.netns = (uint32_t)number(stmt, LOCAL_COLUMN + 1),
		.key.remote = address(stmt, REMOTE_COLUMN),
		.user = process(stmt, USER_COLUMN),
		.opener = process(stmt, USER_COLUMN + 3),
		.kind = FLOW_RECORD_OPEN,
	};

	store_read_kind(stmt, KIND_COLUMN, &record);
	return batch_add_flow(batch, &record);
}

static int read_listener(sqlite3_stmt *stmt, struct batch *batch)
{
	const struct listener_record record = {
		.key.socket_cookie = number(stmt, 0),
		.key.protocol = (uint8_t)number(stmt, 1),
		.key.local_port = (uint16_t)number(stmt, 2),
		.from_us = sqlite3_column_int64(stmt, 3),
		.key.local = address(stmt, 4),
		.key.netns = (uint32_t)number(stmt, 5),
		.owner = process(stmt, 6),
	};

	return batch_add_listener(batch, &record);
}

static int read_all(struct store *store, const char *text, struct batch *batch,
	int (*read_one)(sqlite3_stmt *, struct batch *))
{
	sqlite3_stmt *stmt;
	int code, error = 0;

	if (sql_prepare(store->db, text, &stmt) < 0)
		return -1;
	sql_bind_integers(stmt, 1, &store->run, 1);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW && error == 0)
		error = read_one(stmt, batch);
	sqlite3_finalize(stmt);
	return code == SQLITE_DONE && error == 0 ? 0 : -1;
}

int store_resume(struct store *store, struct batch **ret_batch, struct store_error *ret_error)
{
	struct batch *batch;

	if (batch_new(SIZE_MAX, &batch) < 0)
		return sql_fail(ret_error, STORE_RETRY, store->file.path, "out of memory");
	if (read_all(store, open_flows_text, batch, read_flow) == 0 &&
		read_all(store, open_listeners_text, batch, read_listener) == 0) {
		*ret_batch = batch;
		return 0;
	}
	batch_free(batch);
	return sql_describe(store->db, store->file.path, "reading open flows", ret_error);
}

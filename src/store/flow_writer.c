/* The key of a flow is the microsecond of its end. Flows that end in the same one get the next
 * free: the flows of a batch are sorted, and where a run of taken keys goes on is remembered, so
 * that a capture file with coarse times, or a storm, costs no search per flow. The start is kept
 * exact: what the end gained the duration gains too.
 *
 * The name of an open flow stays, unless the flow itself says a better one: what is known of an
 * address may be forgotten before a long flow ends. So do its ends beyond a NAT. */
#include "store/flow_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/sql.h"

enum { FLOW_COLUMNS = 16 };

#define FLOW_TEXT                                                                               \
	"(end_us, duration_us, actor, process, opener, remote, local, remote_port, local_port," \
	" kind, octets_out, octets_in, packets_out, packets_in, retransmits, rtt_us)"

static const char add_flow_text[] =
	"INSERT OR IGNORE INTO flow " FLOW_TEXT
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

static const char new_flow_table[] = "CREATE TABLE new_flow " FLOW_TEXT;

static const char add_flows_text[] = "INSERT INTO flow " FLOW_TEXT " SELECT * FROM new_flow";

static const char add_nat_text[] =
	"INSERT INTO flow_nat (end_us, local, local_port, remote, remote_port)"
	" VALUES (?1, ?2, ?3, ?4, ?5)";

static const char scan_flow_text[] = "SELECT end_us FROM flow WHERE end_us >= ?1 ORDER BY end_us";

/* Of the name that an open flow has: 0 none, 1 that of an answer, 2 the flow's own. */
#define NAME_RANK                                                                         \
	"(SELECT (name <> 0) + (name_source IN ('sni', 'quic', 'http')) FROM remote AS r" \
	" WHERE r.id = open_flow.remote)"

static const char put_open_text[] =
	"INSERT INTO open_flow (run, serial, start_us, seen_us, actor, process, opener, remote,"
	" local, remote_port, local_port, kind, octets_out, octets_in, packets_out, packets_in,"
	" retransmits, rtt_us, socket, nat_local, nat_local_port, nat_remote, nat_remote_port)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
	" ?19, ?21, ?22, ?23, ?24)"
	" ON CONFLICT DO UPDATE SET start_us = ?3, seen_us = ?4, actor = ?5, process = ?6, opener "
	"= ?7,"
	" kind = ?12, octets_out = ?13, octets_in = ?14, packets_out = ?15, packets_in = ?16,"
	" retransmits = ?17, rtt_us = ?18, remote = iif(?20 > " NAME_RANK ", ?8, remote),"
	" nat_local = coalesce(?21, nat_local), nat_local_port = coalesce(?22, nat_local_port),"
	" nat_remote = coalesce(?23, nat_remote),"
	" nat_remote_port = coalesce(?24, nat_remote_port)";

/* Gives back the remote, if it has a name that is worth as much as ?3 or more, and struct flow_nat.
 */
static const char remove_open_text[] =
	"DELETE FROM open_flow WHERE run = ?1 AND serial = ?2"
	" RETURNING iif(" NAME_RANK
	" >= max(?3, 1), remote, 0), nat_local, nat_local_port, nat_remote, nat_remote_port";

int flow_writer_init(
	struct flow_writer *writer, sqlite3 *db, struct dictionary *dictionary, int64_t run)
{
	writer->dictionary = dictionary;
	writer->run = run;
	if (sql_integer(db, "SELECT coalesce(max(end_us), 0) FROM flow", &writer->latest_us) < 0 ||
		rollup_init(&writer->rollup, db) < 0 || flow_count_init(&writer->count, db) < 0 ||
		sql_prepare(db, add_flow_text, &writer->add_flow) < 0 ||
		sql_rows_init(&writer->latest, db, "new_flow", new_flow_table) < 0 ||
		sql_prepare(db, add_flows_text, &writer->add_flows) < 0 ||
		sql_prepare(db, add_nat_text, &writer->add_nat) < 0 ||
		sql_prepare(db, scan_flow_text, &writer->scan_flow) < 0 ||
		sql_prepare(db, put_open_text, &writer->put_open) < 0)
		return -1;
	return sql_prepare(db, remove_open_text, &writer->remove_open);
}

void flow_writer_done(struct flow_writer *writer)
{
	rollup_done(&writer->rollup);
	flow_count_done(&writer->count);
	sqlite3_finalize(writer->add_flow);
	sqlite3_finalize(writer->add_flows);
	sql_rows_done(&writer->latest);
	sqlite3_finalize(writer->add_nat);
	sqlite3_finalize(writer->scan_flow);
	sqlite3_finalize(writer->put_open);
	sqlite3_finalize(writer->remove_open);
	free(writer->ended);
}

void flow_writer_drop(struct flow_writer *writer)
{
	rollup_revert(&writer->rollup);
	memset(&writer->last, 0, sizeof(writer->last));
	memset(writer->runs, 0, sizeof(writer->runs));
}

int flow_writer_begin(struct flow_writer *writer, size_t flows)
{
	struct ended_flow *ended;

	if (flows > writer->ended_capacity) {
		ended = realloc(writer->ended, flows * sizeof(*ended));
		if (!ended)
			return -ENOMEM;
		writer->ended = ended;
		writer->ended_capacity = flows;
	}
	writer->latest.count = 0;
	if (flow_count_begin(&writer->count, flows) < 0 ||
		sql_rows_reserve(&writer->latest, flows) < 0)
		return -ENOMEM;
	return rollup_begin(&writer->rollup, flows, writer->latest_us);
}

static struct key_run *run_slot(struct flow_writer *writer, int64_t end_us)
{
	uint64_t mixed = (uint64_t)end_us * UINT64_C(0x9e3779b97f4a7c15);

	return &writer->runs[mixed >> 56];
}

/* The first key from key on that nothing is known to have taken. */
static int64_t skip_known(struct flow_writer *writer, int64_t key)
{
	const struct key_run *slot = run_slot(writer, key);

	if (slot->from == key && slot->next > key)
		key = slot->next;
	if (key >= writer->last.from && key < writer->last.next)
		key = writer->last.next;
	return key;
}

/* The first free key from key on. */
static int scan_free(struct flow_writer *writer, int64_t *key)
{
	int code;

	sql_bind_integers(writer->scan_flow, 1, key, 1);
	while ((code = sqlite3_step(writer->scan_flow)) == SQLITE_ROW &&
		sqlite3_column_int64(writer->scan_flow, 0) == *key)
		++*key;
	sqlite3_reset(writer->scan_flow);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -1;
}

static int64_t duration_of(const struct flow_row *row)
{
	return row->end_us > row->start_us ? row->end_us - row->start_us : 0;
}

static int add_latest(struct flow_writer *writer)
{
	return sql_rows_run(&writer->latest, writer->add_flows);
}

/* Inserts under the first free key from values[0] on, which is then the key. */
static int insert_late(struct flow_writer *writer, int64_t values[static FLOW_COLUMNS])
{
	int64_t key = values[0];

	if (add_latest(writer) < 0)
		return -1;
	for (;;) {
		values[1] += key - values[0];
		values[0] = key;
		sql_bind_integers(writer->add_flow, 1, values, FLOW_COLUMNS);
		if (sql_run(writer->add_flow) < 0)
			return -1;
		if (sqlite3_changes(writer->dictionary->db) == 1)
			return 0;
		if (scan_free(writer, &key) < 0)
			return -1;
	}
}

/* Under the first free key from row->end_us on. Beyond the greatest one all are free: most flows
 * are written there, all of a batch by one statement. */
static int insert_flow(struct flow_writer *writer, const struct flow_row *row, int64_t *ret_key)
{
	int64_t key = skip_known(writer, row->end_us);
	int64_t values[FLOW_COLUMNS] = {key, duration_of(row) + (key - row->end_us), row->actor,
		row->process, row->opener, row->remote, row->local, row->remote_port,
		row->local_port, row->kind, row->octets_out, row->octets_in, row->packets_out,
		row->packets_in, row->retransmits, row->rtt_us};

	if (key > writer->latest_us)
		sql_rows_add(&writer->latest, values, FLOW_COLUMNS);
	else if (insert_late(writer, values) < 0)
		return -1;
	key = values[0];
	if (row->end_us < writer->last.from || row->end_us > writer->last.next)
		writer->last.from = row->end_us;
	writer->last.next = key + 1;
	if (key != row->end_us)
		*run_slot(writer, row->end_us) = (struct key_run){row->end_us, key + 1};
	if (key > writer->latest_us)
		writer->latest_us = key;
	*ret_key = key;
	return 0;
}

static bool is_failure(enum flow_outcome outcome)
{
	return outcome == FLOW_OUTCOME_REFUSED || outcome == FLOW_OUTCOME_TIMEOUT ||
	       outcome == FLOW_OUTCOME_UNREACHABLE;
}

static bool is_none(const struct flow_nat *nat)
{
	return nat->local == SQL_NULL && nat->remote == SQL_NULL;
}

static int insert_nat(struct flow_writer *writer, const struct flow_nat *nat, int64_t key)
{
	int64_t values[1 + FLOW_NAT_VALUES] = {
		key, nat->local, nat->local_port, nat->remote, nat->remote_port};

	if (is_none(nat))
		return 0;
	sql_bind_integers(writer->add_nat, 1, values, 1 + FLOW_NAT_VALUES);
	return sql_run(writer->add_nat);
}

int flow_writer_add(struct flow_writer *writer, const struct flow_row *row)
{
	struct rollup_entry entry = {
		.remote = (int32_t)row->remote,
		.process = row->process,
		.first_us = row->start_us,
		.flows = 1,
		.failed = is_failure(row->outcome),
		.octets_out = row->octets_out,
		.octets_in = row->octets_in,
		.actor = (int32_t)row->actor,
		.executable = (int32_t)row->executable,
		.methods = (uint8_t)(1u << row->method),
		.port = row->service_port,
		.protocol = row->protocol,
		.direction = (uint8_t)row->direction,
	};

	if (insert_flow(writer, row, &entry.last_us) < 0 ||
		insert_nat(writer, &row->nat, entry.last_us) < 0)
		return -1;
	flow_count_note(&writer->count, entry.executable);
	if (entry.first_us > entry.last_us)
		entry.first_us = entry.last_us;
	return rollup_add(&writer->rollup, &entry, duration_of(row) + entry.last_us - row->end_us);
}

int flow_writer_finish(struct flow_writer *writer)
{
	if (add_latest(writer) < 0 || flow_count_write(&writer->count, 1) < 0)
		return -1;
	return rollup_finish(&writer->rollup);
}

static int resolve_processes(
	struct flow_writer *writer, const struct flow_record *record, struct flow_row *row)
{
	struct id_value user, opener = {.id = SQL_NULL};

	if (dictionary_process(writer->dictionary, &record->user, &user) < 0)
		return -1;
	if (!process_ref_equal(&record->opener, &record->user) &&
		dictionary_process(writer->dictionary, &record->opener, &opener) < 0)
		return -1;
	row->process = user.id;
	row->opener = opener.id;
	row->actor = user.actor;
	row->executable = user.executable;
	return 0;
}

static int resolve_nat(struct flow_writer *writer, const struct flow_key *key,
	const struct nat_ends *ends, struct flow_nat *nat)
{
	const struct flow_key beyond = {.local = ends->local};

	if (!addr_equal(&ends->local, &key->local) || ends->local_port != key->local_port) {
		if (dictionary_local(writer->dictionary, &beyond, &nat->local) < 0)
			return -1;
		nat->local_port = ends->local_port;
	}
	if (!addr_equal(&ends->remote, &key->remote) || ends->remote_port != key->remote_port) {
		if (dictionary_remote(writer->dictionary, &ends->remote, &(struct flow_name){0},
			    &nat->remote) < 0)
			return -1;
		nat->remote_port = ends->remote_port;
	}
	return 0;
}

static int resolve(struct flow_writer *writer, const struct flow_record *record,
	const struct flow_name *name, const struct nat_ends *nat, struct flow_row *row)
{
	const struct flow_key *key = &record->key;

	if (resolve_processes(writer, record, row) < 0 ||
		dictionary_remote(writer->dictionary, &key->remote, name, &row->remote) < 0 ||
		dictionary_local(writer->dictionary, key, &row->local) < 0 ||
		dictionary_kind(writer->dictionary, record, &row->kind) < 0)
		return -1;
	row->nat = (struct flow_nat){SQL_NULL, SQL_NULL, SQL_NULL, SQL_NULL};
	if (nat && resolve_nat(writer, key, nat, &row->nat) < 0)
		return -1;
	row->start_us = record->start_us;
	row->end_us = record->end_us;
	row->remote_port = key->remote_port;
	row->local_port = key->local_port;
	row->octets_out = (int64_t)record->counters.octets_out;
	row->octets_in = (int64_t)record->counters.octets_in;
	row->packets_out = (int64_t)record->counters.packets_out;
	row->packets_in = (int64_t)record->counters.packets_in;
	row->retransmits = record->counters.retransmits;
	row->rtt_us = record->counters.rtt_us ? record->counters.rtt_us : SQL_NULL;
	row->service_port = flow_key_service_port(key, record->direction);
	row->protocol = key->protocol;
	row->direction = record->direction;
	row->outcome = record->outcome;
	row->method = record->method;
	return 0;
}

static int64_t name_rank(const struct flow_name *name)
{
	return name->text ? 1 + name_source_is_own(name->source) : 0;
}

static int put_open(struct flow_writer *writer, const struct flow_record *record,
	const struct flow_name *name, const struct nat_ends *nat)
{
	struct flow_row row;

	if (resolve(writer, record, name, nat, &row) < 0)
		return -1;

	int64_t values[24] = {writer->run, (int64_t)record->serial, row.start_us, row.end_us,
		row.actor, row.process, row.opener, row.remote, row.local, row.remote_port,
		row.local_port, row.kind, row.octets_out, row.octets_in, row.packets_out,
		row.packets_in, row.retransmits, row.rtt_us, (int64_t)record->key.socket_cookie,
		name_rank(name), row.nat.local, row.nat.local_port, row.nat.remote,
		row.nat.remote_port};

	sql_bind_integers(writer->put_open, 1, values, 24);
	return sql_run(writer->put_open);
}

static int remove_open(struct flow_writer *writer, struct ended_flow *ended)
{
	int64_t key[3] = {writer->run, (int64_t)ended->record->serial, name_rank(&ended->name)};

	int64_t open[1 + FLOW_NAT_VALUES];
	int found;

	sql_bind_integers(writer->remove_open, 1, key, 3);
	found = sql_row(writer->remove_open, open, 1 + FLOW_NAT_VALUES);
	if (found <= 0)
		return found;
	ended->remote = open[0];
	ended->open_nat = (struct flow_nat){open[1], open[2], open[3], open[4]};
	return 0;
}

static int compare_end(const void *left, const void *right)
{
	const struct flow_record *a = ((const struct ended_flow *)left)->record;
	const struct flow_record *b = ((const struct ended_flow *)right)->record;

	return (a->end_us > b->end_us) - (a->end_us < b->end_us);
}

/* Opens, updates and removals in the order of their records; what ended is collected. */
static int write_open(struct flow_writer *writer, const struct batch *batch, size_t *ret_ended)
{
	const struct flow_record *record;
	size_t ended = 0;

	for (size_t i = 0; (record = batch_flow(batch, i)) != NULL; i++) {
		struct ended_flow flow = {
			.record = record,
			.name = batch_flow_name(batch, i),
			.nat = batch_flow_nat(batch, i),
			.open_nat = {SQL_NULL, SQL_NULL, SQL_NULL, SQL_NULL},
		};

		if (record->kind == FLOW_RECORD_FORGET) {
			if (remove_open(writer, &flow) < 0)
				return -1;
			continue;
		}
		if (record->kind != FLOW_RECORD_END) {
			if (put_open(writer, record, &flow.name, flow.nat) < 0)
				return -1;
			continue;
		}
		if (record->was_open && remove_open(writer, &flow) < 0)
			return -1;
		writer->ended[ended++] = flow;
	}
	*ret_ended = ended;
	return 0;
}

static int write_ended(struct flow_writer *writer, const struct ended_flow *ended)
{
	struct flow_row row;

	if (resolve(writer, ended->record, &ended->name, ended->nat, &row) < 0)
		return -1;
	if (is_none(&row.nat))
		row.nat = ended->open_nat;
	if (ended->remote)
		row.remote = ended->remote;
	return flow_writer_add(writer, &row);
}

/* They mostly come in this order already. */
static void sort_ended(struct ended_flow *ended, size_t count)
{
	size_t sorted = 1;

	while (sorted < count && compare_end(&ended[sorted - 1], &ended[sorted]) <= 0)
		sorted++;
	if (sorted < count)
		qsort(ended, count, sizeof(*ended), compare_end);
}

int flow_writer_batch(struct flow_writer *writer, const struct batch *batch)
{
	size_t ended;

	if (flow_writer_begin(writer, batch_flows(batch)) < 0 ||
		write_open(writer, batch, &ended) < 0)
		return -1;
	sort_ended(writer->ended, ended);
	for (size_t i = 0; i < ended; i++)
		if (write_ended(writer, &writer->ended[i]) < 0)
			return -1;
	return flow_writer_finish(writer);
}

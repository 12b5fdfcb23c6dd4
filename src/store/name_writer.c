/* The same evidence again extends its row and counts, if it comes within the TTL of the last answer
 * or ten minutes, whichever is longer: so a name that is asked for without end takes one row, and
 * what came back after a pause another. What is older than the row, as of an old capture file that
 * is read after a newer one, is held to the same. */
#include "store/name_writer.h"

#include "flow/flow_names.h"
#include "store/sql.h"
#include "util/clock.h"

/* Both take the same parameters; what tells evidence apart is ?1 and ?3 to ?6. */
static const char extend_text[] =
	"UPDATE name_evidence SET first_us = min(first_us, ?8), last_us = max(last_us, ?9),"
	" until_us = max(until_us, ?10), times = times + ?11,"
	" ttl_s = iif(?9 >= last_us, ?12, ttl_s), ech = max(ech, ?13),"
	" alpn = coalesce(nullif(?7, ''), alpn)"
	" WHERE id = (SELECT max(id) FROM name_evidence WHERE address = ?1 AND name = ?3"
	" AND owner = ?4 AND process IS ?5 AND source = ?6"
	" AND max(until_us, last_us + 600000000) >= ?8"
	" AND first_us <= max(?10, ?9 + 600000000))";

static const char add_text[] =
	"INSERT INTO name_evidence (address, ip, name, owner, process, source, alpn, first_us,"
	" last_us, until_us, times, ttl_s, ech)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

int name_writer_init(struct name_writer *writer, sqlite3 *db, struct dictionary *dictionary)
{
	writer->dictionary = dictionary;
	if (sql_prepare(db, extend_text, &writer->extend) < 0)
		return -1;
	return sql_prepare(db, add_text, &writer->add);
}

void name_writer_done(struct name_writer *writer)
{
	sqlite3_finalize(writer->extend);
	sqlite3_finalize(writer->add);
}

/* name, owner, process. */
static int resolve(
	struct name_writer *writer, const struct name_record *record, int64_t ret_ids[static 3])
{
	struct id_value asker;

	if (dictionary_name(writer->dictionary, record->name, &ret_ids[0]) < 0 ||
		dictionary_name(writer->dictionary, record->owner, &ret_ids[1]) < 0 ||
		dictionary_process(writer->dictionary, &record->asker, &asker) < 0)
		return -1;
	ret_ids[2] = asker.id;
	return 0;
}

/* Texts are borrowed by the statements: bind and run belong together. */
static int run(sqlite3_stmt *stmt, const struct name_record *record, const int64_t ids[static 3])
{
	int64_t numbers[6] = {record->first_us, record->last_us,
		record->last_us + record->ttl_s * (int64_t)US_PER_S, (int64_t)record->count,
		record->ttl_s, record->ech};
	char ip[ADDR_TEXT_SIZE] = "";
	const uint8_t *octets = record->address.octets;
	size_t length = 0;

	if (!addr_is_unspecified(&record->address)) {
		octets = addr_octets(&record->address, &length);
		addr_format(&record->address, ip);
	}
	sql_bind_blob(stmt, 1, octets, length);
	sql_bind_text(stmt, 2, ip);
	sql_bind_integers(stmt, 3, ids, 3);
	sql_bind_text(stmt, 6, name_source_name(record->source));
	sql_bind_text(stmt, 7, record->alpn);
	sql_bind_integers(stmt, 8, numbers, 6);
	return sql_run(stmt);
}

static int write_name(struct name_writer *writer, const struct name_record *record)
{
	int64_t ids[3];

	if (resolve(writer, record, ids) < 0 || run(writer->extend, record, ids) < 0)
		return -1;
	if (sqlite3_changes(writer->dictionary->db) > 0)
		return 0;
	return run(writer->add, record, ids);
}

int name_writer_batch(struct name_writer *writer, const struct batch *batch)
{
	const struct name_record *record;

	for (size_t i = 0; (record = batch_name(batch, i)) != NULL; i++)
		if (write_name(writer, record) < 0)
			return -1;
	return 0;
}

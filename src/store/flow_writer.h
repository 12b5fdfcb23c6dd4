/* Flow records into flow, open_flow and the roll-ups. Internal to store/.
 *
 * All calls between flow_writer_begin and flow_writer_finish belong to one transaction; when it
 * rolls back, flow_writer_drop must be called. Functions return 0, or -1 with the error in the
 * connection. */
#ifndef LASTCONN_STORE_FLOW_WRITER_H
#define LASTCONN_STORE_FLOW_WRITER_H

#include "store/batch.h"
#include "store/dictionary.h"
#include "store/flow_count.h"
#include "store/rollup.h"
#include "store/sql_rows.h"

enum { FLOW_WRITER_RUNS = 256 };

/* The keys from .. next - 1 are taken. */
struct key_run {
	int64_t from, next;
};

enum { FLOW_NAT_VALUES = 4 };

/* Ids and ports of the ends beyond a NAT; SQL_NULL of an end that it leaves as it is. */
struct flow_nat {
	int64_t local, local_port, remote, remote_port;
};

/* A flow with its ids: a row of open_flow, or of flow before it has its key. */
struct flow_row {
	int64_t start_us, end_us;
	int64_t actor, executable;
	int64_t process, opener; /* SQL_NULL unknown */
	int64_t remote, local;
	int64_t remote_port, local_port;
	int64_t kind;
	int64_t octets_out, octets_in, packets_out, packets_in, retransmits, rtt_us;
	struct flow_nat nat;
	uint16_t service_port;
	uint8_t protocol;
	enum flow_direction direction;
	enum flow_outcome outcome;
	enum flow_method method;
};

/* A record of kind END, with what else is known of its ends. */
struct ended_flow {
	const struct flow_record *record;
	struct flow_name name;
	const struct nat_ends *nat; /* NULL none */
	int64_t remote;             /* of the flow while it was open, if that is to stay; 0 none */
	struct flow_nat open_nat;   /* of the flow while it was open */
};

struct flow_writer {
	struct dictionary *dictionary;
	struct rollup rollup;
	struct flow_count count;
	int64_t run;
	sqlite3_stmt *add_flow, *add_flows, *add_nat, *scan_flow, *put_open, *remove_open;
	struct sql_rows latest;                /* of flow, not inserted yet */
	int64_t latest_us;                     /* the greatest key, or more: after a step of the
						* clock back flows are inserted one by one, until
						* the clock has come this far */
	struct key_run last;                   /* of the flow before */
	struct key_run runs[FLOW_WRITER_RUNS]; /* by hash of from */
	struct ended_flow *ended;              /* of one batch, sorted by end */
	size_t ended_capacity;
};

/* A zeroed writer, in a transaction; flow_writer_done also after a failed init. */
int flow_writer_init(
	struct flow_writer *writer, sqlite3 *db, struct dictionary *dictionary, int64_t run);
void flow_writer_done(struct flow_writer *writer);
void flow_writer_drop(struct flow_writer *writer); /* the transaction was rolled back */

int flow_writer_begin(struct flow_writer *writer, size_t flows);             /* 0 or -ENOMEM */
int flow_writer_add(struct flow_writer *writer, const struct flow_row *row); /* sorted by end */
int flow_writer_finish(struct flow_writer *writer);

/* All flow records of a batch, begin and finish included. */
int flow_writer_batch(struct flow_writer *writer, const struct batch *batch);

#endif

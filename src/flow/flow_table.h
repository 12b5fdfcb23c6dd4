/* The flows that are open now: joins observations to flow records. Pure: no system calls, time is
 * an argument, memory is taken once in flow_table_new.
 *
 * Flows of sockets (SIGHTING, END) are reported OPEN at their first sighting and end when their
 * source says so, or as LOST when no sighting came for lost_timeout_ns. Flows made of packets are
 * reported OPEN once their packets span active_timeout_ns (TCP in a live capture: once they are
 * open for so long), so that a short one costs one record. They end by idle timeout (IDLE; an
 * unanswered SYN: TIMEOUT), or by their own FIN or RST: then the entry lingers for 5 s and takes in
 * what comes late, so that a late FIN makes no phantom flow; a SYN with a new number starts the
 * next flow at once. Their retransmits are those of both ends. What ICMP reports of a flow that was
 * never answered is its outcome in place of IDLE, TIMEOUT or LOST.
 *
 * Limits: max_flows entries; at the limit a lingering flow ends early, else the flow that was seen
 * longest ago is ended as it stands (outcome LOST for sockets, IDLE for packets) and counted in
 * evicted. An END observation of a flow that is not in the table needs no entry. */
#ifndef LASTCONN_FLOW_FLOW_TABLE_H
#define LASTCONN_FLOW_FLOW_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "flow/flow_growth.h"
#include "flow/flow_record.h"
#include "flow/observation.h"
#include "util/hash.h"

struct flow_table;

struct flow_table_options {
	size_t max_flows;
	int64_t active_timeout_ns; /* an open flow is reported anew after so long, if it changed */
	int64_t idle_timeout_ns;   /* flows of packets only */
	int64_t lost_timeout_ns;   /* flows of sockets only */
	uint32_t netns;            /* whose growth is summed; 0 all */
	struct hash_key hash_key;
	void (*emit)(void *ctx, const struct flow_record *record);
	void *ctx;
};

struct flow_table_counters {
	uint64_t observations;
	uint64_t created;
	uint64_t ended;
	uint64_t expired_idle;
	uint64_t expired_lost;
	uint64_t evicted; /* table full */
	size_t open;
	struct flow_growth grown; /* flows of sockets only */
};

/* Returns 0 or -ENOMEM. Free with flow_table_free. */
int flow_table_new(const struct flow_table_options *options, struct flow_table **ret_table);
void flow_table_raise_lost_timeout(struct flow_table *table, int64_t timeout_ns);
void flow_table_free(struct flow_table *table); /* forgets what is open; NULL is fine */

/* Wall clock minus source clock, used for every record from now on. 0 for capture files. */
void flow_table_set_wall_offset(struct flow_table *table, int64_t offset_ns);

void flow_table_observe(struct flow_table *table, const struct observation *observation);

/* Goes on with a flow of a socket that an earlier run left open: record is its last one, now_ns the
 * source's clock. Its next sighting or end tells whether it is still the same: counters that went
 * back are those of another flow, and the one before is LOST. Flows of packets are LOST at once: no
 * socket vouches for what went on in between. */
void flow_table_resume(struct flow_table *table, const struct flow_record *record, int64_t now_ns);

/* Ends what timed out. Call about once a second, or as the clock of a file advances. */
void flow_table_expire(struct flow_table *table, int64_t now_ns);

/* The source is over. Flows of sockets are reported as they stand and left open: the next run may
 * see them again. Flows of packets end: TCP flows as LOST, unless they were closed or reset,
 * datagram flows as IDLE. */
void flow_table_end_all(struct flow_table *table);

void flow_table_counters(const struct flow_table *table, struct flow_table_counters *ret_counters);

#endif

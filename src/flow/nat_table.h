/* Which connections this machine's NAT changes, and into what: the memory behind the translated
 * ends of flows. Pure. Fed with what conntrack tells; asked for each flow before it is stored.
 *
 * A flow and a mapping are joined by protocol, addresses and ports, for the socket may be in
 * another network namespace than the NAT (a container), and if the mapping was there at some time
 * of the flow. A flow has the ends that one of the two sees, or, if it was seen on the way between
 * NAT and the other one (packets of an interface), those of the other one turned round. Of two
 * namespaces with sockets that have the same ends at that time, the one that was heard of first
 * gets the mapping and the other one none. What comes in a tunnel is never joined.
 *
 * Limits: max_mappings, and few of them with the same ends at one side. At the limit that goes
 * which is gone for longest, else the oldest. What is gone is kept for keep_us, which is how late a
 * flow may be told. A mapping that had to go while it was there, and was not as old, is counted in
 * evicted, for its flow may lack the translated ends. */
#ifndef LASTCONN_FLOW_NAT_TABLE_H
#define LASTCONN_FLOW_NAT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_record.h"
#include "flow/nat_mapping.h"
#include "util/hash.h"

struct nat_table;

#define NAT_SKEW_US INT64_C(1000000) /* that clocks of two sources may differ by */

struct nat_table_options {
	size_t max_mappings;
	int64_t keep_us;
	struct hash_key hash_key;
};

struct nat_table_counters {
	uint64_t added;
	uint64_t evicted;   /* table full, and nothing was gone or old */
	uint64_t ambiguous; /* flows without, for another namespace has the same ends */
	uint64_t joined;    /* records of flows with translated ends */
	size_t count;
};

int nat_table_new(
	const struct nat_table_options *options, struct nat_table **ret_table); /* 0 or -ENOMEM */
void nat_table_free(struct nat_table *table);                                   /* NULL is fine */

/* The mapping is there since from_us or later. One that is known already changes nothing. */
void nat_table_put(struct nat_table *table, const struct nat_mapping *mapping, int64_t from_us);

/* It is gone since until_us or earlier. One that is not known is none. */
void nat_table_gone(struct nat_table *table, const struct nat_mapping *mapping, int64_t until_us);

/* Between the two all that is there is put; what is not is gone since until_us or earlier. */
void nat_table_begin_all(struct nat_table *table);
void nat_table_end_all(struct nat_table *table, int64_t until_us);

/* The ends of a flow beyond the NAT. Returns false if no NAT is known to change it. */
bool nat_table_flow(
	struct nat_table *table, const struct flow_record *record, struct nat_ends *ret_ends);

/* Forgets what is gone for long. Call about once a second; now_us: wall clock. */
void nat_table_expire(struct nat_table *table, int64_t now_us);

/* The wall clock was set: all times become those of the new one. */
void nat_table_shift(struct nat_table *table, int64_t step_us);

void nat_table_counters(const struct nat_table *table, struct nat_table_counters *ret_counters);

#endif

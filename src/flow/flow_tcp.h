/* One TCP connection as its segments tell it: who opened it, how far each side's stream went, how
 * it ended. Plain value, part of an entry of the flow table; only flows made of packets have one.
 *
 * Octets are counted in sequence space: what a capture lost in between counts, what was sent twice
 * does not. A jump of more than FLOW_TCP_JUMP_MAX is taken as a new start of the count, so that one
 * forged segment cannot invent gigabytes. One gap per side is remembered, to tell segments that
 * come late from segments that come again. */
#ifndef LASTCONN_FLOW_FLOW_TCP_H
#define LASTCONN_FLOW_FLOW_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/observation.h"

enum { FLOW_TCP_JUMP_MAX = 1 << 26 };

struct flow_tcp_side {
	uint32_t first; /* sequence number of the SYN */
	uint32_t next;  /* one past the highest seen */
	uint32_t gap_start, gap_end;
	bool seen, syn, fin;
};

struct flow_tcp {
	struct flow_tcp_side local, remote;
	int64_t syn_ns; /* 0: not seen, or sent twice, so that it tells no round trip */
	bool syn_ack;
	bool established;
	enum flow_direction direction;
	enum flow_outcome outcome; /* OPEN, or what FIN or RST made of it */
};

/* Takes one segment: adds it to *counters and moves the state on. */
void flow_tcp_segment(
	struct flow_tcp *tcp, const struct observation *segment, struct flow_counters *counters);

/* Whether segment belongs to the next connection on the same tuple: a SYN with another number. */
bool flow_tcp_starts_anew(const struct flow_tcp *tcp, const struct observation *segment);

/* The outcome when nothing came any more. */
enum flow_outcome flow_tcp_idle_outcome(const struct flow_tcp *tcp);

#endif

/* The part of RFC 9293 that a bystander needs. Sequence numbers are compared modulo 2^32. */
#include "flow/flow_tcp.h"

#include "util/clock.h"

static int32_t distance(uint32_t from, uint32_t to)
{
	return (int32_t)(to - from);
}

static bool is_far(int32_t octets)
{
	return octets > FLOW_TCP_JUMP_MAX || octets < -FLOW_TCP_JUMP_MAX;
}

/* Whether [start, end) lies in the gap; the gap keeps its larger rest. */
static bool fill_gap(struct flow_tcp_side *side, uint32_t start, uint32_t end)
{
	if (distance(side->gap_start, start) < 0 || distance(end, side->gap_end) < 0)
		return false;
	if (distance(side->gap_start, start) > distance(end, side->gap_end))
		side->gap_end = start;
	else
		side->gap_start = end;
	return true;
}

/* Moves one side's stream on; returns the octets of payload that are new. */
static uint32_t advance(struct flow_tcp_side *side, const struct observation *segment,
	uint32_t payload, uint32_t *retransmits)
{
	uint32_t syn = !!(segment->tcp_flags & OBSERVATION_TCP_SYN);
	uint32_t fin = !!(segment->tcp_flags & OBSERVATION_TCP_FIN);
	uint32_t end = segment->tcp_seq + syn + payload + fin;
	int32_t fresh = distance(side->next, end);
	int32_t gap = distance(side->next, segment->tcp_seq);

	if (side->seen && end == segment->tcp_seq)
		return 0; /* a mere acknowledgement, or a keep-alive */
	if (!side->seen || is_far(fresh)) {
		side->seen = true;
		side->next = side->gap_start = side->gap_end = end;
		return payload;
	}
	if (fresh <= 0) {
		if (!fill_gap(side, segment->tcp_seq, end))
			++*retransmits;
		return 0;
	}
	if (gap > 0) {
		side->gap_start = side->next;
		side->gap_end = segment->tcp_seq;
	} else if (gap < 0) {
		++*retransmits;
	}
	side->next = end;
	return (uint32_t)fresh - fin - (gap >= 0 ? syn : 0);
}

static void take_syn(
	struct flow_tcp *tcp, struct flow_tcp_side *side, const struct observation *syn)
{
	bool answer = syn->tcp_flags & OBSERVATION_TCP_ACK;

	if (side->syn)
		tcp->syn_ns = 0;
	else if (!answer)
		tcp->syn_ns = syn->time_ns;
	side->syn = true;
	side->first = syn->tcp_seq;
	tcp->syn_ack |= answer;
	if (tcp->direction == FLOW_DIRECTION_UNKNOWN)
		tcp->direction = syn->from_local != answer ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_IN;
}

static bool from_initiator(const struct flow_tcp *tcp, const struct observation *segment)
{
	return tcp->direction == (segment->from_local ? FLOW_DIRECTION_OUT : FLOW_DIRECTION_IN);
}

/* The initiator's first segment after its SYN ends the handshake. From SYN to this one is a whole
 * round trip wherever between the two ends the capture was made. */
static void take_handshake_end(
	struct flow_tcp *tcp, const struct observation *segment, struct flow_counters *counters)
{
	if (tcp->direction != FLOW_DIRECTION_UNKNOWN && !from_initiator(tcp, segment)) {
		tcp->established = tcp->syn_ack; /* an ACK without SYN is a challenge */
		return;
	}
	tcp->established = true;
	if (tcp->syn_ack && tcp->syn_ns && segment->time_ns > tcp->syn_ns) {
		int64_t rtt_us = (segment->time_ns - tcp->syn_ns) / NS_PER_US;

		counters->rtt_us = rtt_us > UINT32_MAX ? UINT32_MAX : rtt_us ? (uint32_t)rtt_us : 1;
	}
}

static enum flow_outcome reset_outcome(const struct flow_tcp *tcp, const struct observation *reset)
{
	if (tcp->established || tcp->direction == FLOW_DIRECTION_UNKNOWN)
		return FLOW_OUTCOME_RESET;
	if (from_initiator(tcp, reset))
		return reset->from_local ? FLOW_OUTCOME_ABORTED : FLOW_OUTCOME_RESET;
	return tcp->syn_ack ? FLOW_OUTCOME_RESET : FLOW_OUTCOME_REFUSED;
}

void flow_tcp_segment(
	struct flow_tcp *tcp, const struct observation *segment, struct flow_counters *counters)
{
	const struct flow_counters *of = &segment->counters;
	struct flow_tcp_side *side = segment->from_local ? &tcp->local : &tcp->remote;
	uint64_t payload = segment->from_local ? of->octets_out : of->octets_in;

	counters->packets_out += of->packets_out;
	counters->packets_in += of->packets_in;
	if (segment->tcp_flags &
		OBSERVATION_TCP_RST) { /* its payload is a remark, not the stream */
		if (tcp->outcome == FLOW_OUTCOME_OPEN)
			tcp->outcome = reset_outcome(tcp, segment);
		return;
	}
	payload = advance(side, segment, (uint32_t)payload, &counters->retransmits);
	if (segment->from_local)
		counters->octets_out += payload;
	else
		counters->octets_in += payload;
	if (segment->tcp_flags & OBSERVATION_TCP_SYN)
		take_syn(tcp, side, segment);
	else if (!tcp->established)
		take_handshake_end(tcp, segment, counters);
	side->fin |= !!(segment->tcp_flags & OBSERVATION_TCP_FIN);
	if (tcp->local.fin && tcp->remote.fin && tcp->outcome == FLOW_OUTCOME_OPEN)
		tcp->outcome = FLOW_OUTCOME_CLOSED;
}

bool flow_tcp_starts_anew(const struct flow_tcp *tcp, const struct observation *segment)
{
	const struct flow_tcp_side *side = segment->from_local ? &tcp->local : &tcp->remote;
	bool over = tcp->outcome != FLOW_OUTCOME_OPEN;
	bool answer = segment->tcp_flags & OBSERVATION_TCP_ACK;

	if (!(segment->tcp_flags & OBSERVATION_TCP_SYN) ||
		(segment->tcp_flags & OBSERVATION_TCP_RST))
		return false;
	if (side->syn)
		return side->first != segment->tcp_seq && (over || !answer);
	return !answer && (over || side->seen);
}

enum flow_outcome flow_tcp_idle_outcome(const struct flow_tcp *tcp)
{
	if (tcp->outcome != FLOW_OUTCOME_OPEN)
		return tcp->outcome;
	if (!tcp->established && tcp->direction != FLOW_DIRECTION_UNKNOWN)
		return FLOW_OUTCOME_TIMEOUT;
	return FLOW_OUTCOME_IDLE;
}

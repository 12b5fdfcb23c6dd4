/* One TCP connection seen by a bystander: octets, retransmissions, direction, outcome. */
#include "flow/flow_tcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/clock.h"

static const uint8_t SYN = OBSERVATION_TCP_SYN, ACK = OBSERVATION_TCP_ACK,
		     FIN = OBSERVATION_TCP_FIN, RST = OBSERVATION_TCP_RST;

struct line {
	struct flow_tcp tcp;
	struct flow_counters counters;
	int64_t time_ns;
};

static struct observation segment_of(bool out, uint8_t flags, uint32_t seq, uint32_t length)
{
	struct observation segment = {
		.kind = OBSERVATION_PACKET,
		.tcp_flags = flags,
		.tcp_seq = seq,
		.from_local = out,
	};

	*(out ? &segment.counters.octets_out : &segment.counters.octets_in) = length;
	*(out ? &segment.counters.packets_out : &segment.counters.packets_in) = 1;
	return segment;
}

/* One millisecond after the other. */
static void send_one(struct line *line, bool out, uint8_t flags, uint32_t seq, uint32_t length)
{
	struct observation segment = segment_of(out, flags, seq, length);

	segment.time_ns = line->time_ns += NS_PER_MS;
	flow_tcp_segment(&line->tcp, &segment, &line->counters);
}

static void handshake(struct line *line, bool out, uint32_t seq)
{
	send_one(line, out, SYN, seq, 0);
	send_one(line, !out, SYN | ACK, 5000, 0);
	send_one(line, out, ACK, seq + 1, 0);
}

static void what_is_sent_twice_counts_once(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 100);
	send_one(&line, true, ACK, 101, 500);
	send_one(&line, true, ACK, 601, 500);
	send_one(&line, true, ACK, 101, 500);  /* whole */
	send_one(&line, true, ACK, 901, 500);  /* overlaps by 200 */
	send_one(&line, true, ACK, 101, 1300); /* all again in one */
	assert_int_equal(line.counters.octets_out, 1300);
	assert_int_equal(line.counters.retransmits, 3);
	assert_int_equal(line.counters.packets_out, 7);
}

static void a_segment_out_of_order_is_no_retransmission(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 100);
	send_one(&line, true, ACK, 601, 500);
	send_one(&line, true, ACK, 301, 300);
	send_one(&line, true, ACK, 101, 200);
	assert_int_equal(line.counters.octets_out, 1000);
	assert_int_equal(line.counters.retransmits, 0);
	send_one(&line, true, ACK, 101, 200);
	assert_int_equal(line.counters.retransmits, 1);
	assert_int_equal(line.counters.octets_out, 1000);
}

static void the_sequence_number_may_wrap(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, UINT32_MAX - 1);
	send_one(&line, true, ACK, UINT32_MAX, 10);
	send_one(&line, true, ACK, 9, 10);
	send_one(&line, true, ACK, UINT32_MAX, 10);
	assert_int_equal(line.counters.octets_out, 20);
	assert_int_equal(line.counters.retransmits, 1);
}

static void octets_go_beyond_32_bits(void **state)
{
	struct line line = {0};
	uint32_t seq = 101;

	(void)state;
	handshake(&line, true, 100);
	for (int i = 0; i < 100; i++, seq += 60000000)
		send_one(&line, true, ACK, seq, 60000000);
	assert_int_equal(line.counters.octets_out, 6000000000);
	assert_int_equal(line.counters.retransmits, 0);
}

static void a_forged_jump_does_not_invent_octets(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 100);
	send_one(&line, true, ACK, 101, 10);
	send_one(&line, true, ACK, 1500000000, 10);
	send_one(&line, true, ACK, 111, 10);
	assert_int_equal(line.counters.octets_out, 30);
}

static void a_hole_in_the_capture_counts_what_was_sent(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 100);
	send_one(&line, true, ACK, 101, 10);
	send_one(&line, true, ACK, 10101, 10);
	assert_int_equal(line.counters.octets_out, 10010);
}

static void data_in_the_syn_and_in_the_fin_count(void **state)
{
	struct line line = {0};

	(void)state;
	send_one(&line, true, SYN, 100, 7);
	send_one(&line, false, SYN | ACK, 5000, 0);
	send_one(&line, true, ACK, 108, 3);
	send_one(&line, true, FIN | ACK, 111, 5);
	send_one(&line, true, FIN | ACK, 111, 5);
	assert_int_equal(line.counters.octets_out, 15);
	assert_int_equal(line.counters.retransmits, 1);
}

static void acknowledgements_and_keep_alives_count_no_octets(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 100);
	send_one(&line, true, ACK, 100, 0);
	send_one(&line, false, ACK, 5001, 0);
	assert_int_equal(line.counters.octets_out, 0);
	assert_int_equal(line.counters.retransmits, 0);
	assert_int_equal(line.tcp.outcome, FLOW_OUTCOME_OPEN);
}

static void the_side_of_the_syn_is_the_initiator(void **state)
{
	struct line out = {0}, in = {0}, answer = {0}, middle = {0};

	(void)state;
	handshake(&out, true, 1);
	handshake(&in, false, 1);
	send_one(&answer, false, SYN | ACK, 1, 0);
	send_one(&middle, false, ACK, 1, 10);
	assert_int_equal(out.tcp.direction, FLOW_DIRECTION_OUT);
	assert_int_equal(in.tcp.direction, FLOW_DIRECTION_IN);
	assert_int_equal(answer.tcp.direction, FLOW_DIRECTION_OUT);
	assert_int_equal(middle.tcp.direction, FLOW_DIRECTION_UNKNOWN);
	assert_int_equal(middle.counters.octets_in, 10);
}

static void the_round_trip_is_that_of_the_handshake(void **state)
{
	struct line line = {0}, again = {0};

	(void)state;
	handshake(&line, true, 1);
	assert_int_equal(line.counters.rtt_us, 2000);
	send_one(&line, true, ACK, 2, 10);
	assert_int_equal(line.counters.rtt_us, 2000);

	send_one(&again, true, SYN, 1, 0);
	handshake(&again, true, 1); /* a SYN sent twice tells nothing (Karn) */
	assert_int_equal(again.counters.rtt_us, 0);
	assert_int_equal(again.counters.retransmits, 1);
}

static void resets_are_told_apart(void **state)
{
	struct line refused = {0}, aborted = {0}, given_up = {0}, reset = {0}, stray = {0};

	(void)state;
	send_one(&refused, true, SYN, 1, 0);
	send_one(&refused, false, RST | ACK, 0, 0);
	assert_int_equal(refused.tcp.outcome, FLOW_OUTCOME_REFUSED);

	send_one(&aborted, true, SYN, 1, 0);
	send_one(&aborted, false, SYN | ACK, 1, 0);
	send_one(&aborted, true, RST, 2, 0);
	assert_int_equal(aborted.tcp.outcome, FLOW_OUTCOME_ABORTED);

	send_one(&given_up, false, SYN, 1, 0);
	send_one(&given_up, true, SYN | ACK, 1, 0);
	send_one(&given_up, false, RST, 2, 0);
	assert_int_equal(given_up.tcp.outcome, FLOW_OUTCOME_RESET);

	handshake(&reset, true, 1);
	send_one(&reset, true, RST, 2, 30);
	assert_int_equal(reset.tcp.outcome, FLOW_OUTCOME_RESET);
	assert_int_equal(reset.counters.octets_out, 0);

	send_one(&stray, true, RST, 2, 0);
	assert_int_equal(stray.tcp.outcome, FLOW_OUTCOME_RESET);
	assert_int_equal(stray.tcp.direction, FLOW_DIRECTION_UNKNOWN);
}

static void it_is_closed_when_both_sides_finished(void **state)
{
	struct line line = {0};

	(void)state;
	handshake(&line, true, 1);
	send_one(&line, true, FIN | ACK, 2, 0);
	assert_int_equal(line.tcp.outcome, FLOW_OUTCOME_OPEN);
	assert_int_equal(flow_tcp_idle_outcome(&line.tcp), FLOW_OUTCOME_IDLE);
	send_one(&line, false, FIN | ACK, 5001, 0);
	assert_int_equal(line.tcp.outcome, FLOW_OUTCOME_CLOSED);
	send_one(&line, true, RST, 3, 0);
	assert_int_equal(line.tcp.outcome, FLOW_OUTCOME_CLOSED);
}

static void silence_after_the_syn_is_a_timeout(void **state)
{
	struct line silent = {0}, challenged = {0}, established = {0};

	(void)state;
	send_one(&silent, true, SYN, 1, 0);
	send_one(&silent, true, SYN, 1, 0);
	assert_int_equal(flow_tcp_idle_outcome(&silent.tcp), FLOW_OUTCOME_TIMEOUT);
	send_one(&challenged, true, SYN, 1, 0);
	send_one(&challenged, false, ACK, 777, 0);
	assert_int_equal(flow_tcp_idle_outcome(&challenged.tcp), FLOW_OUTCOME_TIMEOUT);
	handshake(&established, true, 1);
	assert_int_equal(flow_tcp_idle_outcome(&established.tcp), FLOW_OUTCOME_IDLE);
}

static void a_capture_of_one_side_still_tells(void **state)
{
	struct line line = {0};

	(void)state;
	send_one(&line, false, SYN | ACK, 5000, 0);
	send_one(&line, false, ACK, 5001, 100);
	assert_true(line.tcp.established);
	assert_int_equal(line.counters.octets_in, 100);
	assert_int_equal(flow_tcp_idle_outcome(&line.tcp), FLOW_OUTCOME_IDLE);
}

static void only_a_syn_with_another_number_starts_anew(void **state)
{
	struct line line = {0};
	struct observation same = segment_of(true, SYN, 100, 0);
	struct observation other = segment_of(true, SYN, 900, 0);
	struct observation answer = segment_of(false, SYN | ACK, 900, 0);
	struct observation data = segment_of(true, ACK, 900, 10);

	(void)state;
	handshake(&line, true, 100);
	assert_false(flow_tcp_starts_anew(&line.tcp, &same));
	assert_true(flow_tcp_starts_anew(&line.tcp, &other));
	assert_false(flow_tcp_starts_anew(&line.tcp, &answer));
	assert_false(flow_tcp_starts_anew(&line.tcp, &data));
	send_one(&line, true, RST, 101, 0);
	assert_true(flow_tcp_starts_anew(&line.tcp, &answer));
	assert_false(flow_tcp_starts_anew(&line.tcp, &data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_twice_counts_once),
		cmocka_unit_test(a_segment_out_of_order_is_no_retransmission),
		cmocka_unit_test(the_sequence_number_may_wrap),
		cmocka_unit_test(octets_go_beyond_32_bits),
		cmocka_unit_test(a_forged_jump_does_not_invent_octets),
		cmocka_unit_test(a_hole_in_the_capture_counts_what_was_sent),
		cmocka_unit_test(data_in_the_syn_and_in_the_fin_count),
		cmocka_unit_test(acknowledgements_and_keep_alives_count_no_octets),
		cmocka_unit_test(the_side_of_the_syn_is_the_initiator),
		cmocka_unit_test(the_round_trip_is_that_of_the_handshake),
		cmocka_unit_test(resets_are_told_apart),
		cmocka_unit_test(it_is_closed_when_both_sides_finished),
		cmocka_unit_test(silence_after_the_syn_is_a_timeout),
		cmocka_unit_test(a_capture_of_one_side_still_tells),
		cmocka_unit_test(only_a_syn_with_another_number_starts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* bench_decode [PACKETS [FLOWS]]: packets a second from a frame in memory to the flow table, one
 * thread: decode, orientation, flow table, records thrown away. TCP connections of 20 packets,
 * FLOWS of them interleaved at any time so that the tables do not stay in the cache.
 *
 * Prints nanoseconds of CPU a packet. Exits with 1 below 1.5 million packets a second. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/frame_make.h"
#include "flow/flow_table.h"
#include "source/packet_observer.h"
#include "util/clock.h"

enum { PACKETS_A_FLOW = 20, PACKETS_A_SECOND_MIN = 1500000, SEGMENT = 1000 };

struct bench {
	struct packet_observer observer;
	struct flow_table *table;
	uint64_t records;
};

static int64_t cpu_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void observe(void *ctx, const struct observation *observation)
{
	struct bench *bench = ctx;

	flow_table_observe(bench->table, observation);
}

static void emit(void *ctx, const struct flow_record *record)
{
	struct bench *bench = ctx;

	bench->records += record->kind == FLOW_RECORD_END;
}

static void set32(uint8_t *octets, uint32_t value)
{
	octets[0] = (uint8_t)(value >> 24);
	octets[1] = (uint8_t)(value >> 16);
	octets[2] = (uint8_t)(value >> 8);
	octets[3] = (uint8_t)value;
}

/* Packet step of connection flow: SYN, SYN and ACK, data, FIN, FIN. */
static void address(struct frame *frame, uint32_t flow, unsigned step)
{
	uint8_t *ip = frame->octets + 14, *tcp = ip + 20;
	bool back = step == 1 || step == PACKETS_A_FLOW - 1;
	uint32_t client = 0x0a000000 | flow >> 4, server = 0xc6336407;
	uint32_t ports = (uint32_t)(1024 + (flow & 15)) << 16 | 443;

	set32(ip + 12, back ? server : client);
	set32(ip + 16, back ? client : server);
	set32(tcp, back ? ports << 16 | ports >> 16 : ports);
	set32(tcp + 4, back ? (step == 1 ? 0 : 1) : step == 0 ? 0 : 1 + (step - 2) * SEGMENT);
	tcp[13] = step == 0 ? 0x02 : step == 1 ? 0x12 : step >= PACKETS_A_FLOW - 2 ? 0x11 : 0x10;
}

static void run(struct bench *bench, uint64_t packets, uint32_t flows)
{
	struct frame frame = {0};
	struct packet_observer_frame packet = {
		.link_type = 1,
		.octets = frame.octets,
		.wire = 14 + 40 + SEGMENT,
	};

	put_ethernet(&frame, 0x0800);
	put_ip4(&frame, 6, 20 + SEGMENT);
	put_tcp(&frame, 0, 0);
	packet.captured = frame.length;
	for (uint64_t i = 0; i < packets; i++) {
		uint64_t round = i / (PACKETS_A_FLOW * (uint64_t)flows);

		address(&frame, (uint32_t)(i % flows + round * flows),
			(unsigned)(i / flows % PACKETS_A_FLOW));
		packet.time_ns = (int64_t)i * NS_PER_US;
		packet_observer_take(&bench->observer, &packet);
		if (i % 1024 == 0)
			flow_table_expire(bench->table, packet.time_ns);
	}
	flow_table_end_all(bench->table);
}

int main(int argc, char **argv)
{
	uint64_t packets = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
	uint32_t flows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
	struct bench bench = {0};
	struct source_sink sink = {.ctx = &bench, .observe = observe};
	struct orientation_options orientation = {
		.max_conversations = 131072, .hash_key = hash_key_random()};
	struct flow_table_options options = {.max_flows = 65536,
		.active_timeout_ns = 60 * (int64_t)NS_PER_S,
		.idle_timeout_ns = 120 * (int64_t)NS_PER_S,
		.lost_timeout_ns = 60 * (int64_t)NS_PER_S,
		.hash_key = hash_key_random(),
		.emit = emit,
		.ctx = &bench};
	int64_t start_ns, cpu_ns;
	double rate;

	if (packet_observer_init(&bench.observer, &orientation, &sink, FLOW_SOURCE_FILE) < 0 ||
		flow_table_new(&options, &bench.table) < 0 || flows == 0)
		return 1;
	start_ns = cpu_now_ns();
	run(&bench, packets, flows);
	cpu_ns = cpu_now_ns() - start_ns;
	rate = (double)packets * 1e9 / (double)cpu_ns;
	printf("packets %" PRIu64 "  flows at a time %" PRIu32 "  records %" PRIu64
	       "  %.0f ns a packet  %.2f million packets/s\n",
		packets, flows, bench.records, (double)cpu_ns / (double)packets, rate / 1e6);
	packet_observer_done(&bench.observer);
	flow_table_free(bench.table);
	return rate < PACKETS_A_SECOND_MIN;
}

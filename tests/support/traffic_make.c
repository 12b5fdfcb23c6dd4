/* A rank r of n comes with a probability proportional to 1 / (r + 1): n to the power of a uniform
 * number. A remote host has a program that talks to it most, drawn by the same law; one flow in ten
 * is of any other program. */
#include "support/traffic_make.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DAY_US (INT64_C(86400) * 1000000)

static uint64_t mix(uint64_t value) /* the finalizer of SplitMix64 */
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static uint64_t draw(struct traffic *traffic)
{
	traffic->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(traffic->state);
}

static double draw_unit(struct traffic *traffic)
{
	return (double)(draw(traffic) >> 11) * 0x1p-53;
}

static uint64_t draw_rank(struct traffic *traffic, uint64_t count)
{
	uint64_t rank = (uint64_t)pow((double)count + 1, draw_unit(traffic)) - 1;

	return rank < count ? rank : count - 1;
}

void traffic_init(struct traffic *traffic, uint64_t seed, int64_t begin_us, uint64_t flows_a_day)
{
	memset(traffic, 0, sizeof(*traffic));
	traffic->state = mix(seed);
	traffic->flows_a_day = flows_a_day;
	traffic->now_us = begin_us;
	traffic->step_us = (double)DAY_US / (double)flows_a_day;
}

struct addr traffic_remote(uint64_t rank)
{
	uint64_t mixed = mix(rank + 1);
	uint8_t octets[16] = {0x20, 0x01, 0x0d, 0xb8};

	if (mixed % 10 < 8) {
		uint8_t v4[4] = {(uint8_t)(1 + mixed % 223), (uint8_t)(rank >> 16),
			(uint8_t)(rank >> 8), (uint8_t)rank};

		return addr_from_v4(v4);
	}
	memcpy(octets + 8, &mixed, sizeof(mixed));
	return addr_from_v6(octets);
}

static int start_process(struct traffic *traffic, struct batch *batch, uint64_t program)
{
	char exe[64], comm[16], cmdline[128], cgroup[96];
	struct process_info info = {
		.ref = {.start_ns = (uint64_t)traffic->now_us * 1000,
			.pid = (uint32_t)(1000 + traffic->processes % 4000000),
			.exec_id = 1},
		.parent = traffic->running[program % 7],
		.uid = program % 3 ? (uint32_t)(1000 + program % 5) : 0,
		.loginuid = program % 3 ? 1000 : PROCESS_UID_NONE,
		.netns = 4026531840,
		.comm = comm,
		.exe = exe,
		.cmdline = cmdline,
		.cgroup = cgroup,
	};

	info.inner_pid = info.ref.pid;
	snprintf(exe, sizeof(exe), "/usr/lib/program-%03u/bin/program", (unsigned)program);
	snprintf(comm, sizeof(comm), "program-%03u", (unsigned)program);
	snprintf(cmdline, sizeof(cmdline), "%s --job %llu --quiet /srv/data/%llu", exe,
		(unsigned long long)traffic->processes, (unsigned long long)(draw(traffic) % 1000));
	snprintf(cgroup, sizeof(cgroup), "/system.slice/service-%02u.service",
		(unsigned)program % 40);
	if (batch_add_process(batch, &info) < 0)
		return -1;
	traffic->processes++;
	traffic->running[program] = info.ref;
	return 0;
}

static uint64_t draw_program(struct traffic *traffic, uint64_t remote)
{
	struct traffic of_remote = {.state = remote};

	if (draw(traffic) % 10 == 0)
		return draw_rank(traffic, TRAFFIC_EXECUTABLES);
	return draw_rank(&of_remote, TRAFFIC_EXECUTABLES);
}

static void make_flow(
	struct traffic *traffic, uint64_t program, uint64_t rank, struct flow_record *record)
{
	static const uint16_t ports[8] = {443, 443, 443, 443, 80, 53, 5432, 8443};
	static const uint8_t local[4] = {192, 0, 2, 10};
	uint64_t chance = draw(traffic);
	uint16_t port = ports[mix(rank) % 8], other = (uint16_t)(32768 + (chance >> 32) % 28000);
	bool in = chance % 20 == 0;

	memset(record, 0, sizeof(*record));
	record->key.local = addr_from_v4(local);
	record->key.remote = traffic_remote(rank);
	record->key.socket_cookie = ++traffic->serial;
	record->key.netns = 4026531840;
	record->key.local_port = in ? port : other;
	record->key.remote_port = in ? other : port;
	record->key.protocol = port == 53 ? 17 : 6;
	record->counters.octets_out = 80 + (uint64_t)pow(10, 5 * draw_unit(traffic));
	record->counters.octets_in = 80 + (uint64_t)pow(10, 7 * draw_unit(traffic));
	record->counters.packets_out = 3 + record->counters.octets_out / 1400;
	record->counters.packets_in = 3 + record->counters.octets_in / 1400;
	record->counters.retransmits = chance % 50 == 1;
	record->counters.rtt_us = (uint32_t)(200 + chance % 50000);
	record->user = record->opener = traffic->running[program];
	record->end_us = traffic->now_us;
	record->start_us = traffic->now_us - (int64_t)pow(10, 3 + 5 * draw_unit(traffic));
	record->serial = traffic->serial;
	record->kind = FLOW_RECORD_END;
	record->direction = in ? FLOW_DIRECTION_IN : FLOW_DIRECTION_OUT;
	record->outcome = chance % 40 == 3 ? FLOW_OUTCOME_REFUSED : FLOW_OUTCOME_CLOSED;
	record->error = record->outcome == FLOW_OUTCOME_REFUSED ? 111 : 0;
	record->method = FLOW_METHOD_EXACT;
	record->source = FLOW_SOURCE_EBPF;
}

size_t traffic_fill(struct traffic *traffic, struct batch *batch, size_t max_flows)
{
	uint64_t flows_a_process = traffic->flows_a_day / TRAFFIC_PROCESSES_A_DAY;
	struct flow_record record;
	size_t count = 0;

	while (count < max_flows) {
		uint64_t rank = draw_rank(traffic, TRAFFIC_REMOTES);
		uint64_t program = draw_program(traffic, rank);
		bool is_new = draw(traffic) % (flows_a_process + 1) == 0;

		traffic->now_us += (int64_t)(traffic->step_us * 2 * draw_unit(traffic)) + 1;
		if ((is_new || !process_ref_known(&traffic->running[program])) &&
			start_process(traffic, batch, program) < 0)
			break;
		make_flow(traffic, program, rank, &record);
		if (batch_add_flow(batch, &record) < 0)
			break;
		count++;
	}
	return count;
}

/* Segments and datagrams are compared, not the octets of interfaces: those count headers, ARP,
 * forwarded traffic, tunnels twice, and what a firewall drops, so that a rule over them either
 * cries wolf on a router or sees nothing. The counters of the transport protocols count what
 * sockets of this namespace did, and flows count the same.
 *
 * It is still no equation. Segments of no connection (resets, floods of SYN) are taken off; the
 * last acknowledgements of a connection come after its record; what encapsulated datagrams bring
 * (VXLAN, WireGuard) counts as received by UDP but is read by no socket. So a rule fires only above
 * PACKETS_MIN packets of which flows explain less than half, and for received datagrams only if
 * none is recorded at all on a machine that is seen to send some. Octets that read zero while
 * packets are counted are a rule of their own. */
#include "daemon/reconcile.h"

#include <stdbool.h>
#include <stdio.h>

enum {
	PACKETS_MIN = 10000,
	REQUESTS_MIN = 100,  /* datagrams sent, after which an answer is to be expected */
	PACKET_OCTETS = 200, /* on average from there on: more than acknowledgements */
};

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static struct netns_counters kernel_moved(
	const struct netns_counters *before, const struct netns_counters *after)
{
	return (struct netns_counters){
		.tcp_in = less(after->tcp_in, before->tcp_in),
		.tcp_out = less(after->tcp_out, before->tcp_out),
		.tcp_resets_out = less(after->tcp_resets_out, before->tcp_resets_out),
		.tcp_failed = less(after->tcp_failed, before->tcp_failed),
		.tcp_cookies = less(after->tcp_cookies, before->tcp_cookies),
		.udp_in = less(after->udp_in, before->udp_in),
		.udp_out = less(after->udp_out, before->udp_out),
		.ip_octets_in = less(after->ip_octets_in, before->ip_octets_in),
		.ip_packets_in = less(after->ip_packets_in, before->ip_packets_in),
	};
}

static struct flow_growth_sums flows_moved(
	const struct flow_growth_sums *before, const struct flow_growth_sums *after)
{
	return (struct flow_growth_sums){
		.packets_out = after->packets_out - before->packets_out,
		.packets_in = after->packets_in - before->packets_in,
		.octets = after->octets - before->octets,
	};
}

/* A reset answers a segment, a failed attempt was a SYN and its answer, a cookie too. */
static uint64_t tcp_segments(const struct netns_counters *kernel)
{
	uint64_t of_no_flow =
		2 * (kernel->tcp_resets_out + kernel->tcp_failed + kernel->tcp_cookies);

	return less(kernel->tcp_in + kernel->tcp_out, of_no_flow);
}

static bool is_blind(uint64_t kernel, uint64_t flows)
{
	return kernel >= PACKETS_MIN && flows < kernel / 2;
}

/* Packets were counted, of a size that carries payload, and no octets. */
static bool reads_zero(const struct netns_counters *kernel, const struct flow_growth_sums *flows)
{
	uint64_t packets = flows->packets_out + flows->packets_in;

	return packets >= PACKETS_MIN && flows->octets < packets &&
	       kernel->ip_octets_in > kernel->ip_packets_in * PACKET_OCTETS;
}

static void note(
	struct coverage_record *records, size_t *count, uint64_t missing, const char *detail)
{
	struct coverage_record *record = &records[(*count)++];

	*record = (struct coverage_record){.count = missing, .what = COVERAGE_UNACCOUNTED};
	snprintf(record->detail, sizeof(record->detail), "%s", detail);
}

size_t reconcile_compare(const struct reconcile_sample *before,
	const struct reconcile_sample *after,
	struct coverage_record ret_records[static RECONCILE_RECORDS])
{
	struct netns_counters kernel = kernel_moved(&before->kernel, &after->kernel);
	struct flow_growth_sums tcp = flows_moved(&before->flows.tcp, &after->flows.tcp);
	struct flow_growth_sums udp = flows_moved(&before->flows.udp, &after->flows.udp);
	uint64_t segments = tcp_segments(&kernel), in_flows = tcp.packets_out + tcp.packets_in;
	size_t count = 0;

	if (is_blind(segments, in_flows))
		note(ret_records, &count, segments - in_flows, "TCP segments");
	if (is_blind(kernel.udp_out, udp.packets_out))
		note(ret_records, &count, kernel.udp_out - udp.packets_out, "UDP datagrams sent");
	if (kernel.udp_in >= PACKETS_MIN && udp.packets_in == 0 && udp.packets_out >= REQUESTS_MIN)
		note(ret_records, &count, kernel.udp_in, "UDP datagrams received");
	if (reads_zero(&kernel, &tcp) || reads_zero(&kernel, &udp))
		note(ret_records, &count, kernel.ip_octets_in, "octets");
	return count;
}

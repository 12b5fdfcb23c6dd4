/* Sums by protocol. */
#include "flow/flow_growth.h"

#include <netinet/in.h>
#include <stddef.h>

static uint64_t grown(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

static struct flow_growth_sums *sums_of(struct flow_growth *growth, uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return &growth->tcp;
	case IPPROTO_UDP:
		return &growth->udp;
	default:
		return NULL;
	}
}

void flow_growth_add(struct flow_growth *growth, const struct flow_key *key,
	const struct flow_counters *before, const struct flow_counters *after)
{
	struct flow_growth_sums *sums = sums_of(growth, key->protocol);

	if (!sums)
		return;
	sums->packets_out += grown(before->packets_out, after->packets_out);
	sums->packets_in += grown(before->packets_in, after->packets_in);
	sums->octets += grown(before->octets_out, after->octets_out) +
			grown(before->octets_in, after->octets_in);
}

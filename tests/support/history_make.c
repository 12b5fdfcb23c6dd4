/* history_make DB FLOWS [FLOWS_A_DAY]: makes a database of so many flows through the store, as
 * lastconnd would have written it. For benchmarks of queries. The last flow ends about 1780000000
 * seconds since 1970, whatever the number of flows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store.h"
#include "support/traffic_make.h"
#include "util/clock.h"

/* A third of the hosts that flows to IPv4 meet say a name, four hosts the same; see traffic_remote
 * for the address. */
static int name_flows(struct batch *batch)
{
	const struct flow_record *record;
	size_t length;

	for (size_t i = 0; (record = batch_flow(batch, i)) != NULL; i++) {
		const uint8_t *octets = addr_octets(&record->key.remote, &length);
		unsigned rank = (unsigned)octets[1] << 16 | (unsigned)octets[2] << 8 | octets[3];
		char text[64];
		struct flow_name name = {.text = text, .source = NAME_SOURCE_SNI};

		if (length != 4 || rank % 3 != 0)
			continue;
		snprintf(text, sizeof(text), "www.site%u.example", rank / 12);
		if (batch_name_flow(batch, i, &name) < 0)
			return -1;
	}
	return 0;
}

/* As lastconnd does between batches: once a day the ledger may count its days. */
static int maintain(struct store *store, int64_t now_us, struct store_error *ret_error)
{
	int more = 1;

	while (more > 0)
		more = store_maintain(store, now_us, ret_error);
	return more;
}

static int write_flows(struct store *store, struct traffic *traffic, uint64_t flows)
{
	struct store_error error;
	struct batch *batch;
	int64_t day = 0;
	int status = 0;

	if (batch_new(TRAFFIC_BATCH, &batch) < 0)
		return -1;
	while (flows > 0 && status == 0) {
		size_t wanted = flows < TRAFFIC_BATCH ? (size_t)flows : TRAFFIC_BATCH;

		flows -= traffic_fill(traffic, batch, wanted);
		if (name_flows(batch) < 0) {
			fprintf(stderr, "history_make: no memory\n");
			batch_free(batch);
			return -1;
		}
		status = store_write(store, batch, &error);
		if (status == 0 && traffic->now_us / US_PER_DAY != day) {
			day = traffic->now_us / US_PER_DAY;
			status = maintain(store, traffic->now_us, &error);
		}
		batch_clear(batch);
	}
	if (status < 0)
		fprintf(stderr, "history_make: %s\n", error.text);
	batch_free(batch);
	return status;
}

int main(int argc, char **argv)
{
	const int64_t end_us = INT64_C(1780000000) * 1000000, day_us = INT64_C(86400) * 1000000;
	uint64_t flows = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t flows_a_day = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
	struct store_options options = {.path = argc > 1 ? argv[1] : "",
		.boot_uuid = "00000000-0000-0000-0000-000000000001",
		.host_name = "bench",
		.version = LASTCONN_VERSION,
		.retention = {.trusts_clock = true}};
	struct store_error error;
	struct traffic traffic;
	struct store *store;
	int status;

	if (flows == 0 || flows_a_day == 0) {
		fprintf(stderr, "usage: history_make DB FLOWS [FLOWS_A_DAY]\n");
		return 2;
	}
	if (store_open(&options, &store, &error) < 0) {
		fprintf(stderr, "history_make: %s\n", error.text);
		return 1;
	}
	traffic_init(&traffic, 1,
		end_us - (int64_t)((double)flows / (double)flows_a_day * (double)day_us),
		flows_a_day);
	status = write_flows(store, &traffic, flows);
	store_close(store);
	return status < 0;
}

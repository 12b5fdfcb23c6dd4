/* history_make DB FLOWS [FLOWS_A_DAY]: makes a database of so many flows through the store, as
 * lastconnd would have written it. For benchmarks of queries. The last flow ends about 1780000000
 * seconds since 1970, whatever the number of flows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store.h"
#include "support/traffic_make.h"

static int write_flows(struct store *store, struct traffic *traffic, uint64_t flows)
{
	struct store_error error;
	struct batch *batch;
	int status = 0;

	if (batch_new(TRAFFIC_BATCH, &batch) < 0)
		return -1;
	while (flows > 0 && status == 0) {
		size_t wanted = flows < TRAFFIC_BATCH ? (size_t)flows : TRAFFIC_BATCH;

		flows -= traffic_fill(traffic, batch, wanted);
		status = store_write(store, batch, &error);
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
		.version = LASTCONN_VERSION};
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

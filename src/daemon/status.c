/* The answer to SIGUSR1. */
#include "daemon/status.h"

#include <stdio.h>

#include "util/log.h"

static void log_source(const struct pipeline_counters *counters)
{
	log_info("source: %llu observations, %llu process events, %llu listener events; lost: "
		 "%llu in the ring, %llu in kernel maps",
		(unsigned long long)counters->flows.observations,
		(unsigned long long)counters->process_events,
		(unsigned long long)counters->listener_events,
		(unsigned long long)counters->lost[COVERAGE_RING_FULL],
		(unsigned long long)counters->lost[COVERAGE_MAP_FULL]);
}

static void log_tables(const struct pipeline_counters *counters)
{
	const struct flow_table_counters *flows = &counters->flows;
	const struct process_table_counters *processes = &counters->processes;

	log_info("flows: %zu open, %llu created, %llu ended, of these %llu idle, %llu lost, "
		 "%llu evicted; %llu ignored",
		flows->open, (unsigned long long)flows->created, (unsigned long long)flows->ended,
		(unsigned long long)flows->expired_idle, (unsigned long long)flows->expired_lost,
		(unsigned long long)flows->evicted, (unsigned long long)counters->ignored);
	log_info("processes: %zu known, %llu added, %llu evicted, %llu without memory; "
		 "listeners: %zu known, %llu refused",
		processes->count, (unsigned long long)processes->added,
		(unsigned long long)processes->evicted, (unsigned long long)processes->failed,
		counters->listeners, (unsigned long long)counters->listeners_refused);
}

static void log_names(const struct pipeline_counters *counters)
{
	const struct name_table_counters *names = &counters->names;
	uint64_t named = 0;

	for (int i = 0; i < NAME_SOURCE_COUNT; i++)
		named += names->named[i];
	log_info("names: %llu seen, %llu of them new, %zu known, %llu forgotten, %llu without "
		 "memory; records of flows: %llu named, %llu without memory",
		(unsigned long long)names->evidence, (unsigned long long)names->added, names->count,
		(unsigned long long)names->evicted, (unsigned long long)names->failed,
		(unsigned long long)named, (unsigned long long)counters->nameless);
}

static void log_nat(const struct pipeline_counters *counters)
{
	const struct nat_table_counters *nat = &counters->nat;

	log_info("nat: %llu connections seen, %zu known, %llu forgotten early; records of flows: "
		 "%llu joined, %llu ambiguous",
		(unsigned long long)nat->added, nat->count, (unsigned long long)nat->evicted,
		(unsigned long long)nat->joined, (unsigned long long)nat->ambiguous);
}

static void log_writer(
	const struct writer_counters *writer, const struct pipeline_counters *counters)
{
	static const char *const states[] = {
		[WRITER_FINE] = "fine",
		[WRITER_RETRYING] = "retrying",
		[WRITER_FAILED] = "failed",
	};

	log_info("writer: %s, %zu batches queued with %llu octets, %llu refused, "
		 "%llu records dropped",
		states[writer->state], writer->queued, (unsigned long long)writer->queue_octets,
		(unsigned long long)writer->refused,
		(unsigned long long)counters->lost[COVERAGE_QUEUE_FULL]);
}

static void log_store(const struct store_counters *store)
{
	log_info("store: %llu batches, %llu ended flows, %llu processes, %llu retries, longest "
		 "batch %lld ms, %lld flows closed for earlier runs",
		(unsigned long long)store->batches, (unsigned long long)store->flows,
		(unsigned long long)store->processes, (unsigned long long)store->retries,
		(long long)store->longest_batch_us / 1000, (long long)store->recovered_flows);
}

void status_log(const struct recorder *recorder)
{
	struct pipeline_counters counters;
	struct writer_counters writer;

	pipeline_counters(recorder->pipeline, &counters);
	writer_counters(recorder->writer, &writer);
	log_source(&counters);
	log_tables(&counters);
	log_names(&counters);
	log_nat(&counters);
	log_writer(&writer, &counters);
	log_store(&writer.store);
}

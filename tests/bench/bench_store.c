/* bench_store [FLOWS [DIR [FLOWS_A_DAY [PARTS]]]]: what the store costs. Writes made-up flows
 * (three million) in batches of 5,000 as fast as it can into a new database in DIR, and beside it,
 * in the same run, the floor: the same number of packed records written one after the other into a
 * plain file; and what SQLite itself takes for the rows of flows alone: the bare table, with no
 * dictionary, roll-up, ledger or retention, its ids made up of the records. In PARTS (one), each
 * with its own figures, which are to stay the same. Then a part more, while those of the first one
 * are forgotten as they get too old: the file stays as it is. What that costs more than the part
 * before is what forgetting costs. Prints CPU, octets that the file grew by and octets written to
 * the device for each flow, how long a batch was written or the next one waited at most, and the
 * longest slice of what is forgotten.
 *
 * Exits with 1 if a target is missed: 4 us of CPU, 600 octets written, 250 ms a batch, 50 ms a
 * slice; forgetting a flow takes less CPU than writing one. Octets written come from
 * /proc/self/io, which counts pages as they get dirty; in a tmpfs they are 0. */
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "support/traffic_make.h"
#include "util/clock.h"

enum {
	CPU_NS_MAX = 4000,
	WRITTEN_OCTETS_MAX = 600,
	BATCH_US_MAX = 250000,
	SLICE_US_MAX = 50000,
	PACKED_OCTETS = 104, /* of a record of the floor */
};

#define BEGIN_US (INT64_C(1780000000) * US_PER_S) /* of the traffic */

struct cost {
	uint64_t flows;
	int64_t cpu_ns, wall_ns;
	int64_t file_octets, written_octets;
	int64_t longest_us;
	int64_t without_cpu_ns; /* of a part that forgets nothing; 0: this is one */
	int64_t longest_slice_us;
};

/* What is measured in one history. */
struct bench {
	struct store *store;
	struct traffic traffic;
	struct batch *batch;
	const char *path;
	uint64_t keeps;                   /* only so many of the newest; 0 all */
	uint64_t flows_a_day, hour_flows; /* of the hour at hand */
	int64_t look;
};

static int64_t cpu_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t written_now(void)
{
	FILE *file = fopen("/proc/self/io", "re");
	char line[128];
	int64_t octets = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "write_bytes: %" SCNd64, &octets) == 1)
			break;
	if (file)
		fclose(file);
	return octets;
}

static int64_t size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

static void note_longest(struct cost *cost, int64_t begin_ns)
{
	int64_t took_us = (clock_boottime_ns() - begin_ns) / NS_PER_US;

	if (took_us > cost->longest_us)
		cost->longest_us = took_us;
}

static void add_time(struct cost *cost, int64_t begin_ns, int64_t begin_cpu_ns)
{
	cost->cpu_ns += cpu_now_ns() - begin_cpu_ns;
	cost->wall_ns += clock_boottime_ns() - begin_ns;
	note_longest(cost, begin_ns);
}

static int fail(const struct store_error *error)
{
	fprintf(stderr, "bench_store: %s\n", error->text);
	return -1;
}

/* As lastconnd does: once an hour of the traffic, and a batch tells that it knows of a look at what
 * is in use. Batches wait for a slice, or for a checkpoint. */
static int maintain(struct bench *bench, struct cost *cost)
{
	int64_t begin_cpu_ns = cpu_now_ns();
	struct store_counters counters;
	struct store_error error;
	int more = bench->hour_flows >= bench->flows_a_day / 24;

	if (more)
		bench->hour_flows = 0;
	while (more > 0) {
		int64_t begin_ns = clock_boottime_ns();

		more = store_maintain(bench->store, bench->traffic.now_us, &error);
		note_longest(cost, begin_ns);
	}
	store_counters(bench->store, &counters);
	bench->look = counters.looks;
	cost->longest_slice_us = counters.longest_slice_us;
	cost->cpu_ns += cpu_now_ns() - begin_cpu_ns;
	return more < 0 ? fail(&error) : 0;
}

/* The making of the traffic is not part of the cost. */
static int write_all(struct bench *bench, uint64_t flows, struct cost *cost)
{
	struct store_error error;

	while (cost->flows < flows) {
		uint64_t left = flows - cost->flows;
		int64_t begin_ns, begin_cpu_ns;

		batch_clear(bench->batch);
		batch_set_look(bench->batch, bench->look);
		cost->flows += traffic_fill(&bench->traffic, bench->batch,
			left < TRAFFIC_BATCH ? (size_t)left : TRAFFIC_BATCH);
		begin_ns = clock_boottime_ns();
		begin_cpu_ns = cpu_now_ns();
		if (store_write(bench->store, bench->batch, &error) < 0 ||
			store_heartbeat(bench->store, clock_realtime_us(), &error) < 0)
			return fail(&error);
		add_time(cost, begin_ns, begin_cpu_ns);
		bench->hour_flows += batch_flows(bench->batch);
		if (maintain(bench, cost) < 0)
			return -1;
	}
	return 0;
}

static int open_store(struct bench *bench)
{
	uint64_t age_s = bench->keeps * 86400 / bench->flows_a_day;
	struct store_options options = {.path = bench->path,
		.boot_uuid = "00000000-0000-0000-0000-000000000001",
		.host_name = "bench",
		.version = LASTCONN_VERSION,
		.unattended = true, /* a checkpoint is made beside the writer */
		.retention = {.flow_age_us = (int64_t)(age_s * US_PER_S), .trusts_clock = true}};
	struct store_error error;

	return store_open(&options, &bench->store, &error) < 0 ? fail(&error) : 0;
}

/* From open to closed: what is pending is settled then. */
static int bench_part(struct bench *bench, uint64_t flows, struct cost *cost)
{
	int64_t before = written_now(), size = size_of(bench->path), begin_ns, begin_cpu_ns;
	int status = open_store(bench);

	if (status == 0)
		status = write_all(bench, flows, cost);
	begin_ns = clock_boottime_ns();
	begin_cpu_ns = cpu_now_ns();
	store_close(bench->store);
	cost->cpu_ns += cpu_now_ns() - begin_cpu_ns;
	cost->wall_ns += clock_boottime_ns() - begin_ns;
	cost->written_octets = written_now() - before;
	cost->file_octets = size_of(bench->path) - size;
	return status;
}

static void print(const char *what, const struct cost *cost)
{
	double flows = (double)cost->flows;

	if (cost->without_cpu_ns)
		printf("forget %9" PRIu64 " flows  %6.3f us CPU a flow, longest slice %.1f ms\n",
			cost->flows, (double)(cost->cpu_ns - cost->without_cpu_ns) / 1000 / flows,
			(double)cost->longest_slice_us / 1000);
	printf("%-6s %9" PRIu64 " flows  %6.3f us CPU  %6.3f us  %5.1f octets in the file  "
	       "%6.1f octets written  longest stall %.1f ms\n",
		what, cost->flows, (double)cost->cpu_ns / 1000 / flows,
		(double)cost->wall_ns / 1000 / flows, (double)cost->file_octets / flows,
		(double)cost->written_octets / flows, (double)cost->longest_us / 1000);
	fflush(stdout);
}

static bool meets_targets(const struct cost *cost)
{
	int64_t flows = (int64_t)cost->flows;

	return (cost->without_cpu_ns ? cost->cpu_ns <= 2 * cost->without_cpu_ns
				     : cost->cpu_ns <= CPU_NS_MAX * flows) &&
	       cost->written_octets <= WRITTEN_OCTETS_MAX * flows &&
	       cost->longest_us <= BATCH_US_MAX && cost->longest_slice_us <= SLICE_US_MAX;
}

/* Returns 0, 1 if a target is missed, or -1. */
static int bench_store(
	const char *path, uint64_t flows, uint64_t flows_a_day, uint64_t parts, struct cost *cost)
{
	struct bench bench = {.path = path, .flows_a_day = flows_a_day};
	bool missed = false;
	int status = 0;

	traffic_init(&bench.traffic, 1, BEGIN_US, flows_a_day);
	if (batch_new(TRAFFIC_BATCH, &bench.batch) < 0)
		return -1;
	for (uint64_t part = 0; part <= parts && status == 0; part++) {
		*cost = (struct cost){.without_cpu_ns = part == parts ? cost->cpu_ns : 0};
		if (part == parts)
			bench.keeps = flows;
		status = bench_part(&bench, flows / parts, cost);
		print(part < parts ? "store" : "keep", cost);
		missed = missed || !meets_targets(cost);
	}
	batch_free(bench.batch);
	return status < 0 ? -1 : missed;
}

static int bench_floor(const char *path, uint64_t flows, struct cost *cost)
{
	static char packed[TRAFFIC_BATCH][PACKED_OCTETS];
	int64_t before = written_now();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	while (cost->flows < flows) {
		int64_t begin_ns = clock_boottime_ns(), begin_cpu_ns = cpu_now_ns();

		memset(packed, (int)cost->flows, sizeof(packed));
		if (write(fd, packed, sizeof(packed)) != (ssize_t)sizeof(packed))
			break;
		add_time(cost, begin_ns, begin_cpu_ns);
		cost->flows += TRAFFIC_BATCH;
	}
	fdatasync(fd);
	close(fd);
	cost->written_octets = written_now() - before;
	cost->file_octets = size_of(path);
	return cost->flows >= flows ? 0 : -1;
}

/* As the table flow. */
static const char bare_schema[] =
	"PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	" CREATE TABLE flow (end_us INTEGER PRIMARY KEY, duration_us INTEGER, actor INTEGER,"
	" process INTEGER, opener INTEGER, remote INTEGER, local INTEGER, remote_port INTEGER,"
	" local_port INTEGER, kind INTEGER, octets_out INTEGER, octets_in INTEGER,"
	" packets_out INTEGER, packets_in INTEGER, retransmits INTEGER, rtt_us INTEGER) STRICT";

static const char bare_insert[] =
	"INSERT INTO flow VALUES (?1, ?2, ?3, ?4, NULL, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
	" ?14)";

static bool bare_insert_flow(sqlite3_stmt *insert, const struct flow_record *record)
{
	const struct flow_counters *counters = &record->counters;
	const uint8_t *address = record->key.remote.octets;
	int64_t values[14] = {record->end_us, record->end_us - record->start_us,
		record->user.pid % 1000, record->user.pid,
		address[13] << 16 | address[14] << 8 | address[15], record->key.remote_port,
		record->key.local_port, record->outcome, (int64_t)counters->octets_out,
		(int64_t)counters->octets_in, (int64_t)counters->packets_out,
		(int64_t)counters->packets_in, counters->retransmits, counters->rtt_us};

	for (int i = 0; i < 14; i++)
		sqlite3_bind_int64(insert, i + 1, values[i]);
	return sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK;
}

static bool bare_write(sqlite3 *db, sqlite3_stmt *insert, const struct batch *batch)
{
	bool good = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;

	for (size_t i = 0; good && i < batch_flows(batch); i++)
		good = bare_insert_flow(insert, batch_flow(batch, i));
	return good && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
}

static int bare_write_all(
	sqlite3 *db, struct batch *batch, uint64_t flows, uint64_t flows_a_day, struct cost *cost)
{
	struct traffic traffic;
	sqlite3_stmt *insert = NULL;
	bool good = sqlite3_exec(db, bare_schema, NULL, NULL, NULL) == SQLITE_OK &&
		    sqlite3_prepare_v2(db, bare_insert, -1, &insert, NULL) == SQLITE_OK;

	traffic_init(&traffic, 1, BEGIN_US, flows_a_day);
	while (good && cost->flows < flows) {
		int64_t begin_ns, begin_cpu_ns;

		batch_clear(batch);
		cost->flows += traffic_fill(&traffic, batch, TRAFFIC_BATCH);
		begin_ns = clock_boottime_ns();
		begin_cpu_ns = cpu_now_ns();
		good = bare_write(db, insert, batch);
		add_time(cost, begin_ns, begin_cpu_ns);
	}
	sqlite3_finalize(insert);
	return good ? 0 : -1;
}

static int bench_bare(const char *path, uint64_t flows, uint64_t flows_a_day, struct cost *cost)
{
	int64_t before = written_now();
	struct batch *batch = NULL;
	sqlite3 *db = NULL;
	int status = -1;

	if (sqlite3_open(path, &db) == SQLITE_OK && batch_new(TRAFFIC_BATCH, &batch) == 0)
		status = bare_write_all(db, batch, flows, flows_a_day, cost);
	if (status < 0)
		fprintf(stderr, "bench_store: the bare table: %s\n", sqlite3_errmsg(db));
	sqlite3_close(db);
	batch_free(batch);
	cost->written_octets = written_now() - before;
	cost->file_octets = size_of(path);
	return status;
}

int main(int argc, char **argv)
{
	uint64_t flows = argc > 1 ? strtoull(argv[1], NULL, 10) : 3000000;
	const char *dir = argc > 2 ? argv[2] : ".";
	uint64_t flows_a_day = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
	uint64_t parts = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	char path[512], lock[520], ballast[520], floor_path[512];
	struct cost cost = {0}, bare = {0};
	int status;

	if (flows == 0 || flows_a_day == 0 || parts == 0 || parts > flows) {
		fprintf(stderr, "usage: bench_store [FLOWS [DIR [FLOWS_A_DAY [PARTS]]]]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%.400s/bench_store_%ld.db", dir, (long)getpid());
	snprintf(lock, sizeof(lock), "%s.lock", path);
	snprintf(ballast, sizeof(ballast), "%s.ballast", path);
	snprintf(floor_path, sizeof(floor_path), "%.400s/bench_store_%ld.raw", dir, (long)getpid());
	status = bench_floor(floor_path, flows / parts, &cost);
	unlink(floor_path);
	print("floor", &cost);
	if (status == 0)
		status = bench_bare(path, flows / parts, flows_a_day, &bare);
	unlink(path);
	print("bare", &bare);
	if (status == 0)
		status = bench_store(path, flows, flows_a_day, parts, &cost);
	if (!getenv("BENCH_KEEP"))
		unlink(path);
	unlink(lock);
	unlink(ballast);
	return status < 0 ? 2 : status;
}

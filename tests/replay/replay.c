/* A capture file in, one line a flow out: source_pcap and the flow table alone, no database.
 *
 *     replay [--local ADDRESS|CIDR]... [--idle SECONDS] [--active SECONDS]
 *         [--owners|--names|--both] FILE...
 *
 * Lines are END records in the order of their ends; with --active OPEN and UPDATE records too:
 *     protocol[/tunnel] local arrow remote outcome out=OCTETS/PACKETS in=OCTETS/PACKETS rtx=N
 * rtt=US START+DURATION and one line of counters. With --owners each ends in the flow's process, or
 * in "nobody":
 *     method pid exe [for OPENER-PID OPENER-EXE] [uid N] [by PARENT-PID PARENT-EXE] [in CGROUP]
 * [comm COMM] [runs COMMAND-LINE]. With --names lines of names instead, as they are told:
 *     source name address [query=OWNER] [ttl=S] [alpn=ALPN] [ech] protocol[/tunnel] local remote
 * TIME and in the last line the counters of names; with --both lines of names among those of flows.
 * A damaged file exits with 1 after what came before the damage. Of several files each is read
 * anew, a line "file NAME" before it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_names.h"
#include "flow/flow_table.h"
#include "process/cmdline.h"
#include "process/process_table.h"
#include "source/source_pcap.h"
#include "util/clock.h"

enum { RANGES_MAX = 8, PACKETS_A_READ = 64 };

struct replay {
	struct flow_table *table;
	struct source_pcap_range local[RANGES_MAX];
	size_t local_count;
	long idle_s, active_s;
	struct process_table *processes;
	bool owners;
	bool names, flows; /* what is printed */
	const char **paths;
	int path_count;
};

static const char *format_protocol(const struct flow_key *key, char buf[static 64])
{
	char name[FLOW_PROTOCOL_NAME_SIZE], text[FLOW_TUNNEL_TEXT_SIZE];
	const char *tunnel =
		flow_tunnel_format((enum flow_tunnel)key->tunnel, key->tunnel_id, text);

	snprintf(buf, 64, "%s%s%s", flow_protocol_name(key->protocol, name), tunnel[0] ? "/" : "",
		tunnel);
	return buf;
}

static const char *format_end(const struct addr *addr, uint16_t port, char buf[static 64])
{
	char text[ADDR_TEXT_SIZE];

	snprintf(buf, 64, addr_is_v4(addr) ? "%s:%u" : "[%s]:%u", addr_format(addr, text), port);
	return buf;
}

static const char *exe_of(const struct replay *replay, const struct process_ref *ref)
{
	struct process_info info;

	return process_table_find(replay->processes, ref, &info) ? info.exe : "?";
}

static void print_details(const struct replay *replay, const struct process_ref *ref)
{
	struct process_info info;

	if (!process_table_find(replay->processes, ref, &info))
		return;
	if (info.uid != PROCESS_UID_NONE)
		printf(" uid %u", info.uid);
	if (process_ref_known(&info.parent))
		printf(" by %u %s", info.parent.pid, exe_of(replay, &info.parent));
	if (info.cgroup[0])
		printf(" in %s", info.cgroup);
	if (info.comm[0])
		printf(" comm %s", info.comm);
	if (info.cmdline[0])
		printf(" runs %s", info.cmdline);
}

static void print_owner(const struct replay *replay, const struct flow_record *record)
{
	const struct process_ref *user = &record->user, *opener = &record->opener;

	if (!replay->owners)
		return;
	if (!process_ref_known(user)) {
		printf(" nobody");
		return;
	}
	printf(" %s %u %s", flow_method_name(record->method), user->pid, exe_of(replay, user));
	if (process_ref_known(opener) && !process_ref_equal(opener, user))
		printf(" for %u %s", opener->pid, exe_of(replay, opener));
	print_details(replay, user);
}

static void print_record(void *ctx, const struct flow_record *record)
{
	static const char *const arrows[] = {"--", "->", "<-", "=>"};
	static const char *const kinds[] = {"open", "update", ""};
	const struct replay *replay = ctx;
	const struct flow_counters *counters = &record->counters;
	const struct flow_key *key = &record->key;
	char local[64], remote[64], protocol[64];
	long long duration_us = record->end_us - record->start_us;

	if (!replay->flows || (record->kind != FLOW_RECORD_END && !replay->active_s))
		return;
	printf("%s %s %s %s %s out=%llu/%llu in=%llu/%llu rtx=%u rtt=%u %lld.%06lld+%lld.%06lld",
		format_protocol(key, protocol), format_end(&key->local, key->local_port, local),
		arrows[record->direction], format_end(&key->remote, key->remote_port, remote),
		record->kind == FLOW_RECORD_END ? flow_outcome_name(record->outcome)
						: kinds[record->kind],
		(unsigned long long)counters->octets_out, (unsigned long long)counters->packets_out,
		(unsigned long long)counters->octets_in, (unsigned long long)counters->packets_in,
		counters->retransmits, counters->rtt_us, (long long)(record->start_us / US_PER_S),
		(long long)(record->start_us % US_PER_S), duration_us / US_PER_S,
		duration_us % US_PER_S);
	print_owner(replay, record);
	putchar('\n');
}

static void take_process(void *ctx, const struct process_info *info)
{
	struct replay *replay = ctx;
	char cmdline[PROCESS_CMDLINE_MAX];
	const struct process_info kept = cmdline_keep(CMDLINE_FULL, info, cmdline);

	process_table_put(replay->processes, &kept);
}

static void print_name(void *ctx, const struct name_evidence *evidence)
{
	const struct flow_key *key = &evidence->key;
	char address[ADDR_TEXT_SIZE], local[64], remote[64], protocol[64];

	(void)ctx;
	printf("%s %s %s", name_source_name(evidence->source), evidence->name,
		addr_format(&evidence->address, address));
	if (strcmp(evidence->query, evidence->name) != 0)
		printf(" query=%s", evidence->query);
	if (evidence->ttl_s)
		printf(" ttl=%u", evidence->ttl_s);
	if (evidence->alpn[0])
		printf(" alpn=%s", evidence->alpn);
	printf("%s %s %s %s %lld.%06lld\n", evidence->ech ? " ech" : "",
		format_protocol(key, protocol), format_end(&key->local, key->local_port, local),
		format_end(&key->remote, key->remote_port, remote),
		(long long)(evidence->time_us / US_PER_S),
		(long long)(evidence->time_us % US_PER_S));
}

static void observe(void *ctx, const struct observation *observation)
{
	struct replay *replay = ctx;

	flow_table_observe(replay->table, observation);
}

/* Leaves the names of files at the front of argv. */
static bool parse(struct replay *replay, int argc, char **argv)
{
	*replay = (struct replay){.idle_s = 120, .flows = true, .paths = (const char **)argv};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		struct source_pcap_range *range = &replay->local[replay->local_count];

		if (strcmp(argv[i], "--local") == 0) {
			if (replay->local_count == RANGES_MAX ||
				addr_parse_range(value, &range->first, &range->last) < 0)
				return false;
			replay->local_count++;
			i++;
		} else if (strcmp(argv[i], "--idle") == 0) {
			replay->idle_s = atol(value);
			i++;
		} else if (strcmp(argv[i], "--active") == 0) {
			replay->active_s = atol(value);
			i++;
		} else if (strcmp(argv[i], "--owners") == 0) {
			replay->owners = true;
		} else if (strcmp(argv[i], "--names") == 0) {
			replay->names = true;
			replay->flows = false;
		} else if (strcmp(argv[i], "--both") == 0) {
			replay->names = true;
		} else {
			replay->paths[replay->path_count++] = argv[i];
		}
	}
	return replay->path_count > 0;
}

static void print_counters(const struct replay *replay, const struct source_pcap *source)
{
	struct source_pcap_counters counters;
	const uint64_t *results = counters.names.results;

	source_pcap_counters(source, &counters);
	if (!replay->flows) {
		printf("names=%llu ok=%llu truncated=%llu malformed=%llu unsupported=%llu "
		       "unasked=%llu evicted=%llu\n",
			(unsigned long long)counters.names.names,
			(unsigned long long)results[DISSECT_OK],
			(unsigned long long)results[DISSECT_TRUNCATED],
			(unsigned long long)results[DISSECT_MALFORMED],
			(unsigned long long)results[DISSECT_UNSUPPORTED],
			(unsigned long long)counters.names.unasked,
			(unsigned long long)counters.names.evicted);
		return;
	}
	printf("packets=%llu truncated=%llu malformed=%llu unsupported=%llu arp=%llu not_ip=%llu\n",
		(unsigned long long)counters.packets, (unsigned long long)counters.truncated,
		(unsigned long long)counters.malformed, (unsigned long long)counters.unsupported,
		(unsigned long long)counters.arp, (unsigned long long)counters.not_ip);
}

static int read_all(struct replay *replay, struct source_pcap *source)
{
	struct source_pcap_error error;
	struct source_pcap_counters counters;
	int r;

	while ((r = source_pcap_read(source, PACKETS_A_READ, &error)) > 0) {
		source_pcap_counters(source, &counters);
		flow_table_expire(replay->table, counters.last_ns);
	}
	flow_table_end_all(replay->table);
	print_counters(replay, source);
	if (r < 0)
		fprintf(stderr, "%s\n", error.text);
	return r < 0;
}

static int read_file(struct replay *replay, const char *path)
{
	struct source_sink sink = {.ctx = replay,
		.observe = observe,
		.process = take_process,
		.name = replay->names ? print_name : NULL};
	struct source_pcap_options options = {
		.local = replay->local, .local_count = replay->local_count};
	struct flow_table_options table_options = {
		.max_flows = 8192,
		.active_timeout_ns = (replay->active_s ? replay->active_s : 60) * (int64_t)NS_PER_S,
		.idle_timeout_ns = replay->idle_s * (int64_t)NS_PER_S,
		.lost_timeout_ns = 60 * (int64_t)NS_PER_S,
		.hash_key = hash_key_random(),
		.emit = print_record,
		.ctx = replay,
	};
	struct source_pcap *source;
	struct source_pcap_error error;
	int status = 1;

	if (process_table_new(1024, hash_key_random(), &replay->processes) < 0 ||
		flow_table_new(&table_options, &replay->table) < 0 ||
		source_pcap_new(&options, &sink, &source) < 0)
		return 1;
	if (source_pcap_open_file(source, path, &error) < 0)
		fprintf(stderr, "%s\n", error.text);
	else
		status = read_all(replay, source);
	source_pcap_free(source);
	flow_table_free(replay->table);
	process_table_free(replay->processes);
	return status;
}

int main(int argc, char **argv)
{
	struct replay replay;
	int status = 0;

	if (!parse(&replay, argc, argv))
		return 2;
	for (int i = 0; i < replay.path_count; i++) {
		if (replay.path_count > 1)
			printf("file %s\n", replay.paths[i]);
		status |= read_file(&replay, replay.paths[i]);
	}
	return status;
}

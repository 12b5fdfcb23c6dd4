/* Fuzz target: whole pcapng files, with process blocks, comments and PKTAP headers, up to the
 * observations. Checked beside what the sanitizers see: times are not negative, every packet is
 * counted as one result, texts are UTF-8, and no packet names a process that was not told before.
 */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/cmdline.h"
#include "process/process_table.h"
#include "source/packet_observer.h"
#include "source/pcapng_file.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_CONVERSATIONS = 4, MAX_PROCESSES = 1 << 16 };

struct run {
	struct packet_observer observer;
	struct process_table *processes;
	uint64_t packets, observed;
};

static void check_text(const char *text)
{
	for (size_t length = strlen(text), step; length > 0; text += step, length -= step) {
		step = utf8_sequence(text, length);
		assert(step);
	}
}

static void check_known(const struct run *run, const struct process_ref *ref)
{
	struct process_info info;

	assert(!process_ref_known(ref) || process_table_find(run->processes, ref, &info));
}

static void take_process(void *ctx, const struct process_info *info)
{
	struct run *run = ctx;
	char cmdline[PROCESS_CMDLINE_MAX];
	const struct process_info kept = cmdline_keep(CMDLINE_MASKED, info, cmdline);

	assert(process_ref_known(&info->ref));
	check_text(info->comm);
	check_text(info->exe);
	check_text(kept.cmdline);
	check_text(info->cgroup);
	check_known(run, &info->parent);
	process_table_put(run->processes, &kept);
}

static void observe(void *ctx, const struct observation *observation)
{
	struct run *run = ctx;

	assert(observation->time_ns >= 0);
	assert(process_ref_known(&observation->user) == (observation->method == FLOW_METHOD_PKTAP));
	check_known(run, &observation->user);
	check_known(run, &observation->opener);
	run->observed++;
}

static void take_packet(struct run *run, const struct pcapng_packet *packet)
{
	struct captured_owners *owners = &run->observer.owners;
	const struct packet_observer_frame frame = {
		.link_type = packet->link_type,
		.octets = packet->octets,
		.captured = packet->captured,
		.wire = packet->wire,
		.time_ns = packet->time_ns < 0 ? 0 : packet->time_ns,
		.sender = packet->sender,
		.user = packet->process < 0 ? captured_owners_ref(owners, &packet->comments)
					    : captured_owners_of_block(owners, packet->process),
		.opener = captured_owners_of_block(owners, packet->effective),
	};

	assert(packet->captured <= packet->wire && packet->time_ns >= -1);
	run->packets++;
	packet_observer_take(&run->observer, &frame);
}

static void take(struct run *run, const struct pcapng_content *content)
{
	switch (content->kind) {
	case PCAPNG_SECTION:
		captured_owners_begin_section(&run->observer.owners);
		return;
	case PCAPNG_PROCESS:
		captured_owners_add_block(&run->observer.owners, &content->process);
		return;
	case PCAPNG_PACKET:
		take_packet(run, &content->packet);
		return;
	case PCAPNG_OTHER:
	case PCAPNG_DAMAGED:
		break;
	}
	assert(!"kind of content");
}

static void read_file(struct run *run, FILE *stream)
{
	struct pcapng_file *file;
	struct pcapng_content content;
	const char *why = NULL;
	int r;

	if (pcapng_file_new(stream, &file, &why) < 0) {
		assert(why);
		return;
	}
	while ((r = pcapng_file_next(file, &content)) > 0)
		take(run, &content);
	assert(r == 0 || content.why);
	pcapng_file_free(file);
}

static void check_counters(const struct run *run)
{
	uint64_t results = 0;

	for (int i = 0; i < DECODE_RESULTS; i++)
		results += run->observer.results[i];
	assert(results == run->packets);
	assert(run->observer.results[DECODE_OK] == run->observed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *run = calloc(1, sizeof(*run));
	const struct source_sink sink = {.ctx = run, .observe = observe, .process = take_process};
	const struct orientation_options orientation = {
		.max_conversations = MAX_CONVERSATIONS, .hash_key = {1, 2}};
	FILE *stream = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;

	if (!run ||
		packet_observer_init(&run->observer, &orientation, &sink, FLOW_SOURCE_FILE) < 0 ||
		process_table_new(MAX_PROCESSES, orientation.hash_key, &run->processes) < 0)
		abort();
	if (stream) {
		read_file(run, stream);
		fclose(stream);
	}
	check_counters(run);
	process_table_free(run->processes);
	packet_observer_done(&run->observer);
	free(run);
	return 0;
}

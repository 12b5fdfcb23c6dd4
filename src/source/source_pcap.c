/* Two readers: libpcap for all but pcapng files, and pcapng_file for these, because libpcap keeps
 * their options and process blocks to itself and refuses files whose interfaces differ in link
 * type, as those of Apple's tcpdump do. The first octet tells which.
 *
 * A file that ends within a packet, or holds a block that contradicts itself, is read up to there.
 */
#include "source/source_pcap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/packet_filter.h"
#include "source/packet_observer.h"
#include "source/pcapng_file.h"
#include "util/clock.h"

enum {
	READ_BUFFER = 256 * 1024,
	RECORD_HEADER = 16, /* of a packet in a pcap file, to guess the progress in a pipe */
	MAX_CONVERSATIONS = 131072,
	TEXT_PATH = 220,   /* of a path in a message */
	TEXT_REASON = 400, /* of what is wrong with it */
};

#define LAST_SECOND (INT64_MAX / NS_PER_S - 1)

/* The file that is read now. */
struct reading {
	pcap_t *pcap; /* NULL: pcapng is the reader */
	struct pcapng_file *pcapng;
	struct pcapng_content content; /* of pcapng: read last */
	bool pending;                  /* it is a packet that was not taken yet */
	bool damaged;                  /* it tells why nothing follows */
	bool over;
	bool regular; /* not a pipe */
	FILE *file;   /* NULL: none is open */
	char *path;
	int link_type;
	uint64_t packets, octets;
};

struct source_pcap {
	struct reading reading;
	struct packet_observer observer;
	struct packet_filter *filter; /* NULL: all packets */
	void (*begins)(void *ctx, int64_t first_ns);
	void *ctx;
	struct source_pcap_counters counters;
	char buffer[READ_BUFFER]; /* of the file; stdio takes it at its word only if it is given one
				   */
};

static const char *name_of(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int fail(struct source_pcap_error *ret_error, int error, const char *path, const char *text)
{
	ret_error->error = error;
	snprintf(ret_error->text, sizeof(ret_error->text), "%.*s: %.*s", TEXT_PATH, name_of(path),
		TEXT_REASON, text);
	return -1;
}

static int open_stream(
	struct source_pcap *source, const char *path, struct source_pcap_error *ret_error)
{
	struct reading *reading = &source->reading;
	struct stat status;
	bool input = strcmp(path, "-") == 0;

	reading->path = strdup(path);
	if (!reading->path)
		return fail(ret_error, ENOMEM, path, strerror(ENOMEM));
	reading->file = input ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "re");
	if (!reading->file || fstat(fileno(reading->file), &status) < 0)
		return fail(ret_error, errno, path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return fail(ret_error, EISDIR, path,
			"is a directory; name a pcap or pcapng file in it");
	reading->regular = S_ISREG(status.st_mode);
	setvbuf(reading->file, source->buffer, _IOFBF, sizeof(source->buffer));
	__fsetlocking(reading->file, FSETLOCKING_BYCALLER); /* one thread reads, twice a packet */
	return 0;
}

static int fail_no_capture(
	const struct source_pcap *source, const char *reason, struct source_pcap_error *ret_error)
{
	char text[PCAP_ERRBUF_SIZE + 64];

	snprintf(text, sizeof(text), "is no capture file (pcap or pcapng): %s", reason);
	return fail(ret_error, EINVAL, source->reading.path, text);
}

static int fail_link_type(
	const struct source_pcap *source, int link_type, struct source_pcap_error *ret_error)
{
	const char *name = pcap_datalink_val_to_name(link_type);
	char text[128];

	snprintf(text, sizeof(text),
		"link type %s (%d) cannot be read; capture on a device with IP packets",
		name ? name : "unknown", link_type);
	return fail(ret_error, EPROTONOSUPPORT, source->reading.path, text);
}

/* libpcap closes the file from then on. */
static int open_pcap(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	char reason[PCAP_ERRBUF_SIZE];

	source->reading.pcap = pcap_fopen_offline_with_tstamp_precision(
		source->reading.file, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (!source->reading.pcap)
		return fail_no_capture(source, reason, ret_error);
	source->reading.link_type = pcap_datalink(source->reading.pcap);
	if (!packet_observer_reads(source->reading.link_type))
		return fail_link_type(source, source->reading.link_type, ret_error);
	return 0;
}

static int open_observer(struct source_pcap *source, const struct source_pcap_options *options,
	const struct source_sink *sink)
{
	struct orientation_options orientation = {
		.local = options->local,
		.local_count = options->local_count,
		.max_conversations =
			options->max_conversations ? options->max_conversations : MAX_CONVERSATIONS,
		.hash_key = hash_key_random(),
	};

	return packet_observer_init(&source->observer, &orientation, sink, FLOW_SOURCE_FILE);
}

static bool passes(struct source_pcap *source, const struct packet_observer_frame *frame)
{
	if (!source->filter)
		return true;
	switch (packet_filter_take(source->filter, frame)) {
	case PACKET_FILTER_PASS:
		return true;
	case PACKET_FILTER_REJECT:
		source->counters.filtered++;
		break;
	case PACKET_FILTER_UNFIT:
		source->counters.unfit++;
		break;
	}
	return false;
}

static void begin_file(struct source_pcap *source, int64_t first_ns)
{
	struct source_pcap_counters *counters = &source->counters;

	if (source->begins)
		source->begins(source->ctx, first_ns);
	if (counters->packets == 0)
		counters->first_ns = counters->last_ns = first_ns;
	counters->clock_ns = first_ns;
}

static void take_frame(struct source_pcap *source, const struct packet_observer_frame *frame)
{
	struct source_pcap_counters *counters = &source->counters;

	if (source->reading.packets++ == 0)
		begin_file(source, frame->time_ns);
	counters->packets++;
	if (frame->time_ns < counters->first_ns)
		counters->first_ns = frame->time_ns;
	if (frame->time_ns > counters->last_ns)
		counters->last_ns = frame->time_ns;
	if (frame->time_ns > counters->clock_ns)
		counters->clock_ns = frame->time_ns;
	if (passes(source, frame))
		packet_observer_take(&source->observer, frame);
}

/* Reads up to the next packet. 1, 0 at the end, -1 damaged. */
static int next_packet(struct source_pcap *source)
{
	struct pcapng_content *content = &source->reading.content;
	int r;

	if (source->reading.pending)
		return 1;
	while ((r = pcapng_file_next(source->reading.pcapng, content)) > 0 &&
		content->kind != PCAPNG_PACKET) {
		if (content->kind == PCAPNG_SECTION)
			captured_owners_begin_section(&source->observer.owners);
		else
			captured_owners_add_block(&source->observer.owners, &content->process);
	}
	source->reading.pending = r > 0;
	return r;
}

static void take_packet(struct source_pcap *source)
{
	const struct pcapng_packet *packet = &source->reading.content.packet;
	struct captured_owners *owners = &source->observer.owners;
	struct packet_observer_frame frame = {
		.link_type = packet->link_type,
		.octets = packet->octets,
		.captured = packet->captured,
		.wire = packet->wire,
		.time_ns = packet->time_ns < 0 ? source->counters.clock_ns : packet->time_ns,
		.sender = packet->sender,
		.user = captured_owners_of_block(owners, packet->process),
		.opener = captured_owners_of_block(owners, packet->effective),
	};

	if (!process_ref_known(&frame.user))
		frame.user = captured_owners_ref(owners, &packet->comments);
	source->reading.pending = false;
	take_frame(source, &frame);
}

/* Reads up to the first packet of a link type that can be read: the interfaces are not all
 * described at the beginning. */
static int open_pcapng(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	const char *why;
	int r;

	if (pcapng_file_new(source->reading.file, &source->reading.pcapng, &why) < 0)
		return fail_no_capture(source, why, ret_error);
	while ((r = next_packet(source)) > 0 &&
		!packet_observer_reads(source->reading.content.packet.link_type)) {
		source->reading.link_type = source->reading.content.packet.link_type;
		take_packet(source);
	}
	if (r == 0 && source->reading.packets > 0)
		return fail_link_type(source, source->reading.link_type, ret_error);
	source->reading.damaged = r < 0;
	return 0;
}

/* Before anything is read. */
static int check_filter(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	const struct reading *reading = &source->reading;
	bool known = reading->pcap || reading->pending;
	int link_type = reading->pcap ? reading->link_type : reading->content.packet.link_type;
	char text[PACKET_FILTER_TEXT_SIZE + 64];
	const char *why = NULL;

	if (source->filter)
		why = packet_filter_refusal(source->filter, known ? link_type : DLT_EN10MB);
	if (!why)
		return 0;
	snprintf(text, sizeof(text), "the filter cannot be applied: %s", why);
	fail(ret_error, EINVAL, reading->path, text);
	ret_error->filter = true;
	return -1;
}

static int open_reader(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	struct reading *reading = &source->reading;
	int first = getc(reading->file);
	int r;

	if (first != EOF)
		ungetc(first, reading->file);
	r = first == PCAPNG_FIRST_OCTET ? open_pcapng(source, ret_error)
					: open_pcap(source, ret_error);
	return r < 0 ? r : check_filter(source, ret_error);
}

static uint64_t octets_read(const struct reading *reading)
{
	off_t offset = reading->regular ? ftello(reading->file) : -1;

	return offset >= 0 ? (uint64_t)offset : reading->octets;
}

static void close_file(struct source_pcap *source)
{
	struct reading *reading = &source->reading;

	if (reading->file)
		source->counters.octets += octets_read(reading);
	if (reading->pcap)
		pcap_close(reading->pcap);
	else if (reading->file)
		fclose(reading->file);
	pcapng_file_free(reading->pcapng);
	free(reading->path);
	memset(reading, 0, sizeof(*reading));
}

int source_pcap_open_file(
	struct source_pcap *source, const char *path, struct source_pcap_error *ret_error)
{
	close_file(source);
	ret_error->filter = false;
	captured_owners_begin_section(&source->observer.owners);
	if (open_stream(source, path, ret_error) == 0 && open_reader(source, ret_error) == 0)
		return 0;
	close_file(source);
	return -1;
}

int source_pcap_new(const struct source_pcap_options *options, const struct source_sink *sink,
	struct source_pcap **ret_source)
{
	struct source_pcap *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	source->begins = options->begins;
	source->ctx = options->ctx;
	if (open_observer(source, options, sink) < 0 ||
		(options->filter && packet_filter_new(options->filter, &source->filter) < 0)) {
		source_pcap_free(source);
		return -ENOMEM;
	}
	*ret_source = source;
	return 0;
}

void source_pcap_free(struct source_pcap *source)
{
	if (!source)
		return;
	close_file(source);
	packet_observer_done(&source->observer);
	packet_filter_free(source->filter);
	free(source);
}

/* Times of a damaged file may be anything. */
static int64_t time_of(const struct timeval *time)
{
	int64_t seconds = time->tv_sec, ns = time->tv_usec; /* of nanosecond precision */

	if (seconds < 0)
		return 0;
	if (seconds > LAST_SECOND)
		seconds = LAST_SECOND;
	if (ns < 0 || ns >= NS_PER_S)
		ns = 0;
	return seconds * NS_PER_S + ns;
}

static void take_from_libpcap(u_char *user, const struct pcap_pkthdr *header, const u_char *octets)
{
	struct source_pcap *source = (struct source_pcap *)(void *)user;
	const struct packet_observer_frame frame = {
		.link_type = source->reading.link_type,
		.octets = octets,
		.captured = header->caplen,
		.wire = header->len,
		.time_ns = time_of(&header->ts),
	};

	source->reading.octets += RECORD_HEADER + header->caplen;
	take_frame(source, &frame);
}

static int fail_read(
	const struct source_pcap *source, const char *why, struct source_pcap_error *ret_error)
{
	char text[PCAP_ERRBUF_SIZE + 64];
	unsigned long long packets = source->reading.packets;

	snprintf(text, sizeof(text), "damaged after %llu packets: %s", packets, why);
	return fail(ret_error, EIO, source->reading.path, text);
}

static int read_pcapng(
	struct source_pcap *source, int max_packets, struct source_pcap_error *ret_error)
{
	int r = source->reading.damaged ? -1 : 1;

	for (int taken = 0; taken < max_packets && r > 0; taken++) {
		r = next_packet(source);
		if (r > 0)
			take_packet(source);
	}
	source->reading.octets = pcapng_file_octets(source->reading.pcapng);
	source->reading.over = r <= 0;
	return r < 0 ? fail_read(source, source->reading.content.why, ret_error) : r;
}

int source_pcap_read(
	struct source_pcap *source, int max_packets, struct source_pcap_error *ret_error)
{
	int taken;

	if (source->reading.over)
		return 0;
	if (source->reading.pcapng)
		return read_pcapng(source, max_packets, ret_error);
	taken = pcap_dispatch(
		source->reading.pcap, max_packets, take_from_libpcap, (u_char *)source);
	source->reading.over = taken <= 0;
	return taken < 0 ? fail_read(source, pcap_geterr(source->reading.pcap), ret_error)
			 : taken > 0;
}

void source_pcap_counters(
	const struct source_pcap *source, struct source_pcap_counters *ret_counters)
{
	const uint64_t *results = source->observer.results;

	*ret_counters = source->counters;
	ret_counters->truncated = results[DECODE_TRUNCATED];
	ret_counters->malformed = results[DECODE_MALFORMED];
	ret_counters->unsupported = results[DECODE_UNSUPPORTED];
	ret_counters->arp = results[DECODE_ARP];
	ret_counters->not_ip = results[DECODE_NOT_IP];
	ret_counters->processes_refused = source->observer.owners.refused;
	if (source->observer.dissect)
		dissect_counters(source->observer.dissect, &ret_counters->names);
	ret_counters->evicted = orientation_evicted(source->observer.orientation);
	if (source->reading.file)
		ret_counters->octets += octets_read(&source->reading);
}

const char *source_pcap_unfit(const struct source_pcap *source)
{
	return source->filter ? packet_filter_unfit(source->filter) : NULL;
}

const char *source_pcap_library_version(void)
{
	return pcap_lib_version();
}

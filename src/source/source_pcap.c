/* Reads a file with libpcap, which knows pcap and pcapng in both byte orders. One file has one link
 * type: libpcap refuses a pcapng whose interfaces differ in it, and so do we, by its words.
 *
 * A file that ends within a packet, or holds a block that contradicts itself, is read up to there.
 */
#include "source/source_pcap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "source/packet_observer.h"
#include "util/clock.h"

enum {
	READ_BUFFER = 256 * 1024,
	RECORD_HEADER = 16, /* of a packet in a pcap file, to guess the progress in a pipe */
	MAX_CONVERSATIONS = 131072,
	TEXT_PATH = 220,   /* of a path in a message */
	TEXT_REASON = 400, /* of what is wrong with it */
};

#define LAST_SECOND (INT64_MAX / NS_PER_S - 1)

struct source_pcap {
	pcap_t *pcap;
	FILE *file;
	char *path;
	int link_type;
	bool over;
	struct packet_observer observer;
	struct source_pcap_counters counters;
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

/* libpcap closes the file from then on. */
static int open_pcap(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	char text[PCAP_ERRBUF_SIZE + 64], reason[PCAP_ERRBUF_SIZE];
	struct stat status;

	if (fstat(fileno(source->file), &status) < 0)
		return fail(ret_error, errno, source->path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return fail(ret_error, EISDIR, source->path,
			"is a directory; name a pcap or pcapng file in it");
	if (S_ISREG(status.st_mode))
		source->counters.file_size = (uint64_t)status.st_size;
	setvbuf(source->file, NULL, _IOFBF, READ_BUFFER);
	source->pcap = pcap_fopen_offline_with_tstamp_precision(
		source->file, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (!source->pcap) {
		snprintf(text, sizeof(text), "is no capture file (pcap or pcapng): %s", reason);
		return fail(ret_error, EINVAL, source->path, text);
	}
	return 0;
}

static int check_link_type(struct source_pcap *source, struct source_pcap_error *ret_error)
{
	const char *name;
	char text[128];

	source->link_type = pcap_datalink(source->pcap);
	if (decode_link_type_supported(source->link_type))
		return 0;
	name = pcap_datalink_val_to_name(source->link_type);
	snprintf(text, sizeof(text),
		"link type %s (%d) cannot be read; capture on a device with IP packets",
		name ? name : "unknown", source->link_type);
	return fail(ret_error, EPROTONOSUPPORT, source->path, text);
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

int source_pcap_open_file(const char *path, const struct source_pcap_options *options,
	const struct source_sink *sink, struct source_pcap **ret_source,
	struct source_pcap_error *ret_error)
{
	struct source_pcap *source = calloc(1, sizeof(*source));
	int r = -1;

	if (!source || !(source->path = strdup(path))) {
		free(source);
		return fail(ret_error, ENOMEM, path, strerror(ENOMEM));
	}
	source->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!source->file)
		fail(ret_error, errno, path, strerror(errno));
	else if (open_observer(source, options, sink) < 0)
		fail(ret_error, ENOMEM, path, strerror(ENOMEM));
	else if (open_pcap(source, ret_error) == 0)
		r = check_link_type(source, ret_error);
	if (r < 0) {
		source_pcap_free(source);
		return r;
	}
	*ret_source = source;
	return 0;
}

void source_pcap_free(struct source_pcap *source)
{
	if (!source)
		return;
	if (source->pcap)
		pcap_close(source->pcap);
	else if (source->file && source->file != stdin)
		fclose(source->file);
	packet_observer_done(&source->observer);
	free(source->path);
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

static void take_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *octets)
{
	struct source_pcap *source = (struct source_pcap *)(void *)user;
	struct packet_observer_frame frame = {
		.link_type = source->link_type,
		.octets = octets,
		.captured = header->caplen,
		.wire = header->len,
		.time_ns = time_of(&header->ts),
	};

	if (source->counters.packets++ == 0)
		source->counters.first_ns = source->counters.last_ns = frame.time_ns;
	if (frame.time_ns < source->counters.first_ns)
		source->counters.first_ns = frame.time_ns;
	if (frame.time_ns > source->counters.last_ns)
		source->counters.last_ns = frame.time_ns;
	source->counters.file_octets += RECORD_HEADER + header->caplen;
	packet_observer_take(&source->observer, &frame);
}

/* A file of several link types is sound; it is libpcap that stops there. */
static int fail_read(const struct source_pcap *source, struct source_pcap_error *ret_error)
{
	char text[PCAP_ERRBUF_SIZE + 64];
	unsigned long long packets = source->counters.packets;
	const char *reason = pcap_geterr(source->pcap);

	if (strstr(reason, "different from the type of the first interface"))
		snprintf(text, sizeof(text),
			"read up to %llu packets: its interfaces differ in link type; split it "
			"first: tshark -Y frame.interface_id==0 -w OUT -r IN",
			packets);
	else
		snprintf(text, sizeof(text), "damaged after %llu packets: %s", packets, reason);
	return fail(ret_error, EIO, source->path, text);
}

int source_pcap_read(
	struct source_pcap *source, int max_packets, struct source_pcap_error *ret_error)
{
	int taken;

	if (source->over)
		return 0;
	taken = pcap_dispatch(source->pcap, max_packets, take_packet, (u_char *)source);
	source->over = taken <= 0;
	return taken < 0 ? fail_read(source, ret_error) : taken > 0;
}

void source_pcap_counters(
	const struct source_pcap *source, struct source_pcap_counters *ret_counters)
{
	const uint64_t *results = source->observer.results;
	off_t offset = source->counters.file_size ? ftello(source->file) : -1;

	*ret_counters = source->counters;
	ret_counters->truncated = results[DECODE_TRUNCATED];
	ret_counters->malformed = results[DECODE_MALFORMED];
	ret_counters->unsupported = results[DECODE_UNSUPPORTED];
	ret_counters->not_ip = results[DECODE_NOT_IP];
	ret_counters->evicted = orientation_evicted(source->observer.orientation);
	if (offset >= 0)
		ret_counters->file_octets = (uint64_t)offset;
}

const char *source_pcap_library_version(void)
{
	return pcap_lib_version();
}

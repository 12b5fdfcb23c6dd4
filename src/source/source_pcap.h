/* Capture files, decoded into packet observations: pcap through libpcap, pcapng by our own reader,
 * for the sake of the processes that it may name and that libpcap does not hand on. Several files,
 * one after the other, are one source. */
#ifndef LASTCONN_SOURCE_SOURCE_PCAP_H
#define LASTCONN_SOURCE_SOURCE_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/dissect.h"
#include "flow/addr.h"
#include "source/source.h"

struct source_pcap;

struct source_pcap_range {
	struct addr first, last;
	bool broadcast; /* nobody's own: packets to it come to all */
};

struct source_pcap_options {
	/* Addresses of the captured machine. Empty: the initiator of each flow is taken as local,
	 * unless the file says which packets were sent (Linux cooked captures, PKTAP, the flags of
	 * pcapng packets). */
	const struct source_pcap_range *local;
	size_t local_count;
	size_t max_conversations; /* tuples whose orientation is remembered; 0: 131072 */
	const char *filter;       /* pcap-filter(7); NULL: all packets */
	/* Called before the first packet of each file with its time. NULL: nobody wants to know. */
	void (*begins)(void *ctx, int64_t first_ns);
	void *ctx;
};

/* Of all files. */
struct source_pcap_counters {
	uint64_t packets;           /* read */
	uint64_t filtered;          /* of these: the filter did not pass them */
	uint64_t unfit;             /* of these: the filter cannot be applied to their link type */
	uint64_t truncated;         /* cut by the snapshot length before the ports */
	uint64_t malformed;         /* contradicts its own lengths */
	uint64_t unsupported;       /* link type, network protocol or extension that we do not read,
				     * or a fragment without its first one */
	uint64_t arp;               /* and RARP */
	uint64_t not_ip;            /* LLDP, spanning tree and the like */
	uint64_t processes_refused; /* process blocks beyond those remembered */
	uint64_t evicted;           /* conversations whose orientation was forgotten: table full */
	uint64_t octets;            /* of files, for progress */
	int64_t first_ns, last_ns;  /* of packets, wall clock; 0 none yet */
	int64_t clock_ns;           /* the last time in the file that is read now */
	struct dissect_counters names; /* all 0 if the sink wants none */
};

struct source_pcap_error {
	int error;
	bool filter;    /* it is the filter that is wrong, not the file */
	char text[640]; /* one line that names the file and the mend */
};

/* Returns 0 or -ENOMEM. The sink must outlive the source. */
int source_pcap_new(const struct source_pcap_options *options, const struct source_sink *sink,
	struct source_pcap **ret_source);
void source_pcap_free(struct source_pcap *source);

/* Opens a file, "-" for standard input, in place of the one before: conversations, fragments and
 * streams go on in it. Returns 0, or -1: then the next file may be opened. */
int source_pcap_open_file(
	struct source_pcap *source, const char *path, struct source_pcap_error *ret_error);

/* Reads up to max_packets into sink->observe and sink->name. 1: there may be more, 0: end of file,
 * -1: the file is damaged from here on (what came before was delivered; say so with
 * COVERAGE_FILE_TRUNCATED). */
int source_pcap_read(
	struct source_pcap *source, int max_packets, struct source_pcap_error *ret_error);

/* Why the filter could not be applied to packets that were read; NULL: it could. */
const char *source_pcap_unfit(const struct source_pcap *source);

void source_pcap_counters(
	const struct source_pcap *source, struct source_pcap_counters *ret_counters);

const char *source_pcap_library_version(void); /* of libpcap */

#endif

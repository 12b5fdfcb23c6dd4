/* One program a link type, compiled when the first packet of it comes: a pcapng file may hold
 * interfaces of several, and where the addresses stand differs.
 *
 * Limit: PROGRAMS_MAX link types, more than are read; those beyond are unfit. libpcap looks names
 * of hosts in the expression up when it compiles. */
#include "source/packet_filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/pktap.h"

enum {
	PROGRAMS_MAX = 16,
	SNAPSHOT_OCTETS = 262144,
	LINKTYPE_RAW = 101, /* what files say where libpcap says DLT_RAW */
	DLT_RAW_OPENBSD = 14,
};

struct program {
	int link_type;
	bool fits;
	struct bpf_program code;
	char why[PACKET_FILTER_TEXT_SIZE]; /* it does not */
};

struct packet_filter {
	char *expression;
	const char *unfit;  /* why packets were */
	size_t count, last; /* of programs; index of the one used last */
	struct program programs[PROGRAMS_MAX];
};

int packet_filter_new(const char *expression, struct packet_filter **ret_filter)
{
	struct packet_filter *filter = calloc(1, sizeof(*filter));

	if (!filter)
		return -ENOMEM;
	filter->expression = strdup(expression);
	if (!filter->expression) {
		free(filter);
		return -ENOMEM;
	}
	*ret_filter = filter;
	return 0;
}

void packet_filter_free(struct packet_filter *filter)
{
	if (!filter)
		return;
	for (size_t i = 0; i < filter->count; i++)
		if (filter->programs[i].fits)
			pcap_freecode(&filter->programs[i].code);
	free(filter->expression);
	free(filter);
}

static int to_libpcap(int link_type)
{
	return link_type == LINKTYPE_RAW || link_type == DLT_RAW_OPENBSD ? DLT_RAW : link_type;
}

static void compile(struct program *program, const char *expression)
{
	int link_type = to_libpcap(program->link_type);
	const char *name = pcap_datalink_val_to_name(link_type);
	pcap_t *pcap = pcap_open_dead(link_type, SNAPSHOT_OCTETS);

	program->fits = pcap && pcap_compile(pcap, &program->code, expression, 1,
					PCAP_NETMASK_UNKNOWN) == 0;
	if (!program->fits)
		snprintf(program->why, sizeof(program->why), "link type %s: %.256s",
			name ? name : "unknown", pcap ? pcap_geterr(pcap) : strerror(ENOMEM));
	if (pcap)
		pcap_close(pcap);
}

/* NULL: there is no room. */
static struct program *program_for(struct packet_filter *filter, int link_type)
{
	struct program *program = &filter->programs[filter->last];

	if (filter->count > 0 && program->link_type == link_type)
		return program;
	for (filter->last = 0; filter->last < filter->count; filter->last++)
		if (filter->programs[filter->last].link_type == link_type)
			return &filter->programs[filter->last];
	if (filter->count == PROGRAMS_MAX) {
		filter->last = 0;
		return NULL;
	}
	program = &filter->programs[filter->count++];
	program->link_type = link_type;
	compile(program, filter->expression);
	return program;
}

static const char *refusal_of(const struct program *program)
{
	if (!program)
		return "too many link types";
	return program->fits ? NULL : program->why;
}

const char *packet_filter_refusal(struct packet_filter *filter, int link_type)
{
	return refusal_of(program_for(filter, pktap_link_type(link_type) ? DLT_EN10MB : link_type));
}

/* The frame as it was on the wire. False: it cannot be read. */
static bool unwrap(const struct packet_observer_frame *frame, struct packet_observer_frame *ret)
{
	struct cursor cursor = {frame->octets, frame->captured,
		frame->wire > frame->captured ? frame->wire : frame->captured};
	struct pktap pktap;

	*ret = *frame;
	if (pktap_link_type(frame->link_type)) {
		if (pktap_read(&cursor, &pktap) != DECODE_OK)
			return false;
		ret->link_type = pktap.link_type;
		ret->octets = cursor.at;
		ret->captured = cursor.captured;
		ret->wire = cursor.wire;
	}
	return decode_link_type_supported(ret->link_type);
}

enum packet_filter_verdict packet_filter_take(
	struct packet_filter *filter, const struct packet_observer_frame *frame)
{
	struct packet_observer_frame bare;
	struct pcap_pkthdr header = {0};
	const struct program *program;

	if (!unwrap(frame, &bare))
		return PACKET_FILTER_PASS;
	program = program_for(filter, bare.link_type);
	if (refusal_of(program)) {
		if (!filter->unfit)
			filter->unfit = refusal_of(program);
		return PACKET_FILTER_UNFIT;
	}
	header.caplen = (bpf_u_int32)bare.captured;
	header.len = (bpf_u_int32)bare.wire;
	return pcap_offline_filter(&program->code, &header, bare.octets) ? PACKET_FILTER_PASS
									 : PACKET_FILTER_REJECT;
}

const char *packet_filter_unfit(const struct packet_filter *filter)
{
	return filter->unfit;
}

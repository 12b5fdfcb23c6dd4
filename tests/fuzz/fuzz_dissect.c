/* Fuzz target: what strangers say in DNS, TLS, HTTP and QUIC, through dissect.
 *
 * Input: packets of one octet for the kind (below), one for what is odd about it, one that moves
 * the sequence number, two octets length, and the payload. Frames of QUIC are sealed here, for no
 * fuzzer guesses keys. One dissect serves all inputs, for libcrypto takes long to begin; each input
 * has a client address of its own instead. Of an answer by UDP the question goes before it. Checked
 * beside what the sanitizers see: names are spelled as name_evidence.h says, and each is counted.
 */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/hello_make.h"
#include "decode/dissect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 5, PAYLOAD_MAX = 1500, MAX_STREAMS = 4, DATAGRAM = 1200 };

enum kind {
	CLIENT_SEGMENT,
	DNS_SEGMENT,
	DNS,
	MDNS,
	LLMNR,
	CLIENT_DATAGRAM,
	INITIAL,
	DNS_QUESTION_SEGMENT,
	KINDS
};

enum odd {
	SYN = 1,
	FIN = 2,
	RST = 4,
	CUT = 8,
	MIDSTREAM = 16,
	OTHER_PORT = 32,
	FRAGMENT = 64,
	UNASKED = 128, /* of segments: their numbers count from the first octet */
};

struct run {
	struct addr client;
	uint32_t seq[3]; /* of the next segment: of clients, of name servers, to those */
};

static struct dissect *dissect;
static struct dissect_quic *quic;
static uint64_t names;

static void check_name(const char *name)
{
	size_t length = strlen(name);

	assert(length > 0 && length <= NAME_MAX_OCTETS);
	for (size_t i = 0; i < length; i++)
		assert(name[i] > ' ' && name[i] < 0x7f && !(name[i] >= 'A' && name[i] <= 'Z'));
}

static void take_name(void *ctx, const struct name_evidence *evidence)
{
	(void)ctx;
	names++;
	check_name(evidence->name);
	check_name(evidence->query);
	assert(evidence->source > NAME_SOURCE_NONE && evidence->source < NAME_SOURCE_GETADDRINFO);
	assert(memchr(evidence->alpn, '\0', sizeof(evidence->alpn)));
	if (evidence->source <= NAME_SOURCE_LLMNR)
		assert(!addr_is_unspecified(&evidence->address));
}

static uint16_t port_of(enum kind kind)
{
	switch (kind) {
	case DNS_SEGMENT:
	case DNS_QUESTION_SEGMENT:
	case DNS:
		return 53;
	case MDNS:
		return 5353;
	case LLMNR:
		return 5355;
	default:
		return 443;
	}
}

static struct decode_packet packet_of(
	const struct run *run, enum kind kind, uint8_t odd, uint32_t seq)
{
	bool tcp = kind == CLIENT_SEGMENT || kind == DNS_SEGMENT || kind == DNS_QUESTION_SEGMENT;
	bool by_server = kind != CLIENT_SEGMENT && kind < CLIENT_DATAGRAM;
	uint16_t server = port_of(kind), other = kind == MDNS ? server : 4001;
	uint16_t client = odd & OTHER_PORT ? other : 4000;

	return (struct decode_packet){
		.source = by_server ? (struct addr){{1}} : run->client,
		.destination = by_server ? run->client : (struct addr){{1}},
		.source_port = by_server ? server : client,
		.destination_port = by_server ? client : server,
		.protocol = tcp ? 6 : 17,
		.fragment = odd & FRAGMENT ? DECODE_FRAGMENT_FIRST : DECODE_FRAGMENT_NONE,
		.tcp_flags =
			tcp ? (odd & SYN ? 2 : 0) | (odd & FIN ? 1 : 0) | (odd & RST ? 4 : 0) : 0,
		.tcp_seq = seq,
		.tcp_seq_is_offset = tcp && odd & UNASKED,
	};
}

/* In a block of its own length, so that a read beyond it is seen. */
static void take(enum kind kind, uint8_t odd, struct decode_packet *packet, const uint8_t *payload,
	size_t length)
{
	struct observation observation = {
		.direction = odd & MIDSTREAM ? FLOW_DIRECTION_UNKNOWN : FLOW_DIRECTION_OUT,
		.from_local = kind == CLIENT_SEGMENT || kind >= CLIENT_DATAGRAM,
	};
	uint8_t *copy = malloc(length + !length);

	if (!copy)
		abort();
	memcpy(copy, payload, length);
	packet->octets = (uint32_t)length + (odd & CUT ? 7 : 0);
	packet->payload = (struct cursor){copy, length, packet->octets};
	dissect_take(dissect, packet, &observation);
	free(copy);
}

/* The question that an answer is for: the same message, but for the bit that tells. */
static void ask(
	const struct run *run, enum kind kind, uint8_t odd, const uint8_t *answer, size_t length)
{
	struct decode_packet packet = packet_of(run, kind, odd, 0), query = packet;
	uint8_t octets[PAYLOAD_MAX];

	memcpy(octets, answer, length);
	octets[2] &= 0x7f;
	query.source = packet.destination;
	query.destination = packet.source;
	query.source_port = packet.destination_port;
	query.destination_port = packet.source_port;
	take(CLIENT_DATAGRAM, 0, &query, octets, length);
}

static void take_sealed(
	const struct run *run, uint8_t odd, uint8_t number, const uint8_t *payload, size_t length)
{
	struct decode_packet packet = packet_of(run, INITIAL, odd, 0);
	struct frame frames = {0}, datagram = {0};

	put(&frames, payload, length);
	put_initial(&datagram, quic, odd & SYN ? "12345678" : "abcdefgh", NULL, &frames,
		length < DATAGRAM ? DATAGRAM - length : 0, number);
	take(INITIAL, odd, &packet, datagram.octets, datagram.length);
}

static void take_packets(struct run *run, const uint8_t *data, size_t size)
{
	while (size >= HEADER) {
		enum kind kind = data[0] % KINDS;
		size_t length = cursor_be16(data + 3) % PAYLOAD_MAX;
		uint32_t *seq = &run->seq[kind == DNS_QUESTION_SEGMENT ? 2 : kind == DNS_SEGMENT];
		struct decode_packet packet;

		if (length > size - HEADER)
			length = size - HEADER;
		*seq += (uint32_t)(int8_t)data[2];
		packet = packet_of(run, kind, data[1], *seq);
		if (kind >= DNS && kind <= LLMNR && length > 2 && !(data[1] & UNASKED))
			ask(run, kind, data[1], data + HEADER, length);
		if (kind == INITIAL)
			take_sealed(run, data[1], data[2], data + HEADER, length);
		else
			take(kind, data[1], &packet, data + HEADER, length);
		*seq += (uint32_t)length + (data[1] & SYN);
		data += HEADER + length;
		size -= HEADER + length;
	}
}

static void begin(void)
{
	struct dissect_options options = {
		.max_streams = MAX_STREAMS, .hash_key = {1, 2}, .name = take_name};

	if (dissect_new(&options, &dissect) < 0 || dissect_quic_new(&quic) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t inputs;
	struct run run = {.client = addr_from_v4(&inputs)};
	struct dissect_counters counters;

	if (inputs++ == 0)
		begin();
	take_packets(&run, data, size);
	dissect_counters(dissect, &counters);
	assert(counters.names == names);
	assert(counters.results[DISSECT_OTHER] == 0);
	return 0;
}

/* capture_write MEGAOCTETS [AT-A-TIME [TRAIN]]: a large pcap file on standard output, the same each
 * time, for benchmarks. Packets come in trains of one to seven of a conversation, as on real
 * networks; with TRAIN 1 each is of another one, which is the worst for every cache.
 *
 * Conversations of one network with many servers, AT-A-TIME (2000) of them interleaved: TLS and
 * HTTP downloads and uploads with a heavy tail (most are of some packets, a few of thousands), DNS
 * answers that name the servers, QUIC, refused connections. Full segments downwards, every second
 * one acknowledged. A packet every millisecond; checksums are 0. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_make.h"
#include "hello_make.h"

enum {
	AT_A_TIME = 2000,
	AT_A_TIME_MAX = 60000,
	TRAIN = 7, /* packets at most */
	PACKET_US = 1000,
	SEGMENT = 1448,
	SERVERS = 20000,
	CLIENTS = 200,
	START = 1700000000,
	ETHERNET_IP = 34, /* octets of both headers */
	FIN = 1,
	SYN = 2,
	RST = 4,
	ACK = 16,
};

enum kind { TLS, HTTP, DNS, QUIC, REFUSED };

struct conversation {
	enum kind kind;
	uint32_t client, server;
	uint16_t port;
	uint32_t name;           /* number of the server's name */
	uint32_t step, data;     /* packets sent, packets of data in all */
	uint32_t sent, received; /* octets of the client and of the server */
};

struct capture {
	uint64_t state, us, octets;
	struct dissect_quic *quic;
	struct frame initial; /* one serves all: only the connection's ends differ */
	struct conversation conversations[AT_A_TIME_MAX];
};

static uint32_t next_random(struct capture *capture)
{
	capture->state =
		capture->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(capture->state >> 33);
}

/* Pareto's law: half of them are of two packets, one in a thousand of more than a thousand. */
static uint32_t heavy_tail(struct capture *capture)
{
	uint32_t most = 2 + 2000000 / (1000 + next_random(capture) % 1000000);

	return most;
}

static void begin(struct capture *capture, struct conversation *conversation)
{
	static const enum kind kinds[] = {TLS, TLS, TLS, TLS, TLS, HTTP, DNS, DNS, QUIC, REFUSED};
	uint32_t server = next_random(capture) % SERVERS;

	server = (uint32_t)((uint64_t)server * server / SERVERS); /* some are met more often */
	*conversation = (struct conversation){
		.kind = kinds[next_random(capture) % 10],
		.client = 0x0a000000 + 2 + next_random(capture) % CLIENTS,
		.server = 0x2d000000 + server * 37,
		.port = (uint16_t)(32768 + next_random(capture) % 28000),
		.name = server,
		.data = heavy_tail(capture),
	};
}

static void set32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_ends(struct frame *frame, const struct conversation *of, bool back,
	uint8_t protocol, size_t length)
{
	uint32_t server = of->kind == DNS ? 0x0a000001 : of->server;

	put_ethernet(frame, 0x0800);
	put_ip4(frame, protocol, (uint16_t)length);
	set32(frame->octets + 26, back ? server : of->client);
	set32(frame->octets + 30, back ? of->client : server);
}

static void put_segment(struct frame *frame, struct conversation *of, bool back, uint8_t flags,
	const struct frame *payload)
{
	uint16_t service = of->kind == HTTP ? 80 : 443;
	uint32_t *seq = back ? &of->received : &of->sent;
	uint32_t other = back ? of->sent : of->received;

	put_ends(frame, of, back, 6, 20 + payload->length);
	put16(frame, back ? service : of->port);
	put16(frame, back ? of->port : service);
	put32(frame, *seq);
	put32(frame, flags & ACK ? other : 0);
	put16(frame, (uint16_t)(0x5000 | flags));
	put32(frame, 0xffff0000);
	put16(frame, 0);
	put(frame, payload->octets, payload->length);
	*seq += (uint32_t)payload->length + ((flags & (SYN | FIN)) != 0);
}

static void put_datagram(
	struct frame *frame, const struct conversation *of, bool back, const struct frame *payload)
{
	uint16_t service = of->kind == DNS ? 53 : 443;

	put_ends(frame, of, back, 17, 8 + payload->length);
	put_udp(frame, back ? service : of->port, back ? of->port : service,
		(uint16_t)payload->length);
	put(frame, payload->octets, payload->length);
}

static void put_request(struct frame *payload, const struct conversation *of)
{
	struct frame message = {0};
	struct hello hello = {.alpn = "\2h2"};
	char name[64], text[128];

	snprintf(name, sizeof(name), "host-%u.example.net", of->name);
	hello.name = name;
	if (of->kind == TLS) {
		put_hello(&message, &hello);
		put_records(payload, &message, 4096);
	} else {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
		put(payload, text, strlen(text));
	}
}

/* Handshake, request, data with an acknowledgement for every second one, two FINs. */
static bool put_tcp_step(struct frame *frame, struct conversation *of)
{
	struct frame payload = {0};
	uint32_t step = of->step, last = 4 + of->data + of->data / 2;

	if (of->kind == REFUSED) {
		put_segment(frame, of, step == 1, step ? RST | ACK : SYN, &payload);
		return step == 1;
	}
	if (step < 3) {
		put_segment(frame, of, step == 1,
			step == 0   ? SYN
			: step == 1 ? SYN | ACK
				    : ACK,
			&payload);
	} else if (step == 3) {
		put_request(&payload, of);
		put_segment(frame, of, false, ACK, &payload);
	} else if (step < last) {
		bool upload = of->name % 8 == 0, data = step % 3 != 0;

		put_zero(&payload, data ? SEGMENT : 0);
		put_segment(frame, of, upload ? !data : data, ACK, &payload);
	} else {
		put_segment(frame, of, step > last, FIN | ACK, &payload);
	}
	return step > last;
}

static bool put_udp_step(struct capture *capture, struct frame *frame, struct conversation *of)
{
	struct frame payload = {0};
	bool back = of->step % 3 != 0;
	char name[64];
	uint8_t address[4];

	snprintf(name, sizeof(name), "host-%u.example.net", of->name);
	set32(address, of->server);
	if (of->kind == QUIC) {
		put(&payload, capture->initial.octets, of->step ? 1200 : capture->initial.length);
		payload.octets[0] = of->step ? 0x40 : payload.octets[0];
		put_datagram(frame, of, back, &payload);
		return of->step > of->data;
	}
	put_dns_header(&payload, of->step ? DNS_RESPONSE : 0x0100, 1, of->step ? 1 : 0, 0);
	put_dns_question(&payload, name, DNS_A);
	if (of->step)
		put_dns_record(&payload, "@12", DNS_A, 1, 300, address, 4);
	put_datagram(frame, of, back, &payload);
	return of->step == 1;
}

static void make_initial(struct capture *capture)
{
	struct hello hello = {.name = "quic.example.net", .alpn = "\2h3"};
	struct frame message = {0}, frames = {0};

	put_hello(&message, &hello);
	put_crypto(&frames, &message, 0, message.length);
	put_initial(&capture->initial, capture->quic, "12345678", NULL, &frames,
		1150 - frames.length, 0);
}

static void put_native(const void *value, size_t length)
{
	fwrite(value, 1, length, stdout);
}

static void write_header(void)
{
	uint32_t words[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 262144, 1};

	put_native(words, sizeof(words));
}

static void write_packet(struct capture *capture, const struct frame *frame)
{
	uint32_t words[4] = {START + (uint32_t)(capture->us / 1000000),
		(uint32_t)(capture->us % 1000000), (uint32_t)frame->length,
		(uint32_t)frame->length};

	put_native(words, sizeof(words));
	fwrite(frame->octets, 1, frame->length, stdout);
	capture->us += PACKET_US;
	capture->octets += sizeof(words) + frame->length;
}

/* Sends the conversation's next packet; tells whether that was its last. */
static bool step(struct capture *capture, struct conversation *of)
{
	static struct frame frame;
	bool over;

	frame.length = 0;
	over = of->kind == DNS || of->kind == QUIC ? put_udp_step(capture, &frame, of)
						   : put_tcp_step(&frame, of);
	of->step++;
	write_packet(capture, &frame);
	if (over)
		begin(capture, of);
	return over;
}

static void send_train(struct capture *capture, uint32_t at_a_time, uint32_t longest)
{
	struct conversation *of = &capture->conversations[next_random(capture) % at_a_time];
	uint32_t packets = 1 + next_random(capture) % longest;

	while (packets-- > 0 && !step(capture, of))
		;
}

int main(int argc, char **argv)
{
	static struct capture capture = {.state = 1};
	uint64_t octets = argc > 1 ? strtoull(argv[1], NULL, 10) * 1000000 : 0;
	uint32_t at_a_time = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : AT_A_TIME;
	uint32_t train = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : TRAIN;

	if (octets == 0 || at_a_time == 0 || train == 0 || at_a_time > AT_A_TIME_MAX ||
		dissect_quic_new(&capture.quic) < 0) {
		fputs("usage: capture_write MEGAOCTETS [AT-A-TIME [TRAIN]]\n", stderr);
		return 2;
	}
	make_initial(&capture);
	for (uint32_t i = 0; i < at_a_time; i++)
		begin(&capture, &capture.conversations[i]);
	write_header();
	while (capture.octets < octets)
		send_train(&capture, at_a_time, train);
	dissect_quic_free(capture.quic);
	return fflush(stdout) != 0 || ferror(stdout);
}

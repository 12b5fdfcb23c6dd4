/* The blocks of a pcapng file (draft-ietf-opsawg-pcapng), with what libpcap hides from its callers:
 * each packet's interface and options, and Apple's process blocks. Pure; reads strangers' octets.
 *
 * Read: sections of either byte order, interfaces with their link types, time units and offsets,
 * the three kinds of packet blocks, Darwin process event blocks. All others are passed over.
 * Limit: PCAPNG_INTERFACES_MAX interfaces a section; packets of those beyond have no link type. */
#ifndef LASTCONN_DECODE_PCAPNG_H
#define LASTCONN_DECODE_PCAPNG_H

#include <stdbool.h>

#include "decode/captured.h"
#include "decode/decode.h"

enum {
	PCAPNG_FIRST_OCTET = 0x0a, /* of a file: no other kind of capture begins with it */
	PCAPNG_HEAD = 12,          /* octets that every block has */
	PCAPNG_BLOCK_MAX = 16 << 20,
	PCAPNG_INTERFACES_MAX = 1024,
};

struct pcapng_interface {
	int64_t offset_s;     /* to be added to times */
	uint32_t snap_length; /* 0: no limit */
	uint16_t link_type;
	uint8_t resolution; /* if_tsresol: negative power of 10, or of 2 with the top bit */
};

/* What blocks of a section tell of those that follow. Begins all zero. */
struct pcapng {
	bool begun;
	bool big_endian;
	uint32_t interface_count; /* may be above the limit */
	struct pcapng_interface interfaces[PCAPNG_INTERFACES_MAX];
};

struct pcapng_block {
	uint32_t type;
	uint32_t length; /* of all of it, head and tail included; a multiple of 4 */
	bool wanted;     /* false: pass over it, it may be longer than PCAPNG_BLOCK_MAX */
};

struct pcapng_packet {
	const uint8_t *octets;
	size_t captured, wire;
	int64_t time_ns; /* not negative; -1: the block has none */
	int link_type;   /* -1: its interface is beyond the limit */
	enum decode_sender sender;
	int64_t process, effective;       /* index of process blocks in this section; -1: none */
	struct captured_process comments; /* what the packet's comments tell; pid 0: nothing */
};

enum pcapng_kind {
	PCAPNG_OTHER,
	PCAPNG_SECTION, /* indices of interfaces and processes begin anew */
	PCAPNG_PACKET,
	PCAPNG_PROCESS,
	PCAPNG_DAMAGED,
};

struct pcapng_content {
	enum pcapng_kind kind;
	struct pcapng_packet packet;     /* of PCAPNG_PACKET */
	struct captured_process process; /* of PCAPNG_PROCESS */
	const char *why;                 /* of PCAPNG_DAMAGED: "has ..." */
};

/* Reads how long the block is that begins with these octets. Returns NULL, or why the file cannot
 * be read from here on. */
const char *pcapng_begin_block(struct pcapng *pcapng, const uint8_t head[static PCAPNG_HEAD],
	struct pcapng_block *ret_block);

/* Reads a whole wanted block; what is returned borrows from it. */
void pcapng_read_block(struct pcapng *pcapng, const struct pcapng_block *block,
	const uint8_t *octets, struct pcapng_content *ret_content);

#endif

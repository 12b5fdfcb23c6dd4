/* Offsets of both versions are those of the C structures in xnu, bsd/net/pktap.h; the flags lie at
 * the same place in both. */
#include "decode/pktap.h"

#include <string.h>

enum {
	LINK_USER2 = 149,
	LINK_PKTAP = 258,
};

enum {
	V1_LENGTH_MIN = 108,
	V2_LENGTH_MIN = 40,
	COMM_SIZE = 17, /* MAXCOMLEN + 1 */
};

enum v1_offset {
	V1_LENGTH = 0,
	V1_TYPE_NEXT = 4,
	V1_LINK_TYPE = 8,
	V1_PID = 52,
	V1_COMM = 56,
	V1_EPID = 84,
	V1_ECOMM = 88,
};

enum v2_offset {
	V2_LENGTH = 0,
	V2_COMM_OFFSET = 4,
	V2_ECOMM_OFFSET = 5,
	V2_LINK_TYPE = 6,
	V2_PID = 28,
	V2_EPID = 32,
};

enum {
	FLAGS = 36,
	FLAG_IN = 0x01,
	FLAG_OUT = 0x02,
	V2_FLAG_OCTET = 0x08, /* of 0x00080000, in the second highest octet */
};

enum { NEXT_NONE = 0, NEXT_PACKET = 1 };

struct version {
	bool two;
	bool big_endian;
};

bool pktap_link_type(int link_type)
{
	return link_type == LINK_PKTAP || link_type == LINK_USER2;
}

/* Version 1 begins with a length of 32 bits of which one octet is used, version 2 with a length and
 * offsets of 8 bits each. A header of version 2 with none of its first offsets is shorter than any
 * of version 1. */
static struct version version_of(const uint8_t *header)
{
	bool small = !header[1] && !header[2] && !header[3];

	if (header[0] == 0)
		return (struct version){false, true};
	if (header[FLAGS + 2] & V2_FLAG_OCTET)
		return (struct version){true, false};
	if (small && header[0] >= V1_LENGTH_MIN)
		return (struct version){false, false};
	return (struct version){header[FLAGS + 1] & V2_FLAG_OCTET, true};
}

static struct captured_process process_of(uint32_t pid, const uint8_t *comm, size_t comm_size)
{
	struct captured_process process = {.pid = captured_pid(pid), .uid = CAPTURED_UID_NONE};

	if (process.pid && comm_size)
		process.name = (struct captured_text){
			(const char *)comm, strnlen((const char *)comm, comm_size)};
	return process;
}

static enum decode_sender sender_of(uint32_t flags)
{
	if (flags & FLAG_IN)
		return DECODE_SENDER_REMOTE;
	return flags & FLAG_OUT ? DECODE_SENDER_LOCAL : DECODE_SENDER_UNKNOWN;
}

static enum decode_result read_v1(const uint8_t *header, bool big_endian, struct pktap *ret_pktap)
{
	uint32_t next = cursor_32(header + V1_TYPE_NEXT, big_endian);
	uint32_t link_type = cursor_32(header + V1_LINK_TYPE, big_endian);

	if (next != NEXT_PACKET)
		return next == NEXT_NONE ? DECODE_NOT_IP : DECODE_UNSUPPORTED;
	if (link_type > UINT16_MAX)
		return DECODE_MALFORMED;
	ret_pktap->link_type = (int)link_type;
	ret_pktap->process =
		process_of(cursor_32(header + V1_PID, big_endian), header + V1_COMM, COMM_SIZE);
	ret_pktap->effective =
		process_of(cursor_32(header + V1_EPID, big_endian), header + V1_ECOMM, COMM_SIZE);
	return DECODE_OK;
}

/* The name at an offset of the header; 0: there is none. */
static enum decode_result read_v2_process(
	const uint8_t *header, uint32_t pid, size_t offset, struct captured_process *ret_process)
{
	size_t length = header[V2_LENGTH], size = 0;

	if (offset && (offset < V2_LENGTH_MIN || offset >= length))
		return DECODE_MALFORMED;
	if (offset)
		size = length - offset < COMM_SIZE ? length - offset : COMM_SIZE;
	*ret_process = process_of(pid, header + offset, size);
	return DECODE_OK;
}

static enum decode_result read_v2(const uint8_t *header, bool big_endian, struct pktap *ret_pktap)
{
	enum decode_result result;

	ret_pktap->link_type = cursor_16(header + V2_LINK_TYPE, big_endian);
	result = read_v2_process(header, cursor_32(header + V2_PID, big_endian),
		header[V2_COMM_OFFSET], &ret_pktap->process);
	if (result == DECODE_OK)
		result = read_v2_process(header, cursor_32(header + V2_EPID, big_endian),
			header[V2_ECOMM_OFFSET], &ret_pktap->effective);
	return result;
}

static enum decode_result too_short(const struct cursor *cursor, size_t length)
{
	return cursor->wire < length ? DECODE_MALFORMED : DECODE_TRUNCATED;
}

enum decode_result pktap_read(struct cursor *cursor, struct pktap *ret_pktap)
{
	const uint8_t *header = cursor->at;
	struct pktap pktap = {0};
	struct version version;
	enum decode_result result;
	size_t length;

	if (cursor->captured < V2_LENGTH_MIN)
		return too_short(cursor, V2_LENGTH_MIN);
	version = version_of(header);
	length =
		version.two ? header[V2_LENGTH] : cursor_32(header + V1_LENGTH, version.big_endian);
	if (length < (version.two ? V2_LENGTH_MIN : V1_LENGTH_MIN))
		return DECODE_MALFORMED;
	if (!cursor_take(cursor, length))
		return too_short(cursor, length);
	result = version.two ? read_v2(header, version.big_endian, &pktap)
			     : read_v1(header, version.big_endian, &pktap);
	if (result == DECODE_OK) {
		pktap.sender = sender_of(cursor_32(header + FLAGS, version.big_endian));
		*ret_pktap = pktap;
	}
	return result;
}

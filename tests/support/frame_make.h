/* Frames put together octet by octet for the tests of decode. No checksums: nothing reads them. */
#ifndef LASTCONN_TESTS_FRAME_MAKE_H
#define LASTCONN_TESTS_FRAME_MAKE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct frame {
	uint8_t octets[4096];
	size_t length;
};

static inline void put(struct frame *frame, const void *octets, size_t length)
{
	assert(frame->length + length <= sizeof(frame->octets));
	memcpy(frame->octets + frame->length, octets, length);
	frame->length += length;
}

static inline void put_zero(struct frame *frame, size_t length)
{
	assert(frame->length + length <= sizeof(frame->octets));
	memset(frame->octets + frame->length, 0, length);
	frame->length += length;
}

static inline void put8(struct frame *frame, uint8_t value)
{
	put(frame, &value, 1);
}

static inline void put16(struct frame *frame, uint16_t value)
{
	put8(frame, (uint8_t)(value >> 8));
	put8(frame, (uint8_t)value);
}

static inline void put32(struct frame *frame, uint32_t value)
{
	put16(frame, (uint16_t)(value >> 16));
	put16(frame, (uint16_t)value);
}

static inline void put_ethernet(struct frame *frame, uint16_t ethertype)
{
	put(frame, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	put16(frame, ethertype);
}

/* 192.0.2.1 to 198.51.100.7; length: what follows. fragment: flags and offset field. */
static inline void put_ip4_fragment(
	struct frame *frame, uint8_t protocol, uint16_t length, uint16_t fragment)
{
	put16(frame, 0x4500);
	put16(frame, (uint16_t)(20 + length));
	put16(frame, 0x1234);
	put16(frame, fragment);
	put8(frame, 64);
	put8(frame, protocol);
	put16(frame, 0);
	put(frame, "\xc0\x00\x02\x01\xc6\x33\x64\x07", 8);
}

static inline void put_ip4(struct frame *frame, uint8_t protocol, uint16_t length)
{
	put_ip4_fragment(frame, protocol, length, 0x4000);
}

/* 2001:db8::1 to 2001:db8::2. */
static inline void put_ip6(struct frame *frame, uint8_t next, uint16_t length)
{
	static const uint8_t prefix[15] = {0x20, 0x01, 0x0d, 0xb8};

	put32(frame, 0x60000000);
	put16(frame, length);
	put8(frame, next);
	put8(frame, 64);
	put(frame, prefix, sizeof(prefix));
	put8(frame, 1);
	put(frame, prefix, sizeof(prefix));
	put8(frame, 2);
}

/* A header of 20 octets, from port 40000 to 443. */
static inline void put_tcp(struct frame *frame, uint8_t flags, uint32_t seq)
{
	put16(frame, 40000);
	put16(frame, 443);
	put32(frame, seq);
	put32(frame, 0);
	put8(frame, 0x50);
	put8(frame, flags);
	put_zero(frame, 6);
}

/* length: of the payload. */
static inline void put_udp(
	struct frame *frame, uint16_t source, uint16_t destination, uint16_t length)
{
	put16(frame, source);
	put16(frame, destination);
	put16(frame, (uint16_t)(8 + length));
	put16(frame, 0);
}

#endif

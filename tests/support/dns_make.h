/* DNS messages put together octet by octet. Names are written without compression, "" is the root;
 * with "@N" as the name a pointer to octet N. */
#ifndef LASTCONN_TESTS_DNS_MAKE_H
#define LASTCONN_TESTS_DNS_MAKE_H

#include <stdlib.h>

#include "frame_make.h"

enum {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_HTTPS = 65,
	DNS_RESPONSE = 0x8180,
	DNS_QUESTION_AT = 12,
};

static inline void put_dns_header(struct frame *frame, uint16_t flags, uint16_t questions,
	uint16_t answers, uint16_t additional)
{
	put16(frame, 0x1234);
	put16(frame, flags);
	put16(frame, questions);
	put16(frame, answers);
	put16(frame, 0);
	put16(frame, additional);
}

static inline void put_dns_name(struct frame *frame, const char *name)
{
	if (*name == '@') {
		put16(frame, (uint16_t)(0xc000 | atoi(name + 1)));
		return;
	}
	while (*name) {
		size_t length = strcspn(name, ".");

		put8(frame, (uint8_t)length);
		put(frame, name, length);
		name += length + (name[length] == '.');
	}
	put8(frame, 0);
}

static inline void put_dns_question(struct frame *frame, const char *name, uint16_t type)
{
	put_dns_name(frame, name);
	put16(frame, type);
	put16(frame, 1);
}

static inline void put_dns_record(struct frame *frame, const char *owner, uint16_t type,
	uint16_t class, uint32_t ttl, const void *data, size_t length)
{
	put_dns_name(frame, owner);
	put16(frame, type);
	put16(frame, class);
	put32(frame, ttl);
	put16(frame, (uint16_t)length);
	put(frame, data, length);
}

static inline void put_dns_alias(
	struct frame *frame, const char *owner, uint32_t ttl, const char *target)
{
	struct frame data = {0};

	put_dns_name(&data, target);
	put_dns_record(frame, owner, DNS_CNAME, 1, ttl, data.octets, data.length);
}

#endif

/* Names for addresses out of DNS messages (RFC 1035), those of mDNS (RFC 6762) and of LLMNR
 * (RFC 4795) among them. Pure. */
#ifndef LASTCONN_DECODE_DISSECT_DNS_H
#define LASTCONN_DECODE_DISSECT_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/dissect_result.h"
#include "flow/name_evidence.h"

enum { DISSECT_DNS_HEADER = 12 };

struct dissect_dns_answer {
	struct addr address;
	uint32_t ttl_s;    /* smallest on the chain of aliases, at most a day */
	const char *name;  /* that was asked for; of mDNS the owner, or the instance of a service
			    * that is there; as in name_evidence.h */
	const char *owner; /* of the address record */
};

/* Called for each answer, arguments are borrowed. */
struct dissect_dns_sink {
	void *ctx;
	void (*answer)(void *ctx, const struct dissect_dns_answer *answer);
};

/* One message of wire octets, of which captured are here. source: NAME_SOURCE_DNS, _MDNS or
 * _LLMNR. A query is DISSECT_OTHER. */
enum dissect_result dissect_dns(const uint8_t *message, size_t captured, size_t wire,
	enum name_source source, const struct dissect_dns_sink *sink);

/* Of a message with a whole header. */
static inline bool dissect_dns_is_answer(const uint8_t *message)
{
	return message[2] & 0x80;
}

static inline uint16_t dissect_dns_id(const uint8_t *message)
{
	return cursor_be16(message);
}

/* Whether a query of mDNS asks to be answered by unicast (RFC 6762 5.4), in its first question. */
bool dissect_dns_wants_unicast(const uint8_t *message, size_t length);

#endif

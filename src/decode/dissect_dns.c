/* libresolv reads the records and unpacks their names, this file says what they mean.
 *
 * Told are A and AAAA records, and the address hints of HTTPS and SVCB records (RFC 9460), which
 * browsers follow. They must belong to the name in the question, by CNAME records that come before
 * them: the C library that asked follows no others. So a server cannot name what it was not asked
 * for. mDNS has no questions in its answers: there each address stands for its owner, and for the
 * instances of services that SRV records of the same message put there.
 *
 * Not told: addresses that are unspecified (0.0.0.0 means "blocked"), farewells of mDNS (TTL 0),
 * PTR records: who owns an address chooses freely what they say.
 *
 * Limits: RECORDS_MAX records a section, SERVICES_MAX services a message. libresolv takes a message
 * as a whole: of one that was cut nothing is told. */
#include "decode/dissect_dns.h"

#include <arpa/nameser.h>
#include <string.h>

#include "decode/name_text.h"

enum {
	RECORDS_MAX = 256,
	SERVICES_MAX = 16,
	SERVICE_TARGET = 6, /* in SRV behind priority, weight and port (RFC 2782) */
	OPCODE_QUERY = 0,
	CLASS_MASK = 0x7fff, /* the first bit is mDNS's cache-flush */
	TYPE_SVCB = 64,
	TYPE_HTTPS = 65,
	HINT_IPV4 = 4,
	HINT_IPV6 = 6,
	CLASS_UNICAST = 0x8000, /* of mDNS's questions */
	TTL_VALID = 0x7fffffff, /* RFC 2181 8: larger ones are 0 */
	TTL_MAX = 86400,        /* who answers shall not name an address for years */
};

struct answers {
	const struct dissect_dns_sink *sink;
	enum name_source source;
	ns_msg message;
	char question[NAME_MAX_OCTETS + 1];
	char current[NAME_MAX_OCTETS + 1]; /* alias that the question leads to so far */
	uint32_t ttl_s;                    /* smallest on the way to it */
	int services;                      /* seen */
};

static uint32_t ttl_of(const ns_rr *record)
{
	uint32_t ttl_s = ns_rr_ttl(*record);

	if (ttl_s > TTL_VALID)
		return 0;
	return ttl_s < TTL_MAX ? ttl_s : TTL_MAX;
}

static void tell(const struct answers *answers, const struct addr *address, uint32_t ttl_s)
{
	struct dissect_dns_answer answer = {
		.address = *address,
		.ttl_s = ttl_s < answers->ttl_s ? ttl_s : answers->ttl_s,
		.name = answers->question,
		.owner = answers->current,
	};

	if (!addr_is_unspecified(address))
		answers->sink->answer(answers->sink->ctx, &answer);
}

static enum dissect_result take_address(const struct answers *answers, const ns_rr *record)
{
	struct addr address;

	if (ns_rr_rdlen(*record) != (ns_rr_type(*record) == ns_t_a ? NS_INADDRSZ : NS_IN6ADDRSZ))
		return DISSECT_MALFORMED;
	address = ns_rr_type(*record) == ns_t_a ? addr_from_v4(ns_rr_rdata(*record))
						: addr_from_v6(ns_rr_rdata(*record));
	tell(answers, &address, ttl_of(record));
	return DISSECT_OK;
}

/* Goes on to the name that begins with this octet of the record and ends with it. */
static enum dissect_result follow(struct answers *answers, const ns_rr *record, int at)
{
	char text[NS_MAXDNAME];
	int length;

	if (ns_rr_rdlen(*record) <= at)
		return DISSECT_MALFORMED;
	length = ns_name_uncompress(ns_msg_base(answers->message), ns_msg_end(answers->message),
		ns_rr_rdata(*record) + at, text, sizeof(text));
	if (length != ns_rr_rdlen(*record) - at)
		return DISSECT_MALFORMED;
	name_text_of_master(text, answers->current);
	if (answers->ttl_s > ttl_of(record))
		answers->ttl_s = ttl_of(record);
	return DISSECT_OK;
}

static void take_hints(
	const struct answers *answers, const ns_rr *record, uint16_t key, struct cursor value)
{
	size_t length = key == HINT_IPV4 ? NS_INADDRSZ : NS_IN6ADDRSZ;
	const uint8_t *octets;

	if (key != HINT_IPV4 && key != HINT_IPV6)
		return;
	while ((octets = cursor_take(&value, length))) {
		struct addr address =
			key == HINT_IPV4 ? addr_from_v4(octets) : addr_from_v6(octets);

		tell(answers, &address, ttl_of(record));
	}
}

/* Priority, target (not compressed), then parameters: key, length, value. */
static enum dissect_result take_service(const struct answers *answers, const ns_rr *record)
{
	struct cursor cursor = {ns_rr_rdata(*record), ns_rr_rdlen(*record), ns_rr_rdlen(*record)};
	const uint8_t *head = cursor_take(&cursor, 2);

	do {
		head = head ? cursor_take(&cursor, 1) : NULL;
		if (!head || (*head && !cursor_take(&cursor, *head)))
			return DISSECT_MALFORMED;
	} while (*head);
	while (cursor.captured > 0) {
		struct cursor value;

		head = cursor_take(&cursor, 4);
		value = cursor;
		if (!head || !cursor_take(&cursor, cursor_be16(head + 2)))
			return DISSECT_MALFORMED;
		cursor_limit(&value, cursor_be16(head + 2));
		take_hints(answers, record, cursor_be16(head), value);
	}
	return DISSECT_OK;
}

static bool is_internet(const ns_rr *record)
{
	return (ns_rr_class(*record) & CLASS_MASK) == ns_c_in;
}

static enum dissect_result take_record(struct answers *answers, const ns_rr *record)
{
	char owner[NAME_MAX_OCTETS + 1];

	if (!is_internet(record) || !name_text_of_master(ns_rr_name(*record), owner) ||
		strcmp(owner, answers->current) != 0)
		return DISSECT_OK;
	switch ((int)ns_rr_type(*record)) {
	case ns_t_a:
	case ns_t_aaaa:
		return take_address(answers, record);
	case ns_t_cname:
		return follow(answers, record, 0);
	case TYPE_SVCB:
	case TYPE_HTTPS:
		return take_service(answers, record);
	default:
		return DISSECT_OK;
	}
}

static enum dissect_result take_section(struct answers *answers, ns_sect section,
	enum dissect_result (*take)(struct answers *answers, const ns_rr *record))
{
	int count = ns_msg_count(answers->message, section);
	enum dissect_result result = DISSECT_OK;
	ns_rr record;

	for (int i = 0; i < count && i < RECORDS_MAX && result == DISSECT_OK; i++) {
		if (ns_parserr(&answers->message, section, i, &record) < 0)
			return DISSECT_MALFORMED;
		result = take(answers, &record);
	}
	return result;
}

static enum dissect_result take_answers(struct answers *answers)
{
	ns_rr question;

	if (ns_msg_count(answers->message, ns_s_qd) != 1)
		return ns_msg_count(answers->message, ns_s_an) ? DISSECT_UNSUPPORTED : DISSECT_OK;
	if (ns_parserr(&answers->message, ns_s_qd, 0, &question) < 0)
		return DISSECT_MALFORMED;
	if (!name_text_of_master(ns_rr_name(question), answers->question))
		return DISSECT_OK;
	strcpy(answers->current, answers->question);
	return take_section(answers, ns_s_an, take_record);
}

/* The addresses of services come as additional records. */
static enum dissect_result take_both(struct answers *answers,
	enum dissect_result (*take)(struct answers *answers, const ns_rr *record))
{
	enum dissect_result result = take_section(answers, ns_s_an, take);

	return result == DISSECT_OK ? take_section(answers, ns_s_ar, take) : result;
}

static bool is_address_of_multicast(const ns_rr *record)
{
	int type = ns_rr_type(*record);

	return (type == ns_t_a || type == ns_t_aaaa) && ttl_of(record) > 0;
}

/* Each record of mDNS answers a question of its own. */
static enum dissect_result take_host(struct answers *answers, const ns_rr *record)
{
	if (!is_address_of_multicast(record) ||
		!name_text_of_master(ns_rr_name(*record), answers->question))
		return DISSECT_OK;
	strcpy(answers->current, answers->question);
	return take_record(answers, record);
}

static enum dissect_result take_service_address(struct answers *answers, const ns_rr *record)
{
	return is_address_of_multicast(record) ? take_record(answers, record) : DISSECT_OK;
}

/* An instance leads to the addresses of its host, as an alias does. */
static enum dissect_result take_instance(struct answers *answers, const ns_rr *record)
{
	struct answers instance;
	enum dissect_result result;

	if (ns_rr_type(*record) != ns_t_srv || !is_internet(record) || ttl_of(record) == 0 ||
		answers->services == SERVICES_MAX)
		return DISSECT_OK;
	answers->services++;
	instance = *answers; /* with a place of its own in the message */
	if (!name_text_of_master(ns_rr_name(*record), instance.question))
		return DISSECT_OK;
	result = follow(&instance, record, SERVICE_TARGET);
	return result == DISSECT_OK ? take_both(&instance, take_service_address) : result;
}

static enum dissect_result take_multicast(struct answers *answers)
{
	enum dissect_result result = take_both(answers, take_instance);

	return result == DISSECT_OK ? take_both(answers, take_host) : result;
}

enum dissect_result dissect_dns(const uint8_t *message, size_t captured, size_t wire,
	enum name_source source, const struct dissect_dns_sink *sink)
{
	struct answers answers = {.sink = sink, .source = source, .ttl_s = TTL_MAX};

	if (captured < DISSECT_DNS_HEADER)
		return wire < DISSECT_DNS_HEADER ? DISSECT_MALFORMED : DISSECT_TRUNCATED;
	if (!dissect_dns_is_answer(message))
		return DISSECT_OTHER;
	if (captured < wire)
		return DISSECT_TRUNCATED;
	if (ns_initparse(message, (int)captured, &answers.message) < 0)
		return DISSECT_MALFORMED;
	if (ns_msg_getflag(answers.message, ns_f_opcode) != OPCODE_QUERY ||
		ns_msg_getflag(answers.message, ns_f_rcode) != ns_r_noerror)
		return DISSECT_OK;
	return source == NAME_SOURCE_MDNS ? take_multicast(&answers) : take_answers(&answers);
}

bool dissect_dns_wants_unicast(const uint8_t *message, size_t length)
{
	ns_msg parsed;
	ns_rr question;

	return length <= NS_MAXMSG && ns_initparse(message, (int)length, &parsed) == 0 &&
	       ns_msg_count(parsed, ns_s_qd) > 0 &&
	       ns_parserr(&parsed, ns_s_qd, 0, &question) == 0 &&
	       ns_rr_class(question) & CLASS_UNICAST;
}

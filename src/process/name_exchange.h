/* Flows by their ends: what each said of itself (SNI, Host), and who asked in it (DNS). Internal to
 * the name table. Pure.
 *
 * Capture knows no sockets and the kernel none of capture's namespaces: an exchange is found by
 * protocol, ports and addresses, as far as both are known, and from either end; that of a captured
 * flow by its tunnel, too, which a socket does not know.
 *
 * Limit: the entries of name_exchange_init; at the limit the one used longest ago goes. */
#ifndef LASTCONN_PROCESS_NAME_EXCHANGE_H
#define LASTCONN_PROCESS_NAME_EXCHANGE_H

#include <stddef.h>

#include "flow/flow_record.h"
#include "flow/name_evidence.h"
#include "util/hash.h"
#include "util/list.h"

/* Names, counted by their owners. */
struct name_text {
	unsigned owners;
	size_t size;       /* of octets */
	const char *owner; /* name of the address record, into octets; "" the same */
	char octets[];     /* the name */
};

struct name_exchange {
	struct name_exchange *chain; /* hash chain, or the free list */
	struct list by_use;          /* oldest first */
	struct flow_key key;
	struct process_ref user; /* all zero: not known */
	int64_t user_from_us, user_until_us;
	struct name_text *said; /* owned in part; NULL nothing */
	struct addr address;    /* that said stands for; unspecified: not told */
	int64_t said_us;
	enum name_source source;
};

struct name_exchanges {
	struct name_exchange *entries; /* entries[unused..] were never used */
	struct name_exchange **chains;
	struct name_exchange *free;
	struct list by_use;
	size_t max, unused;
	uint64_t mask;
	struct hash_key hash_key;
	size_t text_octets;
};

/* A zeroed table; name_exchange_done also after a failed init. */
int name_exchange_init(struct name_exchanges *exchanges, size_t max, struct hash_key hash_key);
void name_exchange_done(struct name_exchanges *exchanges);

/* Both ends swapped. */
struct flow_key name_exchange_reversed(const struct flow_key *key);

bool name_exchange_same(const struct flow_key *a, const struct flow_key *b);

/* NULL: not known. */
struct name_exchange *name_exchange_find(
	const struct name_exchanges *exchanges, const struct flow_key *key);

/* Finds it or makes it, the newest in use. Never NULL. */
struct name_exchange *name_exchange_get(
	struct name_exchanges *exchanges, const struct flow_key *key);

/* Whose the flow is, and from when until when: its ends may be another's before and after. */
void name_exchange_set_user(struct name_exchange *exchange, const struct flow_record *record);

/* Who used the flow with these ends, seen from either of them, at that time. NULL: not known. */
const struct process_ref *name_exchange_user(
	const struct name_exchanges *exchanges, const struct flow_key *key, int64_t time_us);

/* The wall clock was set. */
void name_exchange_shift(struct name_exchanges *exchanges, int64_t step_us);

/* What it said is forgotten. */
void name_exchange_forget(struct name_exchanges *exchanges, struct name_exchange *exchange);

/* NULL: out of memory. The caller owns it. */
struct name_text *name_text_new(
	struct name_exchanges *exchanges, const char *name, const char *owner);
struct name_text *name_text_share(struct name_text *text);
void name_text_release(struct name_exchanges *exchanges, struct name_text *text); /* NULL is fine */

#endif

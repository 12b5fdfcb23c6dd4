/* Evidence of a name on its way to the store: seen count times with nothing new to it. Plain value
 * with borrowed texts. */
#ifndef LASTCONN_PROCESS_NAME_RECORD_H
#define LASTCONN_PROCESS_NAME_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/name_evidence.h"
#include "flow/process_ref.h"

struct name_record {
	const char *name; /* asked for, or said */
	const char
		*owner; /* DNS: of the address record, at the end of the CNAMEs; "" name itself */
	struct addr address;      /* unspecified: only the flow is known */
	struct process_ref asker; /* who asked, or whose flow it was; all zero: not known */
	int64_t first_us, last_us;
	uint64_t count;
	uint32_t ttl_s; /* of the last answer */
	enum name_source source;
	bool ech; /* the client sent encrypted client hello, or pretended to (GREASE): the name may
		   * be the outer one */
	char alpn[16]; /* "" none */
};

#endif

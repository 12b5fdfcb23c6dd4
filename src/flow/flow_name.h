/* The name that a flow is given, and how far it is the flow's own. Plain value with a borrowed
 * text; the rule that gives it is process/name_rule.c. */
#ifndef LASTCONN_FLOW_FLOW_NAME_H
#define LASTCONN_FLOW_FLOW_NAME_H

#include <stdbool.h>

#include "flow/name_evidence.h"

/* Whose question the answer was that named the flow. */
enum name_asker {
	NAME_ASKER_SELF,    /* of the flow's own process; or the flow itself said the name */
	NAME_ASKER_OTHER,   /* of another process */
	NAME_ASKER_UNKNOWN, /* of some process of this machine, or the flow's is not known */
	NAME_ASKER_COUNT,
};

struct flow_name {
	const char *text; /* NULL: none known */
	enum name_source source;
	enum name_asker asker;
};

/* The flow itself said the name; else it is that of an answer about its address. */
static inline bool name_source_is_own(enum name_source source)
{
	return source == NAME_SOURCE_SNI || source == NAME_SOURCE_QUIC ||
	       source == NAME_SOURCE_HTTP;
}

#endif

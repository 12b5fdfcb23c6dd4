/* A listening socket: who waits where, since when. Plain value. */
#ifndef LASTCONN_PROCESS_LISTENER_H
#define LASTCONN_PROCESS_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/flow_key.h"
#include "flow/process_ref.h"

struct listener_record {
	struct flow_key key;      /* remote end is zero; told apart by key.socket_cookie */
	struct process_ref owner; /* who called listen(2), or bind(2) for datagrams */
	int64_t from_us;          /* wall clock */
	int64_t until_us;         /* 0: still there */
	enum flow_method method;
};

#endif

/* Conntrack beside a live source: when it begins to tell, what it does not tell, and for whom. */
#ifndef LASTCONN_DAEMON_LIVE_NAT_H
#define LASTCONN_DAEMON_LIVE_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/pipeline.h"

struct nat_conntrack;

struct live_nat {
	struct nat_conntrack *conntrack;
	struct pipeline *pipeline;
	enum flow_source source; /* whose owners are less sure without */
	bool hears;
	int news; /* 1 it is heard now, negative errno: refused; 0 nothing new */
};

/* pipeline: borrowed. Returns 0 or -ENOMEM. */
int live_nat_new(struct live_nat *nat, struct pipeline *pipeline);
void live_nat_free(struct live_nat *nat); /* one of zeros is fine */

/* Begins as soon as there is NAT here; call about once a second. */
void live_nat_look(struct live_nat *nat);

/* Says what the last look found, if that is new. */
void live_nat_say(const struct live_nat *nat);

/* Takes what is there; before each batch, too, once it began. */
void live_nat_read(struct live_nat *nat);

/* Nobody listened from from_us to until_us. */
void live_nat_cover_gap(struct live_nat *nat, int64_t from_us, int64_t until_us);

#endif

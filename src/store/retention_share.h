/* Who gives how much, when not all flows can be kept. Pure.
 *
 * The room is shared out so that whoever has most gives first: no executable loses a flow while
 * another one has more than it. So one that is noisy cannot evict one that is rare. */
#ifndef LASTCONN_STORE_RETENTION_SHARE_H
#define LASTCONN_STORE_RETENTION_SHARE_H

#include <stddef.h>
#include <stdint.h>

struct retention_share {
	int64_t executable;
	int64_t flows;  /* that it has */
	int64_t excess; /* of these, the oldest, that have to go */
};

/* Fills in excess, so that room or fewer flows stay; sorts by executable. Returns the sum of what
 * has to go. */
int64_t retention_share_out(struct retention_share *shares, size_t count, int64_t room);

/* The share of an executable; NULL if it has none. */
struct retention_share *retention_share_find(
	struct retention_share *shares, size_t count, int64_t executable);

#endif

/* The count of the ledger (contact): a contact is written when it is the first of its kind; how
 * often it was made since, and when last, is taken from contact_day, for many days at once. So what
 * is written of the ledger for each flow does not grow with the ledger. New contacts are kept apart
 * from the others, as young, so that few pages are written for them; those that were there when a
 * fold came by are no longer. A contact is in one of both. Internal to store/.
 *
 * contact counts the flows that ended before rollup_state.ledger_day; while that is moved on to
 * ledger_next_day, of remotes below ledger_remote those before the latter. What is settled later
 * than its day was counted is added to contact at once, see store/rollup.h. Readers find the rest
 * in the view ledger_rest. */
#ifndef LASTCONN_STORE_RETENTION_FOLD_H
#define LASTCONN_STORE_RETENTION_FOLD_H

#include "store/retention_slice.h"

/* The first day that contact does not count, for the remote of t; s is rollup_state. */
#define RETENTION_FOLD_DAY "iif(t.remote < s.ledger_remote, s.ledger_next_day, s.ledger_day)"

/* Of a row of contact: whether it lacks anything. */
#define RETENTION_FOLD_REST(condition)                                           \
	"EXISTS (SELECT 1 FROM ledger_rest AS t WHERE t.remote = contact.remote" \
	" AND t.executable = contact.executable"                                 \
	" AND t.protocol_id = contact.protocol_id AND t.port = contact.port"     \
	" AND t.direction = contact.direction" condition ")"

struct retention_fold {
	int64_t until_day; /* the days before are counted; days since 1970 UTC */
};

/* The fold that is due today in a ledger of so many rows (0 not known), or up to a day that is to
 * be counted in any case. In a transaction. Returns 0, or -1 with the error in the connection. */
int retention_fold_begin(struct retention_fold *fold, sqlite3 *db, int64_t contacts, int64_t today,
	int64_t must_day);
enum retention_step retention_fold_step(
	const struct retention_fold *fold, const struct retention_slice *slice);

#endif

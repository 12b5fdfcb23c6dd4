/* Which rows of the dictionaries are in use: one bit a row, from a look through all that names
 * them. Internal to store/.
 *
 * Rows that are made after the look began are not in the set and count as used. Limit: an eighth of
 * the greatest id in octets. */
#ifndef LASTCONN_STORE_USED_IDS_H
#define LASTCONN_STORE_USED_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct used_ids {
	uint8_t *bits;
	int64_t max; /* the greatest id in it */
};

int used_ids_init(struct used_ids *used, int64_t max); /* of a zeroed set; 0 or -ENOMEM */
void used_ids_done(struct used_ids *used);             /* zeroed again */

/* Ids that are none (NULL, 0, greater ones) change nothing. Returns whether the bit was new. */
bool used_ids_mark(struct used_ids *used, int64_t id);
bool used_ids_has(const struct used_ids *used, int64_t id);

#endif

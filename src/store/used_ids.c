/* Bits by id. */
#include "store/used_ids.h"

#include <errno.h>
#include <stdlib.h>

int used_ids_init(struct used_ids *used, int64_t max)
{
	used->bits = calloc(1, (size_t)max / 8 + 1);
	used->max = max;
	return used->bits ? 0 : -ENOMEM;
}

void used_ids_done(struct used_ids *used)
{
	free(used->bits);
	*used = (struct used_ids){0};
}

bool used_ids_mark(struct used_ids *used, int64_t id)
{
	uint8_t bit = (uint8_t)(1u << (id & 7));

	if (!used->bits || id <= 0 || id > used->max || used->bits[id / 8] & bit)
		return false;
	used->bits[id / 8] |= bit;
	return true;
}

bool used_ids_has(const struct used_ids *used, int64_t id)
{
	return id <= 0 || id > used->max || used->bits[id / 8] >> (id & 7) & 1;
}

/* Water filling: from the smallest on, each gets what it has, or an equal part of what is left. */
#include "store/retention_share.h"

#include <stdlib.h>

static int compare_flows(const void *left, const void *right)
{
	const struct retention_share *a = left, *b = right;

	return (a->flows > b->flows) - (a->flows < b->flows);
}

static int compare_executable(const void *left, const void *right)
{
	const struct retention_share *a = left, *b = right;

	return (a->executable > b->executable) - (a->executable < b->executable);
}

int64_t retention_share_out(struct retention_share *shares, size_t count, int64_t room)
{
	int64_t sum = 0;

	if (count == 0)
		return 0;
	qsort(shares, count, sizeof(*shares), compare_flows);
	for (size_t i = 0; i < count; i++) {
		int64_t part = room / (int64_t)(count - i);
		int64_t kept = shares[i].flows < part ? shares[i].flows : part;

		shares[i].excess = shares[i].flows - kept;
		sum += shares[i].excess;
		room -= kept;
	}
	qsort(shares, count, sizeof(*shares), compare_executable);
	return sum;
}

struct retention_share *retention_share_find(
	struct retention_share *shares, size_t count, int64_t executable)
{
	const struct retention_share key = {.executable = executable};

	return count ? bsearch(&key, shares, count, sizeof(*shares), compare_executable) : NULL;
}

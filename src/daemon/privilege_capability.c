/* Capabilities belong to threads: those that run already are not changed. */
#include "daemon/privilege_capability.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

enum { NUMBERS = 64 };

static uint64_t held(capng_type_t which)
{
	uint64_t set = 0;

	capng_get_caps_process();
	for (unsigned i = 0; i < NUMBERS && i <= CAP_LAST_CAP; i++)
		if (capng_have_capability(which, i))
			set |= UINT64_C(1) << i;
	return set;
}

uint64_t privilege_capability_permitted(void)
{
	return held(CAPNG_PERMITTED);
}

uint64_t privilege_capability_effective(void)
{
	return held(CAPNG_EFFECTIVE);
}

static int apply(uint64_t effective, uint64_t permitted)
{
	uint64_t both = effective | permitted;

	capng_get_caps_process();
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned i = 0; i < NUMBERS; i++) {
		if (both >> i & 1)
			capng_update(CAPNG_ADD, CAPNG_PERMITTED, i);
		if (effective >> i & 1)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, i);
	}
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

int privilege_capability_use(uint64_t set)
{
	uint64_t permitted = privilege_capability_permitted();

	return apply(set & permitted, permitted);
}

static bool empty_bounds(void)
{
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) > 0 &&
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			return false;
	return true;
}

int privilege_capability_keep(uint64_t set, bool *ret_bounded)
{
	uint64_t kept = set & privilege_capability_permitted();
	bool bounded = empty_bounds();
	int error;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* Linux 4.3 */
	error = apply(kept, kept);
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = -errno;
	if (!error)
		*ret_bounded = bounded;
	return error;
}

/* Looks at the effective capabilities before anything is opened: the error of a later step would
 * name that step and not the cause. */
#include "daemon/privilege.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/privilege_capability.h"

static bool has(uint64_t set, int capability)
{
	return set >> capability & 1;
}

void privilege_missing(char *ret_names, size_t size)
{
	static const struct {
		int capability;
		bool admin_will_do; /* CAP_SYS_ADMIN includes it, see capabilities(7) */
		const char *name;
	} needed[] = {
		{CAP_BPF, true, "CAP_BPF"},
		{CAP_PERFMON, true, "CAP_PERFMON"},
		{CAP_NET_ADMIN, false, "CAP_NET_ADMIN"},
	};
	uint64_t set = privilege_capability_effective();
	size_t used = 0;

	ret_names[0] = '\0';
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && used < size; i++) {
		if (has(set, needed[i].capability) ||
			(needed[i].admin_will_do && has(set, CAP_SYS_ADMIN)))
			continue;
		used += (size_t)snprintf(
			ret_names + used, size - used, "%s%s", used ? " " : "", needed[i].name);
	}
}

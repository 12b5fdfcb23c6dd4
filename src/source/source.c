/* What is the same for every source. */
#include "source/source.h"

#include <errno.h>
#include <string.h>

const char *source_refusal(const struct source_rung *rung)
{
	switch (rung->error) {
	case ECANCELED:
		return "disabled";
	case ESRCH: /* libbpf's for a tracepoint or function that the kernel's BTF lacks */
		return "this kernel does not have it";
	case ENOENT: /* the ladder's for a cgroup program without a place to attach it */
		return strcmp(rung->name, "cgroup") ? "this kernel does not have it"
						    : "cgroup v2 is not mounted";
	default:
		return strerror(rung->error);
	}
}

/* What is the same for every source. */
#include "source/source.h"

#include <errno.h>
#include <string.h>

const struct source_slot *source_slot_find(
	const struct source_slot *slots, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(slots[i].name, name) == 0)
			return &slots[i];
	return NULL;
}

const char *source_loss(const struct source_slot *slot, size_t index)
{
	if (slot->serving < 0)
		return index == 0 ? slot->loss : NULL;
	for (int i = 1; i <= slot->serving; i++) {
		const struct source_rung *rung = &slot->rungs[i];

		if (rung->loss && !rung->unfit && index-- == 0)
			return rung->loss;
	}
	return NULL;
}

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
	case ENOTRECOVERABLE: /* ebpf_uprobe's */
		return "under this kernel it would kill programs that run with seccomp";
	default:
		return strerror(rung->error);
	}
}

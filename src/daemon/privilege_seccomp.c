/* What is not granted fails with EPERM and is logged by the kernel, and never kills: a library that
 * tries something new finds another way, and the history goes on. Calls that were added to Linux
 * since 2019, when all machines began to number them alike, fail with ENOSYS, as on a kernel
 * without them: that is what libraries that try them first wait for. */
#include "daemon/privilege_seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/privilege_calls.h"

enum {
	YOUNG_FIRST = 424, /* the same numbers everywhere */
	YOUNG_LAST = 511,
	/* A probed function of our own begins and returns by these (Linux 6.11 and 6.18); the names
	 * are younger than libseccomp may be. */
	X86_64_URETPROBE = 335,
	X86_64_UPROBE = 336,
	OPTIMIZE_TREE = 2,
};

static int set_attributes(scmp_filter_ctx filter)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));

	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1); /* Linux 4.14 */
	return error;
}

/* A call that this machine does not have, or libseccomp does not know, is left out. */
static int grant(scmp_filter_ctx filter, const struct privilege_call *call)
{
	int number = seccomp_syscall_resolve_name(call->name);
	struct scmp_arg_cmp uses[2] = {
		{call->argument, SCMP_CMP_MASKED_EQ, call->mask, call->value},
		{call->argument2, SCMP_CMP_MASKED_EQ, call->mask2, call->value2},
	};
	unsigned count = call->some ? 1 + call->further : 0;

	if (number < 0)
		return 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, uses);
}

static int grant_table(scmp_filter_ctx filter, unsigned granted, bool ret_young[])
{
	const struct privilege_call *call;
	int error = 0, number;

	for (size_t i = 0; !error && (call = privilege_calls_at(i)); i++) {
		if (!(call->for_what & granted))
			continue;
		error = grant(filter, call);
		number = seccomp_syscall_resolve_name(call->name);
		if (number >= YOUNG_FIRST && number <= YOUNG_LAST)
			ret_young[number - YOUNG_FIRST] = true;
	}
	return error;
}

static int grant_own_signals(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp own = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
}

static int grant_probes(scmp_filter_ctx filter)
{
	int error = 0;

	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		return 0;
	for (int number = X86_64_URETPROBE; !error && number <= X86_64_UPROBE; number++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 0, NULL);
	return error;
}

static int hide_young(scmp_filter_ctx filter, const bool granted[])
{
	int error = 0;

	for (int number = YOUNG_FIRST; !error && number <= YOUNG_LAST; number++)
		if (!granted[number - YOUNG_FIRST])
			error = seccomp_rule_add_array(
				filter, SCMP_ACT_ERRNO(ENOSYS), number, 0, NULL);
	return error;
}

static int build(scmp_filter_ctx filter, unsigned granted)
{
	bool young[YOUNG_LAST - YOUNG_FIRST + 1] = {false};
	int error = set_attributes(filter);

	if (!error)
		error = grant_table(filter, granted, young);
	if (!error)
		error = grant_own_signals(filter);
	if (!error)
		error = grant_probes(filter);
	return error ? error : hide_young(filter, young);
}

int privilege_seccomp_apply(unsigned granted)
{
	scmp_filter_ctx filter;
	int error;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -ENOSYS;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	error = build(filter, granted);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

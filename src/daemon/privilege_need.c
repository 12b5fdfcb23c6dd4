/* A row is a reason: a capability is kept if one of its rows applies. Reading the BPF ring, which
 * is mapped, needs none. */
#include "daemon/privilege_need.h"

#include <linux/capability.h>
#include <string.h>

static const struct {
	int capability;
	unsigned needs; /* any of them */
	const char *name, *why;
} rows[] = {
	{CAP_NET_ADMIN, PRIVILEGE_NEED_NAT, "CAP_NET_ADMIN",
		"conntrack tells nobody else whose ends NAT changes"},
	{CAP_NET_RAW, PRIVILEGE_NEED_CAPTURE, "CAP_NET_RAW",
		"to capture on an interface that comes, or comes back"},
	{CAP_SYS_PTRACE, PRIVILEGE_NEED_LIBRARIES, "CAP_SYS_PTRACE",
		"to see in /proc which C library a stranger's process has"},
	{CAP_SYS_PTRACE, PRIVILEGE_NEED_POLL, "CAP_SYS_PTRACE",
		"to see in /proc whose process has which socket"},
	{CAP_DAC_READ_SEARCH, PRIVILEGE_NEED_LIBRARIES, "CAP_DAC_READ_SEARCH",
		"C libraries may lie where only their users may read"},
	{CAP_DAC_READ_SEARCH, PRIVILEGE_NEED_POLL, "CAP_DAC_READ_SEARCH",
		"only its own user may list the open files of a process"},
	{CAP_DAC_READ_SEARCH, PRIVILEGE_NEED_FILES, "CAP_DAC_READ_SEARCH",
		"the capture files belong to others"},
	{CAP_BPF, PRIVILEGE_WANTS_BPF, "CAP_BPF", "this kernel wants it for the maps or probes"},
	{CAP_PERFMON, PRIVILEGE_WANTS_PERFMON, "CAP_PERFMON",
		"to probe C libraries that show up, for the names that programs ask for"},
	{CAP_SYS_ADMIN, PRIVILEGE_WANTS_ADMIN, "CAP_SYS_ADMIN",
		"this kernel wants it for probes of C libraries or for the maps"},
	{CAP_SYS_ADMIN, PRIVILEGE_NEED_NAMESPACES, "CAP_SYS_ADMIN",
		"to ask for sockets in the network namespaces of containers"},
	{CAP_DAC_OVERRIDE, PRIVILEGE_NEED_FOREIGN, "CAP_DAC_OVERRIDE",
		"the history is in the directory of another user"},
	{CAP_CHOWN, PRIVILEGE_NEED_FOREIGN, "CAP_CHOWN",
		"the files beside the history are to belong to whom it belongs"},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static bool serves(const struct source_slot *slots, size_t count, const char *name)
{
	const struct source_slot *slot = source_slot_find(slots, count, name);

	return slot && slot->serving >= 0;
}

static bool captures_names(const struct source_slot *slots, size_t count)
{
	const struct source_slot *slot = source_slot_find(slots, count, SOURCE_SLOT_NAMES);

	return slot && slot->serving >= 0 &&
	       strcmp(slot->rungs[slot->serving].name, "capture") == 0;
}

unsigned privilege_need_of(enum flow_source kind, const struct source_slot *slots, size_t count)
{
	unsigned needs = PRIVILEGE_NEED_NAT;

	if (kind == FLOW_SOURCE_PCAP || captures_names(slots, count))
		needs |= PRIVILEGE_NEED_CAPTURE;
	if (kind == FLOW_SOURCE_EBPF)
		return needs | PRIVILEGE_NEED_BPF |
		       (serves(slots, count, "resolve") ? PRIVILEGE_NEED_LIBRARIES : 0);
	needs |= PRIVILEGE_NEED_POLL;
	return serves(slots, count, "namespaces") ? needs | PRIVILEGE_NEED_NAMESPACES : needs;
}

unsigned privilege_need_threads(unsigned needs, unsigned wants)
{
	return needs & PRIVILEGE_NEED_LIBRARIES ? PRIVILEGE_NEED_LIBRARIES | wants : 0;
}

uint64_t privilege_need_set(unsigned needs)
{
	uint64_t set = 0;

	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].needs & needs)
			set |= UINT64_C(1) << rows[i].capability;
	return set;
}

bool privilege_need_at(size_t index, unsigned needs, int *ret_capability, const char **ret_name,
	const char **ret_why)
{
	if (index >= ROW_COUNT)
		return false;
	*ret_capability = rows[index].capability;
	*ret_name = rows[index].name;
	*ret_why = rows[index].needs & needs ? rows[index].why : NULL;
	return true;
}

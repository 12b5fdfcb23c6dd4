/* Every file may be missing: then that is the fact. */
#include "daemon/check_facts.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/privilege.h"
#include "source/nat_conntrack.h"

#define BPF_FS   "/sys/fs/bpf"
#define BTF_FILE "/sys/kernel/btf/vmlinux"

enum { BPF_FS_TYPE = 0xcafe4a11 }; /* BPF_FS_MAGIC of linux/magic.h */

static void set(struct check_fact *fact, const char *name, const char *value, const char *advice)
{
	fact->name = name;
	snprintf(fact->value, sizeof(fact->value), "%s", value);
	fact->advice = advice;
}

/* The first line without its end; "" if it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *stream = fopen(path, "re");

	line[0] = '\0';
	if (!stream)
		return;
	if (fgets(line, (int)size, stream))
		line[strcspn(line, "\n")] = '\0';
	fclose(stream);
}

static void fact_privileges(struct check_fact *fact)
{
	char missing[CHECK_VALUE_SIZE / 2], value[CHECK_VALUE_SIZE];

	privilege_missing(missing, sizeof(missing));
	if (*missing == '\0') {
		set(fact, "privileges", "all that are needed", NULL);
		return;
	}
	snprintf(value, sizeof(value), "without %s", missing);
	set(fact, "privileges", value,
		"run it as root, or as the systemd unit that comes with lastconn");
}

static void fact_btf(struct check_fact *fact)
{
	if (access(BTF_FILE, R_OK) == 0)
		set(fact, "type information", BTF_FILE, NULL);
	else
		set(fact, "type information", "none (" BTF_FILE ")",
			"boot a kernel with CONFIG_DEBUG_INFO_BTF=y");
}

static void fact_cgroup(struct check_fact *fact)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	bool found = false;

	while (mounts && !found && (mount = getmntent(mounts))) {
		found = strcmp(mount->mnt_type, "cgroup2") == 0;
		if (found)
			set(fact, "cgroup v2", mount->mnt_dir, NULL);
	}
	if (mounts)
		endmntent(mounts);
	if (!found)
		set(fact, "cgroup v2", "not mounted",
			"mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified");
}

static void fact_bpf_fs(struct check_fact *fact)
{
	struct statfs fs;

	if (statfs(BPF_FS, &fs) == 0 && (unsigned int)fs.f_type == (unsigned int)BPF_FS_TYPE)
		set(fact, "bpf file system", BPF_FS, NULL);
	else
		set(fact, "bpf file system", "not mounted",
			"mount it, so that a restart loses nothing: mount -t bpf bpf " BPF_FS);
}

static void fact_lockdown(struct check_fact *fact)
{
	char line[CHECK_VALUE_SIZE];

	read_line("/sys/kernel/security/lockdown", line, sizeof(line));
	if (strstr(line, "[confidentiality]"))
		set(fact, "lockdown",
			"confidentiality: the kernel refuses BPF programs that read it",
			"boot with lockdown=integrity or none");
	else
		set(fact, "lockdown", strstr(line, "[integrity]") ? "integrity" : "none", NULL);
}

static void fact_jit(struct check_fact *fact)
{
	char line[CHECK_VALUE_SIZE];

	read_line("/proc/sys/net/core/bpf_jit_enable", line, sizeof(line));
	if (strcmp(line, "0") == 0)
		set(fact, "bpf compiler", "off: the hooks cost several times as much",
			"switch it on: sysctl net.core.bpf_jit_enable=1");
	else
		set(fact, "bpf compiler", *line ? "on" : "unknown", NULL);
}

static void fact_nat(struct check_fact *fact)
{
	char value[CHECK_VALUE_SIZE];
	int result = nat_conntrack_probe();

	if (result >= 0) {
		set(fact, "nat",
			result ? "conntrack tells the translated ends of flows" : "none here",
			NULL);
		return;
	}
	snprintf(value, sizeof(value), "conntrack cannot be asked for translated ends: %s",
		strerror(-result));
	set(fact, "nat", value,
		result == -EPERM ? "give it CAP_NET_ADMIN"
				 : "use a kernel with CONFIG_NF_CT_NETLINK");
}

size_t check_facts(struct check_fact facts[static CHECK_FACTS_MAX])
{
	static void (*const all[])(struct check_fact *) = {fact_privileges, fact_btf, fact_cgroup,
		fact_bpf_fs, fact_lockdown, fact_jit, fact_nat};
	size_t count = sizeof(all) / sizeof(all[0]);

	_Static_assert(sizeof(all) / sizeof(all[0]) <= CHECK_FACTS_MAX, "room for all");
	for (size_t i = 0; i < count; i++)
		all[i](&facts[i]);
	return count;
}

const char *check_facts_options(const char *rung)
{
	static const struct {
		const char *rung, *options;
	} needs[] = {
		{"tp_btf", "CONFIG_BPF_EVENTS, CONFIG_DEBUG_INFO_BTF"},
		{"raw_tp", "CONFIG_BPF_EVENTS"},
		{"fentry", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, CONFIG_DEBUG_INFO_BTF"},
		{"fexit", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, CONFIG_DEBUG_INFO_BTF"},
		{"kprobe", "CONFIG_KPROBE_EVENTS, CONFIG_BPF_EVENTS"},
		{"kretprobe", "CONFIG_KPROBE_EVENTS, CONFIG_BPF_EVENTS"},
		{"uprobe", "CONFIG_UPROBE_EVENTS, CONFIG_BPF_EVENTS"},
		{"cgroup", "CONFIG_CGROUP_BPF"},
		{"iter", "CONFIG_BPF_SYSCALL, CONFIG_DEBUG_INFO_BTF"},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (strcmp(needs[i].rung, rung) == 0)
			return needs[i].options;
	return NULL;
}

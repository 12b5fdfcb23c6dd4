/* The process record, made while the process lives: once for each (process, exec, uid).
 *
 * Only for process context: in softirq "current" is a stranger. */
#ifndef LASTCONN_BPF_PROCESS_BPF_H
#define LASTCONN_BPF_PROCESS_BPF_H

#include "maps.bpf.h"

struct seen_key {
	__u64 start_ns;
	__u32 pid;
	__u32 zero;
};

struct seen_value {
	__u32 exec_id;
	__u32 uid;
};

enum { CGROUP_SUBSYS_MAX = 16 }; /* controllers looked at: Linux 6.18 has 14 */

/* Which processes have been reported; an evicted one is merely reported again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct seen_key);
	__type(value, struct seen_value);
} seen SEC(".maps");

/* A process event in the making. Too large for the stack; an array for each CPU would be
 * overwritten when the program is preempted (PREEMPT kernels), so a hash keyed by thread. */
struct process_scratch {
	__u64 length; /* of data; kept in memory so that the verifier forgets what it was and
		       * merges the paths through the loops */
	struct event_process event;
	char data[EVENT_DATA_MAX + EVENT_NAME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct process_scratch);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_scratch);
} scratch_template SEC(".maps");

static __always_inline void task_ref(struct task_struct *task, struct event_ref *ref)
{
	ref->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	ref->pid = BPF_CORE_READ(task, tgid);
	ref->exec_id = BPF_CORE_READ(task, self_exec_id);
}

/* Appends one NUL-ended name to the data, unless that is past its limit. */
static __always_inline bool append_name(
	struct process_scratch *record, const char *name, __u64 limit)
{
	__u64 length = record->length;
	long got;

	if (length >= limit)
		return false;
	got = bpf_probe_read_kernel_str(&record->data[length], EVENT_NAME_MAX, name);
	if (got > 0)
		record->length = length + got;
	return true;
}

/* The components of path from the leaf up to root, as d_path() would find them. */
static __always_inline void append_path(
	struct process_scratch *record, const struct path *path, const struct path *root)
{
	struct dentry *dentry = path->dentry, *root_dentry = root->dentry;
	struct vfsmount *vfsmount = path->mnt, *root_vfsmount = root->mnt;
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	for (int i = 0; i < EVENT_PATH_DEPTH; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (dentry == root_dentry && vfsmount == root_vfsmount)
			return;
		if (dentry == parent || dentry == BPF_CORE_READ(vfsmount, mnt_root)) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount) {
				/* memfd and the like: a name that hangs in no tree */
				if (record->length == 0)
					append_name(record,
						(const char *)BPF_CORE_READ(dentry, d_name.name),
						EVENT_PATH_MAX);
				return;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			vfsmount = (void *)mount + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		if (!append_name(record, (const char *)BPF_CORE_READ(dentry, d_name.name),
			    EVENT_PATH_MAX))
			break;
		dentry = parent;
	}
	record->event.flags |= EVENT_PROCESS_PATH_CUT;
}

static __always_inline void append_exe(
	struct process_scratch *record, struct task_struct *task, struct mm_struct *mm)
{
	struct file *file = BPF_CORE_READ(mm, exe_file);
	struct path path = {}, root = {};

	if (!file)
		return;
	path.mnt = BPF_CORE_READ(file, f_path.mnt);
	path.dentry = BPF_CORE_READ(file, f_path.dentry);
	root.mnt = BPF_CORE_READ(task, fs, root.mnt);
	root.dentry = BPF_CORE_READ(task, fs, root.dentry);
	if (!BPF_CORE_READ(path.dentry, d_hash.pprev)) /* d_unlinked() */
		record->event.flags |= EVENT_PROCESS_DELETED;
	append_path(record, &path, &root);
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->__parent))
		return BPF_CORE_READ(node, __parent);
	return BPF_CORE_READ((struct kernfs_node___old *)node, parent);
}

/* Where the task is in the v2 hierarchy. At its root, as on hosts and of container engines that
 * use v1: where the first v1 controller has it below its own root. (Of hosts that have both, runc
 * since 1.0 and crun put containers into both.) */
static __always_inline struct kernfs_node *task_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	for (__u32 i = 0; i < CGROUP_SUBSYS_MAX && !kernfs_parent(node); i++) {
		struct cgroup_subsys_state *state = NULL;

		if (i * sizeof(state) >= bpf_core_field_size(set->subsys))
			break;
		bpf_probe_read_kernel(&state, sizeof(state),
			(void *)set + bpf_core_field_offset(struct css_set, subsys) +
				i * sizeof(state));
		node = BPF_CORE_READ(state, cgroup, kn);
	}
	return node;
}

static __always_inline void append_cgroup(struct process_scratch *record, struct task_struct *task)
{
	struct kernfs_node *node = task_cgroup(task);

	for (int i = 0; i < EVENT_CGROUP_DEPTH && node; i++) {
		struct kernfs_node *parent = kernfs_parent(node);

		if (!parent)
			break;
		append_name(record, BPF_CORE_READ(node, name), EVENT_DATA_MAX - EVENT_CMDLINE_MAX);
		node = parent;
	}
}

/* The arguments of current. Where they cannot be read, user space does not try it either: who
 * maps them from a file system of its own making could keep the reader waiting for ever. */
static __always_inline void append_cmdline(struct process_scratch *record, struct mm_struct *mm)
{
	unsigned long start = BPF_CORE_READ(mm, arg_start);
	__u64 size = BPF_CORE_READ(mm, arg_end) - start, length = record->length;

	if (size > EVENT_CMDLINE_MAX - 1) {
		size = EVENT_CMDLINE_MAX - 1;
		record->event.flags |= EVENT_PROCESS_CMDLINE_CUT;
	}
	if (length > EVENT_DATA_MAX - EVENT_CMDLINE_MAX + EVENT_NAME_MAX)
		return;
	barrier_var(size);
	size &= EVENT_CMDLINE_MAX - 1;
	if (bpf_probe_read_user(&record->data[length], size, (void *)start) == 0)
		record->length = length + size;
}

static __always_inline __u32 task_inner_pid(struct task_struct *leader)
{
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	int number = 0;

	bpf_probe_read_kernel(&number, sizeof(number),
		(void *)pid + bpf_core_field_offset(struct pid, numbers) +
			level * bpf_core_type_size(struct upid));
	return number;
}

static __always_inline __u32 task_loginuid(struct task_struct *task)
{
	if (bpf_core_field_exists(task->loginuid))
		return BPF_CORE_READ(task, loginuid.val);
	return OVERFLOW_UID;
}

static __always_inline void fill_event(
	struct event_process *event, struct task_struct *task, const struct event_ref *ref)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	event->type = EVENT_PROCESS;
	event->flags = BPF_CORE_READ(task, flags) & PF_KTHREAD ? EVENT_PROCESS_KTHREAD : 0;
	event->ref = *ref;
	/* real_parent: under ptrace, parent is the tracer */
	task_ref(BPF_CORE_READ(leader, real_parent), &event->parent);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	event->loginuid = task_loginuid(task);
	event->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	event->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	event->inner_pid = task_inner_pid(leader);
	/* the leader's: the thread's own comm may be anything ("Socket Thread") */
	BPF_CORE_READ_STR_INTO(&event->comm, leader, comm);
}

static __always_inline int describe(struct process_scratch *record, struct task_struct *task,
	const struct event_ref *ref, bool own)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	fill_event(&record->event, task, ref);
	if (mm)
		append_exe(record, task, mm);
	record->event.path_length = record->length;
	append_cgroup(record, task);
	record->event.cgroup_length = record->length - record->event.path_length;
	if (!own)
		record->event.flags |= EVENT_PROCESS_NO_CMDLINE;
	else if (mm)
		append_cmdline(record, mm);
	record->event.cmdline_length =
		record->length - record->event.path_length - record->event.cgroup_length;
	return 0;
}

/* Makes the record of the task at this address, 0 for the current one, in scratch, under the
 * current thread. A global function: verified once and not in each of its callers. Returns 0 if
 * it is there. */
__noinline int make_process(__u64 address)
{
	struct task_struct *task = (void *)(address ? address : bpf_get_current_task());
	__u64 thread = bpf_get_current_pid_tgid();
	struct process_scratch *record;
	struct event_ref ref;
	__u32 zero = 0;

	task_ref(task, &ref);
	record = bpf_map_lookup_elem(&scratch_template, &zero);
	if (!record || bpf_map_update_elem(&scratch, &thread, record, BPF_NOEXIST))
		goto full;
	record = bpf_map_lookup_elem(&scratch, &thread);
	if (!record)
		goto full;
	return describe(record, task, &ref, address == 0);
full:
	count_loss(LOSS_SCRATCH);
	return -1;
}

/* Reports the current process. */
__noinline int note_process(void)
{
	__u64 thread = bpf_get_current_pid_tgid(), length;
	struct process_scratch *record;
	struct seen_value now = {};
	struct seen_key key = {};

	if (make_process(0))
		return 0;
	record = bpf_map_lookup_elem(&scratch, &thread);
	if (!record)
		return 0;
	key.start_ns = record->event.ref.start_ns;
	key.pid = record->event.ref.pid;
	now.exec_id = record->event.ref.exec_id;
	now.uid = record->event.uid;
	length = record->length;
	if (length <= sizeof(record->data) &&
		bpf_ringbuf_output(
			&ring, &record->event, sizeof(record->event) + length, wakeup_flags()) == 0)
		bpf_map_update_elem(&seen, &key, &now, BPF_ANY);
	else
		count_loss(LOSS_RING);
	bpf_map_delete_elem(&scratch, &thread);
	return 0;
}

static __always_inline bool is_seen(const struct event_ref *ref, __u32 uid)
{
	struct seen_key key = {.start_ns = ref->start_ns, .pid = ref->pid};
	struct seen_value *before = bpf_map_lookup_elem(&seen, &key);

	return before && before->exec_id == ref->exec_id && before->uid == uid;
}

static __always_inline void current_ref(struct event_ref *ref)
{
	if (has_task_btf) {
		struct task_struct *task = bpf_get_current_task_btf();

		ref->start_ns = task->group_leader->start_boottime;
		ref->pid = task->tgid;
		ref->exec_id = task->self_exec_id;
	} else {
		task_ref((void *)bpf_get_current_task(), ref);
	}
}

static __always_inline __u32 current_uid(void)
{
	if (has_task_btf)
		return bpf_get_current_task_btf()->cred->uid.val;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), cred, uid.val);
}

/* Whoever runs now becomes *ref, and is reported unless it was. */
static __always_inline void take_current(struct event_ref *ref)
{
	current_ref(ref);
	if (!is_seen(ref, current_uid()))
		note_process();
}

static __always_inline bool current_is_kthread(void)
{
	if (has_task_btf)
		return bpf_get_current_task_btf()->flags & PF_KTHREAD;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), flags) & PF_KTHREAD;
}

#endif

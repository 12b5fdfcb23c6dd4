/* By whole families, as another libc, SQLite or libuv takes another call of the same one; what the
 * kernel logs of the end-to-end tests shows whether one is missing. What is not here cannot be
 * done, above all: run a program, begin a process, trace or signal one, mount, load modules, keys
 * or BPF programs, change users or namespaces, listen, talk TCP, map what is both writable and
 * executable.
 */
#include "daemon/privilege_calls.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "daemon/privilege_need.h"

/* Commands of bpf(2). */
enum {
	BPF_CMD_LOOKUP = 1,
	BPF_CMD_UPDATE = 2,
	BPF_CMD_DELETE = 3,
	BPF_CMD_NEXT_KEY = 4,
	BPF_CMD_PIN = 6,
	BPF_CMD_GET = 7, /* what is pinned */
	BPF_CMD_INFO = 15,
	BPF_CMD_LOOKUP_BATCH = 24,
	BPF_CMD_LINK_CREATE = 28,
	BPF_CMD_ITER_CREATE = 33,
};

/* Kinds of ioctl(2) requests, their second octet. */
enum {
	IOCTL_KIND_MASK = 0xff00,
	IOCTL_KIND_SOCKET = 0x8900,
	IOCTL_KIND_WIRELESS = 0x8b00,
	IOCTL_KIND_PERF = '$' << 8,
	IOCTL_TCGETS = 0x5401, /* isatty(3) */
	IOCTL_TIOCGWINSZ = 0x5413,
	IOCTL_FIONREAD = 0x541b,
	IOCTL_FIONBIO = 0x5421,
	IOCTL_FIOCLEX = 0x5451,
	SOCKET_TYPE_MASK = 0xf,
	WHOLE = 0xffffffff, /* of what the kernel takes for an int */
};

#define ALWAYS(call)                                               \
	{                                                          \
		.name = (call), .for_what = PRIVILEGE_CALLS_ALWAYS \
	}
#define LIVE(call)                                               \
	{                                                        \
		.name = (call), .for_what = PRIVILEGE_CALLS_LIVE \
	}
#define SOME(call, what, number, bits, wanted)                                          \
	{                                                                               \
		.name = (call), .for_what = (what), .some = true, .argument = (number), \
		.mask = (bits), .value = (wanted)                                       \
	}
#define DATAGRAMS(family)                                                                         \
	{                                                                                         \
		.name = "socket", .for_what = PRIVILEGE_CALLS_CAPTURE, .some = true,              \
		.argument = 0, .mask = WHOLE, .value = (family), .further = true, .argument2 = 1, \
		.mask2 = SOCKET_TYPE_MASK, .value2 = SOCK_DGRAM                                   \
	}

/* clang-format off */
static const struct privilege_call calls[] = {
	/* memory */
	ALWAYS("brk"), ALWAYS("munmap"), ALWAYS("mremap"), ALWAYS("madvise"), ALWAYS("mincore"),
	ALWAYS("msync"), ALWAYS("mlock"), ALWAYS("munlock"), ALWAYS("membarrier"),
	SOME("mmap", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, 0),
	SOME("mmap", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, PROT_WRITE),
	SOME("mmap", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, PROT_EXEC),
	SOME("mmap2", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, 0),
	SOME("mmap2", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, PROT_WRITE),
	SOME("mmap2", PRIVILEGE_CALLS_ALWAYS, 2, PROT_WRITE | PROT_EXEC, PROT_EXEC),
	SOME("mprotect", PRIVILEGE_CALLS_ALWAYS, 2, PROT_EXEC, 0),
	/* files */
	ALWAYS("read"), ALWAYS("readv"), ALWAYS("pread64"), ALWAYS("preadv"), ALWAYS("preadv2"),
	ALWAYS("write"), ALWAYS("writev"), ALWAYS("pwrite64"), ALWAYS("pwritev"),
	ALWAYS("pwritev2"), ALWAYS("lseek"), ALWAYS("_llseek"), ALWAYS("open"), ALWAYS("openat"),
	ALWAYS("openat2"), ALWAYS("creat"), ALWAYS("close"), ALWAYS("close_range"), ALWAYS("dup"),
	ALWAYS("dup2"), ALWAYS("dup3"), ALWAYS("fcntl"), ALWAYS("fcntl64"), ALWAYS("flock"),
	ALWAYS("stat"), ALWAYS("fstat"), ALWAYS("lstat"), ALWAYS("newfstatat"), ALWAYS("stat64"),
	ALWAYS("fstat64"), ALWAYS("lstat64"), ALWAYS("fstatat64"), ALWAYS("statx"),
	ALWAYS("statfs"), ALWAYS("fstatfs"), ALWAYS("statfs64"), ALWAYS("fstatfs64"),
	ALWAYS("access"), ALWAYS("faccessat"), ALWAYS("faccessat2"), ALWAYS("readlink"),
	ALWAYS("readlinkat"), ALWAYS("getdents"), ALWAYS("getdents64"), ALWAYS("getcwd"),
	ALWAYS("fsync"), ALWAYS("fdatasync"), ALWAYS("sync_file_range"), ALWAYS("ftruncate"),
	ALWAYS("ftruncate64"), ALWAYS("truncate"), ALWAYS("fallocate"), ALWAYS("fadvise64"),
	ALWAYS("fadvise64_64"), ALWAYS("readahead"), ALWAYS("copy_file_range"), ALWAYS("rename"),
	ALWAYS("renameat"), ALWAYS("renameat2"), ALWAYS("unlink"), ALWAYS("unlinkat"),
	ALWAYS("mkdir"), ALWAYS("mkdirat"), ALWAYS("rmdir"), ALWAYS("chmod"), ALWAYS("fchmod"),
	ALWAYS("fchmodat"), ALWAYS("chown"), ALWAYS("fchown"), ALWAYS("lchown"),
	ALWAYS("fchownat"), ALWAYS("utime"), ALWAYS("utimes"), ALWAYS("utimensat"),
	ALWAYS("futimesat"), ALWAYS("umask"), ALWAYS("pipe"), ALWAYS("pipe2"),
	SOME("ioctl", PRIVILEGE_CALLS_ALWAYS, 1, WHOLE, IOCTL_TCGETS),
	SOME("ioctl", PRIVILEGE_CALLS_ALWAYS, 1, WHOLE, IOCTL_TIOCGWINSZ),
	SOME("ioctl", PRIVILEGE_CALLS_ALWAYS, 1, WHOLE, IOCTL_FIONREAD),
	SOME("ioctl", PRIVILEGE_CALLS_ALWAYS, 1, WHOLE, IOCTL_FIONBIO),
	SOME("ioctl", PRIVILEGE_CALLS_ALWAYS, 1, WHOLE, IOCTL_FIOCLEX),
	/* waiting */
	ALWAYS("poll"), ALWAYS("ppoll"), ALWAYS("ppoll_time64"), ALWAYS("select"),
	ALWAYS("_newselect"), ALWAYS("pselect6"), ALWAYS("pselect6_time64"),
	ALWAYS("epoll_create"), ALWAYS("epoll_create1"), ALWAYS("epoll_ctl"),
	ALWAYS("epoll_wait"), ALWAYS("epoll_pwait"), ALWAYS("epoll_pwait2"), ALWAYS("eventfd"),
	ALWAYS("eventfd2"), ALWAYS("signalfd"), ALWAYS("signalfd4"), ALWAYS("timerfd_create"),
	ALWAYS("timerfd_settime"), ALWAYS("timerfd_gettime"), ALWAYS("restart_syscall"),
	/* time */
	ALWAYS("clock_gettime"), ALWAYS("clock_gettime64"), ALWAYS("clock_getres"),
	ALWAYS("clock_getres_time64"), ALWAYS("clock_nanosleep"), ALWAYS("clock_nanosleep_time64"),
	ALWAYS("nanosleep"), ALWAYS("gettimeofday"), ALWAYS("time"), ALWAYS("times"),
	ALWAYS("getitimer"), ALWAYS("setitimer"), ALWAYS("alarm"),
	/* signals, to itself: of others see privilege_seccomp.c */
	ALWAYS("rt_sigaction"), ALWAYS("rt_sigprocmask"), ALWAYS("rt_sigreturn"),
	ALWAYS("rt_sigpending"), ALWAYS("rt_sigtimedwait"), ALWAYS("rt_sigsuspend"),
	ALWAYS("sigreturn"), ALWAYS("sigaltstack"), ALWAYS("pause"),
	/* threads */
	SOME("clone", PRIVILEGE_CALLS_ALWAYS, 0, CLONE_THREAD, CLONE_THREAD),
	ALWAYS("futex"), ALWAYS("futex_time64"), ALWAYS("futex_waitv"), ALWAYS("set_robust_list"),
	ALWAYS("get_robust_list"), ALWAYS("set_tid_address"), ALWAYS("rseq"),
	ALWAYS("sched_yield"), ALWAYS("sched_getaffinity"), ALWAYS("sched_getparam"),
	ALWAYS("sched_getscheduler"), ALWAYS("sched_get_priority_max"),
	ALWAYS("sched_get_priority_min"), ALWAYS("getpriority"), ALWAYS("getcpu"), ALWAYS("exit"),
	ALWAYS("exit_group"), ALWAYS("arch_prctl"),
	SOME("prctl", PRIVILEGE_CALLS_ALWAYS, 0, WHOLE, PR_SET_NAME),
	SOME("prctl", PRIVILEGE_CALLS_ALWAYS, 0, WHOLE, PR_GET_NAME),
	SOME("prctl", PRIVILEGE_CALLS_ALWAYS, 0, WHOLE, PR_GET_DUMPABLE),
	SOME("prctl", PRIVILEGE_CALLS_ALWAYS, 0, WHOLE, PR_CAPBSET_READ),
	SOME("prctl", PRIVILEGE_CALLS_ALWAYS, 0, WHOLE, PR_SET_VMA),
	/* who and where */
	ALWAYS("getpid"), ALWAYS("gettid"), ALWAYS("getppid"), ALWAYS("getpgid"),
	ALWAYS("getpgrp"), ALWAYS("getsid"), ALWAYS("getuid"), ALWAYS("geteuid"),
	ALWAYS("getresuid"), ALWAYS("getgid"), ALWAYS("getegid"), ALWAYS("getresgid"),
	ALWAYS("getgroups"), ALWAYS("capget"), ALWAYS("uname"), ALWAYS("sysinfo"),
	ALWAYS("getrandom"), ALWAYS("getrlimit"), ALWAYS("ugetrlimit"), ALWAYS("getrusage"),
	SOME("prlimit64", PRIVILEGE_CALLS_ALWAYS, 2, UINT64_MAX, 0), /* looks only */
	/* sockets: the service manager's, the kernel's */
	SOME("socket", PRIVILEGE_CALLS_LIVE, 0, WHOLE, AF_UNIX),
	SOME("socket", PRIVILEGE_CALLS_LIVE, 0, WHOLE, AF_NETLINK),
	LIVE("bind"), LIVE("connect"), LIVE("getsockname"), LIVE("getpeername"),
	LIVE("getsockopt"), LIVE("setsockopt"), LIVE("sendto"), LIVE("sendmsg"),
	LIVE("sendmmsg"), LIVE("recvfrom"), LIVE("recvmsg"), LIVE("recvmmsg"), LIVE("send"),
	LIVE("recv"), LIVE("recvmmsg_time64"), LIVE("shutdown"), LIVE("socketpair"),
	/* libpcap asks devices by sockets of the Internet's families */
	SOME("socket", PRIVILEGE_CALLS_CAPTURE, 0, WHOLE, AF_PACKET),
	DATAGRAMS(AF_INET), DATAGRAMS(AF_INET6),
	SOME("ioctl", PRIVILEGE_CALLS_LIVE, 1, IOCTL_KIND_MASK, IOCTL_KIND_SOCKET),
	SOME("ioctl", PRIVILEGE_CALLS_CAPTURE, 1, IOCTL_KIND_MASK, IOCTL_KIND_WIRELESS),
	/* what is loaded is read, nothing is loaded */
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_LOOKUP),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_UPDATE),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_DELETE),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_NEXT_KEY),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_PIN),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_GET),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_INFO),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_LOOKUP_BATCH),
	SOME("bpf", PRIVILEGE_CALLS_BPF, 0, WHOLE, BPF_CMD_ITER_CREATE),
	SOME("bpf", PRIVILEGE_CALLS_PROBE, 0, WHOLE, BPF_CMD_LINK_CREATE),
	{.name = "perf_event_open", .for_what = PRIVILEGE_CALLS_PROBE},
	SOME("ioctl", PRIVILEGE_CALLS_PROBE, 1, IOCTL_KIND_MASK, IOCTL_KIND_PERF),
	SOME("setns", PRIVILEGE_CALLS_NAMESPACES, 1, WHOLE, CLONE_NEWNET),
	/* the leak check stops the other threads as a debugger does */
	{.name = "ptrace", .for_what = PRIVILEGE_CALLS_SANITIZER},
	{.name = "clone", .for_what = PRIVILEGE_CALLS_SANITIZER},
	{.name = "wait4", .for_what = PRIVILEGE_CALLS_SANITIZER},
	{.name = "prctl", .for_what = PRIVILEGE_CALLS_SANITIZER},
	{.name = "kill", .for_what = PRIVILEGE_CALLS_SANITIZER},
	{.name = "process_vm_readv", .for_what = PRIVILEGE_CALLS_SANITIZER},
};
/* clang-format on */

const struct privilege_call *privilege_calls_at(size_t index)
{
	return index < sizeof(calls) / sizeof(calls[0]) ? &calls[index] : NULL;
}

unsigned privilege_calls_for(unsigned needs)
{
	unsigned granted = PRIVILEGE_CALLS_ALWAYS;

#ifdef LASTCONN_SANITIZE
	granted |= PRIVILEGE_CALLS_SANITIZER;
#endif
	if (needs & PRIVILEGE_NEED_NAT)
		granted |= PRIVILEGE_CALLS_LIVE;
	if (needs & PRIVILEGE_NEED_CAPTURE)
		granted |= PRIVILEGE_CALLS_CAPTURE;
	if (needs & PRIVILEGE_NEED_BPF)
		granted |= PRIVILEGE_CALLS_BPF;
	if (needs & PRIVILEGE_NEED_LIBRARIES)
		granted |= PRIVILEGE_CALLS_PROBE;
	if (needs & PRIVILEGE_NEED_NAMESPACES)
		granted |= PRIVILEGE_CALLS_NAMESPACES;
	return granted;
}

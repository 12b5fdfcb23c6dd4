/* The kernel's types as far as the programs read them. CO-RE moves the accesses to where the
 * running kernel has the fields, so only names and types matter here, and no kernel headers are
 * needed. Kernel versions in comments: where a name or a place changed. */
#ifndef LASTCONN_BPF_COMPAT_BPF_H
#define LASTCONN_BPF_COMPAT_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define AF_INET            2
#define AF_INET6           10
#define AF_PACKET          17
#define IPPROTO_TCP        6
#define IPPROTO_UDP        17
#define IPPROTO_SCTP       132
#define IPPROTO_UDPLITE    136
#define IPPROTO_MPTCP      262
#define PROTOCOL_PACKET    255 /* AF_PACKET, no protocol of IP; reserved by IANA */
#define ETH_P_IP           0x0800
#define ETH_P_8021Q        0x8100
#define ETH_P_IPV6         0x86dd
#define SOCK_STREAM        1
#define SOCK_DGRAM         2
#define SOCK_RAW           3
#define PF_KTHREAD         0x00200000
#define SO_EE_ORIGIN_ICMP  2
#define SO_EE_ORIGIN_ICMP6 3
#define SOCK_DONE          1 /* bit of sock.sk_flags: the peer's FIN was received */
#define S_IFMT             0170000
#define S_IFSOCK           0140000
#define OVERFLOW_UID       0xffffffff
#define EADDRNOTAVAIL      99

enum {
	TCP_ESTABLISHED = 1, /* net/tcp_states.h */
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct hlist_node {
	struct hlist_node **pprev;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	atomic64_t skc_cookie;
	struct hlist_node skc_bind_node;
};

struct sk_buff {
	char cb[48];
	unsigned char *head;
	__u16 network_header;
};

struct sk_buff_head {
	struct sk_buff *prev;
};

struct sock_extended_err {
	__u8 ee_origin;
};

struct sock_exterr_skb {
	struct sock_extended_err ee;
	__u16 addr_offset;
	__be16 port;
};

struct sock {
	struct sock_common __sk_common;
	int sk_err;
	__u16 sk_protocol;
	__u16 sk_type;
	struct socket *sk_socket;
	struct sk_buff_head sk_error_queue;
	__u8 sk_kern_sock : 1;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct mptcp_subflow_context {
	struct sock *conn;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	void *icsk_ulp_data;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u64 bytes_received;
	__u32 segs_out;
	__u32 segs_in;
	__u32 total_retrans;
	__u32 srtt_us; /* shifted left by 3 */
	bool is_mptcp;
};

struct packet_sock {
	__be16 num; /* the protocol whose frames it gets; 0 none */
};

struct iovec {
	void *iov_base;
	__u64 iov_len; /* size_t */
};

enum iter_type {
	ITER_UBUF = 5, /* since 6.0; 0 since 6.7 */
};

struct iov_iter {
	__u8 iter_type;            /* since 5.14 */
	const struct iovec *__iov; /* since 6.4 */
	void *ubuf;
};

struct iov_iter___old {
	const struct iovec *iov;
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct socket {
	enum { SS_UNCONNECTED = 1 } state; /* no connect(2) yet, or one that has not returned */
	struct sock *sk;
};

struct qstr {
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fs_struct {
	struct path root;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

typedef struct {
	__u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct upid {
	int nr;
	void *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct kernfs_node {
	struct kernfs_node *__parent; /* since 6.15 */
	const char *name;
};

struct kernfs_node___old {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1]; /* as many as the kernel has controllers */
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime; /* real_start_time before 5.5 */
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid; /* with CONFIG_AUDIT */
	__u64 self_exec_id;
	struct css_set *cgroups;
};

struct seq_file {
	__u64 size;  /* size_t */
	__u64 count; /* size: what was written did not fit */
};

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id; /* of this run of the iterator */
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

#endif

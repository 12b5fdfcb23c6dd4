/* Two sockets, for the filter of the first would drop whole pieces of a dump: one hears of
 * connections that begin and end, the other asks for those that are there.
 *
 * The kernel says when a connection began only if sysctl nf_conntrack_timestamp is set, so that a
 * mapping is there since the socket was last empty, and gone by now: both too wide rather than too
 * narrow. Connections from before the start are there since the boot; the kernel may not tell of
 * their end (those that it made without a listener, Linux 5.19). So all that is there is asked for
 * again from time to time, and what is not is gone: else a later connection of this very machine
 * could be taken for one of them.
 *
 * Limits: the socket's buffer; when it overflows that is coverage, and all that is there is asked
 * for again at once, unless that took more than its share of the time since. As conntrack keeps a
 * closed connection for ten seconds or more, little is missing then. */
#include "source/nat_conntrack.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "source/nat_message.h"
#include "source/netlink_socket.h"
#include "util/clock.h"

enum {
	BUFFER_SIZE = 32768,     /* what the kernel fills at a time */
	EVENTS_OCTETS = 8 << 20, /* waiting words of connections: some 8,000 */
	EVENTS_AT_ONCE = 65536,  /* they may come as fast as they are read */
	DUMP_PATIENCE_S = 5,
	DUMP_SHARE = 20, /* of the time one part in so many may go into dumps after a loss */
	AGAIN_EVERY_S = 120,
	AGAIN_SHARE = 1000, /* and into those without */
	LOOK_EVERY_S = 30,
};

/* There in each network namespace once conntrack is. */
#define CONNTRACK_PATH "/proc/sys/net/netfilter/nf_conntrack_count"
/* Only of a module that was loaded, not of one that is built in. */
#define CONNTRACK_MODULE "/sys/module/nf_conntrack/initstate"
#define NAT_MODULE       "/sys/module/nf_nat"

struct nat_conntrack {
	const struct source_sink *sink;
	int fd;             /* of events; -1 none */
	bool refused;       /* by the kernel */
	bool looked;        /* at looked_ns */
	bool must_dump;     /* some events are lost */
	int64_t looked_ns;  /* whether there is NAT */
	int64_t emptied_ns; /* what was told until then is read */
	int64_t dumped_ns, dump_took_ns;
	int64_t whole_ns; /* nothing was lost until then */
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
};

/* Octets of a message before its attributes, and of an attribute before its value. */
enum { ATTRIBUTES_AT = NLMSG_HDRLEN + sizeof(struct nfgenmsg), VALUE_AT = NLA_HDRLEN };

/* Passes what has no status, or one that says NAT. */
static const struct sock_filter nat_only[] = {
	BPF_STMT(BPF_LD | BPF_IMM, ATTRIBUTES_AT),
	BPF_STMT(BPF_LDX | BPF_IMM, CTA_STATUS),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_NLATTR)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_IND, VALUE_AT),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPS_SRC_NAT | IPS_DST_NAT, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

int nat_conntrack_new(const struct source_sink *sink, struct nat_conntrack **ret_nat)
{
	struct nat_conntrack *nat = calloc(1, sizeof(*nat));

	if (!nat)
		return -ENOMEM;
	nat->sink = sink;
	nat->fd = -1;
	*ret_nat = nat;
	return 0;
}

static void unsubscribe(struct nat_conntrack *nat)
{
	if (nat->fd >= 0)
		close(nat->fd);
	nat->fd = -1;
}

void nat_conntrack_free(struct nat_conntrack *nat)
{
	if (!nat)
		return;
	unsubscribe(nat);
	free(nat);
}

/* Where both are modules, conntrack may serve a firewall alone. */
static bool is_there(void)
{
	return access(CONNTRACK_PATH, F_OK) == 0 &&
	       (access(CONNTRACK_MODULE, F_OK) != 0 || access(NAT_MODULE, F_OK) == 0);
}

/* Returns the descriptor or negative errno. */
static int subscribe(void)
{
	static const int numbers[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY};
	const struct sock_fprog filter = {
		.len = sizeof(nat_only) / sizeof(nat_only[0]),
		.filter = (struct sock_filter *)nat_only, /* which the kernel only reads */
	};
	const struct netlink_groups groups = {
		.protocol = NETLINK_NETFILTER,
		.at = numbers,
		.count = sizeof(numbers) / sizeof(numbers[0]),
		.octets = EVENTS_OCTETS,
		.filter = &filter,
	};

	return netlink_socket_subscribe(&groups);
}

/* Returns 1 if this was the last message of a dump, 0 if not, or negative errno. */
static int take_message(
	struct nat_conntrack *nat, const struct nlmsghdr *header, int64_t from_ns, int64_t until_ns)
{
	struct nat_mapping mapping;
	int number = 0;

	if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
		if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(number)))
			memcpy(&number, NLMSG_DATA(header), sizeof(number));
		return number < 0 ? number : 1;
	}
	switch (nat_message_read(header, &mapping)) {
	case NAT_MESSAGE_NEW:
		nat->sink->nat(nat->sink->ctx, &mapping, from_ns, false);
		break;
	case NAT_MESSAGE_GONE:
		nat->sink->nat(nat->sink->ctx, &mapping, until_ns, true);
		break;
	case NAT_MESSAGE_OTHER:
	case NAT_MESSAGE_MALFORMED: /* the kernel's own: a later one than we know */
		break;
	}
	return 0;
}

/* Takes the messages of one datagram, if it is the kernel's. */
static int receive(struct nat_conntrack *nat, int fd, int64_t from_ns, int64_t until_ns)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)nat->buffer;
	struct sockaddr_nl from = {0};
	socklen_t from_size = sizeof(from);
	ssize_t got;
	int result = 0;

	do
		got = recvfrom(fd, nat->buffer, sizeof(nat->buffer), 0, (struct sockaddr *)&from,
			&from_size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0;
	/* aligned, as NLMSG_NEXT() steps: else it would step below zero */
	for (unsigned left = NLMSG_ALIGN((unsigned)got); result == 0 && NLMSG_OK(header, left);
		header = NLMSG_NEXT(header, left))
		result = take_message(nat, header, from_ns, until_ns);
	return result;
}

static int ask_for_all(int fd)
{
	const struct timeval patience = {.tv_sec = DUMP_PATIENCE_S};
	struct {
		struct nlmsghdr header;
		struct nfgenmsg generic;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.generic = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* All that is there; what is new is so since nothing was lost. Returns 0 or negative errno. */
static int dump(struct nat_conntrack *nat, int64_t now_ns)
{
	int64_t begin_ns = clock_boottime_ns();
	int fd = netlink_socket_open(NETLINK_NETFILTER, 0), result;

	if (fd < 0)
		return fd;
	nat->sink->nat_all(nat->sink->ctx, now_ns, false);
	result = ask_for_all(fd);
	while (result == 0)
		result = receive(nat, fd, nat->whole_ns, now_ns);
	close(fd);
	nat->dumped_ns = clock_boottime_ns();
	nat->dump_took_ns = nat->dumped_ns - begin_ns;
	if (result < 0)
		return result;
	nat->sink->nat_all(nat->sink->ctx, now_ns, true);
	nat->whole_ns = now_ns;
	nat->must_dump = false;
	return 0;
}

/* Of a machine that is short of something just now. */
static bool passes(int error)
{
	return error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM || error == -EMFILE ||
	       error == -ENFILE;
}

static void tell_loss(struct nat_conntrack *nat)
{
	nat->sink->loss(nat->sink->ctx, COVERAGE_OWNERS_UNSURE, 1,
		"nat: words of conntrack were lost: translated ends may be missing");
}

int nat_conntrack_begin(struct nat_conntrack *nat, int64_t now_ns)
{
	int error;

	if (nat->fd >= 0 || nat->refused ||
		(nat->looked && now_ns - nat->looked_ns < LOOK_EVERY_S * (int64_t)NS_PER_S))
		return 0;
	nat->looked = true;
	nat->looked_ns = now_ns;
	if (!is_there())
		return 0;
	nat->fd = subscribe();
	error = nat->fd < 0 ? nat->fd : dump(nat, now_ns);
	nat->emptied_ns = now_ns;
	if (!error)
		return 1;
	unsubscribe(nat);
	if (passes(error)) {
		tell_loss(nat);
		return 0;
	}
	nat->refused = true;
	return error;
}

static bool may_dump(const struct nat_conntrack *nat, int64_t now_ns)
{
	int64_t since_ns = now_ns - nat->dumped_ns;

	if (nat->must_dump)
		return since_ns >= DUMP_SHARE * nat->dump_took_ns;
	return since_ns >= AGAIN_EVERY_S * (int64_t)NS_PER_S &&
	       since_ns >= AGAIN_SHARE * nat->dump_took_ns;
}

void nat_conntrack_consume(struct nat_conntrack *nat, int64_t now_ns)
{
	int result = 0;

	if (nat->fd < 0)
		return;
	for (int i = 0; i < EVENTS_AT_ONCE && (result >= 0 || result == -ENOBUFS); i++) {
		result = receive(nat, nat->fd, nat->emptied_ns, now_ns);
		if (result != -ENOBUFS)
			continue;
		tell_loss(nat);
		nat->must_dump = true;
	}
	if (result < 0)
		nat->emptied_ns = now_ns;
	if (!nat->must_dump)
		nat->whole_ns = nat->emptied_ns;
	if (!may_dump(nat, now_ns))
		return;
	if (is_there())
		dump(nat, now_ns);
	else
		unsubscribe(nat); /* to ask would load the modules that somebody removed */
}

/* Those who only want to know whether it works. */

static void ignore_nat(void *ctx, const struct nat_mapping *mapping, int64_t time_ns, bool gone)
{
	(void)ctx;
	(void)mapping;
	(void)time_ns;
	(void)gone;
}

static void ignore_nat_all(void *ctx, int64_t time_ns, bool complete)
{
	(void)ctx;
	(void)time_ns;
	(void)complete;
}

static void ignore_loss(void *ctx, enum coverage_what what, uint64_t count, const char *detail)
{
	(void)ctx;
	(void)what;
	(void)count;
	(void)detail;
}

int nat_conntrack_probe(void)
{
	static const struct source_sink nobody = {
		.nat = ignore_nat, .nat_all = ignore_nat_all, .loss = ignore_loss};
	struct nat_conntrack *nat;
	int result = nat_conntrack_new(&nobody, &nat);

	if (result)
		return result;
	result = nat_conntrack_begin(nat, 0);
	nat_conntrack_free(nat);
	return result;
}

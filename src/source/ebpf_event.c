/* Kernel facts in, the words of the flow layer out. */
#include "source/ebpf_event.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "decode/name_text.h"
#include "process/process_text.h"
#include "source/proc_read.h"
#include "util/utf8.h"

_Static_assert(sizeof(struct event_ref) == sizeof(struct process_ref), "same layout");

static struct process_ref to_ref(const struct event_ref *ref)
{
	return (struct process_ref){
		.start_ns = ref->start_ns, .pid = ref->pid, .exec_id = ref->exec_id};
}

static bool is_tcp(const struct event_flow *event)
{
	return event->protocol == IPPROTO_TCP && !(event->flags & EVENT_DATAGRAMS);
}

static uint64_t octets_in_of(const struct event_flow *event)
{
	bool fin = event->flags & EVENT_PEER_FIN && event->octets_in > 0;

	return event->octets_in - fin;
}

/* Octets went, and no hook saw by whom: by splice(2) where slot splice is not served, say. */
static bool is_used_unseen(const struct event_flow *event)
{
	return is_tcp(event) && !(event->flags & EVENT_KERNEL_USED) &&
	       (event->octets_out > 0 || octets_in_of(event) > 0);
}

static enum flow_method method_of(const struct event_flow *event)
{
	if (event->flags & EVENT_OWNER_EXACT)
		return FLOW_METHOD_EXACT;
	if (event->flags & EVENT_OWNER_INHERITED)
		return event->flags & EVENT_OWNER_SNAPSHOT ? FLOW_METHOD_LISTENER
							   : FLOW_METHOD_INHERITED;
	if (event->flags & EVENT_OWNER_SNAPSHOT)
		return FLOW_METHOD_SNAPSHOT;
	if (!event->opener.pid)
		return FLOW_METHOD_UNKNOWN;
	return is_used_unseen(event) ? FLOW_METHOD_INHERITED : FLOW_METHOD_EXACT;
}

static enum flow_direction direction_of(const struct event_flow *event)
{
	if (event->flags & EVENT_DIRECTION_OUT)
		return FLOW_DIRECTION_OUT;
	return event->flags & EVENT_DIRECTION_IN ? FLOW_DIRECTION_IN : FLOW_DIRECTION_UNKNOWN;
}

/* Of a connect that came to nothing, or of a datagram that ICMP answered. Codes that mean "not
 * allowed" are answers of the way there: EACCES of ICMPv6, and of a route that prohibits. */
static enum flow_outcome connect_outcome(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ENOPROTOOPT: /* ICMP protocol unreachable */
		return FLOW_OUTCOME_REFUSED;
	case ETIMEDOUT:
		return FLOW_OUTCOME_TIMEOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENONET:
	case EACCES:
		return FLOW_OUTCOME_UNREACHABLE;
	case ECONNRESET:
		return FLOW_OUTCOME_RESET;
	default:
		return FLOW_OUTCOME_ABORTED;
	}
}

/* By the state before CLOSE and the socket's error. Without a FIN either way, CLOSE is an abort:
 * linger 0, or closed with unread data, which sends a reset. */
static enum flow_outcome tcp_outcome(const struct event_flow *event)
{
	if (event->old_state == TCP_SYN_SENT)
		return connect_outcome(event->error);
	switch (event->error) {
	case ECONNRESET:
	case EPIPE:
		return FLOW_OUTCOME_RESET;
	case ETIMEDOUT:
		return FLOW_OUTCOME_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return FLOW_OUTCOME_UNREACHABLE;
	default:
		break;
	}
	if (event->old_state == TCP_ESTABLISHED || event->old_state == TCP_SYN_RECV ||
		event->old_state == TCP_CLOSE_WAIT)
		return FLOW_OUTCOME_RESET;
	return FLOW_OUTCOME_CLOSED;
}

/* An error that came before any answer is the outcome; after one it is but remembered. */
static enum flow_outcome datagram_outcome(const struct event_flow *event)
{
	enum flow_outcome failed =
		event->packets_in ? FLOW_OUTCOME_ABORTED : connect_outcome(event->error);

	if (failed != FLOW_OUTCOME_ABORTED)
		return failed;
	return event->old_state ? FLOW_OUTCOME_IDLE : FLOW_OUTCOME_CLOSED;
}

static enum flow_outcome outcome_of(const struct event_flow *event)
{
	if (event->type == EVENT_FLOW_SIGHTING)
		return FLOW_OUTCOME_OPEN;
	if (event->flags & EVENT_FAILED)
		return event->error ? connect_outcome(event->error) : FLOW_OUTCOME_UNREACHABLE;
	if (is_tcp(event))
		return tcp_outcome(event);
	return datagram_outcome(event);
}

static void fill_key(const struct event_flow *event, struct flow_key *key)
{
	memset(key, 0, sizeof(*key));
	key->local = addr_from_v6(event->local);
	key->remote = addr_from_v6(event->remote);
	key->socket_cookie = event->cookie;
	key->netns = event->netns;
	key->local_port = event->local_port;
	key->remote_port = event->remote_port;
	key->protocol = event->protocol;
}

void ebpf_event_observation(const struct event_flow *event, struct observation *ret_observation)
{
	struct observation *seen = ret_observation;

	memset(seen, 0, sizeof(*seen));
	fill_key(event, &seen->key);
	seen->counters = (struct flow_counters){
		.octets_out = event->octets_out,
		.octets_in = octets_in_of(event),
		.packets_out = event->packets_out,
		.packets_in = event->packets_in,
		.retransmits = event->retransmits,
		.rtt_us = event->srtt_us,
	};
	seen->user = to_ref(&event->user);
	seen->opener = to_ref(&event->opener);
	seen->time_ns = (int64_t)event->time_ns;
	seen->start_ns = (int64_t)event->start_ns;
	seen->kind = event->type == EVENT_FLOW_END ? OBSERVATION_END : OBSERVATION_SIGHTING;
	seen->direction = direction_of(event);
	seen->outcome = outcome_of(event);
	seen->method = method_of(event);
	seen->source = FLOW_SOURCE_EBPF;
	seen->error = event->error;
}

static void dispatch_listener(const struct event_flow *event, const struct source_sink *sink)
{
	struct listener_record record = {
		.owner = to_ref(&event->user),
		.method = method_of(event),
	};

	if (!process_ref_known(&record.owner))
		record.owner = to_ref(&event->opener);
	fill_key(event, &record.key);
	sink->listener(
		sink->ctx, &record, (int64_t)event->time_ns, event->type == EVENT_LISTEN_GONE);
}

static uint32_t process_flags_of(const struct event_process *event)
{
	uint32_t flags = 0;

	if (event->flags & EVENT_PROCESS_KTHREAD)
		flags |= PROCESS_KERNEL_THREAD;
	if (event->flags & EVENT_PROCESS_DELETED)
		flags |= PROCESS_EXE_DELETED;
	if (event->flags & EVENT_PROCESS_PATH_CUT)
		flags |= PROCESS_EXE_TRUNCATED;
	if (event->flags & EVENT_PROCESS_CMDLINE_CUT)
		flags |= PROCESS_CMDLINE_TRUNCATED;
	return flags;
}

/* buf: for what is read from /proc. */
static void take_arguments(const struct event_process *event, const char *arguments,
	char buf[static EVENT_CMDLINE_MAX], struct process_info *info)
{
	int got;

	info->arguments = arguments;
	info->arguments_length = event->cmdline_length;
	if (!(event->flags & EVENT_PROCESS_NO_CMDLINE))
		return;
	got = event->flags & EVENT_PROCESS_KTHREAD
		      ? 0
		      : proc_read_cmdline("/proc", event->ref.pid, event->ref.start_ns, buf,
				EVENT_CMDLINE_MAX);
	info->arguments = buf;
	info->arguments_length = got > 0 ? (size_t)got : 0;
	if (got == EVENT_CMDLINE_MAX)
		info->flags |= PROCESS_CMDLINE_TRUNCATED;
}

/* Only a whole path begins with a slash. Returns the flags with what the path tells. */
static uint32_t exe_of(
	const struct event_process *event, const char *data, uint32_t flags, char *dst, size_t size)
{
	size_t cut = flags & PROCESS_EXE_TRUNCATED ? strlen("...") : 0;

	memcpy(dst, "...", cut);
	if (cut + process_text_path(dst + cut, size - cut, data, event->path_length) + 4 >= size)
		flags |= PROCESS_EXE_TRUNCATED; /* octets that are no UTF-8 take four each */
	if (strncmp(dst, "memfd:", 6) == 0)
		flags = (flags | PROCESS_EXE_MEMFD) & ~(uint32_t)PROCESS_EXE_DELETED;
	return flags;
}

static bool dispatch_process(
	const struct event_process *event, size_t size, const struct source_sink *sink)
{
	char exe[PROCESS_PATH_MAX] = "", cgroup[PROCESS_PATH_MAX];
	char arguments[EVENT_CMDLINE_MAX], comm[4 * EVENT_COMM_SIZE + 1];
	const char *data = (const char *)(event + 1);
	struct process_info info = {
		.ref = to_ref(&event->ref),
		.parent = to_ref(&event->parent),
		.uid = event->uid,
		.loginuid = event->loginuid,
		.netns = event->netns,
		.inner_pid = event->inner_pid,
		.flags = process_flags_of(event),
		.comm = comm,
		.exe = exe,
		.cmdline = "",
		.cgroup = cgroup,
	};

	if ((size_t)event->path_length + event->cgroup_length + event->cmdline_length >
		size - sizeof(*event))
		return false;
	utf8_sanitize(comm, sizeof(comm), event->comm, strnlen(event->comm, EVENT_COMM_SIZE));
	if (event->path_length > 0)
		info.flags = exe_of(event, data, info.flags, exe, sizeof(exe));
	process_text_path(cgroup, sizeof(cgroup), data + event->path_length, event->cgroup_length);
	take_arguments(event, data + event->path_length + event->cgroup_length, arguments, &info);
	sink->process(sink->ctx, &info);
	return true;
}

static bool dispatch_flow(const struct event_flow *event, const struct source_sink *sink)
{
	struct observation observation;

	ebpf_event_observation(event, &observation);
	sink->observe(sink->ctx, &observation);
	return true;
}

/* inet_aton(3), which getaddrinfo obeys, takes for an address what ends in a number. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *label = dot ? dot + 1 : name;

	if (label[0] == '0' && label[1] == 'x')
		return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
	return label[strspn(label, "0123456789")] == '\0';
}

/* An address that stands for a name is no evidence of one: fe80::1%eth0, 127.1. What does not fit
 * was cut, or is longer than names are. */
static bool is_asked_name(const struct event_resolve *event, char ret_name[NAME_MAX_OCTETS + 1])
{
	return event->name_length < EVENT_RESOLVE_NAME_SIZE &&
	       !memchr(event->name, ':', event->name_length) &&
	       name_text_of_host((const uint8_t *)event->name, event->name_length, ret_name) &&
	       !ends_in_number(ret_name);
}

static bool dispatch_resolve(const struct event_resolve *event, const struct source_sink *sink)
{
	struct name_evidence evidence = {
		.source = NAME_SOURCE_GETADDRINFO,
		.asker = to_ref(&event->asker),
		.key.netns = event->netns,
	};

	if (event->count > EVENT_RESOLVE_MAX)
		return false;
	if (!sink->asked || !is_asked_name(event, evidence.name))
		return true;
	memcpy(evidence.query, evidence.name, sizeof(evidence.query));
	for (size_t i = 0; i < event->count; i++) {
		evidence.address = addr_from_v6(event->addresses[i]);
		if (!addr_is_unspecified(&evidence.address))
			sink->asked(sink->ctx, &evidence, (int64_t)event->time_ns);
	}
	return true;
}

bool ebpf_event_dispatch(const void *data, size_t size, const struct source_sink *sink)
{
	const struct event_fork *fork = data;
	struct process_ref child, parent;
	uint32_t type;

	if (size < sizeof(type))
		return false;
	memcpy(&type, data, sizeof(type));
	switch (type) {
	case EVENT_FLOW_END:
	case EVENT_FLOW_SIGHTING:
		return size >= sizeof(struct event_flow) && dispatch_flow(data, sink);
	case EVENT_LISTEN:
	case EVENT_LISTEN_GONE:
		if (size < sizeof(struct event_flow))
			return false;
		dispatch_listener(data, sink);
		return true;
	case EVENT_PROCESS:
		return size >= sizeof(struct event_process) && dispatch_process(data, size, sink);
	case EVENT_RESOLVE:
		return size >= sizeof(struct event_resolve) && dispatch_resolve(data, sink);
	case EVENT_FORK:
	case EVENT_EXIT:
		if (size < sizeof(struct event_fork))
			return false;
		child = to_ref(&fork->child);
		parent = to_ref(&fork->parent);
		if (type == EVENT_FORK)
			sink->fork(sink->ctx, &child, &parent);
		else
			sink->exit(sink->ctx, &child);
		return true;
	default:
		return false;
	}
}

bool ebpf_event_is_process(const void *data, size_t size)
{
	uint32_t type;

	if (size < sizeof(type))
		return false;
	memcpy(&type, data, sizeof(type));
	return type == EVENT_PROCESS || type == EVENT_FORK || type == EVENT_EXIT;
}

size_t ebpf_event_size(const void *data, size_t size)
{
	struct event_process event;

	if (!ebpf_event_is_process(data, size))
		return sizeof(struct event_flow);
	if (size < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	return (sizeof(event) + event.path_length + event.cgroup_length + event.cmdline_length +
		       7) /
	       8 * 8;
}

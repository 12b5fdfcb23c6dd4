/* A slot's rungs stand from best to worst; ebpf_ladder tries them in this order. */
#include "source/ebpf_slots.h"

#include <string.h>

/* clang-format off */
static const struct ebpf_slot all_slots[EBPF_SLOT_COUNT] = {
	[EBPF_SLOT_TCP] = {
		.name = "tcp",
		.loss = "no TCP connection is recorded",
		.required = true,
		.rungs = {{"tp_btf", NULL, {"tcp_state", "tcp_state_again"}}},
	},
	[EBPF_SLOT_CONNECT] = {
		.name = "connect",
		.loss = "connects that fail at once (no route, forbidden) are not recorded",
		.rungs = {
			{"fexit", NULL,
				{"connect_tcp4_done", "?connect_tcp6_done", "connect_datagram4_done",
					"?connect_datagram6_done"}},
			{"cgroup",
				"connects that fail at once are recorded as unreachable, without errno; "
				"those of Multipath TCP and of bound UDP sockets are not",
				{"connect_v4", "connect_v6", "connect_gone"}},
		},
	},
	[EBPF_SLOT_USE] = {
		.name = "use",
		.loss = "who opens, accepts or closes a socket is taken for its user, so no owner is "
			"exact",
		.owners_only = true,
		.rungs = {{"tp_btf", NULL, {"socket_send", "socket_receive"}}, /* since Linux 6.3 */
			{"fexit", NULL,
				{"inet_send", "inet_receive", "?inet6_send", "?inet6_receive",
					"?inet_send_page"}},
			{"kprobe", "of very many threads that wait for data at the same time some "
				   "uses are missed",
				{"probe_send", "probe_send_done", "probe_receive", "probe_receive_done",
					"?probe_send6", "?probe_send6_done", "?probe_receive6",
					"?probe_receive6_done", "?probe_send_page",
					"?probe_send_page_done"}}},
	},
	[EBPF_SLOT_SPLICE] = {
		.name = "splice",
		.loss = "an accepted connection that is read by splice(2) alone is given to the "
			"listener's owner",
		.owners_only = true,
		.rungs = {{"fexit", NULL, {"tcp_splice"}},
			{"kprobe", NULL, {"probe_splice", "probe_splice_done"}}},
	},
	[EBPF_SLOT_ACCEPT] = {
		.name = "accept",
		.loss = "connections that end before anybody sends, receives or closes are given to the "
			"listener's owner",
		.owners_only = true,
		.rungs = {{"fexit", NULL, {"socket_accept"}},
			{"kprobe", "listeners do not tell who accepts", {"probe_accept"}}},
	},
	[EBPF_SLOT_DATAGRAM] = {
		.name = "datagram",
		.loss = "no UDP, ICMP or raw traffic is recorded",
		.rungs = {{"cgroup", NULL, {"datagram_out", "datagram_in"}}},
	},
	[EBPF_SLOT_ERROR] = {
		.name = "error",
		.loss = "UDP that was refused or did not find its host looks like UDP without answer",
		.rungs = {{"tp_btf", NULL, {"socket_error"}}, /* since Linux 5.14 */
			{"fentry", NULL, {"socket_error_default"}}},
	},
	[EBPF_SLOT_PACKET] = {
		.name = "packet",
		.loss = "frames of AF_PACKET sockets are recorded without their ends, before Linux 6.3 "
			"not at all; who hears frames is not recorded",
		.rungs = {{"fexit", NULL, {"packet_open", "packet_send", "packet_gone"}}},
	},
	[EBPF_SLOT_BIND] = {
		.name = "bind",
		.loss = "who bound a UDP socket is not known, and no UDP listeners",
		.owners_only = true,
		.rungs = {{"cgroup", NULL, {"bind_v4", "bind_v6"}}},
	},
	[EBPF_SLOT_RELEASE] = {
		.name = "release",
		.loss = "UDP flows end by idle timeout, as the last sweep saw them; sockets that live "
			"between two sweeps are not recorded",
		.rungs = {{"cgroup", NULL, {"socket_release"}}},
	},
	[EBPF_SLOT_PROCESS] = {
		.name = "process",
		.loss = "parents that never use the network are not known",
		.owners_only = true,
		.rungs = {{"tp_btf", NULL, {"process_exec", "process_fork", "process_exit"}}},
	},
	[EBPF_SLOT_RESOLVE] = {
		.name = "resolve",
		.loss = "what a process asked its C library for is not known: names are those that "
			"packets tell",
		.names_only = true,
		.rungs = {{"uprobe", NULL, {"resolve_begin", "resolve_end"}}},
	},
	[EBPF_SLOT_SNAPSHOT] = {
		.name = "snapshot",
		.loss = "connections and listeners from before the start have no owner",
		.owners_only = true,
		.rungs = {{"iter", NULL, {"snapshot_processes", "snapshot_sockets"}}},
	},
	[EBPF_SLOT_SWEEP] = {
		.name = "sweep",
		.loss = "connections show up only when they end",
		.rungs = {{"iter", NULL, {"sweep_sockets"}}, /* since Linux 5.12 */
			{"iter", "of more than 65536 sockets at a time some have no owner",
				{"sweep_hash"}},
			{"iter",
				"sockets without a file (Multipath TCP, the kernel's own, being closed "
				"or passed on, direct ones of io_uring) show up when they end",
				{"sweep_files"}}},
		.hash_rung = 1,
		.partial_rung = 2,
	},
	[EBPF_SLOT_NAMES] = {
		.name = SOURCE_SLOT_NAMES,
		.loss = "hosts are known by their addresses only, but for what processes ask their C "
			"library",
		.names_only = true,
		.rungs = {{"cgroup", NULL, {NULL}}},
	},
};
/* clang-format on */

const struct ebpf_slot *ebpf_slots_at(enum ebpf_slot_index index)
{
	return &all_slots[index];
}

bool ebpf_slots_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list && *list) {
		size_t item = strcspn(list, ",");

		if (item == length && strncmp(list, name, length) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

const char *ebpf_slots_program(const struct ebpf_rung *rung, size_t index)
{
	return rung->programs[index] + ebpf_slots_is_optional(rung, index);
}

bool ebpf_slots_is_optional(const struct ebpf_rung *rung, size_t index)
{
	return rung->programs[index][0] == '?';
}

bool ebpf_slots_has_program(const struct ebpf_rung *rung, const char *list)
{
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++)
		if (ebpf_slots_listed(list, ebpf_slots_program(rung, i)))
			return true;
	return false;
}

static bool is_slot(const char *name)
{
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		if (strcmp(all_slots[i].name, name) == 0)
			return true;
	return false;
}

static bool is_program(const char *name)
{
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		for (size_t j = 0; j < SOURCE_RUNGS_MAX; j++)
			if (ebpf_slots_has_program(&all_slots[i].rungs[j], name))
				return true;
	return false;
}

static bool all(const char *list, bool (*is_one)(const char *))
{
	char name[64];

	while (list && *list) {
		size_t item = strcspn(list, ",");

		if (item >= sizeof(name))
			return false;
		memcpy(name, list, item);
		name[item] = '\0';
		if (!is_one(name))
			return false;
		list += item + (list[item] == ',');
	}
	return true;
}

bool ebpf_slots_are_slots(const char *list)
{
	return all(list, is_slot);
}

bool ebpf_slots_are_programs(const char *list)
{
	return all(list, is_program);
}

struct source_slot ebpf_slots_public(const struct ebpf_slot *slot)
{
	struct source_slot public = {
		.name = slot->name,
		.loss = slot->loss,
		.owners_only = slot->owners_only,
		.names_only = slot->names_only,
		.serving = -1,
	};

	for (size_t i = 0; i < SOURCE_RUNGS_MAX && slot->rungs[i].name; i++)
	public.rungs[public.rung_count++] =
		(struct source_rung){.name = slot->rungs[i].name, .loss = slot->rungs[i].loss};
	return public;
}

/* The whole policy of what is loaded stands in this table. */
#include "source/ebpf_slots.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ebpf_slot all_slots[] = {
	{
		.public = {.name = "tcp", .loss = "no TCP connection is recorded"},
		.required = true,
		.programs = {"tcp_state"},
	},
	{
		.public = {.name = "use",
			.loss = "accepted connections are given to the listener's owner, UDP "
				"sockets to "
				"who bound or closed them"},
		.programs = {"socket_send", "socket_receive"}, /* tracepoints since Linux 6.3 */
	},
	{
		.public = {.name = "datagram", .loss = "no UDP, ICMP or raw traffic is recorded"},
		.programs = {"datagram_out", "datagram_in"},
	},
	{
		.public = {.name = "bind",
			.loss = "who bound a UDP socket is not known, and no UDP listeners"},
		.programs = {"bind_v4", "bind_v6"},
	},
	{
		.public = {.name = "release",
			.loss = "UDP flows end by idle timeout; of sockets that live between two "
				"sweeps none is recorded"},
		.programs = {"socket_release"},
	},
	{
		.public = {.name = "process",
			.loss = "parents that never use the network are not known"},
		.programs = {"process_exec", "process_fork", "process_exit"},
	},
	{
		.public = {.name = "snapshot",
			.loss = "connections and listeners from before the start "
				"have no owner"},
		.iterator = true,
		.programs = {"snapshot_processes", "snapshot_sockets"},
	},
	{
		.public = {.name = "sweep", .loss = "connections show up only when they end"},
		.iterator = true,
		.programs = {"sweep_sockets"},
	},
};

size_t ebpf_slots_all(struct ebpf_slot *slots, size_t max)
{
	size_t count = COUNT(all_slots) < max ? COUNT(all_slots) : max;

	memcpy(slots, all_slots, count * sizeof(*slots));
	return count;
}

static struct ebpf_slot *find_slot(
	struct ebpf_slot *slots, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(slots[i].public.name) == length &&
			strncmp(slots[i].public.name, name, length) == 0)
			return &slots[i];
	return NULL;
}

int ebpf_slots_disable(struct ebpf_slot *slots, size_t count, const char *names)
{
	while (names && *names) {
		size_t length = strcspn(names, ",");
		struct ebpf_slot *slot = find_slot(slots, count, names, length);

		if (!slot)
			return -EINVAL;
		slot->public.error = ECANCELED;
		names += length + (names[length] == ',');
	}
	return 0;
}

void ebpf_slots_select(const struct ebpf_slot *slots, size_t count, struct bpf_object *object)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < EBPF_SLOT_PROGRAMS_MAX && slots[i].programs[j]; j++) {
			struct bpf_program *program =
				bpf_object__find_program_by_name(object, slots[i].programs[j]);

			if (program)
				bpf_program__set_autoload(program, slots[i].public.error == 0);
		}
	}
}

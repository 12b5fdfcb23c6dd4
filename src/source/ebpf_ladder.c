/* An object is closed as soon as its programs are attached: the links keep them. */
#include "source/ebpf_ladder.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow.skel.h"

struct ebpf_ladder {
	const struct source_ebpf_options *options;
	struct flow_bpf *maps; /* an object without programs */
	int cgroup_fd;         /* negative errno: there is no cgroup v2 to attach to */
	struct source_slot slots[EBPF_SLOT_COUNT];
	struct bpf_link *links[EBPF_SLOT_COUNT][EBPF_RUNG_PROGRAMS_MAX];
};

/* libbpf's own words would be many lines for each refused program. */
static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* The object with nothing to load but its maps. */
static struct flow_bpf *open_object(const struct source_ebpf_options *options)
{
	struct flow_bpf *object = flow_bpf__open();
	struct bpf_program *program;

	if (!object)
		return NULL;
	object->rodata->ring_wakeup_octets = options->ring_octets / 4;
	object->rodata->datagram_idle_ns = (uint64_t)options->idle_timeout_ns;
	bpf_map__set_max_entries(object->maps.ring, (uint32_t)options->ring_octets);
	bpf_map__set_max_entries(object->maps.peers, options->max_peers);
	bpf_map__set_max_entries(object->maps.seen, options->max_processes);
	bpf_object__for_each_program(program, object->obj)
		bpf_program__set_autoload(program, false);
	return object;
}

static int share_maps(const struct ebpf_ladder *ladder, struct flow_bpf *object)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, object->obj) if (!bpf_map__is_internal(map) && error == 0)
		error = bpf_map__reuse_fd(map, ebpf_ladder_map(ladder, bpf_map__name(map)));
	return error;
}

static int open_cgroup_root(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd == -ENOENT && (mount = getmntent(mounts)))
		if (strcmp(mount->mnt_type, "cgroup2") == 0)
			fd = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	endmntent(mounts);
	return fd < 0 && fd != -ENOENT ? -errno : fd;
}

int ebpf_ladder_new(const struct source_ebpf_options *options, struct ebpf_ladder **ret_ladder)
{
	struct ebpf_ladder *ladder = calloc(1, sizeof(*ladder));
	int error;

	if (!ladder)
		return -ENOMEM;
	libbpf_set_print(be_quiet);
	ladder->options = options;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		ladder->slots[i] = ebpf_slots_public(ebpf_slots_at(i));
	ladder->cgroup_fd = open_cgroup_root();
	ladder->maps = open_object(options);
	error = ladder->maps ? flow_bpf__load(ladder->maps) : -errno;
	if (error) {
		ebpf_ladder_free(ladder);
		return error;
	}
	*ret_ladder = ladder;
	return 0;
}

static void detach(struct bpf_link **links)
{
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX; i++) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

void ebpf_ladder_free(struct ebpf_ladder *ladder)
{
	if (!ladder)
		return;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		detach(ladder->links[i]);
	flow_bpf__destroy(ladder->maps);
	if (ladder->cgroup_fd >= 0)
		close(ladder->cgroup_fd);
	free(ladder);
}

/* Iterators over a map are told which one; there is only this. */
static struct bpf_link *attach_iterator(
	const struct ebpf_ladder *ladder, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, options);
	union bpf_iter_link_info info = {
		.map.map_fd = (uint32_t)ebpf_ladder_map(ladder, "sockets")};

	if (strcmp(bpf_program__section_name(program), "iter/bpf_sk_storage_map") == 0) {
		options.link_info = &info;
		options.link_info_len = sizeof(info);
	}
	return bpf_program__attach_iter(program, &options);
}

static struct bpf_link *attach_program(
	const struct ebpf_ladder *ladder, const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);

	if (strncmp(section, "iter/", strlen("iter/")) == 0)
		return attach_iterator(ladder, program);
	if (strncmp(section, "cgroup", strlen("cgroup")) != 0)
		return bpf_program__attach(program);
	if (ladder->cgroup_fd >= 0)
		return bpf_program__attach_cgroup(program, ladder->cgroup_fd);
	errno = -ladder->cgroup_fd;
	return NULL;
}

/* Has the kernel the function that its section names? */
static bool function_exists(struct bpf_program *program)
{
	const char *slash = strchr(bpf_program__section_name(program), '/');

	return bpf_program__set_attach_target(program, 0, slash + 1) == 0;
}

static int load_rung(const struct ebpf_ladder *ladder, const struct ebpf_rung *rung,
	struct flow_bpf *object, struct bpf_link **links)
{
	struct bpf_program *programs[EBPF_RUNG_PROGRAMS_MAX] = {0};
	int error = share_maps(ladder, object);

	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++) {
		programs[i] =
			bpf_object__find_program_by_name(object->obj, ebpf_slots_program(rung, i));
		bpf_program__set_autoload(programs[i],
			!ebpf_slots_is_optional(rung, i) || function_exists(programs[i]));
	}
	if (!error)
		error = flow_bpf__load(object);
	for (size_t i = 0; error == 0 && i < EBPF_RUNG_PROGRAMS_MAX && programs[i]; i++) {
		if (!bpf_program__autoload(programs[i]))
			continue;
		links[i] = attach_program(ladder, programs[i]);
		error = links[i] ? 0 : -errno;
	}
	if (error)
		detach(links);
	return error;
}

/* All programs of the rung, or none. Returns 0 or negative errno. */
static int try_rung(
	const struct ebpf_ladder *ladder, const struct ebpf_rung *rung, struct bpf_link **links)
{
	struct flow_bpf *object;
	int error;

	if (ebpf_slots_has_program(rung, ladder->options->disable_programs))
		return -ECANCELED;
	object = open_object(ladder->options);
	if (!object)
		return -errno;
	error = load_rung(ladder, rung, object, links);
	flow_bpf__destroy(object);
	return error;
}

/* Returns 0, or negative errno of the worst rung. */
static int serve(struct ebpf_ladder *ladder, size_t index)
{
	struct source_slot *slot = &ladder->slots[index];
	bool disabled = ebpf_slots_listed(ladder->options->disable_slots, slot->name);
	int error = -ENOENT;

	for (size_t i = 0; i < slot->rung_count; i++) {
		error = disabled ? -ECANCELED
				 : try_rung(ladder, &ebpf_slots_at(index)->rungs[i],
					   ladder->links[index]);
		slot->rungs[i].error = -error;
		if (error == 0) {
			slot->serving = (int)i;
			break;
		}
	}
	return error;
}

int ebpf_ladder_climb(struct ebpf_ladder *ladder)
{
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++) {
		int error = serve(ladder, i);

		if (error && ebpf_slots_at(i)->required)
			return error;
	}
	return 0;
}

const struct source_slot *ebpf_ladder_slots(const struct ebpf_ladder *ladder)
{
	return ladder->slots;
}

int ebpf_ladder_map(const struct ebpf_ladder *ladder, const char *name)
{
	return bpf_object__find_map_fd_by_name(ladder->maps->obj, name);
}

int ebpf_ladder_iterate(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot, size_t index)
{
	const struct bpf_link *link =
		index < EBPF_RUNG_PROGRAMS_MAX ? ladder->links[slot][index] : NULL;
	int fd;

	if (!link)
		return -ENOENT;
	fd = bpf_iter_create(bpf_link__fd(link));
	return fd < 0 ? -errno : fd;
}

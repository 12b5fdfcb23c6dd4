/* An object is closed as soon as its programs are attached: the links keep them. */
#include "source/ebpf_ladder.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "flow.skel.h"
#include "source/ebpf_uprobe.h"
#include "util/hash.h"

/* A program that serves. */
struct attached {
	struct bpf_link *link;
	int program; /* descriptor, 0 none: its counters are read by it */
};

struct ebpf_ladder {
	const struct source_ebpf_options *options;
	struct ebpf_pin *pin;  /* NULL: nothing is pinned */
	bool adopted;          /* the maps, and what links there are, were pinned before */
	struct flow_bpf *maps; /* an object without programs */
	bool has_storage;      /* else the hash: see maps.bpf.h */
	bool has_use;          /* slot use is served */
	bool has_task_btf;
	int names_error; /* why slot datagram does not hear names, negative errno; 0 it does */
	int cgroup_fd;   /* negative errno: there is no cgroup v2 to attach to */
	struct source_slot slots[EBPF_SLOT_COUNT];
	struct attached attached[EBPF_SLOT_COUNT][EBPF_RUNG_PROGRAMS_MAX];
};

/* libbpf's own words would be many lines for each refused program. */
static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Tells this daemon's sweeps from those of the daemons before. Never 0. */
static uint16_t start_number(const struct ebpf_ladder *ladder)
{
	uint64_t starts = ladder->pin ? ebpf_pin_state(ladder->pin)->starts : 0;

	return (uint16_t)(starts % UINT16_MAX + 1);
}

/* The object with nothing to load but its maps. */
static struct flow_bpf *open_object(const struct ebpf_ladder *ladder)
{
	const struct source_ebpf_options *options = ladder->options;
	struct flow_bpf *object = flow_bpf__open();
	struct bpf_program *program;

	if (!object)
		return NULL;
	object->rodata->ring_wakeup_octets = options->ring_octets / 2;
	object->rodata->start_number = start_number(ladder);
	object->rodata->packet_ends_seen = ladder->slots[EBPF_SLOT_PACKET].serving >= 0;
	object->rodata->datagram_idle_ns = (uint64_t)options->idle_timeout_ns;
	object->rodata->hear_names = options->hear_names && !ladder->names_error;
	object->rodata->has_storage = ladder->has_storage;
	object->rodata->has_use = ladder->has_use;
	object->rodata->has_task_btf = ladder->has_task_btf;
	bpf_map__set_max_entries(object->maps.ring, (uint32_t)options->ring_octets);
	if (!options->hear_names) /* the least that is a ring */
		bpf_map__set_max_entries(object->maps.heads, (uint32_t)sysconf(_SC_PAGESIZE));
	bpf_map__set_max_entries(object->maps.peers, options->max_peers);
	bpf_map__set_max_entries(object->maps.seen, options->max_processes);
	bpf_map__set_autocreate(object->maps.sockets, ladder->has_storage);
	bpf_map__set_autocreate(object->maps.first_peers, ladder->has_storage);
	bpf_map__set_autocreate(object->maps.socket_hash, !ladder->has_storage);
	bpf_map__set_autocreate(object->maps.calls, !ladder->has_storage);
	bpf_object__for_each_program(program, object->obj)
		bpf_program__set_autoload(program, false);
	return object;
}

static int share_maps(const struct ebpf_ladder *ladder, struct flow_bpf *object)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, object->obj) if (!bpf_map__is_internal(map) &&
						       bpf_map__autocreate(map) && error == 0)
		error = bpf_map__reuse_fd(map, ebpf_ladder_map(ladder, bpf_map__name(map)));
	return error;
}

/* A mount of our own, that nobody sees. The kernel has the hierarchy anyway, and every process is
 * in it. Needs CAP_SYS_ADMIN. */
static int mount_cgroup_root(void)
{
	int context = fsopen("cgroup2", FSOPEN_CLOEXEC), fd = -1;

	if (context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (context >= 0)
		close(context);
	return fd < 0 ? -ENOENT : fd; /* said as what it is: not mounted */
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
	if (fd == -ENOENT)
		return mount_cgroup_root();
	return fd < 0 ? -errno : fd;
}

/* Stands for all that a daemon must share with the one whose programs it takes over. */
static uint64_t layout_of(const struct source_ebpf_options *options)
{
	const struct hash_key key = {0x6c617374636f6e6e, 0x6c61796f7574};
	const uint64_t numbers[] = {options->ring_octets, options->max_peers,
		options->max_processes, (uint64_t)options->idle_timeout_ns, options->hear_names};
	uint64_t parts[4] = {hash_octets(&key, numbers, sizeof(numbers))};
	size_t size;
	const void *object = flow_bpf__elf_bytes(&size);

	parts[1] = hash_octets(&key, object, size);
	if (options->disable_slots)
		parts[2] =
			hash_octets(&key, options->disable_slots, strlen(options->disable_slots));
	if (options->disable_programs)
		parts[3] = hash_octets(
			&key, options->disable_programs, strlen(options->disable_programs));
	return hash_octets(&key, parts, sizeof(parts)) | 1; /* 0 is no layout */
}

/* The next map that the programs share, after map. */
static struct bpf_map *next_map(const struct ebpf_ladder *ladder, struct bpf_map *map)
{
	do
		map = bpf_object__next_map(ladder->maps->obj, map);
	while (map && (bpf_map__is_internal(map) || !bpf_map__autocreate(map)));
	return map;
}

/* A map that is missing would be made anew, unknown to the programs that run. */
static bool maps_are_pinned(const struct ebpf_ladder *ladder)
{
	char path[EBPF_PIN_PATH_MAX];

	for (struct bpf_map *map = next_map(ladder, NULL); map; map = next_map(ladder, map))
		if (access(ebpf_pin_path(ladder->pin, EBPF_PIN_MAP, bpf_map__name(map), path),
			    F_OK) < 0)
			return false;
	return true;
}

/* Under their paths libbpf takes the maps that are pinned there, if they are the same, and pins
 * those that it makes. */
static int load_maps(struct ebpf_ladder *ladder)
{
	char path[EBPF_PIN_PATH_MAX];
	int error = 0;

	for (struct bpf_map *map = ladder->pin ? next_map(ladder, NULL) : NULL; map && error == 0;
		map = next_map(ladder, map))
		error = bpf_map__set_pin_path(
			map, ebpf_pin_path(ladder->pin, EBPF_PIN_MAP, bpf_map__name(map), path));
	return error ? error : flow_bpf__load(ladder->maps);
}

static bool adopt_maps(struct ebpf_ladder *ladder)
{
	char path[EBPF_PIN_PATH_MAX];

	if (!ladder->pin || !ebpf_pin_adopt(ladder->pin, layout_of(ladder->options)))
		return false;
	ladder->has_storage =
		access(ebpf_pin_path(ladder->pin, EBPF_PIN_MAP, "socket_hash", path), F_OK) < 0;
	ladder->has_use = ebpf_pin_state(ladder->pin)->slots[EBPF_SLOT_USE].serving >= 0;
	ladder->maps = open_object(ladder);
	ladder->adopted = ladder->maps && maps_are_pinned(ladder) && load_maps(ladder) == 0;
	if (!ladder->adopted) {
		flow_bpf__destroy(ladder->maps);
		ladder->maps = NULL;
		ebpf_pin_remove(ladder->pin);
	}
	return ladder->adopted;
}

static int make_maps(struct ebpf_ladder *ladder)
{
	int error = ladder->pin ? ebpf_pin_begin(ladder->pin) : 0;

	if (error)
		return error;
	ladder->maps = open_object(ladder);
	return ladder->maps ? load_maps(ladder) : -errno;
}

static void detach(struct attached *attached)
{
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX; i++) {
		struct bpf_link *link = attached[i].link;

		if (link && bpf_link__pin_path(link))
			bpf_link__disconnect(link); /* a probe's would be switched off */
		bpf_link__destroy(link);
		if (attached[i].program > 0)
			close(attached[i].program);
		attached[i] = (struct attached){0};
	}
}

void ebpf_ladder_free(struct ebpf_ladder *ladder)
{
	if (!ladder)
		return;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		detach(ladder->attached[i]);
	flow_bpf__destroy(ladder->maps);
	if (ladder->cgroup_fd >= 0)
		close(ladder->cgroup_fd);
	free(ladder);
}

/* The map that the program is an iterator over; NULL none. */
static const char *iterated_map(const struct bpf_program *program)
{
	if (strcmp(bpf_program__section_name(program), "iter/bpf_sk_storage_map") == 0)
		return "sockets";
	return strcmp(bpf_program__section_name(program), "iter/bpf_map_elem") == 0 ? "socket_hash"
										    : NULL;
}

static struct bpf_link *attach_iterator(
	const struct ebpf_ladder *ladder, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, options);
	const char *map = iterated_map(program);
	int fd = map ? ebpf_ladder_map(ladder, map) : 0;
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)fd};

	if (fd < 0) { /* the sockets' state is elsewhere */
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (map) {
		options.link_info = &info;
		options.link_info_len = sizeof(info);
	}
	return bpf_program__attach_iter(program, &options);
}

/* Then its programs are attached to files that are found later: see ebpf_libraries.h. */
static bool is_uprobe(const struct ebpf_rung *rung)
{
	return strcmp(rung->name, "uprobe") == 0;
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

/* Is there the function that the section names? Of a probe's the kernel says so when it is
 * attached. */
static bool has_target(struct bpf_program *program)
{
	return bpf_program__type(program) != BPF_PROG_TYPE_TRACING ||
	       bpf_program__set_attach_target(
		       program, 0, strchr(bpf_program__section_name(program), '/') + 1) == 0;
}

static int attach_rung(const struct ebpf_ladder *ladder, const struct ebpf_rung *rung,
	const struct flow_bpf *object, struct attached *attached)
{
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++) {
		const struct bpf_program *program =
			bpf_object__find_program_by_name(object->obj, ebpf_slots_program(rung, i));

		if (bpf_program__autoload(program) && !is_uprobe(rung))
			attached[i].link = attach_program(ladder, program);
		if (attached[i].link || is_uprobe(rung))
			attached[i].program = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 1);
		else if (!ebpf_slots_is_optional(rung, i))
			return -errno;
	}
	return 0;
}

static int load_rung(const struct ebpf_ladder *ladder, const struct ebpf_rung *rung,
	struct flow_bpf *object, struct attached *attached)
{
	int error = share_maps(ladder, object);

	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(object->obj, ebpf_slots_program(rung, i));

		bpf_program__set_autoload(
			program, !ebpf_slots_is_optional(rung, i) || has_target(program));
		if (is_uprobe(rung))
			bpf_program__set_expected_attach_type(
				program, (enum bpf_attach_type)EBPF_UPROBE_ATTACH_TYPE);
	}
	if (!error)
		error = flow_bpf__load(object);
	if (!error)
		error = attach_rung(ladder, rung, object, attached);
	if (!error && is_uprobe(rung))
		error = ebpf_uprobe_try(attached[0].program, attached[1].program);
	if (error)
		detach(attached);
	return error;
}

/* All programs of the rung, or none. Returns 0 or negative errno. */
static int try_rung(
	const struct ebpf_ladder *ladder, const struct ebpf_rung *rung, struct attached *attached)
{
	struct flow_bpf *object;
	int error;

	if (ebpf_slots_has_program(rung, ladder->options->disable_programs))
		return -ECANCELED;
	object = open_object(ladder);
	if (!object)
		return -errno;
	error = load_rung(ladder, rung, object, attached);
	flow_bpf__destroy(object);
	return error;
}

/* What is said of a rung besides how it went. */
static void describe_rungs(struct ebpf_ladder *ladder, size_t index)
{
	const struct ebpf_slot *slot = ebpf_slots_at(index);
	struct source_slot *told = &ladder->slots[index];

	if (slot->hash_rung)
		told->rungs[slot->hash_rung].unfit = ladder->has_storage;
	told->partial = slot->partial_rung && told->serving == (int)slot->partial_rung;
}

/* How it went with slot datagram, whose programs serve slot names, too. */
static int error_of_names(const struct ebpf_ladder *ladder)
{
	const struct source_slot *whole = &ladder->slots[EBPF_SLOT_DATAGRAM];

	return whole->serving >= 0 ? ladder->names_error
				   : -whole->rungs[whole->rung_count - 1].error;
}

/* Without names, if the kernel does not take the programs with them. */
static int try_datagram(struct ebpf_ladder *ladder, const struct ebpf_rung *rung)
{
	struct attached *attached = ladder->attached[EBPF_SLOT_DATAGRAM];
	int error = try_rung(ladder, rung, attached);

	if (!error || !ladder->options->hear_names || ladder->names_error)
		return error;
	ladder->names_error = error;
	return try_rung(ladder, rung, attached);
}

/* Returns 0 or negative errno. */
static int serve_by(struct ebpf_ladder *ladder, size_t index, size_t rung)
{
	const struct ebpf_slot *slot = ebpf_slots_at(index);

	if (ebpf_slots_listed(ladder->options->disable_slots, slot->name))
		return -ECANCELED;
	if (index == EBPF_SLOT_NAMES)
		return error_of_names(ladder);
	if (index == EBPF_SLOT_DATAGRAM)
		return try_datagram(ladder, &slot->rungs[rung]);
	return try_rung(ladder, &slot->rungs[rung], ladder->attached[index]);
}

/* Returns 0, or negative errno of the worst rung. */
static int serve(struct ebpf_ladder *ladder, size_t index)
{
	struct source_slot *slot = &ladder->slots[index];
	int error = -ENOENT;

	slot->serving = -1;
	describe_rungs(ladder, index);
	for (size_t i = 0; i < slot->rung_count; i++) {
		if (slot->rungs[i].unfit)
			continue;
		error = serve_by(ladder, index, i);
		slot->rungs[i].error = -error;
		if (error == 0) {
			slot->serving = (int)i;
			break;
		}
	}
	describe_rungs(ladder, index);
	return error;
}

static void unpin(
	const struct ebpf_ladder *ladder, const struct ebpf_rung *rung, struct attached *attached)
{
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++) {
		if (attached[i].link && bpf_link__pin_path(attached[i].link))
			bpf_link__unpin(attached[i].link);
		ebpf_pin_drop(ladder->pin, EBPF_PIN_LINK, ebpf_slots_program(rung, i));
		ebpf_pin_drop(ladder->pin, EBPF_PIN_PROGRAM, ebpf_slots_program(rung, i));
	}
}

static void adopt_program(const struct ebpf_pin *pin, const char *name, struct attached *attached)
{
	char path[EBPF_PIN_PATH_MAX];
	int program;

	if (ebpf_pin_has_link(pin, name))
		attached->link = bpf_link__open(ebpf_pin_path(pin, EBPF_PIN_LINK, name, path));
	program = bpf_obj_get(ebpf_pin_path(pin, EBPF_PIN_PROGRAM, name, path));
	if (program > 0)
		attached->program = program;
}

/* Opens the pinned links of the rung: all of them, or none and what is left of them goes. */
static bool adopt_links(
	const struct ebpf_ladder *ladder, const struct ebpf_rung *rung, struct attached *attached)
{
	bool any = false, all = true, found;

	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i]; i++) {
		adopt_program(ladder->pin, ebpf_slots_program(rung, i), &attached[i]);
		found = attached[i].link || (is_uprobe(rung) && attached[i].program > 0);
		any = any || found;
		all = all && (found || ebpf_slots_is_optional(rung, i));
	}
	if (any && all)
		return true;
	unpin(ladder, rung, attached);
	detach(attached);
	return false;
}

static bool adopt_slot(struct ebpf_ladder *ladder, size_t index)
{
	const struct ebpf_pin_state *state = ebpf_pin_state(ladder->pin);
	struct source_slot *slot = &ladder->slots[index];
	int serving = state->slots[index].serving;

	if (serving < 0 || (size_t)serving >= slot->rung_count ||
		!adopt_links(
			ladder, &ebpf_slots_at(index)->rungs[serving], ladder->attached[index]))
		return false;
	for (int i = 0; i < serving; i++)
		slot->rungs[i].error = state->slots[index].errors[i];
	slot->serving = serving;
	slot->kept = true;
	if (index == EBPF_SLOT_DATAGRAM)
		ladder->names_error = -state->slots[EBPF_SLOT_NAMES].errors[0];
	describe_rungs(ladder, index);
	return true;
}

static bool runs_when_asked(const struct ebpf_rung *rung)
{
	return strcmp(rung->name, "iter") == 0;
}

static int pin_program(
	const struct ebpf_pin *pin, const char *name, const struct attached *attached)
{
	char path[EBPF_PIN_PATH_MAX];
	int error = 0;

	if (attached->link)
		error = bpf_link__pin(
			attached->link, ebpf_pin_path(pin, EBPF_PIN_LINK, name, path));
	if (!error && attached->program > 0)
		error = bpf_obj_pin(
			attached->program, ebpf_pin_path(pin, EBPF_PIN_PROGRAM, name, path));
	return error;
}

/* Links that cannot be pinned (probes before Linux 5.15) end with the daemon: the slot has a hole
 * then, see source_slot.kept. */
static void pin_slot(struct ebpf_ladder *ladder, size_t index)
{
	struct attached *attached = ladder->attached[index];
	const struct ebpf_rung *rung;
	int error = 0;

	rung = &ebpf_slots_at(index)->rungs[ladder->slots[index].serving];
	if (runs_when_asked(rung)) {
		ladder->slots[index].kept = ladder->adopted;
		return;
	}
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX && rung->programs[i] && error == 0; i++)
		error = pin_program(ladder->pin, ebpf_slots_program(rung, i), &attached[i]);
	if (error)
		unpin(ladder, rung, attached);
}

/* For the daemon that takes over. */
static void leave_state(const struct ebpf_ladder *ladder)
{
	struct ebpf_pin_state *state = ebpf_pin_state(ladder->pin);

	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++) {
		state->slots[i].serving = ladder->slots[i].serving;
		for (size_t j = 0; j < SOURCE_RUNGS_MAX; j++)
			state->slots[i].errors[j] = ladder->slots[i].rungs[j].error;
	}
	state->starts++;
	state->layout = layout_of(ladder->options);
}

/* The maps, and the two slots that tell which ones they must be. */
static int begin(struct ebpf_ladder *ladder, bool has_storage, int *ret_use_error)
{
	int error;

	detach(ladder->attached[EBPF_SLOT_TCP]);
	detach(ladder->attached[EBPF_SLOT_USE]);
	if (ladder->maps && ladder->pin)
		ebpf_pin_remove(ladder->pin);
	flow_bpf__destroy(ladder->maps);
	ladder->has_storage = has_storage;
	error = make_maps(ladder);
	if (error)
		return error;
	*ret_use_error = serve(ladder, EBPF_SLOT_USE); /* the others must know */
	ladder->has_use = *ret_use_error == 0;
	return serve(ladder, EBPF_SLOT_TCP);
}

/* The storage of the sockets, if the kernel lets slot tcp use it. Not if only probes would serve
 * slot use: they never may. */
static int choose_store(struct ebpf_ladder *ladder)
{
	bool may_store = !ebpf_slots_listed(ladder->options->disable_programs, "sweep_sockets");
	int use_error = 0;
	int error = begin(ladder, may_store, &use_error);

	if (!may_store || (!error && (!use_error || use_error == -ECANCELED)))
		return error;
	if (begin(ladder, false, &use_error) == 0 && (error || !use_error))
		return 0;
	return error ? error : begin(ladder, true, &use_error);
}

int ebpf_ladder_new(const struct source_ebpf_options *options, struct ebpf_pin *pin,
	struct ebpf_ladder **ret_ladder)
{
	struct ebpf_ladder *ladder = calloc(1, sizeof(*ladder));
	int error;

	if (!ladder)
		return -ENOMEM;
	libbpf_set_print(be_quiet);
	ladder->options = options;
	ladder->pin = pin;
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++)
		ladder->slots[i] = ebpf_slots_public(ebpf_slots_at(i));
	ladder->cgroup_fd = open_cgroup_root();
	if (ebpf_slots_listed(options->disable_slots, SOURCE_SLOT_NAMES))
		ladder->names_error = -ECANCELED;
	ladder->has_task_btf = libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK,
				       BPF_FUNC_get_current_task_btf, NULL) == 1;
	error = adopt_maps(ladder) ? 0 : choose_store(ladder);
	if (error) {
		ebpf_ladder_free(ladder);
		return error;
	}
	*ret_ladder = ladder;
	return 0;
}

/* With the programs of another slot, which was climbed before. */
static int climb_names(struct ebpf_ladder *ladder)
{
	int error = serve(ladder, EBPF_SLOT_NAMES);

	ladder->slots[EBPF_SLOT_NAMES].kept = ladder->slots[EBPF_SLOT_DATAGRAM].kept;
	return error;
}

/* Returns 0, or negative errno if nothing serves the slot. */
static int climb_slot(struct ebpf_ladder *ladder, size_t index)
{
	bool begun = !ladder->adopted && (index == EBPF_SLOT_TCP || index == EBPF_SLOT_USE);
	int error = 0;

	if (index == EBPF_SLOT_NAMES)
		return climb_names(ladder);
	if (ladder->adopted && adopt_slot(ladder, index))
		return 0;
	if (!begun)
		error = serve(ladder, index);
	if (ladder->pin && ladder->slots[index].serving >= 0)
		pin_slot(ladder, index);
	return error;
}

int ebpf_ladder_climb(struct ebpf_ladder *ladder)
{
	for (size_t i = 0; i < EBPF_SLOT_COUNT; i++) {
		int error = climb_slot(ladder, i);

		if (error && ebpf_slots_at(i)->required)
			return error;
	}
	if (ladder->pin)
		leave_state(ladder);
	return 0;
}

bool ebpf_ladder_adopted(const struct ebpf_ladder *ladder)
{
	return ladder->adopted;
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
		index < EBPF_RUNG_PROGRAMS_MAX ? ladder->attached[slot][index].link : NULL;
	int fd;

	if (!link)
		return -ENOENT;
	fd = bpf_iter_create(bpf_link__fd(link));
	return fd < 0 ? -errno : fd;
}

int ebpf_ladder_program(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot, size_t index)
{
	int program = ladder->attached[slot][index].program;

	return program > 0 ? program : -ENOENT;
}

/* How often the kernel ran past the program. Counted since Linux 5.12. */
static uint64_t skips_of(const struct attached *attached)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	if (attached->program <= 0 || bpf_obj_get_info_by_fd(attached->program, &info, &size) < 0)
		return 0;
	return info.recursion_misses;
}

uint64_t ebpf_ladder_skips(const struct ebpf_ladder *ladder, enum ebpf_slot_index slot)
{
	uint64_t skips = 0;

	if (slot == EBPF_SLOT_TCP) /* what one of its programs misses the other one does */
		return 0;
	for (size_t i = 0; i < EBPF_RUNG_PROGRAMS_MAX; i++)
		skips += skips_of(&ladder->attached[slot][i]);
	return skips;
}

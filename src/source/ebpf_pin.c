/* Names: "map_NAME", "link_PROGRAM", "prog_PROGRAM" and "state"; bpffs allows no dots. Whatever
 * else is in the directory is left alone. */
#include "source/ebpf_pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct ebpf_pin {
	char directory[EBPF_PIN_PATH_MAX / 2];
	int fd; /* of the directory */
	struct ebpf_pin_state *state;
};

static const char *const prefixes[] = {
	[EBPF_PIN_MAP] = "map_",
	[EBPF_PIN_LINK] = "link_",
	[EBPF_PIN_PROGRAM] = "prog_",
};
static const char state_name[] = "state";

__attribute__((format(printf, 3, 4))) static int fail(
	char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return -1;
}

static int check_directory(const struct ebpf_pin *pin, bool own, char *why, size_t size)
{
	struct stat stat;
	struct statfs fs;

	if (fstatfs(pin->fd, &fs) < 0 || fstat(pin->fd, &stat) < 0)
		return fail(why, size, "%s", strerror(errno));
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return fail(why, size,
			"it is not in a BPF file system; mount one: "
			"mount -t bpf bpf /sys/fs/bpf");
	if ((stat.st_uid != geteuid() && (own || geteuid() != 0)) || (stat.st_mode & 077))
		return fail(
			why, size, "it belongs to another user, or is open to others; remove it");
	if (flock(pin->fd, LOCK_EX | LOCK_NB) < 0)
		return fail(why, size, "another lastconnd uses it");
	return 0;
}

static int open_directory(struct ebpf_pin *pin, bool own, char *why, size_t size)
{
	pin->fd = open(pin->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (pin->fd < 0)
		return fail(why, size, "%s", strerror(errno));
	return check_directory(pin, own, why, size);
}

static void unmap_state(struct ebpf_pin *pin)
{
	if (pin->state)
		munmap(pin->state, sizeof(*pin->state));
	pin->state = NULL;
}

void ebpf_pin_free(struct ebpf_pin *pin)
{
	if (!pin)
		return;
	unmap_state(pin);
	if (pin->fd >= 0)
		close(pin->fd);
	free(pin);
}

/* NULL, with a word in why: no memory, or the path is too long. */
static struct ebpf_pin *pin_new(const char *directory, char *why, size_t size)
{
	struct ebpf_pin *pin = calloc(1, sizeof(*pin));

	if (!pin) {
		fail(why, size, "out of memory");
		return NULL;
	}
	pin->fd = -1;
	if (strlen(directory) < sizeof(pin->directory)) {
		snprintf(pin->directory, sizeof(pin->directory), "%s", directory);
		return pin;
	}
	fail(why, size, "the path is too long");
	free(pin);
	return NULL;
}

int ebpf_pin_open(const char *directory, struct ebpf_pin **ret_pin, char *why, size_t why_size)
{
	struct ebpf_pin *pin;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return fail(why, why_size, "%s", strerror(errno));
	pin = pin_new(directory, why, why_size);
	if (pin && open_directory(pin, true, why, why_size) == 0) {
		*ret_pin = pin;
		return 0;
	}
	ebpf_pin_free(pin);
	return -1;
}

static const char *path_of(const struct ebpf_pin *pin, const char *prefix, const char *name,
	char path[static EBPF_PIN_PATH_MAX])
{
	snprintf(path, EBPF_PIN_PATH_MAX, "%s/%s%s", pin->directory, prefix, name);
	return path;
}

const char *ebpf_pin_path(const struct ebpf_pin *pin, enum ebpf_pin_kind kind, const char *name,
	char path[static EBPF_PIN_PATH_MAX])
{
	return path_of(pin, prefixes[kind], name, path);
}

/* A whole page: what mmap(2) gives. */
static int map_state(struct ebpf_pin *pin, int map_fd)
{
	void *state =
		mmap(NULL, sizeof(*pin->state), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

	if (state == MAP_FAILED)
		return -errno;
	pin->state = state;
	return 0;
}

/* A foreign object under the name is no state. */
static int open_state(struct ebpf_pin *pin)
{
	char path[EBPF_PIN_PATH_MAX];
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	int fd = bpf_obj_get(path_of(pin, "", state_name, path)), error;

	if (fd < 0)
		return -errno;
	error = bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? -errno : 0;
	if (!error && (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(*pin->state)))
		error = -EINVAL;
	if (!error)
		error = map_state(pin, fd);
	close(fd);
	return error;
}

bool ebpf_pin_adopt(struct ebpf_pin *pin, uint64_t layout)
{
	if (open_state(pin) == 0 && pin->state->layout == layout && pin->state->ring != 0)
		return true;
	ebpf_pin_remove(pin);
	return false;
}

int ebpf_pin_begin(struct ebpf_pin *pin)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	char path[EBPF_PIN_PATH_MAX];
	int error, fd;

	unmap_state(pin);
	fd = bpf_map_create(
		BPF_MAP_TYPE_ARRAY, state_name, sizeof(uint32_t), sizeof(*pin->state), 1, &options);
	if (fd < 0)
		return -errno;
	error = bpf_obj_pin(fd, path_of(pin, "", state_name, path)) < 0 ? -errno
									: map_state(pin, fd);
	close(fd);
	if (error)
		return error;
	while (pin->state->ring == 0)
		if (getrandom(&pin->state->ring, sizeof(pin->state->ring), 0) < 0)
			return -errno;
	return 0;
}

struct ebpf_pin_state *ebpf_pin_state(const struct ebpf_pin *pin)
{
	return pin->state;
}

/* What a name holds is only seen by opening it; the kernel says what a descriptor is of. */
bool ebpf_pin_has_link(const struct ebpf_pin *pin, const char *name)
{
	char path[EBPF_PIN_PATH_MAX], proc[64], what[64] = "";
	int fd = bpf_obj_get(ebpf_pin_path(pin, EBPF_PIN_LINK, name, path));
	bool is_link;

	if (fd < 0)
		return false;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	is_link = readlink(proc, what, sizeof(what) - 1) > 0 &&
		  (strstr(what, "bpf-link") || strstr(what, "bpf_link"));
	close(fd);
	return is_link;
}

void ebpf_pin_drop(const struct ebpf_pin *pin, enum ebpf_pin_kind kind, const char *name)
{
	char path[EBPF_PIN_PATH_MAX];

	unlink(ebpf_pin_path(pin, kind, name, path));
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return strcmp(name, state_name) == 0;
}

void ebpf_pin_remove(struct ebpf_pin *pin)
{
	int fd = openat(pin->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	unmap_state(pin);
	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(entries)))
		if (is_ours(entry->d_name))
			unlinkat(pin->fd, entry->d_name, 0);
	closedir(entries);
}

/* One that somebody else made for us stays, and what is foreign in it. */
static void remove_directory(const struct ebpf_pin *pin, const char *directory)
{
	struct stat status;

	if (fstat(pin->fd, &status) == 0 && status.st_uid == geteuid())
		rmdir(directory);
}

int ebpf_pin_unload(const char *directory, char *why, size_t why_size)
{
	struct ebpf_pin *pin;
	int status;

	if (access(directory, F_OK) < 0 && errno == ENOENT)
		return 0;
	pin = pin_new(directory, why, why_size);
	if (!pin)
		return -1;
	status = open_directory(pin, false, why, why_size);
	if (status == 0) {
		ebpf_pin_remove(pin);
		remove_directory(pin, directory);
	}
	ebpf_pin_free(pin);
	return status;
}

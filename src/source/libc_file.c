/* A process may have made the file that it loaded, its name and all directories above it: so its
 * path is looked up as from the process's own root, in what the kernel has cached only
 * (Linux 5.12), never on a file system that a user or a network peer serves, which could keep us
 * waiting for ever, and only what is an ordinary file is opened. Before Linux 5.12 such a file
 * system can, as can a process whose memory is being changed: who calls must be able to wait. */
#include "source/libc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "process/elf_symbol.h"
#include "util/mount.h"

enum {
	FILE_MAX = 32 << 20, /* octets of a C library */
	LINES_MAX = 32768,   /* of a list of /proc that are read */
	LINE_SIZE = 4096 + 128,
};

static const char *const usual_paths[LIBC_FILE_USUAL_MAX] = {
	"/lib64/libc.so.6",
	"/usr/lib/libc.so.6",
#if defined(__x86_64__)
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/lib/ld-musl-x86_64.so.1",
#elif defined(__aarch64__)
	"/lib/aarch64-linux-gnu/libc.so.6",
	"/lib/ld-musl-aarch64.so.1",
#endif
};

bool libc_file_same(const struct libc_file_id *a, const struct libc_file_id *b)
{
	return a->device == b->device && a->inode == b->inode;
}

/* From a descriptor that may be O_PATH. Takes it over. */
static int open_regular(int fd, struct libc_file_id *ret_id, int *ret_fd)
{
	struct stat status;
	char path[64];
	int error = 0, file = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &status) < 0)
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = -ENOENT;
	else if (ret_fd && (file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		error = -errno;
	close(fd);
	if (error)
		return error;
	*ret_id = (struct libc_file_id){status.st_dev, status.st_ino};
	if (ret_fd)
		*ret_fd = file;
	return 0;
}

int libc_file_usual(size_t index, struct libc_file_id *ret_id, int *ret_fd)
{
	int fd = usual_paths[index] ? open(usual_paths[index], O_PATH | O_CLOEXEC) : -1;

	if (fd < 0)
		return usual_paths[index] ? -errno : -ENOENT;
	return open_regular(fd, ret_id, ret_fd);
}

/* libc.so.6, libc-2.31.so, libc.so, libc.musl-x86_64.so.1, ld-musl-x86_64.so.1. */
bool libc_file_is_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (!strstr(name, ".so"))
		return false;
	return strncmp(name, "ld-musl-", 8) == 0 ||
	       (strncmp(name, "libc", 4) == 0 && (name[4] == '.' || name[4] == '-'));
}

static FILE *open_list(uint32_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return fopen(path, "re");
}

/* A file as a list of mapped ones tells it. */
struct mapped {
	char path[LINE_SIZE];
	struct libc_file_id id; /* which stat(2) may tell otherwise: btrfs, overlayfs */
	bool deleted;
};

/* "7f0000-7f8000 r-xp 00026000 08:01 1234 /lib/libc.so.6 (deleted)" */
static bool read_mapped(char *line, struct mapped *ret_mapped)
{
	static const char deleted[] = " (deleted)";
	const char *path = strchr(line, '/'), *permissions = strchr(line, ' ');
	unsigned long major, minor;
	size_t length;
	char *at;

	line[strcspn(line, "\n")] = '\0';
	if (!path || !permissions || !libc_file_is_name(path) ||
		strncmp(permissions, " r-x", 4) != 0)
		return false;
	at = strchr(permissions + 6, ' '); /* behind the offset */
	if (!at)
		return false;
	major = strtoul(at, &at, 16);
	minor = strtoul(at + 1, &at, 16);
	ret_mapped->id = (struct libc_file_id){makedev(major, minor), strtoul(at, NULL, 10)};
	length = strlen(path);
	ret_mapped->deleted = length >= sizeof(deleted) &&
			      strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0;
	memcpy(ret_mapped->path, path, length + 1);
	return true;
}

/* The first C library that the process executes. */
static int find_mapped(uint32_t pid, struct mapped *ret_mapped)
{
	FILE *list = open_list(pid, "maps");
	char line[LINE_SIZE];
	bool found = false;

	if (!list)
		return errno == ENOENT ? -ESRCH : -errno;
	for (int i = 0; !found && i < LINES_MAX && fgets(line, sizeof(line), list); i++)
		found = read_mapped(line, ret_mapped);
	fclose(list);
	return found ? 0 : -ENOENT;
}

static int open_below(const char *root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED,
	};
	int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;

	if (directory < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
	if (fd < 0 && errno == EINVAL) {
		how.resolve &= ~(uint64_t)RESOLVE_CACHED;
		fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
	}
	error = fd < 0 ? -errno : 0;
	close(directory);
	return error ? error : fd;
}

static bool is_served_by_others(const char *type)
{
	static const char *const types[] = {"fuse", "nfs", "cifs", "smb", "ceph", "afs"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(type, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

/* By the process's list of mounts: asking the file system itself is what must not be done. What
 * does not fit into a line is a path that others chose, and tells nothing. */
static bool is_safe_mount(uint32_t pid, long mount)
{
	FILE *list = open_list(pid, "mountinfo");
	char line[LINE_SIZE];
	bool safe = false, begins = true;

	if (!list)
		return false;
	for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), list); i++) {
		const char *type = begins ? strstr(line, " - ") : NULL;

		begins = strchr(line, '\n');
		if (type && strtol(line, NULL, 10) == mount) {
			safe = !is_served_by_others(type + 3);
			break;
		}
	}
	fclose(list);
	return safe;
}

static int open_safely(
	uint32_t pid, const char *root, const char *path, struct libc_file_id *ret_id, int *ret_fd)
{
	int fd = open_below(root, path);
	long mount;

	if (fd < 0)
		return fd;
	mount = mount_of(fd);
	if (mount >= 0 && (is_safe_mount(pid, mount) || is_safe_mount((uint32_t)getpid(), mount)))
		return open_regular(fd, ret_id, ret_fd);
	close(fd);
	return -EXDEV;
}

/* The path is that in the process's mount namespace, below its root; but of one that called
 * chroot(2) perhaps below ours, if that shows the very file. */
static int open_mapped(
	uint32_t pid, const struct mapped *mapped, struct libc_file_id *ret_id, int *ret_fd)
{
	char root[64];
	struct libc_file_id id = {0};
	int fd = -1, error;

	snprintf(root, sizeof(root), "/proc/%u/root", pid);
	error = open_safely(pid, root, mapped->path, ret_id, ret_fd);
	if (error == 0 || open_safely(pid, "/", mapped->path, &id, ret_fd ? &fd : NULL) < 0)
		return error;
	if (id.inode != mapped->id.inode) {
		if (fd >= 0)
			close(fd);
		return error;
	}
	*ret_id = id;
	if (ret_fd)
		*ret_fd = fd;
	return 0;
}

int libc_file_of(uint32_t pid, struct libc_file_id *ret_id, int *ret_fd)
{
	struct mapped mapped = {.deleted = false};
	int error = find_mapped(pid, &mapped);

	if (error)
		return error;
	if (!mapped.deleted)
		return open_mapped(pid, &mapped, ret_id, ret_fd);
	if (ret_fd)
		return -ESTALE;
	*ret_id = mapped.id;
	return 0;
}

/* Not mmap(2): who cuts the file would end us. */
static int read_whole(int fd, uint8_t **ret_octets, size_t *ret_size)
{
	struct stat status;
	size_t have = 0, size;
	uint8_t *octets;
	ssize_t got = 1;

	if (fstat(fd, &status) < 0)
		return -errno;
	size = status.st_size > 0 && status.st_size <= FILE_MAX ? (size_t)status.st_size : 0;
	octets = size ? malloc(size) : NULL;
	if (!octets)
		return size ? -ENOMEM : -EFBIG;
	while (have < size && got > 0) {
		got = pread(fd, octets + have, size - have, (off_t)have);
		have += got > 0 ? (size_t)got : 0;
	}
	*ret_octets = octets;
	*ret_size = have;
	return 0;
}

int libc_file_resolver(int fd, uint64_t *ret_offset)
{
	uint8_t *octets = NULL;
	size_t size = 0;
	int error = read_whole(fd, &octets, &size);

	if (error)
		return error;
	error = elf_symbol_offset(octets, size, "getaddrinfo", ret_offset);
	free(octets);
	return error;
}

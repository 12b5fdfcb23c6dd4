/* By system calls: the C library has no functions, and Debian 12's header not all that newer
 * kernels know. What a restricted thread may not do at all, whatever its capabilities, is to look
 * into processes that are not restricted as it is (/proc/PID/fd, exe, root): hence a thread that
 * has to do that is begun before. */
#include "daemon/privilege_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* landlock(7); the numbers of the calls are the same on all machines */
enum {
	CALL_CREATE_RULESET = 444,
	CALL_ADD_RULE = 445,
	CALL_RESTRICT_SELF = 446,
	ASK_VERSION = 1,
	RULE_PATH = 1,
	/* Versions that brought something. */
	VERSION_REFER = 2,
	VERSION_TRUNCATE = 3,
	VERSION_NET = 4,
	VERSION_IOCTL = 5,
};

#define FS_EXECUTE    (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE  (UINT64_C(1) << 2)
#define FS_READ_DIR   (UINT64_C(1) << 3)
#define FS_REMOVE     (UINT64_C(1) << 5)
#define FS_MAKE_FILE  (UINT64_C(1) << 8)
#define FS_FIRST      ((UINT64_C(1) << 13) - 1) /* all of the first version */
#define FS_REFER      (UINT64_C(1) << 13)
#define FS_TRUNCATE   (UINT64_C(1) << 14)
#define FS_IOCTL      (UINT64_C(1) << 15)
#define NET_TCP       UINT64_C(3) /* bind, connect */

/* As later kernels have it; earlier ones take the first part. */
struct ruleset {
	uint64_t fs, net;
};

struct rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

uint64_t privilege_landlock_handled(int version)
{
	uint64_t handled = FS_FIRST;

	if (version >= VERSION_REFER)
		handled |= FS_REFER;
	if (version >= VERSION_TRUNCATE)
		handled |= FS_TRUNCATE;
	if (version >= VERSION_IOCTL)
		handled |= FS_IOCTL;
	return handled;
}

uint64_t privilege_landlock_handled_net(int version)
{
	return version >= VERSION_NET ? NET_TCP : 0;
}

uint64_t privilege_landlock_wanted(int version, enum privilege_landlock_use use, int is_directory)
{
	uint64_t wanted = FS_READ_FILE, of_directories = FS_READ_DIR;

	if (use == PRIVILEGE_LANDLOCK_WRITE) {
		wanted |= FS_WRITE_FILE | FS_TRUNCATE;
		of_directories |= FS_MAKE_FILE | FS_REMOVE;
	}
	if (is_directory)
		wanted |= of_directories;
	return wanted & privilege_landlock_handled(version);
}

/* What is missing now needs no rule; what is no file (a pipe of a shell) wants none. */
static int allow(int ruleset, int version, const struct privilege_landlock_path *path)
{
	struct rule rule = {.fd = open(path->path, O_PATH | O_CLOEXEC)};
	struct stat found;
	int error = 0;

	if (rule.fd < 0)
		return 0;
	if (fstat(rule.fd, &found) < 0)
		error = -errno;
	rule.allowed = privilege_landlock_wanted(version, path->use, S_ISDIR(found.st_mode));
	if (!error && syscall(CALL_ADD_RULE, ruleset, RULE_PATH, &rule, 0) < 0 && errno != EBADFD)
		error = -errno;
	close(rule.fd);
	return error;
}

int privilege_landlock_apply(const struct privilege_landlock_path *paths, size_t count)
{
	int version = (int)syscall(CALL_CREATE_RULESET, NULL, 0, ASK_VERSION), ruleset, error = 0;
	struct ruleset handled;

	if (version < 0)
		return -EOPNOTSUPP;
	handled.fs = privilege_landlock_handled(version);
	handled.net = privilege_landlock_handled_net(version);
	ruleset = (int)syscall(CALL_CREATE_RULESET, &handled,
		version >= VERSION_NET ? sizeof(handled) : sizeof(handled.fs), 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < count && !error; i++)
		error = allow(ruleset, version, &paths[i]);
	if (!error && syscall(CALL_RESTRICT_SELF, ruleset, 0) < 0)
		error = -errno;
	close(ruleset);
	return error ? error : version;
}

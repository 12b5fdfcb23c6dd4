/* Whether a user can write the history is asked of the kernel, as that user: permissions may come
 * from lists, groups, mounts and directories far above. Never changes to a user who cannot: that is
 * an error if somebody named the user, else it goes on as it was and says what would help. */
#include "daemon/privilege_user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/privilege_capability.h"
#include "util/path.h"

enum { GROUPS_MAX = 256 };

static const uint64_t all_capabilities = UINT64_MAX;

static bool is_granted(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* The history and what lies beside it; the first one that this process cannot write into ret_path.
 */
static bool can_write(const char *db_path, char ret_path[static PATH_MAX])
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

	path_split(db_path, ret_path);
	if (!is_granted(ret_path, W_OK | X_OK))
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(ret_path, PATH_MAX, "%s%s", db_path, ends[i]);
		if (!is_granted(ret_path, R_OK | W_OK) && errno != ENOENT)
			return false;
	}
	return true;
}

static bool can_read(const struct config *config, char ret_path[static PATH_MAX])
{
	for (size_t i = 0; i < config->read_count; i++) {
		snprintf(ret_path, PATH_MAX, "%s", config->read_paths[i]);
		if (strcmp(ret_path, "-") != 0 && !is_granted(ret_path, R_OK) && errno != ENOENT)
			return false;
	}
	return true;
}

static bool can_work(const struct config *config, char ret_path[static PATH_MAX])
{
	return can_write(config->db_path, ret_path) && can_read(config, ret_path);
}

/* Asks the kernel as that user, in its first group alone. Returns 1 yes, 0 no, with the path, or
 * negative errno. */
static int could_work(const struct privilege_user *user, const struct config *config,
	char ret_path[static PATH_MAX])
{
	gid_t groups[GROUPS_MAX], own = getegid();
	int count = getgroups(GROUPS_MAX, groups), result;

	if (count < 0 || setgroups(0, NULL) < 0)
		return -errno;
	if (setegid(user->gid) < 0 || seteuid(user->uid) < 0)
		result = -errno;
	else
		result = can_work(config, ret_path);
	if (seteuid(0) < 0 || setegid(own) < 0 || setgroups((size_t)count, groups) < 0)
		return -errno;
	return result;
}

static void name_user(struct privilege_user *user, const struct passwd *entry)
{
	user->known = entry != NULL;
	if (entry) {
		user->gid = entry->pw_gid;
		snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
	} else {
		snprintf(user->name, sizeof(user->name), "%u", (unsigned)user->uid);
	}
}

/* Of the file, or of the directory in which it will be; root where everybody may write. */
static void find_owner(const char *db_path, struct privilege_user *user)
{
	char dir[PATH_MAX];
	struct stat found, above;

	path_split(db_path, dir);
	user->uid = user->gid = 0;
	if (stat(dir, &above) < 0 || above.st_mode & S_IWOTH)
		return;
	if (stat(db_path, &found) < 0)
		found = above;
	user->uid = found.st_uid;
	user->gid = found.st_gid;
}

static int stay(struct privilege_user *user, const char *why)
{
	user->change = false;
	snprintf(user->why, sizeof(user->why), "%s", why);
	return 0;
}

static int choose_owner(const struct config *config, struct privilege_user *user)
{
	char path[PATH_MAX] = "";
	int able;

	find_owner(config->db_path, user);
	if (user->uid == 0)
		return stay(user, "the history belongs to root");
	name_user(user, getpwuid(user->uid));
	able = could_work(user, config, path);
	if (able < 0)
		return stay(user, "this process may not change its user");
	user->change = able > 0;
	snprintf(user->why, sizeof(user->why),
		able ? "the history belongs to this user"
		     : "the history belongs to user %.40s, who may "
		       "not use %.120s: chown it to that user",
		user->name, path);
	return 0;
}

static int choose_named(
	const struct config *config, struct privilege_user *user, char *ret_why, size_t size)
{
	const struct passwd *entry = getpwnam(config->user);
	char path[PATH_MAX] = "";
	int able;

	if (!entry) {
		snprintf(ret_why, size, "there is no user %.64s; name another one with --user",
			config->user);
		return -1;
	}
	user->uid = entry->pw_uid;
	name_user(user, entry);
	if (user->uid == geteuid())
		return stay(user, "as asked for");
	able = geteuid() == 0 ? could_work(user, config, path) : -EPERM;
	if (able > 0) {
		user->change = true;
		return 0;
	}
	if (config->read_count > 0) /* the user of the configuration is the recorder's */
		return stay(user, "not for the user of the configuration");
	if (able < 0)
		snprintf(ret_why, size, "only root may become user %.64s: %s", user->name,
			strerror(-able));
	else
		snprintf(ret_why, size,
			"user %.64s may not use %.200s: chown it to that user, or say --user none",
			user->name, path);
	return -1;
}

int privilege_user_choose(const struct config *config, struct privilege_user *ret_user,
	char ret_why[static PRIVILEGE_TEXT_SIZE])
{
	memset(ret_user, 0, sizeof(*ret_user));
	if (strcmp(config->user, "none") == 0 || strcmp(config->user, "root") == 0)
		return stay(ret_user, "as asked for");
	if (strcmp(config->user, "auto") != 0)
		return choose_named(config, ret_user, ret_why, PRIVILEGE_TEXT_SIZE);
	if (geteuid() != 0)
		return stay(ret_user, "as it was started");
	return choose_owner(config, ret_user);
}

static int change(const struct privilege_user *user)
{
	int error = user->known ? initgroups(user->name, user->gid) : setgroups(0, NULL);

	if (error || setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

/* By hand: capng_change_id(3) drops CAP_SETPCAP, which emptying the bounding set will want. */
int privilege_user_become(const struct privilege_user *user)
{
	int error = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : change(user);

	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return error ? error : privilege_capability_use(all_capabilities);
}

/* As root is without the capabilities to pass over permissions. */
static bool is_kept_out(const struct config *config,
	bool (*can)(const struct config *config, char ret_path[static PATH_MAX]))
{
	uint64_t without = ~(UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_DAC_READ_SEARCH);
	char path[PATH_MAX];
	bool out;

	if (privilege_capability_use(without) < 0)
		return false;
	out = !can(config, path);
	privilege_capability_use(all_capabilities);
	return out;
}

static bool can_write_history(const struct config *config, char ret_path[static PATH_MAX])
{
	return can_write(config->db_path, ret_path);
}

bool privilege_user_history_is_foreign(const struct config *config)
{
	struct stat found;

	if (geteuid() != 0)
		return false;
	if (stat(config->db_path, &found) == 0 && found.st_uid != 0)
		return true;
	return is_kept_out(config, can_write_history);
}

bool privilege_user_files_are_foreign(const struct config *config)
{
	return config->read_count > 0 && is_kept_out(config, can_read);
}

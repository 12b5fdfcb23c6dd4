/* Opens the database file itself once, before SQLite does, without following a link that a
 * stranger could have put there, and locks it.
 *
 * The lock is an open file description lock (fcntl(2), F_OFD_SETLK), which the kernel drops with
 * the process, on <path>.lock, whose text names the holder's pid, and on one octet of the database
 * far beyond its end, so that another path to the same file (a hard link) is found too. The
 * descriptor of the database must stay open until SQLite has closed its own: closing any
 * descriptor of a file drops all of the process's POSIX locks on it, which SQLite uses.
 *
 * A damaged file is set aside, as <path>.damaged-<time>, only if it is known for one of ours: by
 * the lock beside it, or by its header. No more than ASIDE_MAX of them: a disk that damages file
 * after file is not filled with them. */
#include "store/store_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/sql.h"
#include "store/store_internal.h"
#include "store/store_mount.h"
#include "util/path.h"

#define LOCK_OFFSET (INT64_C(1) << 61) /* SQLite locks octets at 2^30, files end before 2^48 */

/* Of the header, https://www.sqlite.org/fileformat2.html; numbers are big-endian. */
enum {
	HEADER_PAGE_SIZE = 16,
	HEADER_PAGES = 28,
	HEADER_APPLICATION = 68,
	HEADER_SIZE = 100,
};

enum {
	ASIDE_MAX = 4,
	ASIDE_NAME_MAX = 64, /* what is added to the name */
};

static const char magic[16] = "SQLite format 3";

static uint32_t big_endian(const unsigned char *octets, int count)
{
	uint32_t value = 0;

	for (int i = 0; i < count; i++)
		value = value << 8 | octets[i];
	return value;
}

/* False: the file is no SQLite database. A new one is empty. */
static bool read_header(int fd, unsigned char ret_header[static HEADER_SIZE])
{
	ssize_t length = pread(fd, ret_header, HEADER_SIZE, 0);

	return length == HEADER_SIZE && memcmp(ret_header, magic, sizeof(magic)) == 0;
}

/* Was it written by lastconnd? The lock is looked for before it is made. */
static bool is_known(const struct store_file *file)
{
	unsigned char header[HEADER_SIZE];
	char path[PATH_MAX + ASIDE_NAME_MAX];
	struct stat lock;

	if (read_header(file->fd, header))
		return big_endian(header + HEADER_APPLICATION, 4) == STORE_APPLICATION_ID;
	snprintf(path, sizeof(path), "%s.lock", file->path);
	return lstat(path, &lock) == 0 && S_ISREG(lock.st_mode);
}

static int fail_read_only(struct store_error *ret_error, const char *path, const char *doing)
{
	char dir[PATH_MAX];

	path_split(path, dir);
	if (store_mount_is_barred(dir))
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"%s: it is on a file system that may be written, but not from here; see "
			"ReadWritePaths= of the unit, or name another file with --db",
			doing);
	return sql_fail(ret_error, STORE_RETRY, path,
		"%s: %s; check it and mount it writable, or name another file with --db", doing,
		strerror(EROFS));
}

static int fail_errno(struct store_error *ret_error, const char *path, const char *doing, int error)
{
	switch (error) {
	case ENOENT:
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"its directory does not exist; create it or name another file with --db");
	case EACCES:
	case EPERM:
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"%s: %s; run as its owner or name another file with --db", doing,
			strerror(error));
	case EROFS:
		return fail_read_only(ret_error, path, doing);
	case ENOSPC:
	case EDQUOT:
		return sql_fail(
			ret_error, STORE_FULL, path, "%s: %s; make room", doing, strerror(error));
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return sql_fail(ret_error, STORE_RETRY, path, "%s: %s", doing, strerror(error));
	case ELOOP:
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"is a symbolic link; name the file itself with --db");
	default:
		return sql_fail(
			ret_error, STORE_PERMISSION, path, "%s: %s", doing, strerror(error));
	}
}

static int fail_kind(struct store_error *ret_error, const char *path, mode_t mode)
{
	if (S_ISDIR(mode))
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"is a directory; name a file in it with --db");
	return sql_fail(ret_error, STORE_PERMISSION, path,
		"is not a regular file; name another one with --db");
}

/* May a user other than us and root put files into the directory? */
static bool others_may_write(const struct stat *dir)
{
	if (dir->st_mode & (S_IWGRP | S_IWOTH))
		return true;
	return dir->st_uid != 0 && dir->st_uid != geteuid();
}

/* The path without links. A link as the last part is followed only in a directory of our own. */
static int resolve(const char *path, struct store_file *file, struct store_error *ret_error)
{
	char dir[PATH_MAX], real_dir[PATH_MAX];
	const char *name;
	struct stat dir_stat, stat;
	int length;

	if (strlen(path) >= PATH_MAX - 8 || path[0] == '\0')
		return sql_fail(ret_error, STORE_PERMISSION, path, "is no file name");
	name = path_split(path, dir);
	if (!realpath(dir, real_dir) || lstat(real_dir, &dir_stat) < 0)
		return fail_errno(ret_error, path, "cannot be reached", errno);
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fail_kind(ret_error, path, S_IFDIR);
	if (lstat(path, &stat) == 0 && S_ISLNK(stat.st_mode)) {
		if (others_may_write(&dir_stat))
			return sql_fail(ret_error, STORE_PERMISSION, path,
				"is a symbolic link in a directory that others may write; name the "
				"file itself with --db");
		if (!realpath(path, file->path))
			return fail_errno(ret_error, path, "leads nowhere", errno);
		return 0;
	}
	length = snprintf(file->path, PATH_MAX - 8, "%s/%s",
		strcmp(real_dir, "/") == 0 ? "" : real_dir, name);
	if (length >= PATH_MAX - 8)
		return sql_fail(ret_error, STORE_PERMISSION, path, "is too long");
	return 0;
}

/* A file that a stranger left ready for us in a directory like /tmp is not taken. */
static int check_owner(const struct store_file *file, const struct stat *stat_of_file,
	struct store_error *ret_error)
{
	char dir[PATH_MAX];
	struct stat dir_stat;

	path_split(file->path, dir);
	if (stat_of_file->st_uid == geteuid() || stat_of_file->st_uid == 0)
		return 0;
	if (stat(dir, &dir_stat) < 0 || !(dir_stat.st_mode & S_IWOTH))
		return 0;
	return sql_fail(ret_error, STORE_PERMISSION, file->path,
		"belongs to user %u, in a directory that everybody may write; name another file "
		"with --db",
		(unsigned)stat_of_file->st_uid);
}

static int open_file(struct store_file *file, struct store_error *ret_error)
{
	unsigned char header[HEADER_SIZE];
	struct stat stat;

	file->fd = open(file->path,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (file->fd < 0 && errno == EISDIR)
		return fail_kind(ret_error, file->path, S_IFDIR);
	if (file->fd < 0 && errno == ENXIO)
		return fail_kind(ret_error, file->path, S_IFSOCK);
	if (file->fd < 0)
		return fail_errno(ret_error, file->path, "cannot be opened for writing", errno);
	if (fstat(file->fd, &stat) < 0)
		return fail_errno(ret_error, file->path, "cannot be examined", errno);
	if (!S_ISREG(stat.st_mode))
		return fail_kind(ret_error, file->path, stat.st_mode);
	if (check_owner(file, &stat, ret_error) < 0)
		return -1;
	file->known = is_known(file);
	if (!file->known && stat.st_size > 0 && !read_header(file->fd, header))
		return sql_fail(ret_error, STORE_CORRUPT, file->path,
			"is not a database; move it away or name another file with --db");
	return 0;
}

static int try_lock(int fd, off_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int fail_locked(const struct store_file *file, struct store_error *ret_error)
{
	char text[24] = "";
	long pid = 0;

	if (pread(file->lock_fd, text, sizeof(text) - 1, 0) > 0)
		pid = strtol(text, NULL, 10);
	if (pid > 0)
		return sql_fail(ret_error, STORE_LOCKED, file->path,
			"is written by another lastconnd, pid %ld; stop that one or name another "
			"file with --db",
			pid);
	return sql_fail(ret_error, STORE_LOCKED, file->path,
		"is written by another lastconnd, maybe by another path; stop that one or name "
		"another file with --db");
}

static int write_pid(int fd)
{
	char text[24];
	int length = sprintf(text, "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length)
		return -errno;
	return 0;
}

static int take_locks(struct store_file *file, struct store_error *ret_error)
{
	char path[PATH_MAX + 8];
	int error;

	snprintf(path, sizeof(path), "%s.lock", file->path);
	file->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	if (file->lock_fd < 0)
		return fail_errno(ret_error, path, "cannot be opened for writing", errno);
	error = try_lock(file->lock_fd, 0);
	if (!error)
		error = try_lock(file->fd, (off_t)LOCK_OFFSET);
	if (error == -EAGAIN || error == -EACCES)
		return fail_locked(file, ret_error);
	if (!error)
		error = write_pid(file->lock_fd);
	if (error)
		return fail_errno(ret_error, path, "cannot be locked", -error);
	return 0;
}

int store_path_claim(const char *path, struct store_file *ret_file, struct store_error *ret_error)
{
	memset(ret_file, 0, sizeof(*ret_file));
	ret_file->fd = ret_file->lock_fd = -1;
	if (resolve(path, ret_file, ret_error) == 0 && open_file(ret_file, ret_error) == 0 &&
		take_locks(ret_file, ret_error) == 0)
		return 0;
	store_path_release(ret_file);
	return -1;
}

void store_path_release(struct store_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->lock_fd >= 0)
		close(file->lock_fd);
	file->fd = file->lock_fd = -1;
}

/* SQLite would not notice: it goes on writing to the file that has no name any more. */
int store_path_is_same(const struct store_file *file, struct store_error *ret_error)
{
	struct stat claimed, named;

	if (fstat(file->fd, &claimed) == 0 && lstat(file->path, &named) == 0 &&
		claimed.st_dev == named.st_dev && claimed.st_ino == named.st_ino)
		return 0;
	return sql_fail(ret_error, STORE_PERMISSION, file->path,
		"was removed, renamed or replaced while lastconnd had it open; start lastconnd "
		"again");
}

/* Its header tells how long it is. While somebody moves the WAL into it, it may be shorter for a
 * moment: what is seen twice in a row is so. */
int store_path_is_whole(struct store_file *file, struct store_error *ret_error)
{
	unsigned char header[HEADER_SIZE];
	struct stat stat;
	uint64_t octets = 0;
	bool is_short;

	if (fstat(file->fd, &stat) < 0)
		return 0;
	if (read_header(file->fd, header)) {
		octets = big_endian(header + HEADER_PAGE_SIZE, 2);
		octets = (octets == 1 ? 65536 : octets) * big_endian(header + HEADER_PAGES, 4);
		is_short = (uint64_t)stat.st_size < octets;
	} else {
		is_short = true;
	}
	if (is_short && file->short_before)
		return sql_fail(ret_error, STORE_CORRUPT, file->path,
			"was cut off or overwritten while lastconnd had it open");
	file->short_before = is_short;
	return 0;
}

/* How many there are already; -1 if that cannot be told. */
static int count_asides(const char *path)
{
	char dir[PATH_MAX];
	const char *name = path_split(path, dir);
	size_t length = strlen(name);
	const struct dirent *entry;
	DIR *stream = opendir(dir);
	int count = 0;

	if (!stream)
		return -1;
	while ((entry = readdir(stream)))
		count += strncmp(entry->d_name, name, length) == 0 &&
			 strncmp(entry->d_name + length, ".damaged-", 9) == 0 &&
			 !strstr(entry->d_name + length, "-wal") &&
			 !strstr(entry->d_name + length, "-shm");
	closedir(stream);
	return count;
}

/* The WAL first: what is in it belongs to the damaged file, never to the next one. */
static int rename_both(const struct store_file *file, const char *aside)
{
	char wal[PATH_MAX + ASIDE_NAME_MAX], shm[PATH_MAX + ASIDE_NAME_MAX];
	char wal_aside[PATH_MAX + ASIDE_NAME_MAX];
	struct stat there;
	int error;

	if (lstat(aside, &there) == 0)
		return -EEXIST;
	snprintf(wal, sizeof(wal), "%s-wal", file->path);
	snprintf(shm, sizeof(shm), "%s-shm", file->path);
	snprintf(wal_aside, sizeof(wal_aside), "%s-wal", aside);
	if (rename(wal, wal_aside) < 0 && errno != ENOENT)
		return -errno;
	if ((unlink(shm) < 0 && errno != ENOENT) || rename(file->path, aside) < 0) {
		error = -errno;
		rename(wal_aside, wal);
		return error;
	}
	return 0;
}

/* In place of the one that was set aside; the lock file stays. */
static int claim_empty(struct store_file *file)
{
	int fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	int error;

	if (fd < 0)
		return -errno;
	error = try_lock(fd, (off_t)LOCK_OFFSET);
	if (error) {
		close(fd);
		return error;
	}
	close(file->fd);
	file->fd = fd;
	file->known = true;
	file->short_before = false;
	return 0;
}

int store_path_set_aside(struct store_file *file, struct store_error *ret_error)
{
	char aside[PATH_MAX], text[ASIDE_NAME_MAX];
	time_t now = time(NULL);
	struct tm tm;
	int error, asides = count_asides(file->path);

	if (asides < 0 || asides >= ASIDE_MAX)
		return sql_fail(ret_error, STORE_CORRUPT, file->path,
			"is damaged like %d others that were set aside before; see to the disk, "
			"and move them away",
			ASIDE_MAX);
	strftime(text, sizeof(text), ".damaged-%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	error = snprintf(aside, sizeof(aside), "%.*s%s", PATH_MAX - ASIDE_NAME_MAX, file->path,
			text) < PATH_MAX
			? rename_both(file, aside)
			: -ENAMETOOLONG;
	if (!error)
		error = claim_empty(file);
	if (error)
		return sql_fail(ret_error, STORE_CORRUPT, file->path,
			"is damaged and cannot be set aside: %s; move it away", strerror(-error));
	snprintf(file->aside, sizeof(file->aside), "%s", aside);
	return 0;
}

int store_path_check(const char *path, struct store_error *ret_error)
{
	struct stat status;

	if (stat(path, &status) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return sql_fail(ret_error, STORE_MISSING, path,
			"there is no such file; start lastconnd, or name its database with --db");
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return fail_kind(ret_error, path, status.st_mode);
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
		return sql_fail(ret_error, STORE_PERMISSION, path,
			"cannot be read: %s; ask as root or as a member of its group",
			strerror(errno));
	return 0;
}

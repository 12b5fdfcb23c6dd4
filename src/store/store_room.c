/* On a full disk SQLite cannot even delete: that takes room in the WAL, and to move the WAL into
 * the file takes room there. So room is reserved while there is some: WAL_OCTETS for the WAL,
 * enough for a batch and for slices of what is forgotten, and as much as the file may still have to
 * grow by in <path>.ballast, which is given up at that moment. It is enough because the WAL is kept
 * smaller than that once the disk is nearly full. Then what is forgotten makes room within the file
 * (retention_press), which keeps its size: what it gave back somebody else would fill.
 *
 * Fails quietly: without the reserve recording goes on as soon as somebody makes room. */
#include "store/store_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/sql.h"
#include "store/store_internal.h"

enum {
	PAGE_OCTETS = 2048, /* store.c's layout */
	BALLAST_OCTETS = 4 << 20,
	WAL_OCTETS = 8 << 20,
	TIGHT_OCTETS = 2 * WAL_PAGES_MAX * PAGE_OCTETS,
	TIGHT_WAL_PAGES = BALLAST_OCTETS / 4 / PAGE_OCTETS, /* and one batch more */
	NAME_EXTRA = 16,
	MOVE_WAIT_MS = 1000,
};

static bool has_room(const struct store_file *file, uint64_t octets)
{
	struct statvfs room;

	return fstatvfs(file->fd, &room) < 0 ||
	       (uint64_t)room.f_bavail * (uint64_t)room.f_frsize >= octets;
}

bool store_room_is_tight(const struct store_file *file)
{
	return !has_room(file, TIGHT_OCTETS);
}

int store_room_wal_pages(const struct store_file *file)
{
	return store_room_is_tight(file) ? TIGHT_WAL_PAGES : WAL_PAGES_MAX;
}

static void name_ballast(const struct store_file *file, char ret_path[static PATH_MAX + NAME_EXTRA])
{
	snprintf(ret_path, PATH_MAX + NAME_EXTRA, "%s.ballast", file->path);
}

static void lay_ballast(const struct store_file *file)
{
	char path[PATH_MAX + NAME_EXTRA];
	int fd;

	name_ballast(file, path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, BALLAST_OCTETS))
		unlink(path);
	close(fd);
}

/* Beyond the end of the file: SQLite sees nothing of it. */
static void reserve(int fd, off_t offset, off_t length)
{
	(void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
}

/* To reserve what is there waits for the disk, too. SQLite has no locks on this file, so that it
 * does no harm to close it. */
static void reserve_wal(const struct store_file *file)
{
	char path[PATH_MAX + NAME_EXTRA];
	struct stat status;
	int fd;

	snprintf(path, sizeof(path), "%s-wal", file->path);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &status) < 0 || status.st_blocks * 512 < WAL_OCTETS)
		reserve(fd, 0, WAL_OCTETS);
	close(fd);
}

void store_room_reserve(const struct store_file *file)
{
	if (has_room(file, WAL_OCTETS))
		reserve_wal(file);
	if (has_room(file, 2 * BALLAST_OCTETS))
		lay_ballast(file);
}

/* The file gets half of the room at once, before somebody else takes it; the rest is for the WAL
 * and its -shm, which a start makes anew. */
bool store_room_drop_ballast(const struct store_file *file)
{
	char path[PATH_MAX + NAME_EXTRA];
	struct stat status;

	name_ballast(file, path);
	if (unlink(path) < 0)
		return false;
	if (fstat(file->fd, &status) == 0)
		reserve(file->fd, status.st_size, BALLAST_OCTETS / 2);
	return true;
}

int store_make_room(struct store *store, int64_t now_us, struct store_error *ret_error)
{
	if (store->unattended)
		store_room_drop_ballast(&store->file);
	store_checkpoint(store);
	checkpointer_wait(store->checkpointer, MOVE_WAIT_MS); /* what is forgotten needs its room */
	if (retention_press(&store->retention) < 0)
		return sql_describe(store->db, store->file.path, "making room", ret_error);
	return store_maintain(store, now_us, ret_error);
}

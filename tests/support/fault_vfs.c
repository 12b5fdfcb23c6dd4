/* Of each file there are two: the one that the system has, which the VFS below writes, and what the
 * disk surely has, kept here: the content at the last sync and the list of what was done since.
 *
 * Files are told by name and kept when they are closed; the -shm is none of them, no power cut
 * leaves it. A file that is deleted is gone at once. SQLite's own memory mapping is off. One mutex,
 * also while the file is written: threads change it in the order that is kept. */
#include "support/fault_vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

enum {
	FILES_MAX = 16,
	PATH_SIZE = 256,
	SECTOR = 512,
};

struct change {
	sqlite3_int64 offset;
	int length; /* -1: truncated at offset */
	unsigned char *octets;
};

struct kept_file {
	char path[PATH_SIZE];
	unsigned char *octets; /* synced */
	size_t length, capacity;
	struct change *changes; /* since */
	size_t count, room;
};

struct fault_file {
	sqlite3_file base;
	struct kept_file *kept;
	sqlite3_file *real; /* behind this struct */
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	struct kept_file files[FILES_MAX];
	unsigned calls;
	uint64_t counted, first, count;
	int code;
	bool failed;
	uint64_t changes, cut_at;
	bool cut;
	const char *suffix;
	const uint64_t *acknowledged;
	uint64_t watched;
} fault;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* The faults. */

static int judge(enum fault_vfs_call call)
{
	if (fault.cut)
		return SQLITE_IOERR;
	if (!(fault.calls & call))
		return SQLITE_OK;
	fault.counted++;
	if (fault.first == 0 || fault.counted < fault.first ||
		fault.counted - fault.first >= fault.count)
		return SQLITE_OK;
	fault.failed = true;
	return fault.code;
}

static int enter(enum fault_vfs_call call)
{
	pthread_mutex_lock(&mutex);
	return judge(call);
}

static int leave(int code)
{
	pthread_mutex_unlock(&mutex);
	return code;
}

/* Is this the change that comes too late? */
static bool comes_too_late(void)
{
	fault.changes++;
	if (fault.cut_at && fault.changes >= fault.cut_at)
		fault.cut = true;
	return fault.cut;
}

/* What the disk has. */

static void apply(struct kept_file *kept, const struct change *change, int length)
{
	size_t end = (size_t)change->offset + (length > 0 ? (size_t)length : 0);

	if (change->length < 0) {
		if (kept->length > end)
			kept->length = end;
		return;
	}
	if (length == 0)
		return;
	if (end > kept->capacity) {
		kept->capacity = 2 * end;
		kept->octets = need(realloc(kept->octets, kept->capacity));
	}
	if (end > kept->length) {
		memset(kept->octets + kept->length, 0, end - kept->length);
		kept->length = end;
	}
	memcpy(kept->octets + change->offset, change->octets, (size_t)length);
}

static void forget_changes(struct kept_file *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		free(kept->changes[i].octets);
	kept->count = 0;
}

static void keep_change(
	struct kept_file *kept, sqlite3_int64 offset, const void *octets, int length)
{
	struct change *change;

	if (kept->count == kept->room) {
		kept->room = kept->room ? 2 * kept->room : 64;
		kept->changes = need(realloc(kept->changes, kept->room * sizeof(*change)));
	}
	change = &kept->changes[kept->count++];
	*change = (struct change){.offset = offset, .length = length};
	if (length > 0)
		change->octets = memcpy(need(malloc((size_t)length)), octets, (size_t)length);
}

static void read_whole(struct kept_file *kept)
{
	int fd = open(kept->path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return;
	if (fstat(fd, &status) == 0 && status.st_size > 0) {
		kept->capacity = kept->length = (size_t)status.st_size;
		kept->octets = need(malloc(kept->length));
		if (pread(fd, kept->octets, kept->length, 0) != status.st_size)
			abort();
	}
	close(fd);
}

static struct kept_file *find(const char *path)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		if (strcmp(fault.files[i].path, path) == 0)
			return &fault.files[i];
	return NULL;
}

static struct kept_file *find_or_keep(const char *path)
{
	struct kept_file *kept = find(path);

	if (kept)
		return kept;
	kept = need(find(""));
	assert(strlen(path) < PATH_SIZE);
	strcpy(kept->path, path);
	read_whole(kept);
	return kept;
}

static void forget(struct kept_file *kept)
{
	forget_changes(kept);
	free(kept->changes);
	free(kept->octets);
	memset(kept, 0, sizeof(*kept));
}

/* Of a file. */

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct fault_file *)file)->real;
}

static int close_file(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int read_file(sqlite3_file *file, void *octets, int length, sqlite3_int64 offset)
{
	int code = leave(enter(FAULT_VFS_READ));

	return code ? code : real_of(file)->pMethods->xRead(real_of(file), octets, length, offset);
}

static int write_file(sqlite3_file *file, const void *octets, int length, sqlite3_int64 offset)
{
	struct kept_file *kept = ((struct fault_file *)file)->kept;
	int code = enter(FAULT_VFS_WRITE);

	if (code)
		return leave(code);
	if (kept)
		keep_change(kept, offset, octets, length);
	if (comes_too_late())
		return leave(SQLITE_IOERR_WRITE);
	return leave(real_of(file)->pMethods->xWrite(real_of(file), octets, length, offset));
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
	struct kept_file *kept = ((struct fault_file *)file)->kept;
	int code = enter(FAULT_VFS_TRUNCATE);

	if (code)
		return leave(code);
	if (kept)
		keep_change(kept, size, NULL, -1);
	if (comes_too_late())
		return leave(SQLITE_IOERR_TRUNCATE);
	return leave(real_of(file)->pMethods->xTruncate(real_of(file), size));
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static int sync_file(sqlite3_file *file, int flags)
{
	struct kept_file *kept = ((struct fault_file *)file)->kept;
	int code = enter(FAULT_VFS_SYNC);

	(void)flags; /* the files live for seconds: the real disk need not be asked */
	if (code)
		return leave(code);
	if (comes_too_late())
		return leave(SQLITE_IOERR_FSYNC);
	if (!kept)
		return leave(SQLITE_OK);
	for (size_t i = 0; i < kept->count; i++)
		apply(kept, &kept->changes[i], kept->changes[i].length);
	forget_changes(kept);
	if (fault.suffix && ends_with(kept->path, fault.suffix))
		fault.watched = __atomic_load_n(fault.acknowledged, __ATOMIC_SEQ_CST);
	return leave(SQLITE_OK);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int lock_file(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int unlock_file(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int check_lock(sqlite3_file *file, int *ret_reserved)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_reserved);
}

static int control_file(sqlite3_file *file, int operation, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int sector_size(sqlite3_file *file)
{
	(void)file;
	return SECTOR;
}

/* No promises, above all not that a write leaves its neighbours alone (POWERSAFE_OVERWRITE). */
static int device_traits(sqlite3_file *file)
{
	(void)file;
	return 0;
}

static int map_shared(
	sqlite3_file *file, int region, int size, int extend, void volatile **ret_memory)
{
	int code = leave(enter(FAULT_VFS_SHARED));

	return code ? code
		    : real_of(file)->pMethods->xShmMap(
			      real_of(file), region, size, extend, ret_memory);
}

static int lock_shared(sqlite3_file *file, int offset, int count, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int unmap_shared(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, /* 3 would map files into memory */
	.xClose = close_file,
	.xRead = read_file,
	.xWrite = write_file,
	.xTruncate = truncate_file,
	.xSync = sync_file,
	.xFileSize = file_size,
	.xLock = lock_file,
	.xUnlock = unlock_file,
	.xCheckReservedLock = check_lock,
	.xFileControl = control_file,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = device_traits,
	.xShmMap = map_shared,
	.xShmLock = lock_shared,
	.xShmBarrier = barrier,
	.xShmUnmap = unmap_shared,
};

/* Of the VFS; what is not here SQLite takes from the one below, of which this is a copy. */

static int open_file(
	sqlite3_vfs *vfs, const char *path, sqlite3_file *opened, int flags, int *ret_flags)
{
	struct fault_file *file = (struct fault_file *)opened;
	int code = enter(FAULT_VFS_OPEN);

	(void)vfs;
	opened->pMethods = NULL;
	if (code)
		return leave(fault.cut ? SQLITE_CANTOPEN : code);
	file->real = (sqlite3_file *)(file + 1);
	file->kept = NULL;
	if (path && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)))
		file->kept = find_or_keep(path);
	code = fault.below->xOpen(fault.below, path, file->real, flags, ret_flags);
	if (code == SQLITE_OK)
		opened->pMethods = &methods;
	return leave(code);
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
	struct kept_file *kept;

	(void)vfs;
	pthread_mutex_lock(&mutex);
	kept = find(path);
	if (fault.cut)
		return leave(SQLITE_IOERR_DELETE);
	if (kept)
		forget(kept);
	return leave(fault.below->xDelete(fault.below, path, sync_directory));
}

void fault_vfs_install(void)
{
	fault.below = sqlite3_vfs_find(NULL);
	fault.vfs = *fault.below;
	fault.vfs.zName = "fault";
	fault.vfs.szOsFile += (int)sizeof(struct fault_file);
	fault.vfs.xOpen = open_file;
	fault.vfs.xDelete = delete_file;
	sqlite3_vfs_register(&fault.vfs, 1);
}

void fault_vfs_reset(void)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		forget(&fault.files[i]);
	fault.calls = 0;
	fault.counted = fault.first = fault.count = 0;
	fault.failed = fault.cut = false;
	fault.changes = fault.cut_at = 0;
	fault.suffix = NULL;
	fault.watched = 0;
}

uint64_t fault_vfs_calls(void)
{
	return fault.calls ? fault.counted : fault.changes;
}

void fault_vfs_fail(unsigned calls, uint64_t nth, uint64_t count, int code)
{
	fault.calls = calls;
	fault.counted = 0;
	fault.first = nth;
	fault.count = count;
	fault.code = code;
	fault.failed = false;
}

bool fault_vfs_has_failed(void)
{
	return fault.failed;
}

void fault_vfs_cut(uint64_t nth)
{
	fault.changes = 0;
	fault.cut_at = nth;
}

bool fault_vfs_is_cut(void)
{
	pthread_mutex_lock(&mutex);
	return leave(fault.cut);
}

void fault_vfs_watch(const char *suffix, const uint64_t *acknowledged)
{
	fault.suffix = suffix;
	fault.acknowledged = acknowledged;
}

uint64_t fault_vfs_watched(void)
{
	return fault.watched;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* How many octets of this change reached the disk; -1 none of it, not even that it was made. */
static int reached(
	const struct change *change, enum fault_vfs_cut cut, bool is_last, uint64_t *state)
{
	switch (cut) {
	case FAULT_VFS_CUT_ALL:
		return -1;
	case FAULT_VFS_CUT_PREFIX:
		if (!is_last || change->length < 0)
			return change->length < 0 ? 0 : change->length;
		return (int)(next_random(state) % ((unsigned)change->length / SECTOR + 1)) * SECTOR;
	case FAULT_VFS_CUT_SOME:
		if (next_random(state) & 1)
			return -1;
		break;
	case FAULT_VFS_CUT_NONE:
	case FAULT_VFS_CUT_COUNT:
		break;
	}
	return change->length < 0 ? 0 : change->length;
}

static void write_back(const struct kept_file *kept)
{
	int fd = open(kept->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0 || pwrite(fd, kept->octets, kept->length, 0) != (ssize_t)kept->length)
		abort();
	close(fd);
}

static void restore(struct kept_file *kept, enum fault_vfs_cut cut, uint64_t *state)
{
	size_t count = kept->count;
	char shared[PATH_SIZE + 8];

	if (cut == FAULT_VFS_CUT_PREFIX && count > 0)
		count = next_random(state) % (count + 1);
	for (size_t i = 0; i < count; i++) {
		int length = reached(&kept->changes[i], cut, i + 1 == count, state);

		if (length >= 0)
			apply(kept, &kept->changes[i], length);
	}
	write_back(kept);
	snprintf(shared, sizeof(shared), "%s-shm", kept->path);
	unlink(shared);
}

void fault_vfs_restore(enum fault_vfs_cut cut, uint64_t seed)
{
	uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;

	for (size_t i = 0; i < FILES_MAX; i++)
		if (fault.files[i].path[0])
			restore(&fault.files[i], cut, &state);
	fault_vfs_reset();
}

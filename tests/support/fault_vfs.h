/* A SQLite VFS over the default one that fails on purpose: at any call with an error, or with a cut
 * of the power, after which only what was synced is surely on the disk. Threads may share it. */
#ifndef LASTCONN_TESTS_FAULT_VFS_H
#define LASTCONN_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_vfs_call {
	FAULT_VFS_READ = 1,
	FAULT_VFS_WRITE = 2,
	FAULT_VFS_SYNC = 4,
	FAULT_VFS_TRUNCATE = 8,
	FAULT_VFS_OPEN = 16,
	FAULT_VFS_SHARED = 32, /* the -shm */
};

/* What a cut leaves of the writes since the last sync of their file. */
enum fault_vfs_cut {
	FAULT_VFS_CUT_ALL,    /* nothing */
	FAULT_VFS_CUT_PREFIX, /* the first ones, and a part of the next */
	FAULT_VFS_CUT_SOME,   /* any of them */
	FAULT_VFS_CUT_NONE,   /* all: the process was killed, the power is there */
	FAULT_VFS_CUT_COUNT,
};

/* Becomes the default VFS, once. */
void fault_vfs_install(void);

/* Forgets files, faults and counts. No database may be open. */
void fault_vfs_reset(void);

/* Calls of these kinds since the last reset, or since the last fault was set. */
uint64_t fault_vfs_calls(void);

/* From now on the nth call of these kinds (1: the next) and the ones after it, count in all, return
 * code. nth 0: none does, they are counted. */
void fault_vfs_fail(unsigned calls, uint64_t nth, uint64_t count, int code);

/* Did a call fail since then? */
bool fault_vfs_has_failed(void);

/* The power is cut at the nth write, sync or truncate: from then on every call fails, and nothing
 * reaches a file. */
void fault_vfs_cut(uint64_t nth);
bool fault_vfs_is_cut(void);

/* When all is closed: makes the files what the disk had, and the power is back. */
void fault_vfs_restore(enum fault_vfs_cut cut, uint64_t seed);

/* *acknowledged at the last sync of a file whose name ends so; it grows atomically. */
void fault_vfs_watch(const char *suffix, const uint64_t *acknowledged);
uint64_t fault_vfs_watched(void);

#endif

/* The files of C libraries: those in the usual places, and those that processes have loaded. */
#ifndef LASTCONN_SOURCE_LIBC_FILE_H
#define LASTCONN_SOURCE_LIBC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LIBC_FILE_USUAL_MAX = 5 };

struct libc_file_id {
	dev_t device;
	ino_t inode; /* 0 none */
};

bool libc_file_same(const struct libc_file_id *a, const struct libc_file_id *b);

/* The C library in the index-th of the usual places; with its descriptor, unless ret_fd is NULL.
 * 0 or negative errno, -ENOENT if there is none. */
int libc_file_usual(size_t index, struct libc_file_id *ret_id, int *ret_fd);

/* The one that the process has loaded. -ENOENT: none, or not yet; -ESRCH: the process is gone;
 * -ESTALE: the file was deleted since and has no descriptor, so ask with ret_fd NULL; other errors:
 * it cannot be opened without a risk. */
int libc_file_of(uint32_t pid, struct libc_file_id *ret_id, int *ret_fd);

/* Does the path that /proc/PID/maps tells look like one of a C library? */
bool libc_file_is_name(const char *path);

/* Where getaddrinfo lies in the file. 0 or negative errno, see elf_symbol.h. */
int libc_file_resolver(int fd, uint64_t *ret_offset);

#endif

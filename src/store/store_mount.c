/* A file system that is read-only may become writable while we wait: after a check that failed at
 * boot somebody mends it and mounts it anew. A service that systemd gave mounts of its own
 * (ProtectSystem=) does not see that: the mount there stays read-only, as one does that was never
 * meant to be written. mountinfo tells both apart, see proc(5). */
#include "store/store_mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/mount.h"

/* "36 35 98:0 / /mnt ro,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue" */
static bool is_barred(const char *line)
{
	const char *end = strstr(line, " - ");
	char here[3] = "", whole[3] = "";

	return end && sscanf(line, "%*d %*d %*s %*s %*s %2s", here) == 1 &&
	       sscanf(end, " - %*s %*s %2s", whole) == 1 && strcmp(here, "ro") == 0 &&
	       strcmp(whole, "rw") == 0;
}

bool store_mount_is_barred(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	long id = fd < 0 ? -1 : mount_of(fd);
	FILE *file = id < 0 ? NULL : fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool barred = false;

	while (file && getline(&line, &size, file) > 0)
		if (strtol(line, NULL, 10) == id)
			barred = is_barred(line);
	free(line);
	if (file)
		fclose(file);
	if (fd >= 0)
		close(fd);
	return barred;
}

/* From fdinfo: statx(2) tells it only since Linux 5.8. */
#include "util/mount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long mount_of(int fd)
{
	char path[64], line[128];
	FILE *facts;
	long mount = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	facts = fopen(path, "re");
	if (!facts)
		return -1;
	while (mount < 0 && fgets(line, sizeof(line), facts))
		if (strncmp(line, "mnt_id:", 7) == 0)
			mount = strtol(line + 7, NULL, 10);
	fclose(facts);
	return mount;
}

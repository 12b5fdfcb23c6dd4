/* By the last slash: nothing is asked of the file system. */
#include "util/path.h"

#include <stdio.h>
#include <string.h>

const char *path_split(const char *path, char ret_dir[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash) {
		snprintf(ret_dir, PATH_MAX, ".");
		return path;
	}
	snprintf(ret_dir, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return slash + 1;
}

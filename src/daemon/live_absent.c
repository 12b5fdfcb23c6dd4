/* Stands for live.c in a build without the kernel source. */
#include "daemon/live.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/log.h"

int live_run(struct config *config, int argc, char *const argv[])
{
	(void)config;
	(void)argc;
	(void)argv;
	log_error("this lastconnd was built without the kernel source and can only read capture "
		  "files: lastconnd -r FILE");
	return EXIT_FAILURE;
}

const char *live_library_version(char *buf, size_t size)
{
	snprintf(buf, size, "without the kernel source");
	return buf;
}

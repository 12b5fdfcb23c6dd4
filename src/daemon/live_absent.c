/* Stands for live.c in a build without the kernel source. */
#include "daemon/live.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/check.h"
#include "util/log.h"

static void say_absent(void)
{
	log_error("this lastconnd was built without the kernel source and can only read capture "
		  "files: lastconnd -r FILE");
}

int live_run(struct config *config, int argc, char *const argv[])
{
	(void)config;
	(void)argc;
	(void)argv;
	say_absent();
	return EXIT_FAILURE;
}

enum check_status check_run(const struct config *config)
{
	(void)config;
	say_absent();
	return CHECK_NONE;
}

const char *live_library_version(char *buf, size_t size)
{
	snprintf(buf, size, "without the kernel source");
	return buf;
}

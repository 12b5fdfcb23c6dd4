/* lastconnd: writes the history of this machine's connections. Wires, in reading order. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/check.h"
#include "daemon/config.h"
#include "daemon/live.h"
#include "daemon/read_file.h"
#include "daemon/retention_now.h"
#include "daemon/selftest.h"
#include "source/source_pcap.h"
#include "store/store.h"
#include "util/log.h"

enum { EXIT_USAGE = 2 };

/* A file that is opened as descriptor 2 would get the log, and a reader of the log that goes away
 * is no reason to stop recording. */
static void secure_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	signal(SIGPIPE, SIG_IGN);
}

static void print_version(void)
{
	char kernel_source[64];

	printf("lastconnd " LASTCONN_VERSION "\nlibuv %s\n%s\n%s\nSQLite %s\n", uv_version_string(),
		live_library_version(kernel_source, sizeof(kernel_source)),
		source_pcap_library_version(), store_sqlite_version());
}

int main(int argc, char *argv[])
{
	struct config config;
	struct config_error error;
	int status = EXIT_SUCCESS;

	secure_streams();
	log_init("lastconnd", LOG_LEVEL_INFO);
	if (config_load(argc, argv, &config, &error)) {
		log_error("%s", error.text);
		return EXIT_USAGE;
	}
	log_set_level((enum log_level)config.log_level);
	if (config.help)
		config_help(stdout);
	else if (config.version)
		print_version();
	else if (config.unload)
		status = live_unload(&config);
	else if (config.retention_now)
		status = retention_now_run(&config);
	else if (config.check)
		status = check_run(&config);
	else if (config.selftest)
		status = selftest_run(&config);
	else if (config.read_count > 0)
		status = read_file_run(&config);
	else
		status = live_run(&config, argc, argv);
	config_done(&config);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_error("cannot write the output");
		status = EXIT_FAILURE;
	}
	return status;
}

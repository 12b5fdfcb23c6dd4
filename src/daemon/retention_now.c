/* Tells what went by the counts that the history itself keeps, before and after. */
#include "daemon/retention_now.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/privilege.h"
#include "daemon/recorder.h"
#include "store/store_preview.h"
#include "util/clock.h"
#include "util/log.h"

static const struct {
	const char *table, *words;
} things[] = {
	{"flow", "flows"},
	{"contact_hour", "rows of the hourly roll-up"},
	{"contact_day", "rows of the daily roll-up"},
	{"contact", "contacts"},
	{"name_evidence", "names of addresses"},
	{"listener", "listeners"},
	{"coverage_interval", "intervals of coverage"},
	{"run", "runs of lastconnd"},
	{"process", "processes"},
	{"actor", NULL},
	{"executable", "programs"},
	{"unit", "units and containers"},
	{"remote", "hosts"},
	{"name", "names"},
	{"local", "local addresses"},
};

enum { THINGS = sizeof(things) / sizeof(things[0]) };

static const char *words_of(const char *table)
{
	for (size_t i = 0; i < THINGS; i++)
		if (things[i].words && strcmp(things[i].table, table) == 0)
			return things[i].words;
	return NULL;
}

static int fail(const struct store_error *error)
{
	log_error("%s", error->text);
	return EXIT_FAILURE;
}

static void print_preview(void *ctx, const struct store_preview *preview)
{
	time_t before = (time_t)(preview->before_us / (int64_t)US_PER_S);
	char text[32] = "";
	struct tm tm;

	*(int64_t *)ctx += preview->rows;
	if (preview->before_us && gmtime_r(&before, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%12" PRId64 " of %" PRId64 " %s", preview->rows, preview->total,
		words_of(preview->what));
	if (preview->program)
		printf(" of %s", preview->program[0] ? preview->program : "unknown programs");
	if (preview->before_us)
		printf(", from before %s\n", text);
	else
		puts(", for want of room");
}

static int preview(const struct config *config)
{
	struct store_retention policy = recorder_retention(config);
	struct store_reader *reader;
	struct store_error error;
	int64_t rows = 0;
	int status;

	if (store_reader_open(config->db_path, &reader, &error) < 0)
		return fail(&error);
	status = store_preview(reader, &policy, clock_realtime_us(), print_preview, &rows, &error);
	store_reader_close(reader);
	if (status < 0)
		return fail(&error);
	puts(rows ? "Nothing was changed: it is a dry run." : "There is nothing to forget.");
	return EXIT_SUCCESS;
}

/* How many rows of each thing went so far. */
static int read_pruned(const char *path, int64_t pruned[THINGS], struct store_error *ret_error)
{
	struct store_report *report = NULL;
	struct store_reader *reader;
	int row;

	if (store_reader_open(path, &reader, ret_error) < 0)
		return -1;
	row = store_report_new(reader, "SELECT what, pruned FROM retention", &report, ret_error);
	while (row >= 0 && (row = store_report_step(report, ret_error)) > 0) {
		size_t length;
		const char *what = store_report_text(report, 0, &length);

		for (size_t i = 0; i < THINGS; i++)
			if (strcmp(things[i].table, what) == 0)
				pruned[i] = store_report_integer(report, 1);
	}
	store_report_free(report);
	store_reader_close(reader);
	return row;
}

static void print_pruned(const int64_t before[THINGS], const int64_t after[THINGS])
{
	int64_t sum = 0;

	for (size_t i = 0; i < THINGS; i++) {
		int64_t rows = after[i] - before[i];

		if (rows > 0 && things[i].words)
			printf("%12" PRId64 " %s\n", rows, things[i].words);
		sum += rows;
	}
	puts(sum ? "These were forgotten." : "There was nothing to forget.");
}

/* To the end, so that nothing is left half done; it may be interrupted at any time. */
static int forget(const struct config *config, struct store_error *ret_error)
{
	struct store_options options = {
		.path = config->db_path,
		.boot_uuid = "",
		.host_name = "",
		.version = LASTCONN_VERSION,
		.synchronous_full = config->synchronous_full,
		.maintenance = true,
		.retention = recorder_retention(config),
	};
	struct store *store;
	int more;

	options.retention.at_once = true;
	if (store_open(&options, &store, ret_error) < 0)
		return -1;
	do
		more = store_maintain(store, clock_realtime_us(), ret_error);
	while (more > 0);
	store_close(store);
	return more;
}

int retention_now_run(const struct config *config)
{
	int64_t before[THINGS] = {0}, after[THINGS] = {0};
	char text[PRIVILEGE_TEXT_SIZE];
	struct store_error error;

	if (privilege_drop_all(config, text) < 0) {
		log_error("%s", text);
		return EXIT_FAILURE;
	}
	if (config->dry_run)
		return preview(config);
	if (read_pruned(config->db_path, before, &error) < 0 || forget(config, &error) < 0 ||
		read_pruned(config->db_path, after, &error) < 0)
		return fail(&error);
	print_pruned(before, after);
	return EXIT_SUCCESS;
}

/* "rebuild": the only subcommand that may write, and only if something is different. What is equal
 * is proved with the reader that all others use, also while lastconnd runs. */
#include "query/command.h"

#include <inttypes.h>
#include <stdio.h>

#include "query/message.h"
#include "store/store_rebuild.h"

static const char *const sources[STORE_REBUILD_TABLES] = {
	"flows and hours", "flows and hours", "flows"};

static int64_t print_tables(const struct store_rebuild tables[static STORE_REBUILD_TABLES])
{
	int64_t different = 0;

	for (int i = 0; i < STORE_REBUILD_TABLES; i++) {
		if (tables[i].different)
			printf("%-16s %12" PRId64 " of %" PRId64 " rows differ from the %s\n",
				tables[i].table, tables[i].different, tables[i].rows, sources[i]);
		else
			printf("%-16s %12" PRId64 " rows equal what the %s give\n", tables[i].table,
				tables[i].rows, sources[i]);
		different += tables[i].different;
	}
	if (tables[0].from_us > 0)
		puts("Days of which flows were forgotten without their hours are not among them.");
	return different;
}

static int compare(const struct options *options, int64_t *ret_different)
{
	struct store_rebuild tables[STORE_REBUILD_TABLES];
	struct store_reader *reader;
	struct store_error error;
	int status;

	if (store_reader_open(options->db, &reader, &error) < 0)
		return message_error("%s", error.text);
	status = store_rebuild_compare(reader, tables, &error);
	store_reader_close(reader);
	if (status < 0)
		return message_error("%s", error.text);
	*ret_different = print_tables(tables);
	return EXIT_FOUND;
}

static int make_anew(const struct options *options)
{
	struct store_options store_options = {
		.path = options->db,
		.boot_uuid = "",
		.host_name = "",
		.version = LASTCONN_VERSION,
		.maintenance = true,
	};
	struct store_rebuild tables[STORE_REBUILD_TABLES];
	struct store_error error;
	struct store *store;
	int status;

	if (store_open(&store_options, &store, &error) < 0)
		return message_error("nothing was made anew: %s", error.text);
	status = store_rebuild(store, tables, &error);
	store_close(store);
	if (status < 0)
		return message_error("%s", error.text);
	puts("What differed was made anew.");
	return EXIT_NOTHING;
}

int command_rebuild(const struct command *command, const struct options *options)
{
	int64_t different = 0;
	int status;

	if (options->words_count > 1 || options->values_count > 0 || options->last)
		return message_error("%s: takes no words, and no options but --db", command->name);
	status = compare(options, &different);
	if (status != EXIT_FOUND || different == 0)
		return status;
	return make_anew(options);
}

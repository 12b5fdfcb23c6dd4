/* lastconn: asks the history. Wires the command line to a subcommand. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "query/command.h"
#include "query/message.h"
#include "store/store.h"
#include "store/store_report.h"

const struct command commands[] = {
	{"who", "HOST", "Which programs talked to a host, how often, when, how much", "host", NULL,
		command_built_in},
	{"flows", "", "Single flows, newest first", NULL, NULL, command_built_in},
	{"top", "", "Who moved most, by program, host, user, unit, port or parent", NULL, NULL,
		command_built_in},
	{"ps", "PID|PROGRAM", "What a process was, who started it, what it reached", "exe", "pid",
		command_built_in},
	{"new", "", "Which programs reached a host for the first time", NULL, NULL,
		command_built_in},
	{"at", "TIME", "Sockets open at that moment, listeners too", "time", NULL,
		command_built_in},
	{"listen", "", "Who listened where, since when, and how many reached it", NULL, NULL,
		command_built_in},
	{"names", "HOST", "What is known of a name or an address, and from where", "host", NULL,
		command_built_in},
	{"coverage", "", "What could have been missed, and when", NULL, NULL, command_built_in},
	{"tail", "", "Follow: flows as they end and as they open", NULL, NULL, command_tail},
	{"stats", "", "Size, rows, span and rates of the history", NULL, NULL, command_built_in},
	{"sql", "'SELECT ...'|.tables|.schema [NAME]|-", "Any read-only SQL", NULL, NULL,
		command_sql},
	{"rebuild", "", "Prove that the roll-ups are what flows give, else make them anew", NULL,
		NULL, command_rebuild},
	{"report", "[NAME [name=value...]]", "Run a report by its name, or list them all", NULL,
		NULL, command_report},
	{"help", "[COMMAND]", "Help on a command or report", NULL, NULL, command_help},
	{0},
};

const struct command *command_by_name(const char *name)
{
	for (const struct command *command = commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

static int run(const struct options *options)
{
	const char *name = options->words_count > 0 ? options->words[0] : NULL;
	const struct command *command = name ? command_by_name(name) : NULL;

	if (!name)
		return message_error(
			"what do you want to know? 'lastconn help' lists the commands");
	if (!command)
		return message_error("'%.100s' is not a command; 'lastconn help' lists them", name);
	if (options->help && command->run == command_report && options->words_count > 1)
		return command_help_on(options, options->words[1]);
	if (options->help)
		return command_help_on(options, name);
	return command->run(command, options);
}

static int answer(const struct options *options)
{
	if (options->version) {
		printf("lastconn %s (SQLite %s)\n", LASTCONN_VERSION, store_sqlite_version());
		return EXIT_FOUND;
	}
	if (options->help && options->words_count == 0)
		return command_help(NULL, options);
	return run(options);
}

int main(int argc, char **argv)
{
	struct options options;
	int status;

	tzset();
	store_reader_setup();
	if (options_parse(argc, argv, &options) < 0)
		return EXIT_ERROR;
	status = answer(&options);
	if (status != EXIT_ERROR && (fflush(stdout) != 0 || ferror(stdout)))
		return message_error("cannot write the output");
	return status;
}

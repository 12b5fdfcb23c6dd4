/* Options of lastconnd, from flags and from an INI file that inih reads.
 *
 * A bad value, an unknown key, a junk line or a key given twice is refused with its place: a daemon
 * that runs on half of its configuration is worse than one that says what is wrong. */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_option.h"
#include "daemon/live_source.h"

enum config_origin {
	ORIGIN_DEFAULT,
	ORIGIN_FILE,
	ORIGIN_FLAG,
};

enum {
	GETOPT_BASE = 256, /* above the letters */
	GETOPT_WORD = 1,   /* getopt(3) with "-": neither an option nor the value of one */
};

__attribute__((format(printf, 2, 3))) static int refuse(char *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, CONFIG_TEXT_SIZE, format, args);
	va_end(args);
	return -1;
}

/* The command line. */

struct getopt_tables {
	struct option longs[CONFIG_OPTIONS_MAX + 1];
	char shorts[2 * CONFIG_OPTIONS_MAX + 3];
};

static void build_getopt(struct getopt_tables *ret_tables)
{
	char *shorts = ret_tables->shorts;
	const struct config_option *option;

	memset(ret_tables, 0, sizeof(*ret_tables));
	*shorts++ = '-'; /* getopt(3): words in their place, and */
	*shorts++ = ':'; /* tell a missing value from an unknown option */
	for (int i = 0; (option = config_option_at((size_t)i)); i++) {
		bool value = option->kind != CONFIG_SWITCH;

		ret_tables->longs[i].name = option->name;
		ret_tables->longs[i].has_arg = value ? required_argument : no_argument;
		ret_tables->longs[i].val = GETOPT_BASE + i;
		if (option->letter)
			*shorts++ = option->letter;
		if (option->letter && value)
			*shorts++ = ':';
	}
}

/* What getopt_long(3) returned: a long option's val or a letter. */
static const struct config_option *option_of(int got)
{
	const struct config_option *option;

	if (got >= GETOPT_BASE)
		return config_option_at((size_t)(got - GETOPT_BASE));
	for (size_t i = 0; (option = config_option_at(i)); i++)
		if (option->letter && option->letter == got)
			return option;
	return NULL;
}

static int refuse_argument(int got, char *const argv[], char *text)
{
	const char *word = argv[optind - 1];

	if (got == ':')
		return refuse(text, "%.64s: the value is missing", word);
	if (optopt >= GETOPT_BASE)
		return refuse(text, "%.64s: takes no value", word);
	if (optopt)
		return refuse(text, "unknown option -%c; see lastconnd --help", optopt);
	return refuse(text, "unknown option %.64s; see lastconnd --help", word);
}

/* A word is one more file behind -r, so that the shell may expand -r *.pcap. */
static int take_word(const char *word, struct config *config, char *text)
{
	char why[CONFIG_TEXT_SIZE];
	const struct config_option *read = config_option_at(config_option_find("read"));

	if (config->read_count == 0)
		return refuse(text, "'%.64s' is not an option; see lastconnd --help", word);
	return config_option_set(config, read, word, why) ? refuse(text, "%.400s", why) : 0;
}

static int take_flag(int got, char *const argv[], struct config *config, char *text)
{
	const struct config_option *option = option_of(got);
	char why[CONFIG_TEXT_SIZE];

	if (!option)
		return refuse_argument(got, argv, text);
	if (config_option_set(config, option, optarg, why))
		return refuse(text, "--%s: %.400s", option->name, why);
	config->origin[config_option_find(option->name)] = ORIGIN_FLAG;
	return 0;
}

static int load_flags(int argc, char *const argv[], struct config *config, char *text)
{
	struct getopt_tables tables;
	int got;

	build_getopt(&tables);
	optind = 0; /* glibc: start over, this may be a reload */
	opterr = 0;
	while ((got = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1)
		if (got == GETOPT_WORD ? take_word(optarg, config, text)
				       : take_flag(got, argv, config, text))
			return -1;
	for (; optind < argc; optind++) /* after -- */
		if (take_word(argv[optind], config, text))
			return -1;
	return 0;
}

/* The file. inih tells its handler no line numbers, so that its reader counts them here. */

struct config_file {
	struct config *config;
	FILE *stream;
	int line;
	int error_line; /* first error; 0 none */
	char why[CONFIG_TEXT_SIZE];
};

static void file_error(struct config_file *file, const char *why)
{
	if (file->error_line)
		return;
	file->error_line = file->line;
	snprintf(file->why, sizeof(file->why), "%s", why);
}

/* fgets(3) for inih; a line that does not fit would come as two, the second taken for its own. */
static char *read_line(char *line, int size, void *stream)
{
	struct config_file *file = stream;
	size_t length;
	int c;

	if (!fgets(line, size, file->stream))
		return NULL;
	file->line++;
	length = strlen(line);
	if (length > 0 && line[length - 1] == '\n')
		return line;
	c = getc(file->stream);
	if (c == EOF && length > 0)
		return line;
	file_error(file, "the line is too long, or holds a NUL");
	while (c != '\n' && c != EOF)
		c = getc(file->stream);
	line[0] = '\0';
	return line;
}

/* The flag wins; a bad value in the file is refused all the same. */
static int check_value(const struct config_option *option, const char *value, char *why)
{
	struct config scratch = {0};
	int error = config_option_set(&scratch, option, value, why);

	config_done(&scratch);
	return error;
}

static int set_key(struct config *config, const char *key, const char *value, char *text)
{
	size_t at = config_option_find(key);
	const struct config_option *option = config_option_at(at);
	char why[CONFIG_TEXT_SIZE];
	int error;

	if (!option)
		return refuse(text, "unknown key '%.64s'", key);
	if (option->flags & CONFIG_COMMAND_LINE_ONLY)
		return refuse(text, "'%s' belongs on the command line", key);
	if (config->origin[at] == ORIGIN_FILE && option->kind != CONFIG_NAMES &&
		option->kind != CONFIG_RANGES && option->kind != CONFIG_RULES)
		return refuse(text, "'%s' is given twice", key);
	if (config->origin[at] == ORIGIN_FLAG) {
		error = check_value(option, value, why);
	} else {
		error = config_option_set(config, option, value, why);
		config->origin[at] = ORIGIN_FILE;
	}
	return error ? refuse(text, "%s: %.400s", key, why) : 0;
}

/* inih: 1 goes on, 0 is an error of this line. */
static int handle_key(void *user, const char *section, const char *key, const char *value)
{
	struct config_file *file = user;
	char text[CONFIG_TEXT_SIZE];

	if (*section && strcmp(section, "lastconnd") != 0)
		snprintf(text, sizeof(text), "unknown section [%.64s]", section);
	else if (set_key(file->config, key, value, text) == 0)
		return 1;
	file_error(file, text);
	return 0;
}

static int load_file(struct config *config, char *text)
{
	struct config_file file = {.config = config};
	bool given = config_given(config, "config");
	int junk_line, error;

	file.stream = fopen(config->config_path, "re");
	if (!file.stream && errno == ENOENT && !given)
		return 0;
	if (!file.stream)
		return refuse(text, "%.256s: %s", config->config_path, strerror(errno));
	errno = 0;
	junk_line = ini_parse_stream(read_line, &file, handle_key, &file);
	error = ferror(file.stream) ? errno : 0;
	fclose(file.stream);
	if (error)
		return refuse(text, "%.256s: %s", config->config_path, strerror(error));
	if (junk_line > 0 && (!file.error_line || junk_line < file.error_line)) {
		file.error_line = junk_line;
		snprintf(file.why, sizeof(file.why), "neither 'key = value' nor a comment");
	}
	if (file.error_line)
		return refuse(
			text, "%.256s:%d: %.200s", config->config_path, file.error_line, file.why);
	return 0;
}

static int load_defaults(struct config *config, char *text)
{
	const struct config_option *option;

	for (size_t i = 0; (option = config_option_at(i)); i++)
		if (option->value && config_option_set(config, option, option->value, text))
			return -1;
	return 0;
}

static bool captures(const struct config *config)
{
	return config->interfaces && strcmp(config->interfaces, LIVE_SOURCE_NO_INTERFACE) != 0;
}

/* Those of the file are for whoever captures. */
static int check_interfaces(const struct config *config, char *text)
{
	bool flag = config->origin[config_option_find("interface")] == ORIGIN_FLAG;

	if (flag && config->read_count > 0)
		return refuse(text, "--interface: not with --read");
	if (flag && config->source == LIVE_SOURCE_PROCFS)
		return refuse(text, "--interface: not with --source procfs");
	if (config->source == LIVE_SOURCE_PCAP && config->read_count == 0 && !captures(config))
		return refuse(text, "--source pcap: name the interfaces, e.g. -i eth0 or -i any");
	return 0;
}

static int check_files(const struct config *config, char *text)
{
	size_t inputs = 0;

	for (size_t i = 0; i < config->read_count; i++)
		inputs += strcmp(config->read_paths[i], "-") == 0;
	if (inputs > 1)
		return refuse(text, "--read: standard input can be read only once");
	if (config->filter && config->read_count == 0)
		return refuse(text, "--filter: only with --read");
	return 0;
}

static int load_all(int argc, char *const argv[], struct config *config, char *text)
{
	if (load_defaults(config, text) || load_flags(argc, argv, config, text))
		return -1;
	if (config->help || config->version)
		return 0;
	if (load_file(config, text))
		return -1;
	if (config->origin[config_option_find("local")] == ORIGIN_FLAG && config->read_count == 0)
		return refuse(text, "--local: only with --read");
	if (config->json && !config->check)
		return refuse(text, "--json: only with --check");
	return check_files(config, text) || check_interfaces(config, text) ? -1 : 0;
}

int config_load(
	int argc, char *const argv[], struct config *ret_config, struct config_error *ret_error)
{
	struct config config = {0};

	if (load_all(argc, argv, &config, ret_error->text)) {
		config_done(&config);
		return -1;
	}
	*ret_config = config;
	return 0;
}

void config_done(struct config *config)
{
	if (!config)
		return;
	free(config->config_path);
	free(config->db_path);
	free(config->user);
	free(config->pin_path);
	free(config->metrics_path);
	for (size_t i = 0; i < config->read_count; i++)
		free(config->read_paths[i]);
	free(config->read_paths);
	free(config->filter);
	free(config->local);
	free(config->ignore);
	free(config->interfaces);
	free(config->disable_slots);
	free(config->disable_programs);
	memset(config, 0, sizeof(*config));
}

bool config_given(const struct config *config, const char *name)
{
	return config->origin[config_option_find(name)] != ORIGIN_DEFAULT;
}

static void add_word(char *words, const char *word)
{
	size_t used = strlen(words);

	snprintf(words + used, CONFIG_TEXT_SIZE - used, "%s%s", used ? " " : "", word);
}

void config_apply(struct config *config, const struct config *next,
	char ret_applied[static CONFIG_TEXT_SIZE], char ret_kept[static CONFIG_TEXT_SIZE])
{
	const struct config_option *option;

	ret_applied[0] = ret_kept[0] = '\0';
	for (size_t i = 0; (option = config_option_at(i)); i++) {
		if (config_option_same(config, next, option))
			continue;
		if (option->flags & CONFIG_RUNTIME) {
			config_option_copy(config, next, option);
			add_word(ret_applied, option->name);
		} else {
			add_word(ret_kept, option->name);
		}
	}
}

static void print_option(FILE *out, const struct config_option *option)
{
	char head[64];
	size_t used = 0;

	if (option->letter)
		used = (size_t)snprintf(head, sizeof(head), "-%c, ", option->letter);
	else
		used = (size_t)snprintf(head, sizeof(head), "    ");
	snprintf(head + used, sizeof(head) - used, "--%s%s%s", option->name,
		option->argument ? " " : "", option->argument ? option->argument : "");
	fprintf(out, "  %-28s %s", head, option->help);
	if (option->value)
		fprintf(out, " (%s)", option->value);
	fputc('\n', out);
}

void config_help(FILE *out)
{
	const struct config_option *option;

	fputs("usage: lastconnd [options]              record this machine's connections\n"
	      "       lastconnd -i IFACE --source pcap same, from the packets of interfaces\n"
	      "       lastconnd -r FILE... [--db FILE] read capture files, then exit\n\n",
		out);
	for (size_t i = 0; (option = config_option_at(i)); i++)
		print_option(out, option);
	fputs("\nDUR: 500ms 5s 2m 1h 7d. SIZE: 4096 64K 8M 1G. In brackets: the default.\n"
	      "All that set something are keys of the configuration file too:\n"
	      "key = value. Signals: HUP rereads it, USR1 logs the counters, TERM writes and "
	      "ends.\n"
	      "Exit status: 0 fine, 1 cannot go on, 2 usage, configuration, or a database to see "
	      "to,\n"
	      "3 --check: not all is as it could be.\n",
		out);
}

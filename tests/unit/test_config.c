/* Options from flags and file: what is taken, what is refused and with which words. */
#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/clock.h"
#include "util/log.h"

enum { ARGUMENTS_MAX = 16 };

static char file_path[64];

static int make_file(void **state)
{
	int fd;

	(void)state;
	strcpy(file_path, "/tmp/test_config.XXXXXX");
	fd = mkstemp(file_path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file_path);
}

static void write_file(const char *text)
{
	FILE *stream = fopen(file_path, "w");

	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

/* The arguments end with a NULL. */
static int load(struct config *config, char *text, const char *argument, ...)
{
	char *argv[ARGUMENTS_MAX + 1] = {(char[]){"lastconnd"}};
	struct config_error error = {{0}};
	int argc = 1, result;
	va_list args;

	va_start(args, argument);
	for (const char *at = argument; at && argc < ARGUMENTS_MAX; at = va_arg(args, const char *))
		argv[argc++] = strdup(at);
	va_end(args);
	result = config_load(argc, argv, config, &error);
	strcpy(text, error.text);
	for (int i = 1; i < ARGUMENTS_MAX; i++)
		free(argv[i]);
	return result;
}

static int load_text(struct config *config, char *text, const char *file)
{
	write_file(file);
	return load(config, text, "--config", file_path, NULL);
}

/* "PATH:LINE: words" */
static void assert_file_error(const char *file, int line, const char *words)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE], expected[CONFIG_TEXT_SIZE];

	assert_int_equal(load_text(&config, text, file), -1);
	snprintf(expected, sizeof(expected), "%s:%d: %s", file_path, line, words);
	assert_string_equal(text, expected);
}

static void assert_flag_error(const char *flag, const char *value, const char *words)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	assert_int_equal(load(&config, text, flag, value, NULL), -1);
	assert_string_equal(text, words);
}

static void without_arguments_the_defaults_hold(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	assert_int_equal(load_text(&config, text, ""), 0);
	assert_string_equal(config.db_path, "/var/lib/lastconn/history.db");
	assert_int_equal(config.read_count, 0);
	assert_int_equal(config.active_timeout_ns, 60ll * NS_PER_S);
	assert_int_equal(config.idle_timeout_ns, 120ll * NS_PER_S);
	assert_int_equal(config.sweep_interval_ns, 5ll * NS_PER_S);
	assert_int_equal(config.flush_interval_ns, 1ll * NS_PER_S);
	assert_int_equal(config.max_flows, 65536);
	assert_int_equal(config.queue_octets, 64 << 20);
	assert_int_equal(config.ring_octets, 8 << 20);
	assert_int_equal(config.synchronous_full, 0);
	assert_int_equal(config.log_level, LOG_LEVEL_INFO);
	assert_false(config_given(&config, "db"));
	config_done(&config);
}

static void a_missing_file_is_fine_unless_it_was_named(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	assert_int_equal(load(&config, text, "--config", "/nonexistent/x.conf", NULL), -1);
	assert_string_equal(text, "/nonexistent/x.conf: No such file or directory");
	assert_int_equal(load(&config, text, "--config", "/tmp", NULL), -1);
	assert_string_equal(text, "/tmp: Is a directory");
}

static void the_file_sets_and_flags_override_it(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("# comment\n; another\n\nmax-flows = 100\n[lastconnd]\ndb = /a/b.db ; why\n"
		   "synchronous=full\nlog-level = debug\n");
	assert_int_equal(load(&config, text, "--config", file_path, "--max-flows=200", NULL), 0);
	assert_int_equal(config.max_flows, 200);
	assert_string_equal(config.db_path, "/a/b.db");
	assert_true(config_given(&config, "db"));
	assert_int_equal(config.synchronous_full, 1);
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	config_done(&config);
}

static void names_and_ranges_may_be_repeated(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("");
	assert_int_equal(load(&config, text, "--config", file_path, "-r", "x.pcap", "--local",
				 "10.0.0.0/8", "--local", "2001:db8::1", "--disable-slot", "tcp",
				 "--disable-slot", "use", NULL),
		0);
	assert_string_equal(config.read_paths[0], "x.pcap");
	assert_int_equal(config.local_count, 2);
	assert_string_equal(config.disable_slots, "tcp,use");
	config_done(&config);
	assert_int_equal(load_text(&config, text, "local = 10.0.0.1\nlocal = 10.0.0.2\n"), 0);
	assert_int_equal(config.local_count, 2);
	config_done(&config);
	assert_int_equal(
		load_text(&config, text, "ignore = exe=/bin/x port=1\nignore = user=root\n"), 0);
	assert_int_equal(config.ignore_count, 2);
	assert_string_equal(config.ignore[0].text, "exe=/bin/x port=1");
	assert_int_equal(config.ignore[1].uid, 0);
	config_done(&config);
}

static void bad_flags_are_refused_with_the_way_to_write_them(void **state)
{
	(void)state;
	assert_flag_error("--active-timeout", "x",
		"--active-timeout: 'x' is not a duration; write e.g. 30s, 5m, 1h");
	assert_flag_error(
		"--active-timeout", "1ms", "--active-timeout: '1ms' is too short; at least 100ms");
	assert_flag_error(
		"--idle-timeout", "999d", "--idle-timeout: '999d' is too long; at most 86400s");
	assert_flag_error(
		"--max-flows", "-5", "--max-flows: '-5' is not a number; write e.g. 4096");
	assert_flag_error("--max-flows", "1", "--max-flows: '1' is too small; at least 16");
	assert_flag_error("--max-flows", "99999999999999999999999",
		"--max-flows: '99999999999999999999999' is too large; at most 16777216");
	assert_flag_error("--queue-memory", "1T",
		"--queue-memory: '1T' is not a size; write e.g. 4096, 64K, 8M, 1G");
	assert_flag_error("--ring-size", "3M",
		"--ring-size: '3M' is not a power of two; write e.g. 1M, 8M, 64M");
	assert_flag_error("--synchronous", "off", "--synchronous: 'off' is none of: normal, full");
	assert_flag_error("--log-level", "loud",
		"--log-level: 'loud' is none of: error, warning, info, debug");
	assert_flag_error("--local", "10.0.0.0/64",
		"--local: '10.0.0.0/64' is not an address; write e.g. 192.0.2.1, 10.0.0.0/8, "
		"2001:db8::1");
	assert_flag_error("--ignore", "port=x",
		"--ignore: 'x' is no port; write e.g. port=123, port=6881-6889");
	assert_flag_error("--ignore", "user=no-such-user",
		"--ignore: there is no user 'no-such-user'; write a name or a number");
	assert_flag_error("--db", "", "--db: the value is missing");
	assert_flag_error("--db", NULL, "--db: the value is missing");
	assert_flag_error("-r", NULL, "-r: the value is missing");
	assert_flag_error("--nonsense", NULL, "unknown option --nonsense; see lastconnd --help");
	assert_flag_error("-x", NULL, "unknown option -x; see lastconnd --help");
	assert_flag_error("--help=1", NULL, "--help=1: takes no value");
	assert_flag_error("word", NULL, "'word' is not an option; see lastconnd --help");
}

static void words_behind_read_are_files_in_their_order(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("");
	assert_int_equal(load(&config, text, "--config", file_path, "-r", "a", "b,c", "--filter",
				 "tcp port 80", "-r", "-", "d", NULL),
		0);
	assert_int_equal(config.read_count, 4);
	assert_string_equal(config.read_paths[0], "a");
	assert_string_equal(config.read_paths[1], "b,c");
	assert_string_equal(config.read_paths[2], "-");
	assert_string_equal(config.read_paths[3], "d");
	assert_string_equal(config.filter, "tcp port 80");
	config_done(&config);
	assert_int_equal(load(&config, text, "--config", file_path, "a", "-r", "b", NULL), -1);
	assert_string_equal(text, "'a' is not an option; see lastconnd --help");
	assert_int_equal(load(&config, text, "--config", file_path, "-r", "-", "-", NULL), -1);
	assert_string_equal(text, "--read: standard input can be read only once");
	assert_int_equal(load(&config, text, "--config", file_path, "-r", "--", "a", NULL), 0);
	assert_string_equal(config.read_paths[0], "--");
	config_done(&config);
}

static void a_filter_needs_read(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("");
	assert_int_equal(load(&config, text, "--config", file_path, "--filter", "tcp", NULL), -1);
	assert_string_equal(text, "--filter: only with --read");
}

static void local_needs_read(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("");
	assert_int_equal(
		load(&config, text, "--config", file_path, "--local", "10.0.0.1", NULL), -1);
	assert_string_equal(text, "--local: only with --read");
}

static void interfaces_and_sources_fit(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("interface = eth0\ninterface = eth1\n");
	assert_int_equal(load(&config, text, "--config", file_path, "--source", "pcap", NULL), 0);
	assert_string_equal(config.interfaces, "eth0,eth1");
	config_done(&config);
	assert_int_equal(load(&config, text, "--config", file_path, "--source", "procfs", NULL), 0);
	config_done(&config);
	assert_int_equal(load(&config, text, "--config", file_path, "-r", "x.pcap", NULL), 0);
	config_done(&config);
	write_file("");
	assert_flag_error(
		"--source", "pcap", "--source pcap: name the interfaces, e.g. -i eth0 or -i any");
	assert_int_equal(
		load(&config, text, "--config", file_path, "-i", "lo", "--source", "procfs", NULL),
		-1);
	assert_string_equal(text, "--interface: not with --source procfs");
	assert_int_equal(
		load(&config, text, "--config", file_path, "-i", "none", "--source", "pcap", NULL),
		-1);
	assert_string_equal(text, "--source pcap: name the interfaces, e.g. -i eth0 or -i any");
	assert_int_equal(
		load(&config, text, "--config", file_path, "-i", "lo", "-r", "x.pcap", NULL), -1);
	assert_string_equal(text, "--interface: not with --read");
}

static void wrong_lines_of_the_file_are_named(void **state)
{
	(void)state;
	assert_file_error("\nmax-flow = 5\n", 2, "unknown key 'max-flow'");
	assert_file_error("[lastconnd]\n\n\nmax-flows = many\n", 4,
		"max-flows: 'many' is not a number; write e.g. 4096");
	assert_file_error("db = /x\njunk\n", 2, "neither 'key = value' nor a comment");
	assert_file_error("[other]\ndb = /x\n", 2, "unknown section [other]");
	assert_file_error("[broken\ndb = /x\n", 1, "neither 'key = value' nor a comment");
	assert_file_error("read = x.pcap\n", 1, "'read' belongs on the command line");
	assert_file_error("db = /x\ndb = /y\n", 2, "'db' is given twice");
	assert_file_error("db =\n", 1, "db: the value is missing");
	assert_file_error("junk\nmax-flows = x\n", 1, "neither 'key = value' nor a comment");
	assert_file_error(
		"max-flows = x\njunk\n", 1, "max-flows: 'x' is not a number; write e.g. 4096");
}

static void a_line_too_long_is_not_cut_in_two(void **state)
{
	char text[1024];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "max-flows = 50\ndb = /", 21);
	strcpy(text + 1000, "\nmax-flows = 5\n");
	assert_file_error(text, 2, "the line is too long, or holds a NUL");
}

static void a_bad_value_in_the_file_is_refused_under_a_flag(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	write_file("max-flows = x\n");
	assert_int_equal(
		load(&config, text, "--config", file_path, "--max-flows", "100", NULL), -1);
	assert_non_null(strstr(text, ":1: max-flows: 'x' is not a number"));
}

static void help_and_version_do_not_read_the_file(void **state)
{
	struct config config;
	char text[CONFIG_TEXT_SIZE];

	(void)state;
	assert_int_equal(load(&config, text, "--config", "/nonexistent", "-V", NULL), 0);
	assert_int_equal(config.version, 1);
	config_done(&config);
	assert_int_equal(load(&config, text, "-h", NULL), 0);
	assert_int_equal(config.help, 1);
	config_done(&config);
}

static void a_reload_applies_what_can_change_and_names_the_rest(void **state)
{
	struct config config, next;
	char text[CONFIG_TEXT_SIZE], kept[CONFIG_TEXT_SIZE];

	(void)state;
	assert_int_equal(load_text(&config, text, ""), 0);
	assert_int_equal(load_text(&next, text,
				 "log-level = debug\nflush-interval = 2s\ndb = /elsewhere\n"
				 "max-flows = 99\nlocal = 10.0.0.1\nignore = port=1\n"),
		0);
	config_apply(&config, &next, text, kept);
	assert_string_equal(text, "flush-interval log-level");
	assert_string_equal(kept, "db local ignore max-flows");
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config.flush_interval_ns, 2ll * NS_PER_S);
	assert_string_equal(config.db_path, "/var/lib/lastconn/history.db");
	assert_int_equal(config.max_flows, 65536);
	config_done(&config);
	config_done(&next);
}

static void help_names_every_option_with_its_default(void **state)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	assert_non_null(out);
	config_help(out);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "-r, --read FILE"));
	assert_non_null(strstr(text, "--ring-size SIZE"));
	assert_non_null(strstr(text, "(/var/lib/lastconn/history.db)"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_arguments_the_defaults_hold),
		cmocka_unit_test(a_missing_file_is_fine_unless_it_was_named),
		cmocka_unit_test(the_file_sets_and_flags_override_it),
		cmocka_unit_test(names_and_ranges_may_be_repeated),
		cmocka_unit_test(bad_flags_are_refused_with_the_way_to_write_them),
		cmocka_unit_test(words_behind_read_are_files_in_their_order),
		cmocka_unit_test(a_filter_needs_read),
		cmocka_unit_test(local_needs_read),
		cmocka_unit_test(interfaces_and_sources_fit),
		cmocka_unit_test(wrong_lines_of_the_file_are_named),
		cmocka_unit_test(a_line_too_long_is_not_cut_in_two),
		cmocka_unit_test(a_bad_value_in_the_file_is_refused_under_a_flag),
		cmocka_unit_test(help_and_version_do_not_read_the_file),
		cmocka_unit_test(a_reload_applies_what_can_change_and_names_the_rest),
		cmocka_unit_test(help_names_every_option_with_its_default),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}

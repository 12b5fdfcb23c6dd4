/* The order of the stages. Threads of the source begin between them: what looks at C libraries in
 * /proc keeps the capabilities for that and is not under Landlock, which forbids to look; the loop,
 * which reads what strangers sent, and the writer are, and have fewer capabilities. The filter of
 * system calls comes last, for all of them. */
#include "daemon/privilege.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/privilege_calls.h"
#include "daemon/privilege_capability.h"
#include "daemon/privilege_landlock.h"
#include "daemon/privilege_need.h"
#include "daemon/privilege_seccomp.h"
#include "daemon/privilege_user.h"
#include "util/path.h"

#define STAGE_USER         "user"
#define STAGE_CAPABILITIES "capabilities"
#define STAGE_LANDLOCK     "landlock"
#define STAGE_SECCOMP      "seccomp"

enum { WANTS_COUNT = 4, PATHS_MAX = 32 };

/* From little to much; the last one is all that can be asked for. */
static const unsigned wants_to_try[WANTS_COUNT] = {
	0,
	PRIVILEGE_WANTS_BPF,
	PRIVILEGE_WANTS_BPF | PRIVILEGE_WANTS_PERFMON,
	PRIVILEGE_WANTS_BPF | PRIVILEGE_WANTS_PERFMON | PRIVILEGE_WANTS_ADMIN,
};

void privilege_report_add(struct privilege_report *report, const char *stage, const char *what,
	const char *why_format, ...)
{
	struct privilege_line *line = &report->lines[report->count];
	va_list args;

	if (report->count == PRIVILEGE_LINES_MAX)
		return;
	report->count++;
	line->stage = stage;
	snprintf(line->what, sizeof(line->what), "%s", what);
	va_start(args, why_format);
	vsnprintf(line->why, sizeof(line->why), why_format, args);
	va_end(args);
}

void privilege_report_brief(const struct privilege_report *report, char *ret_text, size_t size)
{
	const char *stage = "";
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < report->count && used < size; i++) {
		const struct privilege_line *line = &report->lines[i];

		if (strcmp(stage, line->stage) == 0)
			used += (size_t)snprintf(ret_text + used, size - used, ", %s", line->what);
		else
			used += (size_t)snprintf(ret_text + used, size - used, "%s%s %s",
				used ? "; " : "", line->stage, line->what);
		stage = line->stage;
	}
}

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PRIVILEGE_TEXT_SIZE, format, args);
	va_end(args);
	return -1;
}

int privilege_become(const struct config *config, struct privilege_report *report,
	char ret_why[static PRIVILEGE_TEXT_SIZE])
{
	struct privilege_user user;
	char number[24];
	int error;

	*ret_why = '\0';
	if (config->privileges == PRIVILEGE_KEEP)
		return 0;
	if (privilege_user_choose(config, &user, ret_why) < 0)
		return -1;
	if (!user.change) {
		snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
		privilege_report_add(
			report, STAGE_USER, geteuid() == 0 ? "root" : number, "%s", user.why);
		if (user.uid != 0 && user.uid != geteuid())
			snprintf(ret_why, PRIVILEGE_TEXT_SIZE, "goes on as root: %s", user.why);
		return 0;
	}
	error = privilege_user_become(&user);
	if (error)
		return refuse(ret_why, "cannot become user %s: %s", user.name, strerror(-error));
	privilege_report_add(report, STAGE_USER, user.name, "%s", user.why);
	return 0;
}

/* Capabilities. */

/* The least that the kernel wants for what the source does. If nothing will do it does not do so:
 * then nothing is wanted. */
static unsigned find_wants(struct source *source, enum source_act act, unsigned needs)
{
	unsigned found = 0;

	if (!source->ops->may)
		return 0;
	for (size_t i = 0; i < WANTS_COUNT; i++) {
		int error;

		privilege_capability_use(privilege_need_set(needs | wants_to_try[i]));
		error = source->ops->may(source, act);
		if (error == 0)
			found = wants_to_try[i];
		if (error == 0 || error == -EOPNOTSUPP)
			break;
	}
	privilege_capability_use(UINT64_MAX);
	return found;
}

static void report_capabilities(
	struct privilege_report *report, unsigned needs, uint64_t permitted, bool bounded)
{
	const char *name, *why;
	uint64_t told = 0;
	int capability;

	for (size_t i = 0; privilege_need_at(i, needs, &capability, &name, &why); i++) {
		uint64_t bit = UINT64_C(1) << capability;

		if (why && permitted & bit & ~told)
			privilege_report_add(report, STAGE_CAPABILITIES, name, "%s", why);
		told |= why ? bit : 0;
	}
	privilege_report_add(report, STAGE_CAPABILITIES, permitted & told ? "no others" : "none",
		"%s",
		bounded ? "nor can programs that are run have any"
			: "the bounding set stays: that wants CAP_SETPCAP");
}

static int begin_threads(struct source *source, char *why)
{
	int error = source && source->ops->begin ? source->ops->begin(source) : 0;

	return error ? refuse(why, "cannot begin a thread: %s", strerror(-error)) : 0;
}

static unsigned find_needs(const struct config *config, struct source *source)
{
	size_t count;
	const struct source_slot *slots;
	unsigned needs = 0;

	if (source) {
		slots = source->ops->slots(source, &count);
		needs = privilege_need_of(source->ops->source, slots, count);
	}
	if (privilege_user_history_is_foreign(config))
		needs |= PRIVILEGE_NEED_FOREIGN;
	if (privilege_user_files_are_foreign(config))
		needs |= PRIVILEGE_NEED_FILES;
	return needs;
}

static int drop_capabilities(
	unsigned needs, struct source *source, struct privilege_report *report, char *why)
{
	uint64_t permitted = privilege_capability_permitted();
	unsigned loop = needs & ~(unsigned)PRIVILEGE_NEED_LIBRARIES, threads = 0;
	bool bounded;

	if (source) {
		loop |= find_wants(source, SOURCE_ACT_READ, loop);
		threads =
			privilege_need_threads(needs, find_wants(source, SOURCE_ACT_ATTACH, needs));
	}
	if (privilege_capability_keep(privilege_need_set(loop | threads), &bounded) < 0)
		return refuse(why, "cannot drop capabilities");
	report_capabilities(report, loop | threads, permitted, bounded);
	if (begin_threads(source, why) < 0)
		return -1;
	if (privilege_capability_keep(privilege_need_set(loop), &bounded) < 0)
		return refuse(why, "cannot drop capabilities");
	return 0;
}

/* Landlock. */

/* Those that libraries read at any time, and our own of /proc and /sys. */
static const char *const readable[] = {"/proc", "/sys", "/usr", "/lib", "/lib64", "/dev/null",
	"/dev/random", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf",
	"/etc/services", "/etc/protocols", "/etc/ethers", "/etc/networks", "/etc/hosts",
	"/etc/passwd"};

enum { READABLE_COUNT = sizeof(readable) / sizeof(readable[0]) };
_Static_assert(READABLE_COUNT + 8 <= PATHS_MAX, "room for all");

struct places {
	struct privilege_landlock_path *at;
	size_t count;
	char history[PATH_MAX], linked[PATH_MAX], config[PATH_MAX], metrics[PATH_MAX];
};

static void add_place(struct places *places, const char *path, enum privilege_landlock_use use)
{
	places->at[places->count++] = (struct privilege_landlock_path){path, use};
}

/* The history may be a link: then its files lie beside what that leads to. A configuration file is
 * read again, and editors put a new one in its place. */
static void add_own_places(struct places *places, const struct config *config, bool live)
{
	char real[PATH_MAX];

	path_split(config->db_path, places->history);
	add_place(places, places->history, PRIVILEGE_LANDLOCK_WRITE);
	if (realpath(config->db_path, real)) {
		path_split(real, places->linked);
		add_place(places, places->linked, PRIVILEGE_LANDLOCK_WRITE);
	}
	if (live && config->pin_path)
		add_place(places, config->pin_path, PRIVILEGE_LANDLOCK_WRITE);
	if (live && config->metrics_path) {
		path_split(config->metrics_path, places->metrics);
		add_place(places, places->metrics, PRIVILEGE_LANDLOCK_WRITE);
	}
	path_split(config->config_path, places->config);
	if (live)
		add_place(places, places->config, PRIVILEGE_LANDLOCK_READ);
	for (size_t i = 0; i < config->read_count; i++)
		add_place(places, config->read_paths[i], PRIVILEGE_LANDLOCK_READ);
}

static int apply_landlock(const struct config *config, bool live)
{
	struct places places = {0};
	int result = -ENOMEM;

	places.at = calloc(PATHS_MAX + config->read_count, sizeof(*places.at));
	if (!places.at)
		return result;
	for (size_t i = 0; i < READABLE_COUNT; i++)
		add_place(&places, readable[i], PRIVILEGE_LANDLOCK_READ);
	add_own_places(&places, config, live);
	result = privilege_landlock_apply(places.at, places.count);
	free(places.at);
	return result;
}

static int drop_files(const struct config *config, unsigned needs, bool live,
	struct privilege_report *report, char *why)
{
	char what[32];
	int version;

	if (needs & PRIVILEGE_NEED_POLL) {
		privilege_report_add(report, STAGE_LANDLOCK, "not used",
			"it would hide from this source whose process has which socket");
		return 0;
	}
	version = apply_landlock(config, live);
	if (version == -EOPNOTSUPP) {
		privilege_report_add(report, STAGE_LANDLOCK, "not there",
			"this kernel has none, or it is not among its security modules");
		return 0;
	}
	if (version < 0)
		return refuse(why, "cannot restrict files by Landlock: %s", strerror(-version));
	snprintf(what, sizeof(what), "version %d", version);
	privilege_report_add(report, STAGE_LANDLOCK, what,
		"writes to the directory of the history%s%s only%s",
		live && config->pin_path ? ", of the pins" : "",
		live && config->metrics_path ? ", of the metrics" : "",
		needs & PRIVILEGE_NEED_LIBRARIES
			? "; but not the thread that looks for C libraries, from which it would "
			  "hide them"
			: "");
	return 0;
}

static int drop_calls(unsigned needs, struct privilege_report *report, char *why)
{
	int error = privilege_seccomp_apply(privilege_calls_for(needs));

	if (error == -ENOSYS) {
		privilege_report_add(report, STAGE_SECCOMP, "not there",
			"this kernel lacks CONFIG_SECCOMP_FILTER");
		return 0;
	}
	if (error)
		return refuse(why, "cannot filter system calls: %s", strerror(-error));
	privilege_report_add(report, STAGE_SECCOMP, "on",
		"no programs, processes, mounts, modules, debugging%s",
		needs & PRIVILEGE_NEED_NAT ? ", TCP, new BPF programs" : ", sockets");
	return 0;
}

int privilege_drop(const struct config *config, struct source *source,
	struct privilege_report *report, char ret_why[static PRIVILEGE_TEXT_SIZE])
{
	unsigned needs;

	*ret_why = '\0';
	if (config->privileges == PRIVILEGE_KEEP) {
		privilege_report_add(report, "privileges", "kept", "as asked for");
		return begin_threads(source, ret_why);
	}
	needs = find_needs(config, source);
	if (drop_capabilities(needs, source, report, ret_why) < 0 ||
		drop_files(config, needs, source != NULL, report, ret_why) < 0)
		return -1;
	return drop_calls(needs, report, ret_why);
}

int privilege_drop_all(const struct config *config, char ret_text[static PRIVILEGE_TEXT_SIZE])
{
	struct privilege_report report = {.count = 0};

	if (privilege_become(config, &report, ret_text) < 0 ||
		privilege_drop(config, NULL, &report, ret_text) < 0)
		return -1;
	privilege_report_brief(&report, ret_text, PRIVILEGE_TEXT_SIZE);
	return 0;
}

/* Names are of [a-z0-9_-] only, so that no name leads out of a folder. A file that cannot be read
 * or parsed is an error, never skipped in favour of the next folder: somebody put it there to be
 * used. Only what permissions hide, like the home of the user who called sudo, is passed over.
 * Files above FILE_MAX_OCTETS are refused. */
#include "query/report_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/embedded.h"

#define SYSTEM_FOLDER "/etc/lastconn/queries"
#define SUFFIX        ".sql"

enum { FOLDERS_MAX = 3, FILE_MAX_OCTETS = 1 << 20 };

struct folders {
	char paths[FOLDERS_MAX][4096];
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void add_folder(
	struct folders *folders, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(folders->paths[folders->count], sizeof(folders->paths[0]), format, args);
	va_end(args);
	if (length > 0 && (size_t)length < sizeof(folders->paths[0]))
		folders->count++;
}

static struct folders folders_of(const char *given)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct folders folders = {.count = 0};

	if (given)
		add_folder(&folders, "%s", given);
	if (config && config[0] == '/')
		add_folder(&folders, "%s/lastconn/queries", config);
	else if (home && home[0] == '/')
		add_folder(&folders, "%s/.config/lastconn/queries", home);
	add_folder(&folders, "%s", SYSTEM_FOLDER);
	return folders;
}

static bool is_name(const char *name)
{
	return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

/* Returns 0, -ENOENT if there is no such file, or another negative errno. */
static int read_file(const char *path, char **ret_text)
{
	struct strbuf text = {0};
	char chunk[4096];
	size_t length;
	FILE *file = fopen(path, "re");
	int result = 0;

	if (!file)
		return -errno;
	errno = 0;
	while ((length = fread(chunk, 1, sizeof(chunk), file)) > 0 && text.length < FILE_MAX_OCTETS)
		strbuf_add(&text, chunk, length);
	if (ferror(file))
		result = errno ? -errno : -EIO;
	else if (text.length >= FILE_MAX_OCTETS)
		result = -EFBIG;
	else if (text.length != strlen(strbuf_text(&text)))
		result = -EINVAL;
	fclose(file);
	if (result == 0 && !(*ret_text = strbuf_take(&text)))
		result = -ENOMEM;
	strbuf_done(&text);
	return result;
}

static int load_file(const char *path, const char *name, struct report **ret_report,
	struct report_error *ret_error)
{
	char *text = NULL;
	int result = read_file(path, &text);

	if (result < 0) {
		snprintf(ret_error->text, sizeof(ret_error->text), "%.400s: %s", path,
			result == -EINVAL ? "is not a text" : strerror(-result));
		return result;
	}
	result = report_new(name, path, text, ret_report, ret_error);
	free(text);
	return result;
}

static const struct embedded_file *embedded_by_name(const char *name)
{
	size_t length = strlen(name);

	for (const struct embedded_file *file = embedded_queries; file->name; file++)
		if (strncmp(file->name, name, length) == 0 &&
			strcmp(file->name + length, SUFFIX) == 0)
			return file;
	return NULL;
}

int report_find(const char *folder, const char *name, struct report **ret_report,
	struct report_error *ret_error)
{
	struct folders folders = folders_of(folder);
	const struct embedded_file *embedded;

	for (size_t i = 0; i < folders.count && is_name(name); i++) {
		char path[4096 + 256];
		int result;

		snprintf(path, sizeof(path), "%s/%.200s" SUFFIX, folders.paths[i], name);
		result = load_file(path, name, ret_report, ret_error);
		if (result != -ENOENT && result != -ENOTDIR && result != -EACCES)
			return result;
	}
	embedded = is_name(name) ? embedded_by_name(name) : NULL;
	if (embedded)
		return report_new(name, REPORT_BUILT_IN, embedded->text, ret_report, ret_error);
	snprintf(ret_error->text, sizeof(ret_error->text),
		"no report '%.100s'; 'lastconn report' lists them", name);
	return -ENOENT;
}

static bool has_report(const struct report_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->reports[i]->name, name) == 0)
			return true;
	return false;
}

static int add_report(struct report_list *list, struct report *report)
{
	struct report **grown = realloc(list->reports, (list->count + 1) * sizeof(struct report *));

	if (!grown)
		return -ENOMEM;
	list->reports = grown;
	list->reports[list->count++] = report;
	return 0;
}

static int add_error(struct report_list *list, const char *text)
{
	char **grown = realloc(list->errors, (list->errors_count + 1) * sizeof(char *));
	char *copy = strdup(text);

	if (grown)
		list->errors = grown;
	if (!grown || !copy) {
		free(copy);
		return -ENOMEM;
	}
	list->errors[list->errors_count++] = copy;
	return 0;
}

/* file: "NAME.sql". Returns false if it is something else. */
static bool stem_of(const char *file, char *name, size_t size)
{
	size_t length = strlen(file), suffix = sizeof(SUFFIX) - 1;

	if (length <= suffix || length - suffix >= size || strcmp(file + length - suffix, SUFFIX))
		return false;
	memcpy(name, file, length - suffix);
	name[length - suffix] = '\0';
	return is_name(name);
}

static int list_one(struct report_list *list, const char *folder, const char *name)
{
	struct report_error error;
	struct report *report;
	int result;

	if (has_report(list, name))
		return 0;
	result = report_find(folder, name, &report, &error);
	if (result == -ENOMEM)
		return result;
	return result < 0 ? add_error(list, error.text) : add_report(list, report);
}

static int list_folder(struct report_list *list, const char *given, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char name[200];
	int result = 0;

	if (!directory)
		return 0;
	while (result == 0 && (entry = readdir(directory)) != NULL)
		if (stem_of(entry->d_name, name, sizeof(name)))
			result = list_one(list, given, name);
	closedir(directory);
	return result;
}

static int by_name(const void *a, const void *b)
{
	const struct report *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

int report_list_read(const char *folder, struct report_list *ret_list)
{
	struct folders folders = folders_of(folder);
	struct report_list list = {0};
	char name[200];
	int result = 0;

	for (size_t i = 0; i < folders.count && result == 0; i++)
		result = list_folder(&list, folder, folders.paths[i]);
	for (const struct embedded_file *file = embedded_queries; file->name && result == 0; file++)
		if (stem_of(file->name, name, sizeof(name)))
			result = list_one(&list, folder, name);
	if (result < 0) {
		report_list_done(&list);
		return result;
	}
	if (list.count > 0)
		qsort(list.reports, list.count, sizeof(list.reports[0]), by_name);
	*ret_list = list;
	return 0;
}

void report_list_done(struct report_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		report_free(list->reports[i]);
	for (size_t i = 0; i < list->errors_count; i++)
		free(list->errors[i]);
	free(list->reports);
	free(list->errors);
	*list = (struct report_list){0};
}

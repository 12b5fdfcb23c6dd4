/* One function a type. */
#include "query/report_args.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_names.h"
#include "query/report_host.h"
#include "util/time_parse.h"

void report_args_done(struct report_args *args)
{
	for (size_t i = 0; i < args->count; i++) {
		free(args->list[i].text);
		args->list[i].text = NULL;
	}
	args->count = 0;
}

/* The slot of that name, emptied, or a new one. */
static struct report_arg *slot(struct report_args *args, const char *name)
{
	struct report_arg *arg = NULL;

	for (size_t i = 0; i < args->count && !arg; i++)
		if (strcmp(args->list[i].name, name) == 0)
			arg = &args->list[i];
	if (!arg) {
		if (args->count == REPORT_ARGS_MAX || strlen(name) >= sizeof(arg->name))
			return NULL;
		arg = &args->list[args->count++];
	}
	free(arg->text);
	*arg = (struct report_arg){0};
	strcpy(arg->name, name);
	return arg;
}

int report_args_integer(struct report_args *args, const char *name, int64_t value)
{
	struct report_arg *arg = slot(args, name);

	if (!arg)
		return -ENOMEM;
	arg->kind = REPORT_ARG_INTEGER;
	arg->integer = value;
	return 0;
}

int report_args_text(struct report_args *args, const char *name, const char *value)
{
	struct report_arg *arg = slot(args, name);

	if (!arg)
		return -ENOMEM;
	arg->kind = REPORT_ARG_TEXT;
	arg->text = strdup(value);
	return arg->text ? 0 : -ENOMEM;
}

int report_args_blob(struct report_args *args, const char *name, const void *octets, size_t length)
{
	struct report_arg *arg = slot(args, name);

	if (!arg || length > sizeof(arg->blob))
		return -ENOMEM;
	arg->kind = REPORT_ARG_BLOB;
	memcpy(arg->blob, octets, length);
	arg->blob_length = length;
	return 0;
}

void report_args_drop(struct report_args *args, const char *name)
{
	for (size_t i = 0; i < args->count; i++) {
		if (strcmp(args->list[i].name, name) != 0)
			continue;
		free(args->list[i].text);
		args->list[i] = args->list[--args->count];
		args->list[args->count] = (struct report_arg){0}; /* slots not used own nothing */
		return;
	}
}

const struct report_arg *report_args_find(const struct report_args *args, const char *name)
{
	for (size_t i = 0; i < args->count; i++)
		if (strcmp(args->list[i].name, name) == 0)
			return &args->list[i];
	return NULL;
}

bool report_args_given(void *args, const char *name)
{
	return report_args_find(args, name) != NULL;
}

void report_args_bind(const struct report_args *args, struct store_report *statement)
{
	for (size_t i = 0; i < args->count; i++) {
		const struct report_arg *arg = &args->list[i];

		switch (arg->kind) {
		case REPORT_ARG_INTEGER:
			store_report_bind_integer(statement, arg->name, arg->integer);
			break;
		case REPORT_ARG_TEXT:
			store_report_bind_text(statement, arg->name, arg->text);
			break;
		case REPORT_ARG_BLOB:
			store_report_bind_blob(statement, arg->name, arg->blob, arg->blob_length);
			break;
		}
	}
}

__attribute__((format(printf, 2, 3))) static int refuse(
	char error[static REPORT_ERROR_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, REPORT_ERROR_SIZE, format, args);
	va_end(args);
	return -EINVAL;
}

static bool parse_integer(const char *value, int64_t min, int64_t max, int64_t *ret_number)
{
	char *end;
	long long number;

	if (!(value[0] >= '0' && value[0] <= '9') && value[0] != '-')
		return false;
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno || *end || number < min || number > max)
		return false;
	*ret_number = number;
	return true;
}

static int set_integer(struct report_args *args, const struct report_param *param,
	const char *value, char error[static REPORT_ERROR_SIZE])
{
	bool port = strcmp(param->name, "port") == 0;
	int64_t number;

	if (!parse_integer(value, port ? 0 : INT64_MIN, port ? 65535 : INT64_MAX, &number))
		return refuse(error,
			port ? "'%.100s' is not a port; write a number up to 65535"
			     : "'%.100s' is not a number; write e.g. 4242",
			value);
	return report_args_integer(args, param->name, number);
}

static int set_time(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	int64_t time_us;

	if (time_parse(value, args->now_us, args->utc, &time_us) < 0)
		return refuse(error,
			"'%.100s' is not a time; write e.g. 2h, yesterday, 2026-11-20, "
			"'2026-11-20 14:30' or 2026-11-20T14:30:00+01:00",
			value);
	return report_args_integer(args, param->name, time_us);
}

static int set_user(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	struct passwd *entry;
	int64_t uid;

	if (parse_integer(value, 0, UINT32_MAX, &uid))
		return report_args_integer(args, param->name, uid);
	entry = getpwnam(value);
	if (!entry)
		return refuse(error, "no user '%.100s' here; write a name of this machine or a uid",
			value);
	return report_args_integer(args, param->name, (int64_t)entry->pw_uid);
}

static int set_protocol(struct report_args *args, const struct report_param *param,
	const char *value, char error[static REPORT_ERROR_SIZE])
{
	int number = flow_protocol_parse(value);

	if (number < 0)
		return refuse(error,
			"'%.100s' is not a protocol; write e.g. tcp, udp, icmp or a number up to "
			"255",
			value);
	return report_args_integer(args, param->name, number);
}

static int set_limit(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	int64_t limit;

	if (!parse_integer(value, 0, INT32_MAX, &limit))
		return refuse(error,
			"'%.100s' is not a number of rows; write e.g. 100, or 0 for all", value);
	args->limit = limit;
	return report_args_integer(args, param->name, limit ? limit + 1 : -1);
}

static int set_choice(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	size_t length = strlen(value), step;

	for (const char *at = param->choices; *at; at += step + (at[step] == '|')) {
		step = strcspn(at, "|");
		if (step == length && strncmp(at, value, length) == 0)
			return report_args_text(args, param->name, value);
	}
	return refuse(error, "'%.100s' is none of %.300s", value, param->choices);
}

int report_args_set(struct report_args *args, const struct report_param *param, const char *value,
	char error[static REPORT_ERROR_SIZE])
{
	strcpy(error, "out of memory");
	switch (param->type) {
	case REPORT_TEXT:
		if (!value[0])
			return refuse(error, "the value is empty");
		return report_args_text(args, param->name, value);
	case REPORT_INTEGER:
		return set_integer(args, param, value, error);
	case REPORT_TIME:
		return set_time(args, param, value, error);
	case REPORT_HOST:
		return report_host_set(args, param->name, value, error);
	case REPORT_USER:
		return set_user(args, param, value, error);
	case REPORT_PROTOCOL:
		return set_protocol(args, param, value, error);
	case REPORT_LIMIT:
		return set_limit(args, param, value, error);
	case REPORT_CHOICE:
		return set_choice(args, param, value, error);
	case REPORT_TYPE_COUNT:
		break;
	}
	return -EINVAL;
}

int report_args_complete(
	struct report_args *args, const struct report *report, char error[static REPORT_ERROR_SIZE])
{
	for (size_t i = 0; i < report->params_count; i++) {
		const struct report_param *param = &report->params[i];
		int result = 0;

		if (report_args_given(args, param->name))
			continue;
		if (param->required)
			return refuse(error, "%.100s is missing: %.200s", param->name, param->text);
		if (param->fallback)
			result = report_args_set(args, param, param->fallback, error);
		if (result < 0)
			return result;
	}
	return 0;
}

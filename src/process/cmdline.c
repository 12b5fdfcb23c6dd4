/* Sources hand arguments over as they are, and nothing behind this sees them: so no source can
 * forget to hide what is secret in them. */
#include "process/cmdline.h"

#include <assert.h>
#include <string.h>

#include "process/cmdline_mask.h"
#include "process/process_text.h"

static const char *const names[] = {
	[CMDLINE_FULL] = "full",
	[CMDLINE_MASKED] = "masked",
	[CMDLINE_EXE] = "exe",
	[CMDLINE_NONE] = "none",
};
static_assert(sizeof(names) / sizeof(names[0]) == CMDLINE_NONE + 1, "a name each");

const char *cmdline_mode_name(enum cmdline_mode mode)
{
	return names[mode];
}

/* Where all arguments are one, as a capture file has them or a process its title, the first word
 * stands for it. */
static size_t first_length(const char *arguments, size_t length)
{
	size_t first = strnlen(arguments, length), at = first;

	while (at < length && arguments[at] == '\0')
		at++;
	if (at == length)
		for (at = 0; at < first && arguments[at] != ' ';)
			at++;
	return at < first ? at : first;
}

static void keep_masked(const struct process_info *info, char buf[static PROCESS_CMDLINE_MAX])
{
	char masked[PROCESS_CMDLINE_MAX];
	size_t length = cmdline_mask(masked, sizeof(masked), info->arguments,
		info->arguments_length, info->flags & PROCESS_CMDLINE_TRUNCATED);

	process_text_cmdline(buf, PROCESS_CMDLINE_MAX, masked, length);
}

struct process_info cmdline_keep(enum cmdline_mode mode, const struct process_info *info,
	char buf[static PROCESS_CMDLINE_MAX])
{
	struct process_info kept = *info;

	buf[0] = '\0';
	if (!info->arguments)
		mode = CMDLINE_NONE;
	switch (mode) {
	case CMDLINE_FULL:
		process_text_cmdline(
			buf, PROCESS_CMDLINE_MAX, info->arguments, info->arguments_length);
		break;
	case CMDLINE_MASKED:
		keep_masked(info, buf);
		break;
	case CMDLINE_EXE:
		process_text_cmdline(buf, PROCESS_CMDLINE_MAX, info->arguments,
			first_length(info->arguments, info->arguments_length));
		break;
	case CMDLINE_NONE:
		break;
	}
	kept.cmdline = buf;
	kept.arguments = NULL;
	kept.arguments_length = 0;
	return kept;
}

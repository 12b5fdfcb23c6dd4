/* Each comment is one of these, written by one format string (internal/writer/pcapng.go):
 *
 *     PID: N\nCmd: PATH\nArgs: ARGUMENTS            ("Command" instead of "Cmd" at first)
 *     UserId: N [\nGroupId: N]
 *     ParentPID: N\nParentCmd: PATH\nParentArgs: ARGUMENTS
 *     ContainerName: NAME\nContainerId: ID\nContainerImage: ...
 *
 * They are read as wholes and not line by line: arguments may hold newlines and whatever else the
 * process likes, and go to the end of their comment. Comments of threads, which are no processes,
 * and of pods are passed over. */
#include "decode/process_comment.h"

#include <stdbool.h>
#include <string.h>

enum { CONTAINER_ID_LENGTH = 64 };

static bool skip(struct captured_text *text, const char *word)
{
	size_t length = strlen(word);

	if (text->length < length || memcmp(text->at, word, length) != 0)
		return false;
	text->at += length;
	text->length -= length;
	return true;
}

/* A number up to the end of its line, or of the text. */
static bool take_number(struct captured_text *text, uint32_t *ret_number)
{
	uint64_t number = 0;
	size_t digits = 0;

	while (digits < text->length && text->at[digits] >= '0' && text->at[digits] <= '9') {
		number = number * 10 + (uint64_t)(text->at[digits++] - '0');
		if (number > INT32_MAX)
			return false;
	}
	if (digits == 0 || (digits < text->length && text->at[digits] != '\n'))
		return false;
	text->at += digits;
	text->length -= digits;
	*ret_number = (uint32_t)number;
	return true;
}

/* What stands before the word; the text then begins after it. */
static bool take_until(
	struct captured_text *text, const char *word, struct captured_text *ret_before)
{
	size_t length = strlen(word);

	for (size_t i = 0; i + length <= text->length; i++) {
		if (memcmp(text->at + i, word, length) != 0)
			continue;
		*ret_before = (struct captured_text){text->at, i};
		text->at += i + length;
		text->length -= i + length;
		return true;
	}
	return false;
}

/* "N\nCmd: PATH\nArgs: ARGUMENTS", with the words as ptcpdump has them for process and parent. */
static void take_program(struct captured_text text, const char *const words[3], uint32_t *ret_pid,
	struct captured_text *ret_exe, struct captured_text *ret_cmdline)
{
	struct captured_text exe;
	uint32_t pid;

	if (!take_number(&text, &pid) || (!skip(&text, words[0]) && !skip(&text, words[1])) ||
		!take_until(&text, words[2], &exe))
		return;
	*ret_pid = pid;
	*ret_exe = exe;
	*ret_cmdline = text;
}

static void take_container(struct captured_text text, struct captured_text *ret_container)
{
	struct captured_text name, id;

	if (!take_until(&text, "\nContainerId: ", &name) || !take_until(&text, "\n", &id) ||
		id.length != CONTAINER_ID_LENGTH)
		return;
	for (size_t i = 0; i < id.length; i++)
		if (!id.at[i] || !strchr("0123456789abcdef", id.at[i]))
			return;
	*ret_container = id;
}

void process_comment_read(struct captured_process *process, const char *octets, size_t length)
{
	static const char *const words[] = {"\nCmd: ", "\nCommand: ", "\nArgs: "};
	static const char *const parent_words[] = {
		"\nParentCmd: ", "\nParentCommand: ", "\nParentArgs: "};
	struct captured_text text = {octets, length};

	if (skip(&text, "PID: "))
		take_program(text, words, &process->pid, &process->exe, &process->cmdline);
	else if (skip(&text, "ParentPID: "))
		take_program(text, parent_words, &process->parent_pid, &process->parent_exe,
			&process->parent_cmdline);
	else if (skip(&text, "UserId: "))
		take_number(&text, &process->uid);
	else if (skip(&text, "ContainerName: "))
		take_container(text, &process->container);
}

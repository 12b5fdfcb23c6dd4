/* Comments of ptcpdump, and what only looks like one. */
#include "decode/process_comment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct captured_process nobody = {.uid = CAPTURED_UID_NONE};

static void check_text(const struct captured_text *text, const char *expected)
{
	assert_int_equal(text->length, strlen(expected));
	if (expected[0])
		assert_memory_equal(text->at, expected, strlen(expected));
}

static void read_into(struct captured_process *process, const char *text)
{
	process_comment_read(process, text, strlen(text));
}

static void check_nothing(const char *text)
{
	struct captured_process process = nobody;

	read_into(&process, text);
	assert_memory_equal(&process, &nobody, sizeof(process));
}

static void the_comments_of_a_packet_make_one_process(void **state)
{
	struct captured_process process = nobody;

	(void)state;
	read_into(&process, "PID: 321\nCmd: /usr/bin/curl\nArgs: curl -s\nx");
	read_into(&process, "ThreadId: 5\nThreadName: worker");
	read_into(&process, "UserId: 1000\nGroupId: 100");
	read_into(&process, "ParentPID: 300\nParentCmd: /bin/sh\nParentArgs: sh -c curl");
	read_into(&process, "ContainerName: a\nContainerId: " ID "\nContainerImage: b");
	assert_int_equal(process.pid, 321);
	assert_int_equal(process.uid, 1000);
	assert_int_equal(process.parent_pid, 300);
	check_text(&process.name, "");
	check_text(&process.exe, "/usr/bin/curl");
	check_text(&process.cmdline, "curl -s\nx");
	check_text(&process.parent_exe, "/bin/sh");
	check_text(&process.parent_cmdline, "sh -c curl");
	check_text(&process.container, ID);
}

static void the_words_of_the_first_ptcpdump_are_read_too(void **state)
{
	struct captured_process process = nobody;

	(void)state;
	read_into(&process, "PID: 1\nCommand: /sbin/init\nArgs: ");
	assert_int_equal(process.pid, 1);
	check_text(&process.exe, "/sbin/init");
	check_text(&process.cmdline, "");
}

static void a_user_may_stand_alone_in_a_comment(void **state)
{
	struct captured_process process = nobody;

	(void)state;
	read_into(&process, "UserId: 0");
	assert_int_equal(process.uid, 0);
}

static void arguments_go_to_the_end_of_their_comment(void **state)
{
	struct captured_process process = nobody;

	(void)state;
	read_into(&process, "PID: 1\nCmd: x\nArgs: a\nParentPID: 2\nParentCmd: y\nParentArgs: z\n"
			    "UserId: 3\nArgs: b");
	assert_int_equal(process.parent_pid, 0);
	assert_int_equal(process.uid, CAPTURED_UID_NONE);
	check_text(&process.exe, "x");
	check_text(&process.cmdline, "a\nParentPID: 2\nParentCmd: y\nParentArgs: z\nUserId: 3\n"
				     "Args: b");
}

static void other_comments_say_nothing(void **state)
{
	static const char *const texts[] = {"", "P", "a remark", "PID: ", "PID: 1",
		"PID: 1\nCmd: x", "PID: -1\nCmd: x\nArgs: y", "PID: 1x\nCmd: x\nArgs: y",
		"PID: 2147483648\nCmd: x\nArgs: y", "PID: 18446744073709551617\nCmd: x\nArgs: y",
		" PID: 1\nCmd: x\nArgs: y", "PID: 1\n Cmd: x\nArgs: y", "UserId: -1",
		"UserId: root", "ContainerName: a\nContainerId: abc\nContainerImage: b",
		"ContainerName: a\nContainerId: " ID "0\nContainerImage: b",
		"ContainerName: a\nContainerId: /" ID "\nContainerImage: b"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_nothing(texts[i]);
}

static void no_prefix_is_read_beyond_its_end(void **state)
{
	static const char *const texts[] = {"PID: 321\nCmd: /usr/bin/curl\nArgs: curl",
		"ParentPID: 321\nParentCmd: /usr/bin/curl\nParentArgs: curl",
		"UserId: 10\nGroupId: 1",
		"ContainerName: a\nContainerId: " ID "\nContainerImage: b"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t length = 0; length <= strlen(texts[i]); length++) {
			struct captured_process process = nobody;
			char *copy = malloc(length + !length);

			assert_non_null(copy);
			memcpy(copy, texts[i], length);
			process_comment_read(&process, copy, length);
			free(copy);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_comments_of_a_packet_make_one_process),
		cmocka_unit_test(the_words_of_the_first_ptcpdump_are_read_too),
		cmocka_unit_test(a_user_may_stand_alone_in_a_comment),
		cmocka_unit_test(arguments_go_to_the_end_of_their_comment),
		cmocka_unit_test(other_comments_say_nothing),
		cmocka_unit_test(no_prefix_is_read_beyond_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

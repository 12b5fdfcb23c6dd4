/* What this process may do, and how it gives up what it does not need, in named stages:
 *
 * user: root becomes the user whom the history belongs to, before anything is opened.
 * capabilities: those that a feature which is on needs stay, each for its reason.
 * landlock: only the history, the pins and the metrics can be written.
 * seccomp: only the system calls of recording are granted.
 *
 * What the kernel lacks is said in the report and left out; what it should grant and does not is an
 * error. For the rest of the process's life: there is no way back. */
#ifndef LASTCONN_DAEMON_PRIVILEGE_H
#define LASTCONN_DAEMON_PRIVILEGE_H

#include <stddef.h>

#include "daemon/config.h"
#include "source/source.h"

enum { PRIVILEGE_TEXT_SIZE = 512, PRIVILEGE_LINES_MAX = 16 };

/* Values of the option "privileges". */
enum privilege_choice { PRIVILEGE_DROP, PRIVILEGE_KEEP };

/* What a stage came to: "capabilities", "CAP_NET_ADMIN", why it stays. */
struct privilege_line {
	const char *stage;
	char what[128];
	char why[256]; /* "" it goes without saying */
};

struct privilege_report {
	struct privilege_line lines[PRIVILEGE_LINES_MAX];
	size_t count;
};

/* The capabilities that recording needs and this process lacks, separated by spaces; "" if it has
 * all of them. */
void privilege_missing(char *ret_names, size_t size);

__attribute__((format(printf, 4, 5))) void privilege_report_add(struct privilege_report *report,
	const char *stage, const char *what, const char *why_format, ...);

/* All of it in a line: "user lastconn; capabilities CAP_NET_ADMIN, no others; seccomp on". */
void privilege_report_brief(const struct privilege_report *report, char *ret_text, size_t size);

/* The first stage: before the process has threads, descriptors or locks of files. Capabilities
 * stay. Returns 0, ret_why then says why root stays root though that should not be, or is "";
 * or -1 with one line in ret_why: the user that was asked for cannot be had. */
int privilege_become(const struct config *config, struct privilege_report *report,
	char ret_why[static PRIVILEGE_TEXT_SIZE]);

/* The others, of a process that records with this source (which loses none of its features, and
 * whose threads begin here) or that reads files (NULL). Before any other thread. Returns 0, or -1
 * with one line in ret_why. */
int privilege_drop(const struct config *config, struct source *source,
	struct privilege_report *report, char ret_why[static PRIVILEGE_TEXT_SIZE]);

/* All stages, of a process that works on the history and the capture files only. Returns 0, with
 * the report in brief, or -1 with one line why not. */
int privilege_drop_all(const struct config *config, char ret_text[static PRIVILEGE_TEXT_SIZE]);

#endif

/* What of a process's arguments is kept: the one place where they become text. Pure. */
#ifndef LASTCONN_PROCESS_CMDLINE_H
#define LASTCONN_PROCESS_CMDLINE_H

#include "process/process.h"

enum cmdline_mode {
	CMDLINE_FULL,
	CMDLINE_MASKED, /* without the secrets that cmdline_mask.h finds */
	CMDLINE_EXE,    /* how the program was called, argv[0] */
	CMDLINE_NONE,
};

const char *cmdline_mode_name(enum cmdline_mode mode); /* "full", ... */

/* Copies *info, with cmdline made of its arguments, in buf, and without these. */
struct process_info cmdline_keep(enum cmdline_mode mode, const struct process_info *info,
	char buf[static PROCESS_CMDLINE_MAX]);

#endif

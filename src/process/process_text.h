/* Text of a process as the kernel gives it, made fit to store: valid UTF-8, bounded. Pure. */
#ifndef LASTCONN_PROCESS_PROCESS_TEXT_H
#define LASTCONN_PROCESS_PROCESS_TEXT_H

#include <stddef.h>

/* Joins path components given leaf first, each ended by NUL ("curl\0bin\0usr\0"), into an absolute
 * path ("/usr/bin/curl"; "/" of none). "memfd:" names, which hang in no tree, get no slash.
 * Returns the length written; what does not fit is cut. */
size_t process_text_path(char *dst, size_t dst_size, const char *components, size_t length);

/* Joins NUL-ended arguments by spaces. An argument with blanks, quotes or nothing in it is put in
 * single quotes, unless it is the only one (process titles). Returns the length written. */
size_t process_text_cmdline(char *dst, size_t dst_size, const char *arguments, size_t length);

#endif

/* Where the words, values and passwords of a command line begin and end. Pure; reads nothing behind
 * the text, whatever is in it. */
#ifndef LASTCONN_PROCESS_CMDLINE_SCAN_H
#define LASTCONN_PROCESS_CMDLINE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct cmdline_text { /* an argument, or what is quoted in one. Without NUL */
	const char *at;
	size_t length;
	bool script; /* a shell reads it: values end at a blank */
	bool cut;    /* it may go on */
};

bool cmdline_scan_is_quote(char c);
bool cmdline_scan_is_alnum(char c);
bool cmdline_scan_is_name(char c); /* of a name before '=', or an option */
bool cmdline_scan_is_url(const struct cmdline_text *text, size_t at, size_t end); /* "://" */
bool cmdline_scan_is_path(const struct cmdline_text *text, size_t from, size_t end);

/* Ports as they are given: "22", "8080:80/tcp", "127.0.0.1:80:80", "6000-6010". */
bool cmdline_scan_is_port(const struct cmdline_text *text, size_t from, size_t end);

/* The first octet from there on that is no blank, or the text's end. */
size_t cmdline_scan_blanks(const struct cmdline_text *text, size_t from);

/* The end of the word that begins at from, as a shell sees it. */
size_t cmdline_scan_word(const struct cmdline_text *text, size_t from);

/* The end of the value that begins at from; *ret_begin is behind its opening quote. end: of the
 * word that it is in or stands behind. */
size_t cmdline_scan_value(
	const struct cmdline_text *text, size_t from, size_t end, size_t *ret_begin);

/* Where the password of a URL of which [from, end) is behind "://" begins; its end in *ret_end. 0:
 * it has none. */
size_t cmdline_scan_password(
	const struct cmdline_text *text, size_t from, size_t end, size_t *ret_end);

/* Where the user of such a URL ends, at its '@' or before its ':'. from: it has none. If the text
 * is cut before a '@', what there is may be one. */
size_t cmdline_scan_user(const struct cmdline_text *text, size_t from, size_t end);

#endif

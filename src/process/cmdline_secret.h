/* What gives a secret away on a command line: the name that it is given under, the program that is
 * known to take one, the form of the secret itself. Tables; pure. */
#ifndef LASTCONN_PROCESS_CMDLINE_SECRET_H
#define LASTCONN_PROCESS_CMDLINE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cmdline_secret {
	CMDLINE_SECRET_NO,
	CMDLINE_SECRET_YES,
	CMDLINE_SECRET_UNLESS_PATH, /* a value that is the path of a file is none */
	CMDLINE_SECRET_UNLESS_PORT, /* nor one that is a port, as in "-p 8080:80" */
	CMDLINE_SECRET_IN_URL,      /* before the '@' of one, perhaps without scheme: of a proxy */
};

/* Of NAME=VALUE and NAME:VALUE: a secret's name somewhere in it ("MYSQL_PASSWORD_2", "apiKey"), but
 * not what is only about one ("token_file", "author"). Dashes before it do not matter. */
enum cmdline_secret cmdline_secret_name(const char *name, size_t length);

/* Of an option whose value is the next argument ("--db-password"): its last word must say so. */
enum cmdline_secret cmdline_secret_option(const char *option, size_t length);

/* The programs of the table that a word names, by its file's name; a bit each. */
uint64_t cmdline_secret_program(const char *word, size_t length);

/* Where in the word the value of a secret option of one of these programs begins, length: it is the
 * next word; 0: the word is no such option. *ret_after: the secret is only what follows this octet
 * in the value; NUL: all of it. *ret_secret: what it is. */
size_t cmdline_secret_of_program(uint64_t programs, const char *word, size_t length,
	char *ret_after, enum cmdline_secret *ret_secret);

/* Of the user of a URL: long, and letters and digits mixed as nobody names an account. */
bool cmdline_secret_user(const char *user, size_t length);

/* Of a well-known form of tokens at text: *ret_length octets in all, of which the first
 * *ret_prefix only tell the form. False: none is there. */
bool cmdline_secret_token(const char *text, size_t length, size_t *ret_prefix, size_t *ret_length);

#endif

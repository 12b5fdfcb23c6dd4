/* An argument is read word by word, as it may be a command line itself (ssh, sh -c, a title that a
 * process gave itself, all arguments in one as a capture file has them). A secret is
 *
 *   the value of a secret option       --password x, --password=x; of a known program: mysql -px
 *   the value of a secret name         TOKEN=x, "password": "x", Authorization: Bearer x
 *   the password of a URL              scheme://user:x@host, --proxy user:x@host
 *   the user of one, if a token        https://x@host
 *   a token of a well-known form       ghp_x, AKIAx
 *
 * The value of a name goes on to its closing quote, else to the end of its argument, for that may
 * hold blanks; in what a shell reads, to the end of the word. So with a secret innocent octets may
 * go, but what stands before it stays: the program, and mostly the host.
 *
 * Not found: a secret without a name, such as an argument by its place, or in the path of a URL;
 * what a program's code does with it; encoded text. Octets may be anything. What is in quotes is
 * read as an argument of its own, which ends: quotes of one kind hold only those of the other. */
#include "process/cmdline_mask.h"

#include <stdint.h>
#include <string.h>

#include "process/cmdline_scan.h"
#include "process/cmdline_secret.h"

struct mask {
	char *dst;
	size_t size, used;
	uint64_t programs;           /* named up to here */
	enum cmdline_secret follows; /* what the next word is */
	char after;                  /* only what follows this octet in it; NUL: all */
};

static void take_words(struct mask *mask, const struct cmdline_text *text, size_t from);
static size_t take_bare_url(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end);

static void put(struct mask *mask, const char *octets, size_t length)
{
	size_t room = mask->size - mask->used;

	if (length > room)
		length = room;
	memcpy(mask->dst + mask->used, octets, length);
	mask->used += length;
}

static void hide(struct mask *mask)
{
	put(mask, CMDLINE_MASK, strlen(CMDLINE_MASK));
}

/* "-h" and "--host" behind an option that may stand alone. */
static bool is_option(const char *at, size_t length)
{
	return length > 1 && at[0] == '-' && (length == 2 || at[1] == '-');
}

/* Behind a separator of a secret name in the word that ends at end. Returns up to where the text is
 * written. */
static size_t take_value(struct mask *mask, const struct cmdline_text *text, size_t from,
	size_t end, enum cmdline_secret secret)
{
	size_t value = cmdline_scan_blanks(text, from), begin = value, value_end;

	if (text->script && value > from && text->at[from - 1] == '=')
		return from; /* empty */
	value_end = cmdline_scan_value(text, value, end, &begin);
	put(mask, text->at + from, begin - from);
	if (secret == CMDLINE_SECRET_IN_URL && value_end > begin)
		return take_bare_url(mask, text, begin, value_end);
	if (value_end <= begin || (secret == CMDLINE_SECRET_UNLESS_PATH &&
					  cmdline_scan_is_path(text, begin, value_end)))
		return begin;
	hide(mask);
	return value_end;
}

/* Where the separator behind a name that ends at from is; end: nowhere. Quotes may stand between.
 */
static size_t separator_of(const struct cmdline_text *text, size_t from, size_t end)
{
	while (from < end && (cmdline_scan_is_quote(text->at[from]) || text->at[from] == '\\'))
		from++;
	if (from == end || (text->at[from] != '=' && text->at[from] != ':'))
		return end;
	return cmdline_scan_is_url(text, from, end) ? end : from;
}

/* The name in text[from, end) and its value, if it is a secret's. Returns from if not. */
static size_t take_name(struct mask *mask, const struct cmdline_text *text, size_t from,
	size_t name_end, size_t end)
{
	size_t separator = separator_of(text, name_end, end);
	enum cmdline_secret secret;

	if (separator == end)
		return from;
	secret = cmdline_secret_name(text->at + from, name_end - from);
	if (secret == CMDLINE_SECRET_NO)
		return from;
	put(mask, text->at + from, separator + 1 - from);
	return take_value(mask, text, separator + 1, end, secret);
}

/* What begins at from: a name, a token, or else an octet. */
static size_t take_run(struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	size_t run = from, prefix, length, next;

	while (run < end && cmdline_scan_is_name(text->at[run]))
		run++;
	next = take_name(mask, text, from, run, end);
	if (next > from)
		return next;
	while (from < run) {
		size_t step = 1;

		if (cmdline_secret_token(text->at + from, run - from, &prefix, &length)) {
			put(mask, text->at + from, prefix);
			hide(mask);
			from += length;
			continue;
		}
		while (from + step < run && cmdline_scan_is_alnum(text->at[from + step - 1]))
			step++;
		put(mask, text->at + from, step);
		from += step;
	}
	return from;
}

/* The user of a URL in [from, end). Returns where it stopped, perhaps behind end. */
static size_t take_user(struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	size_t prefix, length;

	if (cmdline_secret_user(text->at + from, end - from) &&
		!cmdline_secret_token(text->at + from, end - from, &prefix, &length)) {
		hide(mask);
		return end;
	}
	while (from < end)
		if (cmdline_scan_is_name(text->at[from]))
			from = take_run(mask, text, from, end);
		else
			put(mask, text->at + from++, 1);
	return from;
}

/* "user:password" of a URL of which [from, end) is behind "://". Returns where that ends. */
static size_t take_login(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	size_t password_end = 0;
	size_t password = cmdline_scan_password(text, from, end, &password_end);

	from = take_user(
		mask, text, from, password ? password - 1 : cmdline_scan_user(text, from, end));
	if (!password || from >= password)
		return from; /* or the user's name was one of a secret */
	put(mask, ":", 1);
	hide(mask);
	return password_end;
}

/* "://" and what stands before the '@'. */
static size_t take_url(struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	size_t at = from + strlen("://");

	put(mask, text->at + from, at - from);
	return at < end ? take_login(mask, text, at, end) : at;
}

/* The login of a value in [from, end) that is a URL, if it has no scheme; one that has is found as
 * any other. Returns from if there is none: "proxy:3128". */
static size_t take_bare_url(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	bool cut = text->cut && end == text->length;

	if (from == end || (!cut && !memchr(text->at + from, '@', end - from)))
		return from;
	if (cmdline_scan_is_quote(text->at[from]))
		put(mask, text->at + from++, 1);
	return from < end ? take_login(mask, text, from, end) : from;
}

/* The quote at from, with what is quoted if that is more than a word: as an argument of its own. */
static size_t take_quoted(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	size_t begin = from + 1;
	const char *close = memchr(text->at + begin, text->at[from], end - begin);
	struct cmdline_text inner = {.at = text->at + begin};

	put(mask, text->at + from, 1);
	inner.length = (close ? (size_t)(close - text->at) : end) - begin;
	inner.cut = text->cut && begin + inner.length == text->length;
	if (cmdline_scan_word(&inner, 0) == inner.length)
		return begin;
	take_words(mask, &inner, 0);
	if (!close)
		return end;
	put(mask, close, 1);
	return begin + inner.length + 1;
}

/* Any text in [from, end). Returns where it stopped, perhaps behind end. */
static size_t take_text(struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	while (from < end) {
		if (cmdline_scan_is_name(text->at[from])) {
			from = take_run(mask, text, from, end);
		} else if (cmdline_scan_is_url(text, from, end)) {
			from = take_url(mask, text, from, end);
		} else if (cmdline_scan_is_quote(text->at[from])) {
			from = take_quoted(mask, text, from, end);
		} else {
			put(mask, text->at + from, 1);
			from++;
		}
	}
	return from;
}

/* A value in [from, end) of which what stands behind the octet after is secret. */
static size_t take_after(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end, char after)
{
	const char *found = after ? memchr(text->at + from, after, end - from) : NULL;
	size_t secret = found ? (size_t)(found - text->at) + 1 : from;

	if ((after && !found) || secret >= end)
		return take_text(mask, text, from, end);
	if (take_text(mask, text, from, secret) == secret)
		hide(mask);
	return end;
}

/* What is known to be of that kind, in [from, end). */
static size_t take_secret(struct mask *mask, const struct cmdline_text *text, size_t from,
	size_t end, enum cmdline_secret secret, char after)
{
	if (secret == CMDLINE_SECRET_IN_URL)
		return take_text(mask, text, take_bare_url(mask, text, from, end), end);
	return take_after(mask, text, from, end, after);
}

/* The word that an option before it asked for. */
static size_t take_followed(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	enum cmdline_secret secret = mask->follows;

	mask->follows = CMDLINE_SECRET_NO;
	if ((secret == CMDLINE_SECRET_UNLESS_PATH && cmdline_scan_is_path(text, from, end)) ||
		(secret == CMDLINE_SECRET_UNLESS_PORT && cmdline_scan_is_port(text, from, end)))
		return take_text(mask, text, from, end);
	if (end == from)
		return end;
	return take_after(mask, text, from, end, mask->after);
}

/* Blanks and quotes are in passwords, not in what stands before them. */
static bool begins_as_url(const struct cmdline_text *text, size_t from, size_t end)
{
	if (from < end && cmdline_scan_is_quote(text->at[from]))
		from++;
	while (from < end && text->at[from] != ':' && text->at[from] != '@') {
		if (cmdline_scan_is_quote(text->at[from]) || cmdline_scan_blanks(text, from) > from)
			return false;
		from++;
	}
	return true;
}

/* The login of a URL that an option before it asked for, if it takes any and this is one: "--proxy"
 * may stand alone. What is left is a word as any other, a program's name or an option. Returns from
 * if all is. */
static size_t take_followed_url(
	struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	mask->follows = CMDLINE_SECRET_NO;
	if (from == end || text->at[from] == '-' || !begins_as_url(text, from, end))
		return from;
	mask->programs |= cmdline_secret_program(text->at + from, end - from);
	return take_bare_url(mask, text, from, end);
}

/* Of SQL: "identified by 'x'", "password 'x'". */
static bool asks_for_quoted(const struct cmdline_text *text, size_t from, size_t end)
{
	size_t next = cmdline_scan_blanks(text, end);

	if (next == end || next == text->length || text->at[next] != '\'')
		return false;
	return (end - from == 2 && strncasecmp(text->at + from, "by", 2) == 0) ||
	       (end - from == 8 && strncasecmp(text->at + from, "password", 8) == 0);
}

static size_t take_word(struct mask *mask, const struct cmdline_text *text, size_t from, size_t end)
{
	const char *word = text->at + from;
	size_t length = end - from, value;
	enum cmdline_secret secret = CMDLINE_SECRET_YES;
	char after;

	if (mask->follows == CMDLINE_SECRET_IN_URL) {
		size_t rest = take_followed_url(mask, text, from, end);

		if (rest > from)
			return take_text(mask, text, rest, end);
	}
	if (mask->follows && !is_option(word, length))
		return take_followed(mask, text, from, end);
	mask->follows = CMDLINE_SECRET_NO;
	value = cmdline_secret_of_program(mask->programs, word, length, &after, &secret);
	if (value && value < length && secret == CMDLINE_SECRET_UNLESS_PORT &&
		cmdline_scan_is_port(text, from + value, end))
		return take_text(mask, text, from, end);
	if (value && value < length) {
		put(mask, word, value);
		if (from == 0 && !text->script)
			end = text->length;
		return take_secret(mask, text, from + value, end, secret, after);
	}
	mask->programs |= cmdline_secret_program(word, length);
	mask->after = value ? after : '\0';
	if (value || asks_for_quoted(text, from, end))
		mask->follows = secret;
	else
		mask->follows = cmdline_secret_option(word, length);
	return take_text(mask, text, from, end);
}

static void take_words(struct mask *mask, const struct cmdline_text *text, size_t from)
{
	size_t at = from;

	while (at < text->length) {
		size_t word = cmdline_scan_blanks(text, at);

		put(mask, text->at + at, word - at);
		at = word;
		if (at < text->length)
			at = take_word(mask, text, at, cmdline_scan_word(text, at));
	}
}

/* What a word before it asked for is all of an argument, whatever is in it. */
static void take_argument(struct mask *mask, const struct cmdline_text *text)
{
	size_t from = 0;

	if (mask->follows == CMDLINE_SECRET_IN_URL)
		from = take_followed_url(mask, text, 0, text->length);
	if (mask->follows && !is_option(text->at, text->length))
		take_followed(mask, text, 0, text->length);
	else
		take_words(mask, text, from);
}

/* "-c", "-lc": what follows it is read by a shell. */
static bool is_script_option(const char *at, size_t length)
{
	return length >= 2 && length <= 4 && at[0] == '-' && at[1] != '-' && at[length - 1] == 'c';
}

size_t cmdline_mask(char *dst, size_t dst_size, const char *arguments, size_t length, bool cut)
{
	struct mask mask = {.dst = dst, .size = dst_size};
	bool script = memchr(arguments, '\0', length) == NULL;

	for (size_t at = 0; at < length;) {
		size_t size = strnlen(arguments + at, length - at);
		const struct cmdline_text text = {
			arguments + at, size, script, cut && at + size + 1 >= length};

		take_argument(&mask, &text);
		if (at + size < length)
			put(&mask, "", 1);
		script = is_script_option(arguments + at, size);
		at += size + 1;
	}
	return mask.used;
}

/* Names are compared in lower case, with one underscore between their parts: "X-Api-Key", "apiKey"
 * and "API_KEY" are api_key. A longer name is judged by its end. What is not in these tables is not
 * found: they hold what is common, and when in doubt a value counts as secret. */
#include "process/cmdline_secret.h"

#include <assert.h>
#include <string.h>

#include "process/cmdline_scan.h"

enum {
	NAME_SIZE = 64,
	WORDS_MAX = 4,
	USER_MIN = 16, /* of a token in the place of a user, octets */
	MIXED_MIN = 4,
};

struct name {
	char text[2 * NAME_SIZE]; /* parts with an underscore between them */
	char joined[NAME_SIZE];   /* without */
};

enum place {
	ANYWHERE,    /* in the joined name */
	END_OF_PART, /* "accesstoken", but not "tokenizer" */
	WHOLE_PART,
};

static const struct {
	const char *text;
	enum place place;
	enum cmdline_secret secret;
} secret_words[] = {
	{"password", ANYWHERE, CMDLINE_SECRET_YES},
	{"passwd", ANYWHERE, CMDLINE_SECRET_YES},
	{"passphrase", ANYWHERE, CMDLINE_SECRET_YES},
	{"passcode", ANYWHERE, CMDLINE_SECRET_YES},
	{"apikey", ANYWHERE, CMDLINE_SECRET_YES},
	{"accesskey", ANYWHERE, CMDLINE_SECRET_YES},
	{"accountkey", ANYWHERE, CMDLINE_SECRET_YES},
	{"authkey", ANYWHERE, CMDLINE_SECRET_YES},
	{"secretkey", ANYWHERE, CMDLINE_SECRET_YES},
	{"secretstring", ANYWHERE, CMDLINE_SECRET_YES},
	{"masterkey", ANYWHERE, CMDLINE_SECRET_UNLESS_PATH},
	{"encryptionkey", ANYWHERE, CMDLINE_SECRET_UNLESS_PATH},
	{"signingkey", ANYWHERE, CMDLINE_SECRET_UNLESS_PATH},
	{"privatekey", ANYWHERE, CMDLINE_SECRET_UNLESS_PATH},
	{"credential", ANYWHERE, CMDLINE_SECRET_UNLESS_PATH},
	{"secret", END_OF_PART, CMDLINE_SECRET_YES},
	{"secrets", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"token", END_OF_PART, CMDLINE_SECRET_YES},
	{"auth", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"oauth", WHOLE_PART, CMDLINE_SECRET_YES},
	{"authorization", WHOLE_PART, CMDLINE_SECRET_YES},
	{"bearer", WHOLE_PART, CMDLINE_SECRET_YES},
	{"pass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"dbpass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"keypass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"sshpass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"storepass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"userpass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"requirepass", WHOLE_PART, CMDLINE_SECRET_YES},
	{"masterauth", WHOLE_PART, CMDLINE_SECRET_YES},
	{"creds", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"signature", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"sig", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"pwd", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"cookie", WHOLE_PART, CMDLINE_SECRET_UNLESS_PATH},
	{"proxy", END_OF_PART, CMDLINE_SECRET_IN_URL},
};

/* A name that ends in one of these is about a secret. */
static const char *const other_ends[] = {"file", "files", "path", "dir", "directory", "url", "uri",
	"endpoint", "host", "server", "port", "name", "user", "username", "realm", "type", "method",
	"mechanism", "mode", "scheme", "provider", "plugin", "policy", "authentication", "stdin",
	"prompt", "prompts", "env", "fd", "helper", "command", "jar", "ttl", "timeout", "expiry",
	"lifetime", "length", "limit", "max", "min", "enabled", "required"};

/* An option that begins with one of these takes none. */
static const char *const flag_begins[] = {"no", "without", "disable", "skip", "ask", "prompt"};

struct program {
	const char *name;    /* of its file; a star at the end: and what begins so */
	const char *letters; /* of options: "-pX", and "-p X" unless only attached */
	const char *flags;   /* letters without value that may stand before it, as in "-su" */
	const char *words[WORDS_MAX];
	char after;
	bool attached;              /* "-p" alone asks for it */
	enum cmdline_secret secret; /* CMDLINE_SECRET_NO, as if not said: CMDLINE_SECRET_YES */
};

#define CURL_FLAGS "aBfgGiIjJklLMnNOpqRsSvVZ#:0123456"

static const struct program programs[] = {
	{.name = "mysql*", .letters = "p", .attached = true},
	{.name = "mariadb*", .letters = "p", .attached = true},
	{.name = "7z*", .letters = "p", .attached = true},
	{.name = "rar", .letters = "p", .flags = "h", .attached = true},
	{.name = "unrar", .letters = "p", .attached = true},
	{.name = "sshpass", .letters = "p", .flags = "ev"},
	{.name = "login",
		.letters = "p",
		.secret = CMDLINE_SECRET_UNLESS_PORT}, /* docker login, az login */
	{.name = "mongo*", .letters = "p", .secret = CMDLINE_SECRET_UNLESS_PORT},
	{.name = "cqlsh", .letters = "p"},
	{.name = "rdesktop", .letters = "p"},
	{.name = "evil-winrm", .letters = "p"},
	{.name = "nxc", .letters = "p"},
	{.name = "crackmapexec", .letters = "p"},
	{.name = "xfreerdp*", .words = {"/p"}},
	{.name = "ldap*", .letters = "w", .flags = "xZLvncMCAI"},
	{.name = "kadmin*", .letters = "w"},
	{.name = "redis-cli", .letters = "a"},
	{.name = "sqlcmd", .letters = "P"},
	{.name = "bcp", .letters = "P"},
	{.name = "tsql", .letters = "P"},
	{.name = "ipmitool", .letters = "P"},
	{.name = "mosquitto_*", .letters = "P"},
	{.name = "zip", .letters = "P", .flags = "rqjeyT9"},
	{.name = "unzip", .letters = "P", .flags = "qojnlpt"},
	{.name = "snmpget*", .letters = "AXc"},
	{.name = "snmpset", .letters = "AXc"},
	{.name = "snmpwalk", .letters = "AXc"},
	{.name = "snmpbulk*", .letters = "AXc"},
	{.name = "curl",
		.letters = "uU",
		.flags = CURL_FLAGS,
		.words = {"--user", "--proxy-user"},
		.after = ':'},
	{.name = "curl", .letters = "b", .flags = CURL_FLAGS, .after = '='},
	{.name = "curl", .letters = "E", .flags = CURL_FLAGS, .after = ':'},
	{.name = "curl",
		.letters = "x",
		.flags = CURL_FLAGS,
		.words = {"--socks4", "--socks4a", "--socks5", "--socks5-hostname"},
		.secret = CMDLINE_SECRET_IN_URL},
	{.name = "ss-*", .letters = "k"},
	{.name = "etcdctl", .words = {"--user"}, .after = ':'},
	{.name = "http", .letters = "a", .after = ':'},
	{.name = "https", .letters = "a", .after = ':'},
	{.name = "smbclient", .letters = "U", .words = {"--user"}, .after = '%'},
	{.name = "smbget", .letters = "U", .words = {"--user"}, .after = '%'},
	{.name = "rpcclient", .letters = "U", .words = {"--user"}, .after = '%'},
	{.name = "net", .letters = "U", .words = {"--user"}, .after = '%'},
	{.name = "lftp", .letters = "u", .words = {"--user"}, .after = ','},
};

enum { PROGRAM_COUNT = sizeof(programs) / sizeof(programs[0]) };
static_assert((int)PROGRAM_COUNT <= 64, "a bit each");

static const struct {
	const char *prefix;
	size_t min; /* octets behind it */
} tokens[] = {
	{"ghp_", 16},
	{"gho_", 16},
	{"ghu_", 16},
	{"ghs_", 16},
	{"ghr_", 16},
	{"github_pat_", 16},
	{"glpat-", 16},
	{"xoxb-", 10},
	{"xoxp-", 10},
	{"xoxa-", 10},
	{"xoxs-", 10},
	{"xapp-", 10},
	{"AKIA", 12},
	{"ASIA", 12},
	{"AIza", 20},
	{"sk-", 20},
	{"sk_live_", 10},
	{"rk_live_", 10},
	{"npm_", 20},
	{"dckr_pat_", 16},
	{"hvs.", 16},
	{"pypi-AgE", 16},
	{"SG.", 20},
	{"eyJ", 16},
};

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return is_upper(c) ? (char)(c + ('a' - 'A')) : c;
}

/* Without the number at its end, of which it may be one of several. */
static size_t without_number(const char *name, size_t length)
{
	while (length > 0 && !is_upper(name[length - 1]) && !is_lower(name[length - 1]))
		length--;
	return length;
}

static struct name name_of(const char *name, size_t length)
{
	struct name parts;
	size_t text = 0, joined = 0, at = 0;

	length = without_number(name, length);
	if (length >= NAME_SIZE)
		at = length - NAME_SIZE + 1;
	for (; at < length; at++) {
		bool part = at > 0 && is_upper(name[at]) && is_lower(name[at - 1]);

		if ((part || !cmdline_scan_is_alnum(name[at])) && text > 0 &&
			parts.text[text - 1] != '_')
			parts.text[text++] = '_';
		if (!cmdline_scan_is_alnum(name[at]))
			continue;
		parts.text[text++] = lower(name[at]);
		parts.joined[joined++] = lower(name[at]);
	}
	parts.text[text] = parts.joined[joined] = '\0';
	return parts;
}

/* Whether the word is there; last: at the very end of the name. */
static bool has_word(const struct name *name, const char *word, enum place place, bool last)
{
	const char *text = place == ANYWHERE ? name->joined : name->text;
	size_t length = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		char before = '_', after = at[length];

		if (at > text)
			before = at[-1];
		if (last && after)
			continue;
		if (place == ANYWHERE || ((after == '\0' || after == '_') &&
						 (place == END_OF_PART || before == '_')))
			return true;
	}
	return false;
}

/* "ProxyJump" is no proxy: of a URL the name ends so. */
static enum cmdline_secret look_up(const struct name *name, bool last)
{
	for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++)
		if (has_word(name, secret_words[i].text, secret_words[i].place,
			    last || secret_words[i].secret == CMDLINE_SECRET_IN_URL))
			return secret_words[i].secret;
	return CMDLINE_SECRET_NO;
}

static bool ends_otherwise(const struct name *name)
{
	for (size_t i = 0; i < sizeof(other_ends) / sizeof(other_ends[0]); i++)
		if (has_word(name, other_ends[i], WHOLE_PART, true))
			return true;
	return false;
}

/* Of java's -Dtoken=, gradle's -Ptoken= and curl's "-HAuthorization:" the name begins later. */
static bool has_letter(const char *name, size_t length)
{
	return length > 2 && name[0] == '-' && strchr("DPH", name[1]) && name[1];
}

enum cmdline_secret cmdline_secret_name(const char *name, size_t length)
{
	struct name parts = name_of(name, length);
	enum cmdline_secret secret = look_up(&parts, false);

	if (secret == CMDLINE_SECRET_NO && has_letter(name, length)) {
		parts = name_of(name + 2, length - 2);
		secret = look_up(&parts, false);
	}
	return ends_otherwise(&parts) ? CMDLINE_SECRET_NO : secret;
}

static bool begins_as_flag(const struct name *name)
{
	size_t length = strcspn(name->text, "_");

	for (size_t i = 0; i < sizeof(flag_begins) / sizeof(flag_begins[0]); i++)
		if (strlen(flag_begins[i]) == length &&
			memcmp(name->text, flag_begins[i], length) == 0)
			return true;
	return false;
}

enum cmdline_secret cmdline_secret_option(const char *option, size_t length)
{
	struct name parts;

	if (length < 3 || option[0] != '-')
		return CMDLINE_SECRET_NO;
	for (size_t i = 0; i < length; i++)
		if (!cmdline_scan_is_alnum(option[i]) && !strchr("-_.", option[i]))
			return CMDLINE_SECRET_NO;
	parts = name_of(option, length);
	return begins_as_flag(&parts) ? CMDLINE_SECRET_NO : look_up(&parts, true);
}

/* The table's name, or what begins so where it ends in a star. */
static bool is_called(const char *pattern, const char *name, size_t length)
{
	size_t size = strlen(pattern);
	bool star = pattern[size - 1] == '*';

	size -= star;
	return (star ? length >= size : length == size) && memcmp(name, pattern, size) == 0;
}

uint64_t cmdline_secret_program(const char *word, size_t length)
{
	uint64_t found = 0;
	const char *slash = memrchr(word, '/', length), *name = slash ? slash + 1 : word;
	const char *end = word + length;

	if (length == 0 || word[0] == '-')
		return 0;
	while (name < end && strchr("($`'\"", *name)) /* of a shell */
		name++;
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		if (is_called(programs[i].name, name, (size_t)(end - name)))
			found |= UINT64_C(1) << i;
	return found;
}

/* The first of "-xw", as far as -x has no value. */
static size_t value_of_letter(const struct program *program, const char *word, size_t length)
{
	size_t at = 1;

	if (!program->letters || length < 2 || word[0] != '-')
		return 0;
	while (program->flags && at < length && strchr(program->flags, word[at]))
		at++;
	return at < length && strchr(program->letters, word[at]) ? at + 1 : 0;
}

static size_t value_of_word(const struct program *program, const char *word, size_t length)
{
	for (size_t i = 0; i < WORDS_MAX && program->words[i]; i++) {
		size_t size = strlen(program->words[i]);

		if (length < size || memcmp(word, program->words[i], size) != 0)
			continue;
		if (length == size)
			return size;
		if (word[size] == '=' || word[size] == ':')
			return size + 1;
	}
	return 0;
}

size_t cmdline_secret_of_program(uint64_t active, const char *word, size_t length, char *ret_after,
	enum cmdline_secret *ret_secret)
{
	for (size_t i = 0; active >> i && i < PROGRAM_COUNT; i++) {
		const struct program *program = &programs[i];
		size_t at;

		if (!(active >> i & 1))
			continue;
		at = value_of_letter(program, word, length);
		if (!at)
			at = value_of_word(program, word, length);
		if (!at || (program->attached && at == length))
			continue;
		*ret_after = program->after;
		*ret_secret = program->secret ? program->secret : CMDLINE_SECRET_YES;
		return at;
	}
	return 0;
}

/* A word may begin with a capital or end in a number, but not often: "WebDeploy2-prod01". */
bool cmdline_secret_user(const char *user, size_t length)
{
	size_t mixed = 0;

	for (size_t i = 1; i < length; i++) {
		char before = user[i - 1], c = user[i];

		if (!cmdline_scan_is_alnum(before) || !cmdline_scan_is_alnum(c))
			continue;
		mixed += is_digit(before) != is_digit(c) || (is_lower(before) && is_upper(c));
	}
	return length >= USER_MIN && mixed >= MIXED_MIN;
}

static bool is_token_octet(char c)
{
	return cmdline_scan_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

bool cmdline_secret_token(const char *text, size_t length, size_t *ret_prefix, size_t *ret_length)
{
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		size_t prefix = strlen(tokens[i].prefix), end = prefix;

		if (length < prefix || memcmp(text, tokens[i].prefix, prefix) != 0)
			continue;
		while (end < length && is_token_octet(text[end]))
			end++;
		if (end - prefix < tokens[i].min)
			continue;
		*ret_prefix = prefix;
		*ret_length = end;
		return true;
	}
	return false;
}

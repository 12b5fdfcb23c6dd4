/* Command lines as people write them, and what is left of them. In the tables '|' stands between
 * arguments. */
#include "process/cmdline_mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process/process.h"

#define GHP "ghp_0123456789abcdefghijABCDEFGHIJ012345"
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

/* What is masked. "S3cr3t" is part of every secret. */
static const char *const masked[][2] = {
	/* options */
	{"app|--password|S3cr3t", "app|--password|***"},
	{"app|--password=S3cr3t", "app|--password=***"},
	{"app|--password|my S3cr3t, isn't it", "app|--password|***"},
	{"app|--password=my S3cr3t", "app|--password=***"},
	{"app|--password|-S3cr3t|-v", "app|--password|***|-v"},
	{"app|-password|S3cr3t|-v", "app|-password|***|-v"},
	{"app|--db-password|S3cr3t|--host|h", "app|--db-password|***|--host|h"},
	{"app|--http-passwd=S3cr3t", "app|--http-passwd=***"},
	{"app|--passphrase|S3cr3t", "app|--passphrase|***"},
	{"app|--token|S3cr3t", "app|--token|***"},
	{"app|--access-token=S3cr3t", "app|--access-token=***"},
	{"app|--api-key|S3cr3t", "app|--api-key|***"},
	{"app|--apikey=S3cr3t", "app|--apikey=***"},
	{"app|--apiKey|S3cr3t", "app|--apiKey|***"},
	{"app|--client-secret|S3cr3t", "app|--client-secret|***"},
	{"app|--secret|S3cr3t", "app|--secret|***"},
	{"app|--auth|u:S3cr3t", "app|--auth|***"},
	{"app|--pass|S3cr3t", "app|--pass|***"},
	{"app|--private-key|MIIS3cr3t", "app|--private-key|***"},
	{"app|--private-key|/S3cr3tBase64=", "app|--private-key|***"},
	{"curl|--oauth2-bearer|S3cr3t|h", "curl|--oauth2-bearer|***|h"},
	{"keytool|-storepass|S3cr3t|-list", "keytool|-storepass|***|-list"},
	{"tailscale|up|--authkey=tskey-S3cr3t", "tailscale|up|--authkey=***"},
	{"mongod|--auth|--config|/S3cr3t", "mongod|--auth|--config|/S3cr3t"},
	{"pwsh|-Password=S3cr3t|-Token|S3cr3t", "pwsh|-Password=***|-Token|***"},
	{"java|-Dtoken=S3cr3t|-jar|x", "java|-Dtoken=***|-jar|x"},
	{"java|-Djavax.net.ssl.keyStorePassword=S3cr3t",
		"java|-Djavax.net.ssl.keyStorePassword=***"},
	{"helm|--set|auth.rootPassword=S3cr3t", "helm|--set|auth.rootPassword=***"},
	{"kubectl|--from-literal=password=S3cr3t", "kubectl|--from-literal=password=***"},
	{"redis-server|--requirepass|S3cr3t|--masterauth|S3cr3t",
		"redis-server|--requirepass|***|--masterauth|***"},
	{"aws|--secret-string|S3cr3t", "aws|--secret-string|***"},
	{"skopeo|--src-creds|u:S3cr3t|x", "skopeo|--src-creds|***|x"},
	{"curl|-b|session=S3cr3t|h", "curl|-b|session=***|h"},
	{"curl|-E|cert.pem:S3cr3t|h", "curl|-E|cert.pem:***|h"},
	{"curl|https://h/b?sv=1&sig=S3cr3t", "curl|https://h/b?sv=1&sig=***"},
	{"rar|a|-hpS3cr3t|x", "rar|a|-hp***|x"},
	{"etcdctl|--user|root:S3cr3t|get", "etcdctl|--user|root:***|get"},
	{"docker|run|-e|RAILS_MASTER_KEY=S3cr3t|x", "docker|run|-e|RAILS_MASTER_KEY=***|x"},
	{"mongo|-u|u|-p|S3cr3t|db", "mongo|-u|u|-p|***|db"},
	/* names */
	{"env|PGPASSWORD=S3cr3t|psql", "env|PGPASSWORD=***|psql"},
	{"docker|run|-e|MYSQL_ROOT_PASSWORD=S3cr3t|mysql",
		"docker|run|-e|MYSQL_ROOT_PASSWORD=***|mysql"},
	{"docker|run|-e|DB_PASS=my S3cr3t&;'|x", "docker|run|-e|DB_PASS=***|x"},
	{"env|AWS_SECRET_ACCESS_KEY=S3cr3t/x", "env|AWS_SECRET_ACCESS_KEY=***"},
	{"env|AWS_SESSION_TOKEN=S3cr3t", "env|AWS_SESSION_TOKEN=***"},
	{"env|SSHPASS=S3cr3t", "env|SSHPASS=***"},
	{"env|MYSQL_PWD=S3cr3t", "env|MYSQL_PWD=***"},
	{"env|TOKEN_PROD_2=S3cr3t", "env|TOKEN_PROD_2=***"},
	{"env|API_TOKEN1=S3cr3t", "env|API_TOKEN1=***"},
	{"openssl|rsa|-passin|pass:S3cr3t|-in|k", "openssl|rsa|-passin|pass:***|-in|k"},
	{"mount|-o|username=u,password=S3cr3t,vers=3", "mount|-o|username=u,password=***"},
	{"app|Server=h;User Id=sa;Password=my S3cr3t;", "app|Server=h;User Id=sa;Password=***"},
	{"app|host=h user=u password='S3cr3t x' dbname=d",
		"app|host=h user=u password='***' dbname=d"},
	{"curl|-d|user=a&password=S3cr3t|h", "curl|-d|user=a&password=***|h"},
	{"curl|https://h/p?a=1&access_token=S3cr3t", "curl|https://h/p?a=1&access_token=***"},
	{"curl|-d|{\"password\": \"my S3cr3t\", \"host\":\"h\"}",
		"curl|-d|{\"password\": \"***\", \"host\":\"h\"}"},
	{"curl|-d|{\"a\":\"b\",\"token\":\"S3\\\"cr3t\"}",
		"curl|-d|{\"a\":\"b\",\"token\":\"***\"}"},
	{"sh|-c|curl -d \"{\\\"token\\\":\\\"S3cr3t\\\"}\" h",
		"sh|-c|curl -d \"{\\\"token\\\":\\\"***\\\"}\" h"},
	{"http|h|password:=S3cr3t", "http|h|password:***"},
	{"user[password]=S3cr3t", "user[password]=***"},
	/* headers */
	{"curl|-H|Authorization: Bearer S3cr3t|https://h", "curl|-H|Authorization: ***|https://h"},
	{"curl|-HAuthorization: Basic S3cr3t|https://h", "curl|-HAuthorization: ***|https://h"},
	{"curl|--header|X-Api-Key:S3cr3t", "curl|--header|X-Api-Key:***"},
	{"curl|-H|PRIVATE-TOKEN: S3cr3t", "curl|-H|PRIVATE-TOKEN: ***"},
	{"curl|-H|Cookie: sid=S3cr3t; b=c", "curl|-H|Cookie: ***"},
	/* programs */
	{"mysql|-uroot|-pS3cr3t|db", "mysql|-uroot|-p***|db"},
	{"/usr/bin/mysqldump|-h|h|-pmy S3cr3t|db", "/usr/bin/mysqldump|-h|h|-p***|db"},
	{"sudo|mariadb-admin|-pS3cr3t|ping", "sudo|mariadb-admin|-p***|ping"},
	{"sshpass|-p|S3cr3t|ssh|-p|22|u@h", "sshpass|-p|***|ssh|-p|***|u@h"},
	{"sshpass|-pS3cr3t|ssh|u@h", "sshpass|-p***|ssh|u@h"},
	{"curl|-u|user:S3cr3t|https://h", "curl|-u|user:***|https://h"},
	{"curl|-sSu|user:S3cr3t:x|https://h", "curl|-sSu|user:***|https://h"},
	{"curl|-uuser:S3cr3t|https://h", "curl|-uuser:***|https://h"},
	{"curl|--user|user:S3cr3t|https://h", "curl|--user|user:***|https://h"},
	{"curl|--proxy-user=user:S3cr3t|h", "curl|--proxy-user=user:***|h"},
	{"curl|-u|token:S3cr3t", "curl|-u|token:***"},
	{"mongosh|-u|u|-p|S3cr3t|h/db", "mongosh|-u|u|-p|***|h/db"},
	{"ldapsearch|-x|-D|cn=a|-w|S3cr3t", "ldapsearch|-x|-D|cn=a|-w|***"},
	{"ldapsearch|-xwS3cr3t|-H|ldap://h", "ldapsearch|-xw***|-H|ldap://h"},
	{"smbclient|//h/s|-U|DOM/user%S3cr3t", "smbclient|//h/s|-U|DOM/user%***"},
	{"redis-cli|-h|h|-a|S3cr3t|ping", "redis-cli|-h|h|-a|***|ping"},
	{"docker|login|-u|u|-p|S3cr3t|r.example", "docker|login|-u|u|-p|***|r.example"},
	{"xfreerdp|/v:h|/u:u|/p:S3cr3t", "xfreerdp|/v:h|/u:u|/p:***"},
	{"snmpget|-v2c|-c|S3cr3t|h", "snmpget|-v2c|-c|***|h"},
	/* URLs */
	{"git|clone|https://user:S3cr3t@h/r.git", "git|clone|https://user:***@h/r.git"},
	{"psql|postgres://u:S3cr3t@h:5432/db?x=y", "psql|postgres://u:***@h:5432/db?x=y"},
	{"psql|postgres://u:p@S3cr3t@h/db", "psql|postgres://u:***@h/db"},
	{"redis-cli|-u|redis://:S3cr3t/x@h/0", "redis-cli|-u|redis://:***@h/0"},
	{"app|--url=mongodb+srv://u:S3cr3t@h,i/db", "app|--url=mongodb+srv://u:***@h,i/db"},
	{"app|jdbc:mysql://u:S3cr3t@h/db", "app|jdbc:mysql://u:***@h/db"},
	{"app|http://a:S3cr3t@h http://b:S3cr3t@i", "app|http://a:***@h http://b:***@i"},
	{"app|http://u:S3cr3t", "app|http://u:***"},
	{"git|clone|https://" GHP ":S3cr3t@h/r", "git|clone|https://ghp_***:***@h/r"},
	{"git|clone|https://550e8400e29b41d4a716S3cr3t@h/r", "git|clone|https://***@h/r"},
	{"git|clone|https://550e8400e29b41d4a716S3cr3t:x-oauth-basic@h/r",
		"git|clone|https://***:***@h/r"},
	{"curl|https://rkTest51HcYq7BzS3cr3t:@api.h/v1", "curl|https://***:@api.h/v1"},
	{"vless://550e8400-e29b-41d4-a716-4466554S3cr3t@h:443", "vless://***@h:443"},
	{"https://" GHP ":x-oauth-basic@h/r", "https://ghp_***:***@h/r"},
	{"sh|-c|git push 'https://Zq7mK2xP9wL4S3cr3t@h/r' x", "sh|-c|git push 'https://***@h/r' x"},
	/* URLs without scheme */
	{"curl|-x|user:S3cr3t@proxy:3128|https://h", "curl|-x|user:***@proxy:3128|https://h"},
	{"curl|-xuser:S3cr3t@proxy:3128|https://h", "curl|-xuser:***@proxy:3128|https://h"},
	{"curl|-sGx|user:S3cr3t@proxy|h", "curl|-sGx|user:***@proxy|h"},
	{"curl|-x|http://user:S3cr3t@proxy|h", "curl|-x|http://user:***@proxy|h"},
	{"curl|-xsocks5h://user:S3cr3t@proxy|h", "curl|-xsocks5h://user:***@proxy|h"},
	{"curl|-x|user:my S3cr3t/@proxy|h", "curl|-x|user:***@proxy|h"},
	{"curl|--proxy|user:S3cr3t@proxy:3128|h", "curl|--proxy|user:***@proxy:3128|h"},
	{"curl|--preproxy=user:S3cr3t@proxy|h", "curl|--preproxy=user:***@proxy|h"},
	{"curl|--socks5-hostname|user:S3cr3t@proxy|h", "curl|--socks5-hostname|user:***@proxy|h"},
	{"curl|-U|user:S3cr3t|-x|proxy:3128|h", "curl|-U|user:***|-x|proxy:3128|h"},
	{"curl|-Uuser:S3cr3t|h", "curl|-Uuser:***|h"},
	{"curl|--proxy-user|user:S3cr3t|h", "curl|--proxy-user|user:***|h"},
	{"pip|install|--proxy|user:S3cr3t@proxy:3128|x",
		"pip|install|--proxy|user:***@proxy:3128|x"},
	{"env|https_proxy=user:S3cr3t@proxy:3128|wget|h",
		"env|https_proxy=user:***@proxy:3128|wget|h"},
	{"sh|-c|curl -x 'user:S3cr3t@proxy:3128' https://h",
		"sh|-c|curl -x 'user:***@proxy:3128' https://h"},
	{"sh|-c|http_proxy=\"user:S3cr3t@proxy\" wget h",
		"sh|-c|http_proxy=\"user:***@proxy\" wget h"},
	{"curl|-x|Zq7mK2xP9wL4S3cr3t@proxy:80|h", "curl|-x|***@proxy:80|h"},
	/* options that only look as if a URL followed */
	{"app|--proxy|mysql|-pS3cr3t", "app|--proxy|mysql|-p***"},
	{"mysql|--use-proxy|-pS3cr3t", "mysql|--use-proxy|-p***"},
	{"curl|--preproxy|-uuser:S3cr3t|h", "curl|--preproxy|-uuser:***|h"},
	{"curl|--preproxy|-xuser:S3cr3t@proxy|h", "curl|--preproxy|-xuser:***@proxy|h"},
	{"mysql|--proxy|by 'S3cr3t'", "mysql|--proxy|by ***"},
	{"mysql|--proxy|create user a@b identified by 'S3cr3t'",
		"mysql|--proxy|create user a@b identified by ***"},
	{"mysql|--proxy|a@b by 'S3cr3t'", "mysql|--proxy|a@b by ***"},
	{"sh|-c|mysql --use-proxy -pS3cr3t db", "sh|-c|mysql --use-proxy -p*** db"},
	{"sh|-c|mysql --proxy by 'S3cr3t'", "sh|-c|mysql --proxy by ***"},
	{"sh|-c|mysql --proxy \"alter user x by 'S3cr3t'\"",
		"sh|-c|mysql --proxy \"alter user x by ***\""},
	{"app|--use-proxy|TOKEN=S3cr3t", "app|--use-proxy|TOKEN=***"},
	{"app|--use-proxy|--password|S3cr3t", "app|--use-proxy|--password|***"},
	{"sh|-c|app --use-proxy --password S3cr3t", "sh|-c|app --use-proxy --password ***"},
	/* tokens */
	{"git|clone|https://" GHP "@github.com/a", "git|clone|https://ghp_***@github.com/a"},
	{"app|" GHP, "app|ghp_***"},
	{"app|x=" GHP ",y", "app|x=ghp_***,y"},
	{"app|github_pat_11ABCDEFG0S3cr3t0123456789", "app|github_pat_***"},
	{"app|glpat-S3cr3tS3cr3tS3cr3t", "app|glpat-***"},
	{"app|xoxb-1234-5678-S3cr3t", "app|xoxb-***"},
	{"app|AKIAIOSFODNN7EXAMPLE", "app|AKIA***"},
	{"app|sk-proj-S3cr3tS3cr3tS3cr3tS3cr3t", "app|sk-***"},
	{"app|" JWT "|h", "app|eyJ***|h"},
	/* within one argument */
	{"sh|-c|PGPASSWORD=S3cr3t psql -h h", "sh|-c|PGPASSWORD=*** psql -h h"},
	{"bash|-lc|mysql --password='my S3cr3t' -h h", "bash|-lc|mysql --password='***' -h h"},
	{"sh|-c|curl -H 'Authorization: Bearer S3cr3t' https://h",
		"sh|-c|curl -H 'Authorization: ***' https://h"},
	{"sh|-c|cd /x && mysqldump -pS3cr3t db | gzip", "sh|-c|cd /x && mysqldump -p*** db | gzip"},
	{"sh|-c|app --token S3cr3t --host h", "sh|-c|app --token *** --host h"},
	{"sh|-c|app --token 'my S3cr3t' --host h", "sh|-c|app --token *** --host h"},
	{"ssh|h|mysqldump -h i -pS3cr3t db", "ssh|h|mysqldump -h i -p*** db"},
	{"sh|-c|ssh h 'mysqldump -pS3cr3t db' | gzip", "sh|-c|ssh h 'mysqldump -p*** db' | gzip"},
	{"ssh|h|sh -c \"mysql -pS3cr3t db\"", "ssh|h|sh -c \"mysql -p*** db\""},
	{"sh|-c|A=\"$(curl -u a:S3cr3t http://h)\" b", "sh|-c|A=\"$(curl -u a:*** http://h)\" b"},
	{"sh|-c|A_TOKEN='S3'\\''cr3t S3cr3t' app", "sh|-c|A_TOKEN='*** app"},
	{"ssh|h|PGPASSWORD=S3cr3t psql -h h", "ssh|h|PGPASSWORD=***"},
	{"mysql|-e|CREATE USER u IDENTIFIED BY 'S3cr3t'",
		"mysql|-e|CREATE USER u IDENTIFIED BY ***"},
	{"psql|-c|ALTER USER u PASSWORD 'S3cr3t' x", "psql|-c|ALTER USER u PASSWORD *** x"},
};

/* What must stay as it is. */
static const char *const kept[] = {
	"docker|run|--name|mongo|-p|27017:27017|mongo",
	"docker|run|--name|mongo|-p|127.0.0.1:80:80/tcp|mongo",
	"ssh|login|-p|2222",
	"ssh|login|-p2222",
	"git|log|--author=me|--author|you",
	"python3|tokenize.py|--max_tokens=100|tokenizer=x",
	"ssh|-p|22|u@h",
	"docker|run|-p|80:80|nginx",
	"app|--token-file|/path",
	"app|--token-file=/path",
	"app|--password-file|/path|--passwd-file=x",
	"app|--private-key|/etc/ssl/key.pem",
	"app|--private-key=./key.pem",
	"env|GOOGLE_APPLICATION_CREDENTIALS=/etc/gcp.json|app",
	"env|PWD=/home/me|app",
	"env|OS_AUTH_URL=http://h:5000/v3|app",
	"app|--auth-type|basic|--auth-type=basic",
	"ssh|-o|PasswordAuthentication=no|-o|NumberOfPasswordPrompts=1|h",
	"docker|login|--password-stdin|r.example",
	"ansible-playbook|--ask-become-pass|site.yml",
	"app|--no-password|db",
	"mysql|-p|db",
	"mysql|-h|h|-P|3306|-u|root|-p",
	"psql|-p|5432|-U|u|-h|h",
	"curl|-u|user|https://h:8443/a@b",
	"curl|-sS|-o|/dev/null|https://h/token/secret?x=y",
	"curl|-d|@password|h",
	"git|clone|ssh://git@h:22/r.git",
	"git|clone|https://user@h/r.git",
	"git|clone|git@github.com:owner/repository-2024.git",
	"git|clone|ssh://deploy@h/r|https://firstname.lastname2%40example.com@h/r",
	"git|clone|https://web01-deploy02-prod03@h/r|https://WebDeployProduction2@h/r",
	"git|clone|https://h/550e8400e29b41d4a716@446655440000",
	"curl|-x|proxy:3128|-x|user@proxy:3128|https://h",
	"curl|-x|http://proxy:3128|--noproxy|localhost,127.0.0.1|https://h",
	"env|http_proxy=proxy:3128|no_proxy=localhost:80|app",
	"ssh|-o|ProxyJump=a@h:22,b@i:22|-o|ProxyCommand=nc -x a:1 b@h|k",
	"rsync|-e|ssh -p 2222|auth:/srv|/x",
	"app|http://[::1]:8080/|http://h:8080|http://h:80/x",
	"app|task-list-of-things-to-do-today|sk-short|eyJ|AKIA",
	"app|--password",
	"app|--password=|--token=",
	"app|--password|--verbose|x",
	"nginx: worker process",
	"postgres: alice db 10.0.0.1(5432) idle",
	"passwd|root",
	"/usr/lib/auth|-w",
	"a monkey|--keyboard|us|--bypass|x|compass=1",
	"",
	"|",
	"||a||",
};

static size_t split(char *dst, const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		dst[i] = text[i] == '|' ? '\0' : text[i];
	dst[length] = '\0';
	return length + 1;
}

static const char *mask_of(const char *text, size_t length)
{
	static char result[PROCESS_CMDLINE_MAX];
	size_t used = cmdline_mask(result, sizeof(result) - 1, text, length, false);

	result[used] = '\0';
	for (size_t i = 0; i + 1 < used; i++)
		if (result[i] == '\0')
			result[i] = '|';
	return result;
}

static void secrets_are_masked_and_nothing_else(void **state)
{
	char arguments[512];

	(void)state;
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
		assert_string_equal(
			mask_of(arguments, split(arguments, masked[i][0])), masked[i][1]);
}

static void what_only_looks_like_a_secret_stays(void **state)
{
	char arguments[512];

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_string_equal(mask_of(arguments, split(arguments, kept[i])), kept[i]);
}

/* As a capture file has them: one text, without quotes. */
static void arguments_in_one_text_are_words(void **state)
{
	static const char *const texts[][2] = {
		{"curl -H Authorization: Bearer S3cr3t https://h",
			"curl -H Authorization: *** https://h"},
		{"curl -u a:S3cr3t https://h", "curl -u a:*** https://h"},
		{"app --password S3cr3t --host h", "app --password *** --host h"},
		{"app --password=S3cr3t --host h", "app --password=*** --host h"},
		{"mysql -pS3cr3t -h h", "mysql -p*** -h h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(mask_of(texts[i][0], strlen(texts[i][0])), texts[i][1]);
}

static void every_prefix_hides_what_it_has_of_the_secret(void **state)
{
	char arguments[512], result[512];

	(void)state;
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		size_t length = split(arguments, masked[i][0]);
		const char *secret = memmem(arguments, length, "S3cr3t", 6);

		/* a token shows its form only after some octets */
		if (!secret || strncmp(masked[i][0], "mongod|", 7) == 0 ||
			strstr(masked[i][1], "-***") || strstr(masked[i][1], "_***"))
			continue;
		for (size_t size = 0; size <= length; size++) {
			size_t used = cmdline_mask(result, sizeof(result), arguments, size, true);

			if (memmem(result, used, "S3cr", 4))
				fail_msg("'%s' cut at %zu", masked[i][0], size);
		}
	}
}

/* A number behind the colon is a port, unless more may come. */
static void a_password_that_is_cut_off_is_hidden(void **state)
{
	static const char text[] = "psql\0postgres://u:12345";
	char result[64];
	size_t used = cmdline_mask(result, sizeof(result), text, sizeof(text) - 1, true);

	(void)state;
	assert_memory_equal(result, "psql\0postgres://u:***", used);
	used = cmdline_mask(result, sizeof(result), text, sizeof(text) - 1, false);
	assert_memory_equal(result, text, used);
}

static void any_octets_stay_within_the_bounds(void **state)
{
	static const char *const pieces[] = {"--password", "=", ":", "://", "@", "'", "\"", "\\",
		" ", "token", "\xff\xfe", "-p", "mysql", "{", GHP, "Bearer", "\n", "sh", "-c", "/",
		","};
	char arguments[PROCESS_CMDLINE_MAX], result[PROCESS_CMDLINE_MAX + 1];
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t length = 0, size;

		while (length < sizeof(arguments) - 64 && (random >> 16 & 63)) {
			const char *piece;

			random = random * 1103515245 + 12345;
			piece = pieces[(random >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
			memcpy(arguments + length, piece, strlen(piece));
			length += strlen(piece);
			if ((random >> 8 & 7) == 0)
				arguments[length++] = '\0';
		}
		random = random * 1103515245 + 12345;
		size = random >> 16 & 1 ? PROCESS_CMDLINE_MAX : random % 64;
		result[size] = 0x55;
		assert_true(cmdline_mask(result, size, arguments, length, random & 1) <= size);
		assert_int_equal(result[size], 0x55);
	}
}

static void very_long_lines_are_masked_too(void **state)
{
	static char arguments[1 << 16], result[1 << 17];
	static const char end[] = "\0--password\0S3cr3t";
	static const char *const fillers[] = {"a", "=", "://", "://a:b", "'", "a=", "\\", " ", "-"};

	(void)state;
	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		size_t size = strlen(fillers[i]), used;

		for (size_t at = 0; at < sizeof(arguments); at++)
			arguments[at] = fillers[i][at % size];
		memcpy(arguments + sizeof(arguments) - sizeof(end), end, sizeof(end));
		used = cmdline_mask(result, sizeof(result), arguments, sizeof(arguments), false);
		assert_null(memmem(result, used, "S3cr3t", 6));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_masked_and_nothing_else),
		cmocka_unit_test(what_only_looks_like_a_secret_stays),
		cmocka_unit_test(arguments_in_one_text_are_words),
		cmocka_unit_test(every_prefix_hides_what_it_has_of_the_secret),
		cmocka_unit_test(a_password_that_is_cut_off_is_hidden),
		cmocka_unit_test(any_octets_stay_within_the_bounds),
		cmocka_unit_test(very_long_lines_are_masked_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

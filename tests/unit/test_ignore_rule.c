/* Rules as users write them, what they fit, and how a wrong one is refused. */
#include "process/ignore_rule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int find_user(const char *name, uint32_t *ret_uid)
{
	if (strcmp(name, "bob") != 0)
		return -ENOENT;
	*ret_uid = 1000;
	return 0;
}

static struct ignore_rule parse(const char *text)
{
	struct ignore_rule rule;
	char why[IGNORE_RULE_WHY_SIZE] = "";

	if (ignore_rule_parse(text, find_user, &rule, why))
		fail_msg("%s: %s", text, why);
	return rule;
}

static void assert_refused(const char *text, const char *words)
{
	struct ignore_rule rule = {.uid = 77};
	char why[IGNORE_RULE_WHY_SIZE];

	assert_int_equal(ignore_rule_parse(text, find_user, &rule, why), -EINVAL);
	assert_string_equal(why, words);
	assert_int_equal(rule.uid, 77);
}

static const struct process_info ntpd = {.exe = "/usr/sbin/ntpd", .uid = 1000};

static struct flow_record make_record(void)
{
	return (struct flow_record){
		.key = {.remote = addr_from_v4("\xc0\x00\x02\x07"),
			.remote_port = 123,
			.local_port = 40000,
			.protocol = 17},
		.direction = FLOW_DIRECTION_OUT,
	};
}

static bool fits(const char *text)
{
	const struct ignore_rule rule = parse(text);
	const struct flow_record record = make_record();

	return ignore_rule_fits(&rule, &record, &ntpd);
}

static void each_field_fits_what_it_says(void **state)
{
	static const char *const good[] = {"exe=/usr/sbin/ntpd", "exe=/usr/*", "exe=/*",
		"exe=\"/usr/sbin/ntpd\"", "address=192.0.2.7", "address=192.0.2.0/24",
		"address=0.0.0.0/0", "address=::/0", "port=123", "port=1-200", "port=123-123",
		"local-port=40000", "user=bob", "user=1000", "protocol=udp", "protocol=17",
		"direction=out"};
	static const char *const bad[] = {"exe=/usr/sbin/ntp", "exe=/usr/sbin/ntpdate",
		"exe=/opt/*", "address=192.0.2.8", "address=198.51.100.0/24",
		"address=2001:db8::/32", "port=124", "port=124-65535", "port=0-122",
		"local-port=123", "user=0", "protocol=tcp", "direction=in"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!fits(good[i]))
			fail_msg("%s does not fit", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fits(bad[i]))
			fail_msg("%s fits", bad[i]);
}

static void all_fields_must_fit(void **state)
{
	(void)state;
	assert_true(fits("exe=/usr/sbin/ntpd  port=123 user=bob address=192.0.2.0/24 "));
	assert_false(fits("exe=/usr/sbin/ntpd port=124"));
	assert_false(fits("exe=/usr/sbin/chronyd port=123"));
	assert_false(fits("port=123 direction=in"));
}

static void an_unknown_process_fits_no_program_and_no_user(void **state)
{
	const struct flow_record record = make_record();
	const struct process_info nameless = {.exe = "", .uid = PROCESS_UID_NONE};
	struct ignore_rule rule = parse("exe=/*");

	(void)state;
	assert_false(ignore_rule_fits(&rule, &record, NULL));
	assert_false(ignore_rule_fits(&rule, &record, &nameless));
	rule = parse("user=bob");
	assert_false(ignore_rule_fits(&rule, &record, NULL));
	assert_false(ignore_rule_fits(&rule, &record, &nameless));
	rule = parse("port=123");
	assert_true(ignore_rule_fits(&rule, &record, NULL));
}

static struct ignore_question about_host(const char *range)
{
	struct ignore_question question = {.fields = 1u << IGNORE_ADDRESS, .service = true};

	assert_int_equal(addr_parse_range(range, &question.first, &question.last), 0);
	return question;
}

static bool spares(const char *text, const struct ignore_question *question)
{
	const struct ignore_rule rule = parse(text);

	return ignore_rule_spares(&rule, question);
}

static void a_rule_spares_hosts_that_it_cannot_hide(void **state)
{
	struct ignore_question question = about_host("192.0.2.0/24");

	(void)state;
	assert_true(spares("address=198.51.100.0/24", &question));
	assert_true(spares("address=192.0.3.0 port=1", &question));
	assert_true(spares("address=192.0.1.255", &question));
	assert_true(spares("address=2001:db8::/32", &question));
	assert_false(spares("address=192.0.2.255", &question));
	assert_false(spares("address=192.0.2.0", &question));
	assert_false(spares("address=192.0.0.0/16 exe=/x", &question));
	assert_false(spares("address=::/0", &question));
	assert_false(spares("exe=/x port=1 user=bob protocol=udp direction=in", &question));
	question.translated = true;
	assert_false(spares("address=198.51.100.0/24", &question));
	question.fields = 0; /* any host, or one by name */
	question.translated = false;
	assert_false(spares("address=198.51.100.0/24", &question));
}

static void a_rule_spares_other_protocols_directions_users_and_programs(void **state)
{
	struct ignore_question question = {.fields = 1u << IGNORE_PROTOCOL | 1u << IGNORE_USER |
						     1u << IGNORE_EXE | 1u << IGNORE_DIRECTION,
		.protocol = 6,
		.uid = 33,
		.exe = "/usr/bin/curl",
		.direction = FLOW_DIRECTION_OUT};
	struct ignore_rule unsure = parse("user=bob");

	(void)state;
	assert_true(spares("protocol=udp", &question));
	assert_false(spares("protocol=tcp", &question));
	assert_true(spares("direction=in", &question));
	assert_false(spares("direction=out", &question));
	assert_true(spares("user=bob", &question));
	assert_false(spares("user=33", &question));
	unsure.uid = PROCESS_UID_NONE;
	assert_false(ignore_rule_spares(&unsure, &question));
	assert_true(spares("exe=/usr/bin/cur", &question));
	assert_true(spares("exe=/usr/sbin/*", &question));
	assert_false(spares("exe=/usr/bin/cur*", &question));
	assert_false(spares("exe=/usr/bin/curl", &question));
	question.exe = "curl";
	assert_true(spares("exe=/usr/bin/wget", &question));
	assert_false(spares("exe=/opt/curl", &question));
	assert_false(spares("exe=/usr/bin/*", &question));
	question.exe = "c?rl";
	assert_false(spares("exe=/usr/bin/wget", &question));
	assert_false(spares("port=1 address=192.0.2.1", &question));
}

/* Of what comes in the remote port is chosen by strangers: 123 may be one of a flow to 443. */
static void a_rule_spares_a_port_where_it_says_which_end_has_it(void **state)
{
	struct ignore_question question = {
		.fields = 1u << IGNORE_PORT, .port = 443, .service = true};

	(void)state;
	assert_false(spares("port=123", &question));
	assert_false(spares("local-port=123", &question));
	assert_true(spares("port=123 local-port=123", &question));
	assert_false(spares("port=123 local-port=400-500", &question));
	assert_true(spares("port=123 direction=out", &question));
	assert_true(spares("port=123 direction=forwarded", &question));
	assert_false(spares("port=443 direction=out", &question));
	assert_false(spares("local-port=123 direction=out", &question));
	assert_true(spares("local-port=123 direction=in", &question));
	assert_false(spares("port=123 direction=in", &question));
	question.fields |= 1u << IGNORE_DIRECTION;
	question.direction = FLOW_DIRECTION_OUT;
	assert_true(spares("port=123", &question));
	question.service = false;
	assert_false(spares("port=123", &question));
	assert_false(spares("port=123 direction=out", &question));
}

static void ipv6_and_blanks_in_a_path(void **state)
{
	const struct ignore_rule rule =
		parse("exe=\"/opt/my app/x\" address=2001:db8::/32 protocol=tcp");
	const struct process_info process = {.exe = "/opt/my app/x"};
	struct flow_record record = make_record();

	(void)state;
	record.key.protocol = 6;
	assert_int_equal(addr_parse("2001:db8:1::5", &record.key.remote), 0);
	assert_true(ignore_rule_fits(&rule, &record, &process));
	assert_int_equal(addr_parse("2001:db9::5", &record.key.remote), 0);
	assert_false(ignore_rule_fits(&rule, &record, &process));
	assert_string_equal(rule.text, "exe=\"/opt/my app/x\" address=2001:db8::/32 protocol=tcp");
}

static void wrong_rules_are_refused_with_the_way_to_write_them(void **state)
{
	char text[400], words[IGNORE_RULE_WHY_SIZE];

	(void)state;
	assert_refused("", "the value is missing");
	assert_refused("  ", "the value is missing");
	assert_refused("ntpd", "'ntpd' is no field; write e.g. exe=/usr/sbin/ntpd port=123");
	assert_refused("colour=blue",
		"no field 'colour'; there are exe, address, port, local-port, "
		"user, protocol, direction");
	assert_refused("port=1 port=2", "port is given twice; write two rules");
	assert_refused("port=", "port: the value is missing");
	assert_refused("exe=", "exe: the value is missing");
	assert_refused("exe=ntpd", "exe 'ntpd' is not a whole path; write e.g. exe=/usr/sbin/ntpd, "
				   "exe=/opt/x/*");
	assert_refused("exe=*", "exe '*' is not a whole path; write e.g. exe=/usr/sbin/ntpd, "
				"exe=/opt/x/*");
	assert_refused("address=300.1.1.1", "'300.1.1.1' is no address; write e.g. 192.0.2.1, "
					    "10.0.0.0/8, 2001:db8::/32");
	for (size_t i = 0; i < 9; i++) {
		static const char *const ports[] = {
			"x", "-1", "65536", "5-", "-", "9-8", "1-2-3", "99999999999", "1-65536"};

		snprintf(text, sizeof(text), "port=%s", ports[i]);
		snprintf(words, sizeof(words),
			"'%s' is no port; write e.g. port=123, port=6881-6889", ports[i]);
		assert_refused(text, words);
	}
	assert_refused("user=eve", "there is no user 'eve'; write a name or a number");
	assert_refused("protocol=foo", "'foo' is no protocol; write e.g. udp, tcp, icmp");
	assert_refused("direction=up", "'up' is no direction; write out, in or forwarded");
	assert_refused("exe=\"/a", "'exe=\"/a': the second quote is missing");
	assert_refused("exe=/\xff", "'exe=/\xff...' is too long, or no text");
	memset(text, 'a', sizeof(text));
	memcpy(text, "exe=/", 5);
	text[IGNORE_RULE_SIZE] = '\0';
	assert_int_equal(
		ignore_rule_parse(text, find_user, &(struct ignore_rule){0}, words), -EINVAL);
	text[IGNORE_RULE_SIZE - 1] = '\0';
	parse(text);
}

static void every_prefix_of_a_rule_is_a_rule_or_refused(void **state)
{
	static const char whole[] = "exe=\"/opt/x *\" address=10.0.0.0/8 port=1-2 user=bob";
	char text[sizeof(whole)], why[IGNORE_RULE_WHY_SIZE];
	struct ignore_rule rule;

	(void)state;
	for (size_t length = 0; length < sizeof(whole); length++) {
		memcpy(text, whole, length);
		text[length] = '\0';
		why[0] = '\0';
		if (ignore_rule_parse(text, find_user, &rule, why))
			assert_true(strlen(why) > 0);
		else
			assert_string_equal(rule.text, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_fits_what_it_says),
		cmocka_unit_test(all_fields_must_fit),
		cmocka_unit_test(an_unknown_process_fits_no_program_and_no_user),
		cmocka_unit_test(a_rule_spares_hosts_that_it_cannot_hide),
		cmocka_unit_test(a_rule_spares_other_protocols_directions_users_and_programs),
		cmocka_unit_test(a_rule_spares_a_port_where_it_says_which_end_has_it),
		cmocka_unit_test(ipv6_and_blanks_in_a_path),
		cmocka_unit_test(wrong_rules_are_refused_with_the_way_to_write_them),
		cmocka_unit_test(every_prefix_of_a_rule_is_a_rule_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

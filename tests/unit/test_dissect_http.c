/* Request heads: which host, and what is none. */
#include "decode/dissect_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dissect_http_request request;

static enum dissect_result dissect(const char *text)
{
	return dissect_http((const uint8_t *)text, strlen(text), &request);
}

static void check(const char *text, const char *name, bool proxied)
{
	assert_int_equal(dissect(text), DISSECT_OK);
	assert_string_equal(request.name, name);
	assert_int_equal(request.proxied, proxied);
}

static void the_host_is_told_without_its_port(void **state)
{
	(void)state;
	check("GET / HTTP/1.1\r\nAccept: */*\r\nHost: WWW.example.com:8080\r\n", "www.example.com",
		false);
	check("POST /a?b HTTP/1.0\nhOsT:\t example.com. \t\n\n", "example.com", false);
}

static void addresses_and_missing_hosts_are_no_names(void **state)
{
	(void)state;
	check("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "", false);
	check("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "", false);
	check("GET / HTTP/1.1\r\nHost:\r\n\r\n", "", false);
	check("GET / HTTP/1.0\r\nX: y\r\n\r\nHost: body.example\r\n", "", false);
}

static void a_proxy_is_asked_for_another_host(void **state)
{
	(void)state;
	check("CONNECT far.example:443 HTTP/1.1\r\n", "far.example", true);
	check("GET http://user@far.example:8080/x@y HTTP/1.1\r\nHost: other\r\n\r\n", "far.example",
		true);
	check("GET HTTP://far.example HTTP/1.1\r\n", "far.example", true);
}

static void what_is_no_request_is_other(void **state)
{
	(void)state;
	assert_int_equal(dissect("SSH-2.0-OpenSSH_9.2\r\n"), DISSECT_OTHER);
	assert_int_equal(dissect("HTTP/1.1 200 OK\r\n"), DISSECT_OTHER);
	assert_int_equal(dissect("get / HTTP/1.1\r\n"), DISSECT_OTHER);
	assert_int_equal(dissect("\x16\3\1"), DISSECT_OTHER);
}

static void malformed_and_unsupported_requests(void **state)
{
	(void)state;
	assert_int_equal(dissect("GET /\r\n"), DISSECT_MALFORMED);
	assert_int_equal(dissect("GET  HTTP/1.1\r\n"), DISSECT_MALFORMED);
	assert_int_equal(dissect("GET / FTP/1.1\r\n"), DISSECT_MALFORMED);
	assert_int_equal(dissect("GET \r\n"), DISSECT_MALFORMED);
	assert_int_equal(dissect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), DISSECT_UNSUPPORTED);
}

static void a_head_without_end_is_given_up(void **state)
{
	static char text[9000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(dissect_http((uint8_t *)text, 8191, &request), DISSECT_TRUNCATED);
	assert_int_equal(dissect_http((uint8_t *)text, 8192, &request), DISSECT_UNSUPPORTED);
}

static void every_prefix_is_truncated(void **state)
{
	static const char text[] = "OPTIONS / HTTP/1.1\r\nA: b\r\nHost: a.example\r\n";

	(void)state;
	for (size_t length = 1; length < sizeof(text) - 1; length++) {
		uint8_t *copy = malloc(length); /* so that a read beyond it is seen */

		memcpy(copy, text, length);
		assert_int_equal(dissect_http(copy, length, &request), DISSECT_TRUNCATED);
		assert_string_equal(request.name, "");
		free(copy);
	}
	check(text, "a.example", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_is_told_without_its_port),
		cmocka_unit_test(addresses_and_missing_hosts_are_no_names),
		cmocka_unit_test(a_proxy_is_asked_for_another_host),
		cmocka_unit_test(what_is_no_request_is_other),
		cmocka_unit_test(malformed_and_unsupported_requests),
		cmocka_unit_test(a_head_without_end_is_given_up),
		cmocka_unit_test(every_prefix_is_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

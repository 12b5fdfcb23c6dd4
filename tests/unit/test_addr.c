/* Addresses: one type for both families, text and ranges. */
#include "flow/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr parsed(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static void mapped_and_plain_ipv4_are_the_same_address(void **state)
{
	struct addr plain = parsed("192.0.2.1"), mapped = parsed("::ffff:192.0.2.1");
	struct addr raw = addr_from_v4((uint8_t[]){192, 0, 2, 1});

	(void)state;
	assert_true(addr_equal(&plain, &mapped));
	assert_true(addr_equal(&plain, &raw));
	assert_true(addr_is_v4(&mapped));
}

static void text_is_canonical(void **state)
{
	static const char *const texts[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:10.1.2.3", "10.1.2.3"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"::", "::"},
		{"::1", "::1"},
		{"0.0.0.0", "0.0.0.0"},
		{"ff02::fb", "ff02::fb"},
	};
	char buf[ADDR_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct addr addr = parsed(texts[i][0]);

		assert_string_equal(addr_format(&addr, buf), texts[i][1]);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4x",
		"g::1", "1::2::3", "1.2.3.4/8", " 1.2.3.4", "fe80::1%eth0"};
	struct addr addr = {{42}};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(addr_parse(texts[i], &addr), -EINVAL);
	assert_int_equal(addr.octets[0], 42);
}

static void check_range(const char *text, const char *first_text, const char *last_text)
{
	struct addr first, last;
	char buf[ADDR_TEXT_SIZE];

	assert_int_equal(addr_parse_range(text, &first, &last), 0);
	assert_string_equal(addr_format(&first, buf), first_text);
	assert_string_equal(addr_format(&last, buf), last_text);
}

static void a_range_has_a_first_and_a_last_address(void **state)
{
	(void)state;
	check_range("10.0.0.0/8", "10.0.0.0", "10.255.255.255");
	check_range("10.1.2.3/31", "10.1.2.2", "10.1.2.3");
	check_range("10.1.2.3", "10.1.2.3", "10.1.2.3");
	check_range("0.0.0.0/0", "0.0.0.0", "255.255.255.255");
	check_range("2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
	check_range("2001:db8::1/128", "2001:db8::1", "2001:db8::1");
	check_range("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void what_is_no_range_is_refused(void **state)
{
	static const char *const texts[] = {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129",
		"10.0.0.0/8x", "10.0.0.0/ 8", "/8", "10.0.0.0/99999999999999999999",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
	struct addr first, last;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(addr_parse_range(texts[i], &first, &last), -EINVAL);
}

static void kinds_are_told_apart(void **state)
{
	struct addr loop4 = parsed("127.1.2.3"), loop6 = parsed("::1"), none4 = parsed("0.0.0.0");
	struct addr none6 = parsed("::"), other = parsed("128.0.0.1");

	(void)state;
	assert_true(addr_is_loopback(&loop4));
	assert_true(addr_is_loopback(&loop6));
	assert_false(addr_is_loopback(&other));
	assert_false(addr_is_loopback(&none6));
	assert_true(addr_is_unspecified(&none4));
	assert_true(addr_is_unspecified(&none6));
	assert_false(addr_is_unspecified(&loop6));
}

static void the_stored_octets_are_4_or_16(void **state)
{
	struct addr v4 = parsed("192.0.2.1"), v6 = parsed("2001:db8::1");
	size_t length;

	(void)state;
	assert_memory_equal(addr_octets(&v4, &length), "\xc0\x00\x02\x01", 4);
	assert_int_equal(length, 4);
	assert_memory_equal(addr_octets(&v6, &length), "\x20\x01\x0d\xb8", 4);
	assert_int_equal(length, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_and_plain_ipv4_are_the_same_address),
		cmocka_unit_test(text_is_canonical),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_range_has_a_first_and_a_last_address),
		cmocka_unit_test(what_is_no_range_is_refused),
		cmocka_unit_test(kinds_are_told_apart),
		cmocka_unit_test(the_stored_octets_are_4_or_16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

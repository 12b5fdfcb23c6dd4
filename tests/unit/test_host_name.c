/* Names of hosts by label. */
#include "flow/host_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *name, const char *reversed)
{
	char text[32];

	host_name_reverse(name, text, sizeof(text));
	assert_string_equal(text, reversed);
}

static void labels_are_reversed_in_lower_case(void **state)
{
	(void)state;
	expect("www.Example.COM", "com.example.www");
	expect("www.example.com.", "com.example.www");
	expect("localhost", "localhost");
	expect("a\\032b.local", "local.a\\032b");
}

static void odd_names_stay_within_bounds(void **state)
{
	char text[4] = "xxx";

	(void)state;
	expect("", "");
	expect(".", "");
	expect("..", "");
	expect(".a", "a");
	host_name_reverse("a.bcd", text, sizeof(text));
	assert_string_equal(text, "b.a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_reversed_in_lower_case),
		cmocka_unit_test(odd_names_stay_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

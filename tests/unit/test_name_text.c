/* The one spelling of names. */
#include "decode/name_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char name[NAME_MAX_OCTETS + 1];

static bool of_host(const char *text)
{
	return name_text_of_host((const uint8_t *)text, strlen(text), name);
}

static void hosts_are_lower_case_without_final_dot(void **state)
{
	(void)state;
	assert_true(of_host("WWW.Example.COM."));
	assert_string_equal(name, "www.example.com");
	assert_true(of_host("localhost"));
	assert_string_equal(name, "localhost");
}

static void what_is_not_printable_is_escaped(void **state)
{
	(void)state;
	assert_true(name_text_of_host((const uint8_t *)"a\0b\x1b[2J\xc3\xa4\\ .x", 13, name));
	assert_string_equal(name, "a\\000b\\027[2j\\195\\164\\092\\032.x");
}

static void addresses_are_no_names(void **state)
{
	(void)state;
	assert_false(of_host("192.0.2.1"));
	assert_string_equal(name, "");
	assert_false(of_host("2001:db8::1"));
	assert_true(of_host("192.0.2.1.example"));
}

static void the_empty_name_and_the_root_are_none(void **state)
{
	(void)state;
	assert_false(of_host(""));
	assert_false(of_host("."));
	assert_false(name_text_of_master("", name));
	assert_false(name_text_of_master(".", name));
	assert_string_equal(name, "");
}

static void what_does_not_fit_is_not_told(void **state)
{
	uint8_t octets[256];

	(void)state;
	memset(octets, 'a', sizeof(octets));
	assert_true(name_text_of_host(octets, 255, name));
	assert_int_equal(strlen(name), 255);
	assert_false(name_text_of_host(octets, 256, name));
	assert_string_equal(name, "");
	octets[252] = 0;
	assert_false(name_text_of_host(octets, 253, name));
	assert_true(name_text_of_host(octets, 252, name));
}

static void names_of_master_files_keep_their_labels_apart(void **state)
{
	(void)state;
	assert_true(name_text_of_master("A\\.b\\046c\\@\\\\.Example.com.", name));
	assert_string_equal(name, "a\\046b\\046c@\\092.example.com");
	assert_true(name_text_of_master("My\\032Printer.local.", name));
	assert_string_equal(name, "my\\032printer.local");
	assert_true(name_text_of_master("a\\", name));
	assert_string_equal(name, "a\\092");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_lower_case_without_final_dot),
		cmocka_unit_test(what_is_not_printable_is_escaped),
		cmocka_unit_test(addresses_are_no_names),
		cmocka_unit_test(the_empty_name_and_the_root_are_none),
		cmocka_unit_test(what_does_not_fit_is_not_told),
		cmocka_unit_test(names_of_master_files_keep_their_labels_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

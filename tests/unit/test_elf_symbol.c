/* Where a function lies in a library: made-up ones, whole, cut and spoilt, and our own C library.
 */
#include "process/elf_symbol.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/elf_make.h"

static int offset_in(const struct elf_make *file, uint64_t *ret_offset)
{
	return elf_symbol_offset((const uint8_t *)file, sizeof(*file), "wanted", ret_offset);
}

static void the_function_is_found_behind_one_that_is_only_wanted(void **state)
{
	struct elf_make file = elf_make("wanted");
	uint64_t offset = 0;

	(void)state;
	assert_int_equal(offset_in(&file, &offset), 0);
	assert_int_equal(offset, offsetof(struct elf_make, code) + 16);
	assert_int_equal(
		elf_symbol_offset((const uint8_t *)&file, sizeof(file), "want", &offset), -ENOENT);
}

static void what_this_machine_cannot_load_is_no_library(void **state)
{
	struct elf_make file = elf_make("wanted");
	uint64_t offset;

	(void)state;
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(offset_in(&file, &offset), -ENOEXEC);
	file = elf_make("wanted");
	file.header.e_machine = EM_386;
	assert_int_equal(offset_in(&file, &offset), -ENOEXEC);
	file = elf_make("wanted");
	file.header.e_type = ET_REL;
	assert_int_equal(offset_in(&file, &offset), -ENOEXEC);
	assert_int_equal(
		elf_symbol_offset((const uint8_t *)"#!/bin/sh\n", 10, "wanted", &offset), -ENOEXEC);
}

/* A copy of its very size, for the sanitizer. */
static int offset_in_prefix(const struct elf_make *file, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	uint64_t offset;
	int error;

	assert_non_null(copy);
	memcpy(copy + 1, file, size);
	error = elf_symbol_offset(copy + 1, size, "wanted", &offset);
	free(copy);
	return error;
}

static void every_prefix_is_cut(void **state)
{
	struct elf_make file = elf_make("wanted");

	(void)state;
	for (size_t size = 0; size < EI_NIDENT; size++)
		assert_int_equal(offset_in_prefix(&file, size), -ENOEXEC);
	for (size_t size = EI_NIDENT; size < sizeof(file); size++)
		assert_int_equal(offset_in_prefix(&file, size), -EBADMSG);
}

static void numbers_that_lead_out_of_the_file_are_malformed(void **state)
{
	struct elf_make good = elf_make("wanted"), file;
	uint64_t *numbers[] = {&file.header.e_shoff, &file.header.e_phoff,
		&file.sections[1].sh_offset, &file.sections[1].sh_size, &file.sections[2].sh_offset,
		&file.sections[2].sh_size, &file.segments[1].p_offset, &file.symbols[2].st_value};
	const uint64_t values[] = {UINT64_MAX, UINT64_MAX - 15, (uint64_t)INT64_MAX, sizeof(file)};
	uint64_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			file = good;
			*numbers[i] = values[j];
			assert_int_equal(offset_in(&file, &offset), -EBADMSG);
		}
	file = good;
	file.sections[1].sh_link = 3;
	assert_int_equal(offset_in(&file, &offset), -EBADMSG);
	file = good;
	file.header.e_shentsize = 1;
	assert_int_equal(offset_in(&file, &offset), -EBADMSG);
	file = good;
	file.symbols[2].st_name = UINT32_MAX;
	assert_int_equal(offset_in(&file, &offset), -ENOENT);
	memset(file.names, 'x', sizeof(file.names)); /* no NUL */
	file.symbols[2].st_name = 28;
	assert_int_equal(offset_in(&file, &offset), -ENOENT);
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *octets;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*ret_size = (size_t)ftell(file);
	rewind(file);
	octets = malloc(*ret_size);
	assert_non_null(octets);
	assert_int_equal(fread(octets, 1, *ret_size, file), *ret_size);
	fclose(file);
	return octets;
}

/* The dynamic linker is the judge. Not of getaddrinfo: the sanitizer has one, too. */
static void our_own_c_library_has_its_functions_where_they_are_loaded(void **state)
{
	const uint8_t *function = dlsym(RTLD_DEFAULT, "endservent");
	Dl_info info;
	uint8_t *octets;
	uint64_t offset;
	size_t size;

	(void)state;
	if (!function || !dladdr(function, &info))
		skip();
	octets = read_file(info.dli_fname, &size);
	assert_int_equal(elf_symbol_offset(octets, size, "endservent", &offset), 0);
	assert_memory_equal(octets + offset, function, 16);
	assert_int_equal(elf_symbol_offset(octets, size, "getaddrinfo", &offset), 0);
	assert_int_equal(elf_symbol_offset(octets, size, "no_such_function", &offset), -ENOENT);
	free(octets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_function_is_found_behind_one_that_is_only_wanted),
		cmocka_unit_test(what_this_machine_cannot_load_is_no_library),
		cmocka_unit_test(every_prefix_is_cut),
		cmocka_unit_test(numbers_that_lead_out_of_the_file_are_malformed),
		cmocka_unit_test(our_own_c_library_has_its_functions_where_they_are_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
